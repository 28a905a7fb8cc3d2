"""Masks of colours whose edges are soft, or that JPEG has blurred: mixtures and nearest colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int64

SOFT_EDGES = (
    "the mask has soft edges: pixels along borders have mixtures of the declared colours "
    "(anti-aliasing)"
)
NEAREST_HINT = (
    "export the masks again as PNG and without anti-aliasing; or read each pixel as the class "
    "whose colour is nearest, with the line `nearest = true` at the top of dataset.toml "
    "(`headstart check DATA --describe DATA/dataset.toml` writes that file)"
)
"""What to do with colours that smoothing or compression has mixed."""

_COMPARED = 2000  # unknown colours of a mask, the most frequent; each takes all pairs of classes
_BETWEEN = 24.0  # RGB distance from the line between two colours
_GAMMA = 2.2  # programs mix colours as they are stored, or as light
_MIXED = 0.9  # share of a mask's unknown pixels; the rest lies where three classes meet
_FLAT = 24  # levels of a channel by which JPEG changes a flat area
_APART = 48.0  # RGB distance between two classes' colours, at least
_SEEN = 0.001  # share of all flat pixels, at least
_RING = 2  # pixels: what is nowhere thicker lies along borders
_IN_A_RING = 0.98


def nearest(codes: Int64[np.ndarray, "n"], known: Sequence[int]) -> Int64[np.ndarray, "n"]:
    """Return the index of the nearest known colour, by RGB distance.

    Args:
        codes: colours as numbers, ``red << 16 | green << 8 | blue``.
        known: the colours to choose from; of two at the same distance, the first is chosen.

    >>> nearest(np.array([0x100000, 0xF00810]), [0, 0xFF0000]).tolist()
    [0, 1]
    """
    channels = _channels(codes)
    best = np.zeros(len(codes), dtype=np.int64)
    distance = np.full(len(codes), np.inf)
    for k, colour in enumerate(_channels(np.array(known, dtype=np.int64))):
        squared = ((channels - colour) ** 2).sum(1)
        best[squared < distance] = k
        distance = np.minimum(distance, squared)
    return best


def are_mixtures(codes: Int64[np.ndarray, "n"], known: Sequence[int]) -> Bool[np.ndarray, "n"]:
    """Return which colours lie between two known ones.

    >>> are_mixtures(np.array([0x800000, 0x0000FF]), [0, 0xFF0000, 0x00FF00]).tolist()
    [True, False]
    """
    mixed = np.zeros(len(codes), dtype=bool)
    ends = _channels(np.array(known, dtype=np.int64))
    for gamma in (1.0, _GAMMA):
        light, lights = (((x / 255) ** gamma) for x in (_channels(codes), ends))
        for i, one in enumerate(lights):
            for other in lights[i + 1 :]:
                along = other - one
                share = ((light - one) @ along / (along @ along)).clip(0, 1)
                mixture = (one + share[:, None] * along) ** (1 / gamma) * 255
                mixed |= np.linalg.norm(_channels(codes) - mixture, axis=1) <= _BETWEEN
    return mixed


def has_soft_edges(codes: Int64[np.ndarray, "h w"], known: Sequence[int]) -> bool:
    """Whether the unknown colours of a mask are mixtures of known ones along borders."""
    values, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    unknown = ~np.isin(values, known)
    frequent = np.flatnonzero(unknown)
    if len(frequent) > _COMPARED:
        frequent = frequent[np.argsort(-counts[frequent], kind="stable")[:_COMPARED]]
    mixed = are_mixtures(values[frequent], known)
    if counts[frequent][mixed].sum() < _MIXED * counts[frequent].sum():
        return False
    return lies_along_borders(unknown[inverse].reshape(codes.shape))


def lies_along_borders(inside: Bool[np.ndarray, "h w"]) -> bool:
    """Whether a region is nowhere thicker than a few pixels."""
    eroded = inside
    for _ in range(_RING):
        eroded = _eroded(eroded)
    return bool(eroded.sum() <= (1 - _IN_A_RING) * inside.sum())


def flat_colours(codes: Int64[np.ndarray, "h w"]) -> dict[int, int]:
    """Return the colours of flat areas, away from borders, with their numbers of pixels."""
    channels = [codes >> 16, codes >> 8 & 255, codes & 255]
    flat = np.zeros(codes.shape, dtype=bool)
    flat[1:-1, 1:-1] = True
    for channel in channels:
        for axis in (0, 1):
            step = np.abs(np.diff(channel, axis=axis)) <= _FLAT
            ahead, behind = [slice(None)] * 2, [slice(None)] * 2
            ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
            flat[tuple(behind)] &= step
            flat[tuple(ahead)] &= step
    values, counts = np.unique(codes[flat], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def plain_colours(flat: Mapping[int, int], most: int) -> list[int]:
    """Return the colours that could be classes, the most frequent first.

    Args:
        flat: numbers of pixels by colour, from [`flat_colours`][], of one mask or of all.
        most: no more colours are returned.

    >>> plain_colours({0: 900, 0x010000: 50, 0xFE0000: 90}, 32)
    [0, 16646144]
    """
    ordered = np.array(sorted(flat, key=lambda code: -flat[code]), dtype=np.int64)
    enough = _SEEN * sum(flat.values())
    plain: list[int] = []
    left = ordered
    while len(left) and len(plain) < most:
        near = np.linalg.norm(_channels(left) - _channels(left[:1]), axis=1) < _APART
        if sum(flat[int(code)] for code in left[near]) >= enough:
            plain.append(int(left[0]))
        left = left[~near]
    return plain


def _channels(codes: Int64[np.ndarray, "n"]) -> np.ndarray:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.float64)


def _eroded(inside: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    eroded = inside.copy()
    eroded[1:] &= inside[:-1]
    eroded[:-1] &= inside[1:]
    eroded[:, 1:] &= inside[:, :-1]
    eroded[:, :-1] &= inside[:, 1:]
    return eroded
