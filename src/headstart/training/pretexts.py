"""Pretexts: tasks that need no labels, such as to restore what was removed from a picture.

A network trained on a pretext learns edges, textures and shapes; its weights are the start of
another training.

| pretext | input | output and loss |
|---|---|---|
| ``colorization`` | grey picture | colour picture; mean squared error |
| ``chroma`` | grey picture | histograms of hue and chroma per pixel; cross-entropy |
| ``masked-denoising`` | noisy picture, blocks hidden | clean picture; mean squared error |
| ``masked-colorization`` | the same, in grey | clean colour picture; mean squared error |
| ``vicreg`` | two changed copies of a picture | embeddings of each place, which agree |

[`headstart.training.joint_embedding`][] has the loss of the last one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from headstart.config.recipe_records import PretextRecipe
from headstart.config.start_names import views
from headstart.data.transforms import to_grey
from headstart.training.joint_embedding import (
    CHANNELS,
    agreement_loss,
    constant,
    in_colours,
    recoloured,
)

_BINS = 32  # for hue and for chroma each, as in Larsson et al.
_WINDOW = 7  # width in pixels of a histogram's neighbourhood
_HUE = 5.0  # weight of the hue's cross-entropy, multiplied by chroma as grey has no hue


@dataclass(frozen=True)
class Pretext:
    """One pretext.

    Attributes:
        name: name on the command line.
        grey: whether the input is grey.
        channels: number of output channels.
        spoil: function from clean pictures in ``[0, 1]`` to corrupted ones of the same height and
            width, ``views`` for each.
        loss: function from output and clean pictures to a scalar.
        picture: function from output and corrupted pictures to what is shown of the output.
        trivial: function from corrupted pictures, and the sum over all batches of what ``summary``
            returns, to the trivial output, which needs no training.
        summary: function from clean pictures to what the trivial output depends on; None: nothing.
        views: how many corrupted copies of a picture the network sees: first one copy of every
            picture of the batch, then the next.
    """

    name: str
    grey: bool
    channels: int
    spoil: Callable[[Tensor, torch.Generator, PretextRecipe], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    picture: Callable[[Tensor, Tensor], Tensor]
    trivial: Callable[[Tensor, Tensor | None], Tensor]
    summary: Callable[[Tensor], Tensor] | None = None
    views: int = 1


def grey_in_three(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Return the grey picture in three channels, so that weights fit networks for colour."""
    return to_grey(image).expand(-1, 3, -1, -1)


def hide(
    image: Float[Tensor, "b c h w"], rng: torch.Generator, recipe: PretextRecipe
) -> Float[Tensor, "b c h w"]:
    """Add Gaussian noise, and replace random blocks by the picture's mean colour.

    Each block of a grid is hidden with probability ``recipe.hidden``; the side of a block is
    ``recipe.block`` times the picture's shorter side.
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
    # equal noise in all three channels, so that the picture stays grey
    return hide(to_grey(image), rng, recipe).expand(-1, 3, -1, -1)


def _two_views(image: Tensor, rng: torch.Generator, recipe: PretextRecipe) -> Tensor:
    first, second = recoloured(image, rng), recoloured(image, rng)
    return torch.cat([first, hide(second, rng, recipe)])


def _squared_error(output: Tensor, clean: Tensor) -> Tensor:
    return F.mse_loss(output.float(), clean)


def _clamped(output: Tensor, _: Tensor) -> Tensor:
    return output.float().clamp(0, 1)


def _unchanged_input(corrupted: Tensor, _: Tensor | None) -> Tensor:
    return corrupted


def hue_and_chroma(
    image: Float[Tensor, "b 3 h w"],
) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b h w"]]:
    """Return hue and chroma of the hexagon model, both in ``[0, 1]``; the hue of grey is 0.

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
    """Return local histograms of hue and chroma ``(B, 32, H, W)``, and each pixel's chroma."""
    hue, chroma = hue_and_chroma(image)
    parts = []
    for value in (hue, chroma):
        bins = (value * _BINS).long().clamp_max(_BINS - 1)
        one_hot = F.one_hot(bins, _BINS).movedim(-1, 1).float()
        local = F.avg_pool2d(one_hot, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)
        parts.append(local)
    return parts[0], parts[1], chroma


def _cross_entropies(output: Tensor, clean: Tensor) -> Tensor:
    """Return the mean over pixels of CE(chroma) + 5 * chroma * CE(hue)."""
    hue, chroma, weight = _histograms(clean)
    log_hue, log_chroma = (part.log_softmax(1) for part in output.float().chunk(2, 1))
    per_pixel = (chroma * log_chroma).sum(1) + _HUE * weight * (hue * log_hue).sum(1)
    return -per_pixel.mean()


def _expected_colours(output: Tensor, corrupted: Tensor) -> Tensor:
    """Colour the grey input with the expected chroma and the circular mean of the hue."""
    hue_probs, chroma_probs = (part.softmax(1) for part in output.float().chunk(2, 1))
    centres = (torch.arange(_BINS, device=output.device) + 0.5)[:, None, None] / _BINS
    chroma = (chroma_probs * centres).sum(1, keepdim=True)
    angle = 2 * math.pi * centres
    sine, cosine = ((hue_probs * f(angle)).sum(1, keepdim=True) for f in (torch.sin, torch.cos))
    hue = 6 * ((torch.atan2(sine, cosine) / (2 * math.pi)) % 1)
    # the most saturated colour of this hue: largest channel 1, smallest 0
    pure = torch.cat([(hue - 3).abs() - 1, 2 - (hue - 2).abs(), 2 - (hue - 4).abs()], 1).clamp(0, 1)
    return (corrupted[:, :1] + chroma * (pure - to_grey(pure))).clamp(0, 1)


def _sums(clean: Tensor) -> Tensor:
    """Return the histograms ``(2, 32)`` of all pixels of a batch; the hue is weighted by chroma."""
    hue, chroma, weight = _histograms(clean)
    return torch.stack([(hue * weight[:, None]).sum((0, 2, 3)), chroma.sum((0, 2, 3))])


def _overall_histogram(corrupted: Tensor, sums: Tensor | None) -> Tensor:
    """Return the log of the histograms over all pictures, at every pixel."""
    assert sums is not None
    shares = sums / sums.sum(1, keepdim=True).clamp_min(1e-12)
    logits = shares.clamp_min(1e-12).log().flatten()
    return logits[None, :, None, None].expand(len(corrupted), -1, *corrupted.shape[2:])


PRETEXTS = {
    pretext.name: pretext
    for pretext in (
        Pretext("colorization", True, 3, _only_grey, _squared_error, _clamped, _unchanged_input),
        Pretext(
            "chroma",
            True,
            2 * _BINS,
            _only_grey,
            _cross_entropies,
            _expected_colours,
            _overall_histogram,
            _sums,
        ),
        Pretext("masked-denoising", False, 3, hide, _squared_error, _clamped, _unchanged_input),
        Pretext(
            "masked-colorization",
            True,
            3,
            _grey_and_hidden,
            _squared_error,
            _clamped,
            _unchanged_input,
        ),
        Pretext(
            "vicreg",
            False,
            CHANNELS,
            _two_views,
            agreement_loss,
            in_colours,
            constant,
            views=views("vicreg"),
        ),
    )
}
"""All pretexts, by name.

Sources: Larsson, Maire and Shakhnarovich 2017,
arXiv:1703.04044, for ``chroma`` (histograms as in arXiv:1603.06668: 32 bins each, over 7 x 7
pixels, hue weighted by 5 times the chroma); Brempong et al. 2022, arXiv:2205.11423, for denoising;
Bardes et al. 2022, arXiv:2210.01571, for ``vicreg``.
"""
