"""Pretexts: what is taken away from a picture, and how the network's answer is judged.

No labels are needed: the answer is the picture itself. What the network learns on the way (edges,
textures, what belongs together) is the start of another training.

| pretext | the network sees | and answers |
|---|---|---|
| ``colorization`` | the grey picture | the colours; mean squared error |
| ``chroma`` | the grey picture | a histogram of hue and one of chroma; cross-entropy |
| ``masked-denoising`` | noise, and blocks hidden | the clean picture; mean squared error |
| ``masked-colorization`` | the same, in grey | the clean picture in colour; mean squared error |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from headstart.data.augment import to_grey
from headstart.training.recipes import PretextRecipe

_BINS = 32  # of hue and of chroma each, as Larsson et al. have them
_WINDOW = 7  # pixels over which a histogram is taken
_HUE = 5.0  # weight of the hue's cross-entropy, times the chroma: grey has no hue


@dataclass(frozen=True)
class Pretext:
    """One pretext.

    Attributes:
        name: as on the command line.
        grey: whether colours are taken away.
        channels: of the network's answer.
        spoil: clean pictures in ``[0, 1]`` to what the network sees, of the same shape.
        loss: answer and clean pictures to a scalar.
        picture: answer, and what was seen, to pictures to look at.
        trivial: what was seen, and the clean pictures, to the answer of somebody who has not
            learned anything.
    """

    name: str
    grey: bool
    channels: int
    spoil: Callable[[Tensor, torch.Generator, PretextRecipe], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    picture: Callable[[Tensor, Tensor], Tensor]
    trivial: Callable[[Tensor, Tensor], Tensor]


def grey_in_three(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """The grey picture three times, so that every weight but the head fits a coloured one."""
    return to_grey(image).expand(-1, 3, -1, -1)


def hide(
    image: Float[Tensor, "b c h w"], rng: torch.Generator, recipe: PretextRecipe
) -> Float[Tensor, "b c h w"]:
    """Gaussian noise everywhere, and blocks replaced by the picture's mean colour.

    Each block of a grid is hidden with the probability ``recipe.hidden``; its side is
    ``recipe.block`` of the picture's shorter side.
    """
    count, _, height, width = image.shape
    side = max(1, round(recipe.block * min(height, width)))
    cells = (count, 1, -(-height // side), -(-width // side))
    hidden = torch.rand(cells, generator=rng, device=image.device) < recipe.hidden
    hidden = hidden.repeat_interleave(side, 2).repeat_interleave(side, 3)[..., :height, :width]
    noise = torch.randn(image.shape, generator=rng, device=image.device)
    noisy = image + recipe.noise * noise
    return torch.where(hidden, image.mean((2, 3), keepdim=True), noisy)


def _only_grey(image: Tensor, _: torch.Generator, __: PretextRecipe) -> Tensor:
    return grey_in_three(image)


def _grey_and_hidden(image: Tensor, rng: torch.Generator, recipe: PretextRecipe) -> Tensor:
    # The same noise in all three channels: it stays a grey picture.
    return hide(to_grey(image), rng, recipe).expand(-1, 3, -1, -1)


def _squared(answer: Tensor, clean: Tensor) -> Tensor:
    return F.mse_loss(answer.float(), clean)


def _as_it_is(answer: Tensor, _: Tensor) -> Tensor:
    return answer.float().clamp(0, 1)


def _hand_back(seen: Tensor, _: Tensor) -> Tensor:
    return seen


def hue_and_chroma(
    image: Float[Tensor, "b 3 h w"],
) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b h w"]]:
    """Hue and chroma of the hexagon model, both in ``[0, 1]``; the hue of grey is 0.

    ``chroma = max - min`` of the channels; hue 0 is red, 1/3 green, 2/3 blue.

    >>> image = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 0.5]])
    >>> hue, chroma = hue_and_chroma(image[None, :, None])
    >>> hue.round(decimals=3).tolist(), chroma.tolist()
    ([[[0.0, 0.3330000042915344, 0.0]]], [[[1.0, 1.0, 0.0]]])
    """
    r, g, b = image.unbind(1)
    high, low = image.amax(1), image.amin(1)
    chroma = high - low
    safe = chroma.clamp_min(1e-6)
    hue = torch.where(
        high == r,
        ((g - b) / safe) % 6,
        torch.where(high == g, (b - r) / safe + 2, (r - g) / safe + 4),
    )
    return torch.where(chroma > 0, hue / 6, 0.0), chroma


def _histograms(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue and chroma around each pixel as distributions ``(B, 32, H, W)``, and its chroma."""
    hue, chroma = hue_and_chroma(image)
    parts = []
    for value in (hue, chroma):
        bins = (value * _BINS).long().clamp_max(_BINS - 1)
        one_hot = F.one_hot(bins, _BINS).movedim(-1, 1).float()
        around = F.avg_pool2d(one_hot, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)
        parts.append(around)
    return parts[0], parts[1], chroma


def _cross_entropies(answer: Tensor, clean: Tensor) -> Tensor:
    """That of the chroma, plus 5 times the chroma times that of the hue, mean over pixels."""
    hue, chroma, weight = _histograms(clean)
    of_hue, of_chroma = (part.log_softmax(1) for part in answer.float().chunk(2, 1))
    of_pixel = (chroma * of_chroma).sum(1) + _HUE * weight * (hue * of_hue).sum(1)
    return -of_pixel.mean()


def _expected_colours(answer: Tensor, seen: Tensor) -> Tensor:
    """The picture with the seen grey, the expected chroma and the circular mean of the hue."""
    of_hue, of_chroma = (part.softmax(1) for part in answer.float().chunk(2, 1))
    centres = (torch.arange(_BINS, device=answer.device) + 0.5)[:, None, None] / _BINS
    chroma = (of_chroma * centres).sum(1, keepdim=True)
    angle = 2 * math.pi * centres
    sine, cosine = ((of_hue * f(angle)).sum(1, keepdim=True) for f in (torch.sin, torch.cos))
    hue = 6 * ((torch.atan2(sine, cosine) / (2 * math.pi)) % 1)
    # The purest colour of that hue: largest channel 1, smallest 0.
    pure = torch.cat([(hue - 3).abs() - 1, 2 - (hue - 2).abs(), 2 - (hue - 4).abs()], 1).clamp(0, 1)
    return (seen[:, :1] + chroma * (pure - to_grey(pure))).clamp(0, 1)


def _overall_histogram(_: Tensor, clean: Tensor) -> Tensor:
    hue, chroma, weight = _histograms(clean)
    hue = hue * weight[:, None]
    both = [part.mean((0, 2, 3)) for part in (hue, chroma)]
    logits = torch.cat(
        [(part / part.sum().clamp_min(1e-12)).clamp_min(1e-12).log() for part in both]
    )
    return logits[None, :, None, None].expand(len(clean), -1, *clean.shape[2:])


PRETEXTS = {
    pretext.name: pretext
    for pretext in (
        Pretext("colorization", True, 3, _only_grey, _squared, _as_it_is, _hand_back),
        Pretext(
            "chroma",
            True,
            2 * _BINS,
            _only_grey,
            _cross_entropies,
            _expected_colours,
            _overall_histogram,
        ),
        Pretext("masked-denoising", False, 3, hide, _squared, _as_it_is, _hand_back),
        Pretext("masked-colorization", True, 3, _grey_and_hidden, _squared, _as_it_is, _hand_back),
    )
}
"""Sources: Larsson, Maire and Shakhnarovich 2017, arXiv:1703.04044 (hue and chroma
as there: 32 bins each, over 7 x 7 pixels, hue weighted by 5 times the chroma, arXiv:1603.06668);
Brempong et al. 2022, arXiv:2205.11423, for denoising."""
