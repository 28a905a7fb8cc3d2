"""A U-Net whose encoder is a classifier, so that published weights can be a start.

The classifier is torchvision's or timm's, cut before its head; the decoder takes its features at
each scale, or those of a plain vision transformer at its only one. The encoder keeps its library's
tensor names.
"""

from __future__ import annotations

import functools
import math
import re
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.errors import Finding, UsageError
from headstart.models.classifiers import make_network, normalisation, outline, refuse_size
from headstart.models.depthwise import keep_in_float32
from headstart.models.feature_maps import FeatureScale, graph_encoder, graph_scales, shapes_of
from headstart.models.timm_networks import (
    is_plain,
    is_timm,
    new_timm,
    pad_statically,
    patch_side,
    timm_encoder,
    timm_features,
    timm_scales,
)
from headstart.models.tuning import Tracer
from headstart.models.unet import LEVELS, UNet, stage


@functools.cache
def scales(name: str) -> tuple[FeatureScale, ...]:
    """Return the last features of a classifier at each scale, from fine to coarse.

    Raises:
        MissingExtraError: timm is needed and not installed.
        UsageError: the network is unknown, or has fewer than three scales.

    >>> [(s.level, s.channels) for s in scales("resnet18")]
    [(1, 64), (2, 64), (3, 128), (4, 256), (5, 512)]
    """
    return timm_scales(name) if is_timm(name) else graph_scales(outline(name, 2).eval(), name)


def new_encoder(name: str) -> nn.Module:
    """Return a classifier with new weights, without the layers after its last features.

    Raises:
        MissingExtraError, UsageError: as [`scales`][].
    """
    if is_timm(name):
        return timm_encoder(name)
    return graph_encoder(make_network(name, 2)[0], scales(name))


def _steps_up(patch: int) -> tuple[int, ...]:
    """Return by how much the picture is shrunk for each skip above patches, finest first.

    They divide the patches' side, so that no border is lost; each is half of the next or less.

    >>> _steps_up(16), _steps_up(14)
    ((1, 2, 4, 8), (1, 2, 7))
    """
    steps = [patch]
    while steps[-1] > 1:
        steps.append(max(n for n in range(1, steps[-1] // 2 + 1) if patch % n == 0))
    return tuple(reversed(steps[1:]))


class EncoderUNet(nn.Module):
    """A U-Net with a classifier as its encoder.

    The features of each scale pass a batch norm, because without one they can reach thousands. The
    decoder upsamples bilinearly to the next finer scale, concatenates the skip and applies two 3x3
    convolutions. The finest skip is the picture itself, unless the encoder has features that large.

    Networks from TensorFlow (timm's ``tf_...``) see pictures whose sides are multiples of 32, and
    vision transformers multiples of their patches' side: the border is repeated, and the logits are
    cropped.

    A plain vision transformer (such as DINOv2) has features at the scale of its patches only. A 1x1
    convolution joins those of four blocks, and the skips at finer scales are the picture, shrunk.

    The buffers ``mean`` and ``std`` standardise the picture. In a new network they are those that
    the classifier's published weights expect.

    Args:
        name: of the classifier: torchvision's, or ``timm/`` and timm's.
        num_classes: channels of the 1x1 head, at least 1.
        width: channels of the decoder at the picture's size, at least 1; doubled at each coarser
            scale, up to eight times.

    Raises:
        UsageError: the network is unknown, or has no features at several scales.
        ValueError: a count is below 1.

    Source: https://arxiv.org/abs/1505.04597 for the decoder's shape.

    >>> net = EncoderUNet("squeezenet1_0", num_classes=6, width=16)
    >>> net(torch.zeros(2, 3, 50, 70)).shape
    torch.Size([2, 6, 50, 70])
    """

    def __init__(self, name: str, num_classes: int, width: int = 32) -> None:
        super().__init__()
        for what, value in [("num_classes", num_classes), ("width", width)]:
            if value < 1:
                raise ValueError(f"{what} is {value}, expected at least 1")
        mean, std = normalisation(name)
        self.mean = nn.Buffer(torch.tensor(mean)[:, None, None])
        self.std = nn.Buffer(torch.tensor(std)[:, None, None])
        self.name, features = name, scales(name)
        self.encoder = new_encoder(name)
        self.multiple, self.timm_scales = 1, features if is_timm(name) else ()
        if is_timm(name):
            self.multiple = 32 if pad_statically(self.encoder) else patch_side(name)
        keep_in_float32(self.encoder)
        self.norms = nn.ModuleList(nn.BatchNorm2d(scale.channels) for scale in features)
        levels = [(scale.level, scale.channels) for scale in features]
        plain = is_plain(features)
        self.pictures: tuple[int, ...] = ()  # where the picture is the skip: shrunk by how much
        if levels[0][0] > 0:
            self.pictures = _steps_up(self.multiple) if plain else (1,)
        levels = [*((round(math.log2(n)), len(mean)) for n in self.pictures), *levels]
        coarsest, below = levels.pop()
        self.join: nn.Module = nn.Identity()
        if plain:
            joined = width * 2 ** min(coarsest, LEVELS - 1)
            self.join, below = nn.Conv2d(below, joined, 1), joined
        self.decoder = nn.ModuleList()
        for level, channels in reversed(levels):
            out = width * 2 ** min(level, LEVELS - 1)
            self.decoder.append(stage(below + channels, out))
            below = out
        self.head = nn.Conv2d(below, num_classes, 1)
        self.frozen = False

    def freeze_encoder(self) -> None:
        """Keep the encoder as it is: its weights do not train, and it stays in evaluation mode."""
        self.frozen = True
        self.encoder.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> EncoderUNet:
        """Set the training mode of everything that trains."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    @property
    def deepest(self) -> nn.Module:
        """The module that returns the coarsest features."""
        return self.norms[-1]

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k h w"]:
        """Return the logits of each class at each pixel; ``image`` is in ``[0, 1]``."""
        height, width = image.shape[-2:]
        picture = (image - self.mean) / self.std
        if self.multiple > 1:
            below, right = -height % self.multiple, -width % self.multiple
            picture = F.pad(picture, (0, right, 0, below), mode="replicate")
        features = (
            timm_features(self.encoder, picture, self.timm_scales)
            if self.timm_scales
            else self.encoder(picture)
        )
        maps = [norm(f) for norm, f in zip(self.norms, features, strict=True)]
        x = self.join(maps.pop())
        shrunk = (F.avg_pool2d(picture, n) if n > 1 else picture for n in self.pictures)
        maps = [*shrunk, *maps]
        for decode, skip in zip(self.decoder, reversed(maps), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = decode(torch.cat([x, skip], dim=1))
        if self.multiple > 1:
            x = x[..., :height, :width]
        elif x.shape[-2:] != image.shape[-2:]:  # a first layer without padding loses a border
            x = F.interpolate(x, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return cast("Tensor", self.head(x))


def make_segmenter(model: str, num_classes: int, width: int) -> UNet | EncoderUNet:
    """Return a network for segmentation with new weights from torch's generator.

    Args:
        model: ``"unet"``, the assignment's network, or a classifier as the encoder.
        num_classes: channels of the head.
        width: channels of the decoder's finest level.

    Raises:
        UsageError: the network is unknown, or cannot be an encoder.
    """
    if model == "unet":
        return UNet(num_classes, width)
    return EncoderUNet(model, num_classes, width)


@functools.cache
def check_segmenter(model: str, size: tuple[int, int]) -> None:
    """Check that a network can segment pictures of this size.

    The coarsest features need at least two pixels, because batch norm has no statistics of one.

    Raises:
        UsageError: it cannot; the hint is the smallest usual square that it accepts.
    """
    if model == "unet":
        return
    if re.sub(r"[^a-z]", "", model.lower()) == "unet":
        message = f"there is no network {model}"
        raise UsageError(Finding("unknown-network", "error", message, "did you mean unet?"))
    last, multiple = scales(model)[-1], patch_side(model) if is_timm(model) else 1
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = (timm_encoder(model) if is_timm(model) else outline(model, 2)).eval()
    graph = None if is_timm(model) else Tracer().trace(network)

    def coarsest(size: tuple[int, int]) -> tuple[int, ...]:
        if graph is not None:
            return shapes_of(network, graph, *size)[last.step]
        with torch.no_grad():
            padded = (side + -side % multiple for side in size)
            picture = torch.empty(1, 3, *padded, device="meta")
            return tuple(timm_features(network, picture, (last,))[-1].shape)

    def takes(size: tuple[int, int]) -> bool:
        try:
            return math.prod(coarsest(size)[2:]) > 1
        except (RuntimeError, AssertionError, ValueError):
            return False

    refuse_size(size, takes, f"{model} cannot be the encoder for pictures")


def beside_encoder(model: str) -> tuple[str, ...]:
    """Return the prefixes of a classifier's tensors that its encoder does not have.

    >>> beside_encoder("resnet18")
    ('fc.',)
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        whole = new_timm(model, 2) if is_timm(model) else outline(model, 2)
        in_encoder = set(new_encoder(model).state_dict())
    names = list(whole.state_dict())
    kept = {name.partition(".")[0] for name in in_encoder}
    parts = [(name, name.partition(".")[0]) for name in names if name not in in_encoder]
    return tuple(dict.fromkeys(name if part in kept else f"{part}." for name, part in parts))
