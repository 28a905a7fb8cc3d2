"""Segmentation in use: a class for each pixel of pictures and clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float32, UInt8

from headstart.config.task_settings import UNET
from headstart.data.framing import Framing, content_size, framed, resize_image
from headstart.data.label_map import LabelMap
from headstart.data.layouts.dataset import Dataset, frames_of
from headstart.data.layouts.recognise import open_dataset
from headstart.data.pictures.frame import Frame, read_frame
from headstart.data.pictures.reading_rules import NO_RULES, ReadingRules
from headstart.errors import DataError, Finding
from headstart.inference.class_maps import AT_ONCE, PictureSizes, class_maps, resized
from headstart.inference.finished_run import FinishedRun
from headstart.inference.mask_files import listed
from headstart.inference.onnx_file import OnnxFile, bad_facts
from headstart.inference.predictor import Answers, ExportForm, Images, Predictions, spread
from headstart.tasks.windows import Answer, blended, class_map

if TYPE_CHECKING:
    from torch import device as Device
    from torch.nn import Module as Network
else:
    Device = Network = Any  # torch takes seconds to load, and an ONNX file needs none of it

Pictures = UInt8[np.ndarray, "n 3 h w"]
ProbabilityRows = Iterator[tuple[slice, Float32[np.ndarray, "k n w"]]]
"""Some rows of a picture, and the class probabilities of their pixels."""

_BATCH = 8
_LONGEST = 512  # side of the probabilities of a picture in tiles
_ALONE = 3  # pictures that are compared once more, alone and at another size
_MULTIPLE = 8  # the U-Net pads pictures to multiples of it
_PADDED = (
    "; padded at the right and the bottom to a multiple of 8 by repeating the border, and cropped "
    "back"
)


_FRAMED = {
    "pad": "at {} x {}; pictures are resized bilinearly until they fit, and mirrored at the right "
    "and the bottom to fill the rest",
    "squeeze": "at {} x {}, to which pictures are brought, bilinearly",
    "tile": "on tiles of {} x {}, cut from pictures at their own size",
}


@dataclass(frozen=True)
class Segmenter:
    """A trained segmentation network; see [`Predictor`][headstart.inference.predictor.Predictor].

    Attributes:
        size: height and width at which the network was trained.
        framing: how pictures become pictures of that size.
        label_map: the classes.
        min_area: see [`class_maps`][].
        digest: SHA-256 of the file of weights, or of the ONNX file.
        probabilities: maps RGB pictures, ``(n, 3, h, w)``, to the probability of each class at each
            pixel, ``(n, k, h, w)``.
        framed_maps: the most probable class of each pixel of pictures at the network's size, at the
            height and width that is given for each; the third argument is their height and width
            without padding.
        temperature: brings these probabilities, at any size, closer to how often the class is
            right: see [`calibrated`][headstart.scores.calibration.calibrated].
        unseen, rules: see the interface.
    """

    size: tuple[int, int]
    framing: Framing
    label_map: LabelMap
    min_area: float
    digest: str
    probabilities: Callable[[Pictures], Float32[np.ndarray, "n k h w"]]
    framed_maps: Callable[[Pictures, PictureSizes, PictureSizes], list[UInt8[np.ndarray, "_ _"]]]
    temperature: float = 1.0
    unseen: Callable[[str], Segmenter] | None = None
    rules: ReadingRules = NO_RULES

    task: ClassVar[str] = "segmentation"
    dataset: ClassVar[type] = Dataset
    predicts_masks: ClassVar[bool] = True

    @property
    def batch(self) -> int:
        """The number of pictures to predict at once.

        One if they keep their own size, or if the networks differ between them.
        """
        return 1 if self.framing == "tile" or self.unseen is not None else _BATCH

    def of(self, name: str) -> Segmenter:
        """Return what predicts the picture of this name."""
        return self if self.unseen is None else self.unseen(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, background first."""
        return self.label_map.names

    @staticmethod
    def refusal(path: Path, task: str, network: str) -> DataError:
        """See the interface."""
        if task == "pretext":
            message = f"{path} holds a pretext ({network}), which does not segment"
            hint = f"train from it: headstart train DATA --start {path}"
            return DataError(Finding("is-a-pretext", "error", message, hint))
        message = f"{path} holds a classifier ({network}), which does not segment"
        hint = "use it to classify pictures"
        return DataError(Finding("is-a-classifier", "error", message, hint))

    @staticmethod
    def network(run: FinishedRun) -> Network:
        """See the interface."""
        import torch

        from headstart.models.averaged import Averaged
        from headstart.models.encoder_unet import make_segmenter

        if run.members:
            return Averaged(map(Segmenter.network, run.members)).eval()
        with torch.random.fork_rng(devices=[]):
            network = make_segmenter(run.network_name, len(run.facts.names), run.facts.width or 0)
        run.load_into(network, run.weights)
        return network.eval()

    @classmethod
    def from_run(cls, run: FinishedRun, device: Device, mirror: bool = False) -> Segmenter:
        """See the interface."""
        return cls.of_network(cls.network(run), run, device, mirror)

    @classmethod
    def of_network(
        cls, own: Network, run: FinishedRun, device: Device, mirror: bool = False
    ) -> Segmenter:
        """See the interface."""
        import torch

        from headstart.models.averaged import Mirrored
        from headstart.tasks.class_maps import segment
        from headstart.training.placement import placed, to_input

        network = placed(Mirrored(own) if mirror else own, device)
        min_area = run.facts.min_area

        @torch.no_grad()
        def probabilities(images: Pictures) -> Float32[np.ndarray, "n k h w"]:
            batches = (torch.from_numpy(part) for part in _batches(images))
            logits = (network(to_input(batch, device)) for batch in batches)
            return torch.cat([batch.float().softmax(1).cpu() for batch in logits]).numpy()

        def maps(
            images: Pictures, sizes: PictureSizes, contents: PictureSizes
        ) -> list[UInt8[np.ndarray, "_ _"]]:
            classes = segment(network, images, sizes, device, min_area, _BATCH, contents)
            return [class_map.cpu().numpy() for class_map in classes]

        return Segmenter(
            run.facts.size,
            run.facts.framing,
            run.label_map(),
            min_area,
            mirrored_digest(run.digest) if mirror else run.digest,
            probabilities,
            maps,
            run.temperature,
            rules=run.facts.rules,
        )

    @classmethod
    def from_onnx(cls, file: OnnxFile, mirror: bool = False) -> Segmenter:
        """See the interface."""
        from headstart.inference.onnx_session import start_session

        facts = file.facts
        try:
            label_map = LabelMap(facts.names, facts.greys or (), (), facts.colours)
        except ValueError:
            raise bad_facts(file.path) from None
        run = start_session(file, [None, 3, None, None], per_pixel=True, mirror=mirror)

        def probabilities(images: Pictures) -> Float32[np.ndarray, "n k h w"]:
            scaled = (part.astype(np.float32) / np.float32(255) for part in _batches(images))
            return np.concatenate([run(part) for part in scaled])

        def maps(
            images: Pictures, sizes: PictureSizes, contents: PictureSizes
        ) -> list[UInt8[np.ndarray, "_ _"]]:
            classes: list[UInt8[np.ndarray, "_ _"]] = []
            for i, part in enumerate(_batches(images)):
                of_part = slice(i * _BATCH, (i + 1) * _BATCH)
                probs = probabilities(part)
                classes += class_maps(probs, sizes[of_part], facts.min_area, contents[of_part])
            return classes

        digest = mirrored_digest(file.digest) if mirror else file.digest
        of_file = (facts.size, facts.framing, label_map, facts.min_area, digest)
        return Segmenter(*of_file, probabilities, maps, facts.temperature, rules=facts.rules)

    @classmethod
    def export_form(cls, run: FinishedRun) -> ExportForm:
        """See the interface; the network standardises pictures itself."""
        network: Any = cls.network(run)
        parts = list(network.networks) if run.members else [network]
        mean, std = ([getattr(p, name).flatten() for p in parts] for name in ("mean", "std"))
        height, width = run.facts.size
        is_unet = run.network_name == UNET
        several = f" by each of the {len(parts)} networks" if run.members else ""
        return ExportForm(
            network=network,
            fixed_size=None,
            standardises=True,
            mean=tuple((sum(mean) / len(mean)).tolist()),
            std=tuple((sum(std) / len(std)).tolist()),
            input="RGB in [0, 1], float32: pictures x 3 x height x width, any number, any size"
            f"{'' if is_unet else ' of which the encoder has two pixels left'}; "
            f"trained {_FRAMED[run.facts.framing].format(height, width)}",
            normalisation=f"inside: minus mean, divided by std, by channel{several}"
            + (_PADDED if is_unet else ""),
            greys=run.facts.greys,
            colours=run.facts.colours,
            min_area=run.facts.min_area,
        )

    def predict_pictures(self, frames: Sequence[Frame], root: Path, out: Path) -> Predictions:
        """See the interface; writes ``masks/`` and ``overlays/``."""
        from headstart.inference.masks import predict

        predict(self, frames, root, out)
        return Predictions(len(frames), {name: out / name for name in ("masks", "overlays")})

    def predict_split(self, dataset: Dataset, split: str, out: Path) -> Predictions:
        """See the interface."""
        return self.predict_pictures(frames_of(dataset, split), dataset.root, out)

    def evaluate(self, dataset: Dataset, split: str) -> dict[str, Any]:
        """See the interface."""
        from headstart.inference.mask_scores import score_class_maps

        if not self.label_map.same_classes(dataset.label_map):
            message = (
                f"the network was trained for {listed(self.label_map)}, "
                f"but {dataset.root} has {listed(dataset.label_map)}"
            )
            raise DataError(Finding("other-classes", "error", message))
        return score_class_maps(self, dataset, split)

    def sample(self, data: Path, split: str, count: int) -> Images:
        """See the interface; validation frames count too."""
        dataset = open_dataset(data)
        splits = (split, "validation")
        frames = [frame for name in splits for frame in dataset.splits.get(name, ())]
        return [read_frame(frame, dataset.root) for frame in spread(frames, count)]

    def as_sample(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """Return the picture as it is."""
        return image

    def answers(self, images: Images) -> Answers:
        """See the interface: all at the network's size, some at another; classes at their own."""
        odd = (_no_multiple(self.size[0]), _no_multiple(self.size[1]))
        alone = [np.stack([resize_image(i, odd).transpose(2, 0, 1)]) for i in images[:_ALONE]]
        return Answers(
            sizes=(self.size, *[odd] * len(alone)),
            probabilities=tuple(map(self.probabilities, (_resized(self, images), *alone))),
            classes=tuple(class_maps_of(self, images)),
        )


def mirrored_digest(digest: str) -> str:
    """Return what says that predictions were made with mirror images too."""
    return f"{digest} mirrored"


def _batches(images: Pictures) -> list[UInt8[np.ndarray, "_ 3 h w"]]:
    return [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]


def _no_multiple(side: int) -> int:
    return side - side % _MULTIPLE + _MULTIPLE + 3


def _resized(segmenter: Segmenter, pictures: Images) -> Pictures:
    """Return pictures of any size at the network's size, ``(n, 3, h, w)``."""
    return np.stack([resize_image(image, segmenter.size).transpose(2, 0, 1) for image in pictures])


def brought(
    segmenter: Segmenter, picture: UInt8[np.ndarray, "h w 3"]
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return a picture of any size as [`maps_of`][] takes it: at the network's size, or as it is.

    For tiles it stays as it is.
    """
    if segmenter.framing == "tile":
        return picture
    return framed(picture, segmenter.size, segmenter.framing)


def maps_of(
    segmenter: Segmenter, pictures: Images, sizes: PictureSizes
) -> list[UInt8[np.ndarray, "_ _"]]:
    """Return the most probable class of each pixel.

    Args:
        segmenter: the trained network.
        pictures: as [`brought`][] returns them.
        sizes: their own heights and widths.
    """
    if segmenter.framing != "tile":
        images = np.stack([picture.transpose(2, 0, 1) for picture in pictures])
        contents = [content_size(own, segmenter.size, segmenter.framing) for own in sizes]
        return segmenter.framed_maps(images, sizes, contents)
    answer, size, area = _answer(segmenter), segmenter.size, segmenter.min_area
    return [class_map(picture, size, answer, area) for picture in pictures]


def probability_map(
    segmenter: Segmenter, picture: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> Float32[np.ndarray, "k h2 w2"]:
    """Return the class probabilities of a picture, ``(k, h2, w2)``.

    They have the network's size, without padding. Of a picture cut into tiles every n-th pixel of
    every n-th row is kept, so that no side is longer than 512.

    Args:
        segmenter: the trained network.
        picture: as [`brought`][] returns it.
        size: its own height and width.
    """
    if segmenter.framing != "tile":
        height, width = content_size(size, segmenter.size, segmenter.framing)
        probs = segmenter.probabilities(np.stack([picture.transpose(2, 0, 1)]))
        of_picture: Float32[np.ndarray, "k h2 w2"] = probs[0, :, :height, :width]
        return of_picture
    every = -(-max(picture.shape[:2]) // _LONGEST)
    parts = [
        probs[:, -rows.start % every :: every, ::every]
        for rows, probs in blended(picture, segmenter.size, _answer(segmenter))
    ]
    return np.concatenate(parts, axis=1)


def probability_rows(
    segmenter: Segmenter, picture: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> ProbabilityRows:
    """Yield the class probabilities of a picture at its own size from above, some rows at a time.

    Arguments are those of [`probability_map`][].
    """
    if segmenter.framing == "tile":
        yield from blended(picture, segmenter.size, _answer(segmenter))
        return
    probs = probability_map(segmenter, picture, size)
    step = max(1, AT_ONCE // (len(probs) * size[1]))
    for top in range(0, size[0], step):
        rows = slice(top, min(top + step, size[0]))
        yield rows, resized(probs, size, rows)


def _answer(segmenter: Segmenter) -> Answer:
    return lambda windows, _corners: segmenter.probabilities(np.ascontiguousarray(windows))


def class_maps_of(segmenter: Segmenter, pictures: Images) -> list[UInt8[np.ndarray, "_ _"]]:
    """Return the most probable class of each pixel, at each picture's own size."""
    sizes = [(image.shape[0], image.shape[1]) for image in pictures]
    return maps_of(segmenter, [brought(segmenter, image) for image in pictures], sizes)
