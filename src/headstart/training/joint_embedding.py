"""A pretext that compares: two views of a picture get the same embedding at the same place.

Nothing is restored. The network's output at each pixel is an embedding, averaged over cells of
4 x 4 pixels. One view is recoloured; the other is recoloured, too, with noise and hidden blocks.
The embeddings of a cell should agree (invariance), and two terms keep them from becoming constant:
each channel should vary (variance), and no two channels should vary together (covariance).

Constant is not the only way out. Convolutions know how far the border is, and a picture has a mean
colour: an embedding that says only where a cell is, or only which picture it is from, would agree,
too. So what counts as variation is what is left when the mean of each place over the pictures and
the mean of each picture over its places are taken away. All terms come from one batch, which holds
hundreds of cells however few pictures it has.

Source: VICReg, https://arxiv.org/abs/2105.04906, and its local form,
https://arxiv.org/abs/2210.01571. Theirs are the three terms and their weights. Removing the means
of places and pictures takes the place of their crops.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from headstart.data.augmentation import StrongChanges
from headstart.data.transforms import recolour, to_grey

CHANNELS = 16  # of the embedding: no more than the narrowest usual network has before its head
_CELL = 4  # pixels
_COVARIANCE = 1 / 25  # weight beside that of the other terms
_FLAT = 1e-4  # a variance that is added, so that the root of no variance has a gradient
_CHANGES = StrongChanges()


def recoloured(image: Float[Tensor, "b 3 h w"], rng: torch.Generator) -> Float[Tensor, "b 3 h w"]:
    """Return pictures in ``[0, 1]`` with other brightness, contrast and saturation; some grey."""
    spread = torch.tensor([_CHANGES.brightness, _CHANGES.contrast, _CHANGES.saturation])
    numbers = torch.rand(len(image), 4, generator=rng, device=image.device)
    changed = recolour(image, 1 + spread.to(image.device) * (2 * numbers[:, :3] - 1))
    turns_grey = numbers[:, 3, None, None, None] < _CHANGES.grey
    return torch.where(turns_grey, to_grey(changed), changed)


def cells(output: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d p"]:
    """Return the mean embedding of each cell of 4 x 4 pixels, of fewer at the border."""
    return F.avg_pool2d(output.float(), _CELL, ceil_mode=True).flatten(2)


def apart(embeddings: Float[Tensor, "b d p"]) -> Float[Tensor, "b d p"]:
    """Return what is left of embeddings without the means of pictures and of places.

    A single picture has no mean of places.

    >>> by_place = torch.arange(6.0).expand(3, 1, 6)
    >>> by_picture = torch.arange(3.0)[:, None, None].expand(3, 1, 6)
    >>> apart(by_place + by_picture).abs().max().item()
    0.0
    """
    left = embeddings - embeddings.mean(2, keepdim=True)
    return left - left.mean(0, keepdim=True) if len(left) > 1 else left


def _spread(
    embeddings: Float[Tensor, "b d p"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return how far channels are from a standard deviation of 1, and how they vary together."""
    count, channels, places = embeddings.shape
    left = apart(embeddings).transpose(0, 1).flatten(1)  # (d, b * p)
    freedom = max(1, (max(count, 2) - 1) * (places - 1))
    covariance = left @ left.T / freedom
    variance = covariance.diagonal()
    short = F.relu(1 - (variance + _FLAT).sqrt()).mean()
    together = (covariance.square().sum() - variance.square().sum()) / channels
    return short, together


def agreement_loss(output: Float[Tensor, "b2 d h w"], _clean: Tensor) -> Float[Tensor, ""]:
    """Return invariance, plus both views' lack of variance, plus 1/25 of their covariances.

    ``mean((a - b)^2) + v(a) + v(b) + (c(a) + c(b)) / 25`` with ``v = mean_d max(0, 1 - sd_d)`` and
    ``c = sum_{d != e} cov_de^2 / D``, over the cells of all pictures.

    Args:
        output: of the network, first for one view of all pictures, then for the other.
        _clean: the pictures; not needed.

    >>> constant = torch.zeros(4, 16, 8, 8)
    >>> round(agreement_loss(constant, torch.zeros(2, 3, 8, 8)).item(), 4)  # 2 * (1 - 0.01)
    1.98
    """
    a, b = cells(output).chunk(2)
    (short_a, together_a), (short_b, together_b) = _spread(a), _spread(b)
    return F.mse_loss(a, b) + short_a + short_b + _COVARIANCE * (together_a + together_b)


def in_colours(output: Float[Tensor, "b d h w"], _corrupted: Tensor) -> Float[Tensor, "b 3 h w"]:
    """Return embeddings as colours in ``[0, 1]``: their three principal components.

    Each component is scaled so that two standard deviations reach from grey to full colour. Its
    sign is such that its largest weight is positive.
    """
    values = output.float().cpu().transpose(0, 1).flatten(1)  # not every GPU has eigenvectors
    values = values - values.mean(1, keepdim=True)
    size, vectors = torch.linalg.eigh(values @ values.T / values.shape[1])
    vectors = vectors[:, -3:].flip(1)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    sd = size[-3:].flip(0).clamp_min(1e-12).sqrt()
    components = (vectors * largest.sign() / sd).T @ values
    shown: Tensor = (0.5 + components / 4).clamp(0, 1)
    return shown.reshape(3, len(output), *output.shape[2:]).transpose(0, 1)


def constant(
    corrupted: Float[Tensor, "b 3 h w"], _summary: Tensor | None
) -> Float[Tensor, "b d h w"]:
    """Return the trivial embedding, which is the same everywhere."""
    return corrupted.new_zeros(len(corrupted), CHANNELS, *corrupted.shape[2:])
