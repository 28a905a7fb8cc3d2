"""The calibration of trained networks: a temperature from validation, judged on the scored split.

For a segmentation, probabilities are resized to the size of each mask, as for the scores. Of all
pixels a fixed sample is taken: neighbouring pixels say much the same, so more of them cost time and
memory, and hardly change the temperature.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float32, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.data.decoded_frames import Decoded
from headstart.records.calibration import Calibration, reliability
from headstart.scores.calibration import BINS, bins_of, fit_temperature
from headstart.seeding import generator
from headstart.tasks.class_maps import answer_of
from headstart.tasks.windows import blended
from headstart.training.placement import to_input

_FIT_PIXELS = 1 << 18  # of the split that the temperature is fitted on, kept in memory
_SCORE_PIXELS = 1 << 20  # of the scored split, a few frames at a time
_VALUES = 1 << 24  # classes times pixels that are kept in memory
_BATCH = 8

Predictions = tuple[Float32[np.ndarray, "_ k"], Integer[np.ndarray, "_"]]
"""The probability of each class, and the true class."""


def calibration(
    validation: Iterable[Predictions], scored: Iterable[Predictions], split: str
) -> Calibration:
    """Fit a temperature on validation, and return the calibration before and after.

    Args:
        validation: predictions that the network has not learned from.
        scored: predictions of the scored split.
        split: its name.
    """
    probs, truth = (np.concatenate(part) for part in zip(*validation, strict=True))
    temperature, reason = fit_temperature(probs, truth)
    before, after = np.zeros((BINS, 4)), np.zeros((BINS, 4))
    for part, classes in scored:
        before += bins_of(part, classes, 1.0)
        after += bins_of(part, classes, temperature)
    return Calibration(
        temperature=temperature,
        reason=reason,
        fitted_on="validation",
        fitted_predictions=len(truth),
        split=split,
        before=reliability(before),
        after=reliability(after),
    )


def calibrate_segmenter(
    network: nn.Module,
    validation: Decoded,
    scored: Decoded,
    split: str,
    tile: tuple[int, int],
    device: torch.device,
    ignore: int | None,
) -> Calibration:
    """Return the calibration of a network that segments.

    Args:
        network: maps pictures to logits.
        validation: frames to fit the temperature on.
        scored: frames of the scored split.
        split: its name.
        tile: size of the windows that frames at their own size are cut into.
        device: device of the network.
        ignore: true class of pixels that do not count; None if every pixel counts.
    """
    to_fit = sampled_pixels(network, validation, tile, device, ignore, _FIT_PIXELS)
    to_score = sampled_pixels(network, scored, tile, device, ignore, _SCORE_PIXELS)
    return calibration(to_fit, to_score, split)


def sampled_pixels(
    network: nn.Module,
    data: Decoded,
    tile: tuple[int, int],
    device: torch.device,
    ignore: int | None,
    at_most: int,
) -> Iterator[Predictions]:
    """Yield the pixels of frames with their probabilities: all, or an even sample of them.

    The sample depends on the sizes of the frames alone, so all runs on these frames have the same.

    Args:
        network: maps pictures to logits.
        data: frames with their true classes at their own size.
        tile: size of the windows that frames at their own size are cut into.
        device: device of the network.
        ignore: true class of pixels that are left out; None if every pixel counts.
        at_most: the number of pixels to take; fewer if there are many classes.
    """
    total = sum(height * width for height, width in data.sizes)
    classes = data.present.shape[1]
    taken = min(at_most, _VALUES // classes, total)
    for i, parts in enumerate(_probabilities(network, data, tile, device)):
        height, width = data.sizes[i]
        count = height * width
        pixels = _sample(count, max(1, count * taken // total), i)
        true = np.asarray(data.truth[i]).reshape(-1)[pixels]
        pixels = pixels if ignore is None else pixels[true != ignore]
        for rows, probs in parts:
            first, end = rows.start * width, rows.stop * width
            here = pixels[(pixels >= first) & (pixels < end)]
            size = rows.stop - rows.start, width
            at = _at(probs, size, torch.from_numpy(here - first).to(probs.device))
            yield at.cpu().numpy(), np.asarray(data.truth[i]).reshape(-1)[here]


def _probabilities(
    network: nn.Module, data: Decoded, tile: tuple[int, int], device: torch.device
) -> Iterator[Iterable[tuple[slice, Tensor]]]:
    """Yield, for each frame, its class probabilities from above, with the rows that they are of."""
    network.eval()
    if data.pictures:
        answer = answer_of(network, device)
        for picture in data.pictures:
            yield ((rows, torch.from_numpy(p)) for rows, p in blended(picture, tile, answer))
        return
    contents = data.contents or [data.images.shape[2:]] * len(data.names)
    for start in range(0, len(data.names), _BATCH):
        part = slice(start, start + _BATCH)
        images = torch.from_numpy(np.ascontiguousarray(data.images[part]))
        with torch.no_grad():
            probs = network(to_input(images, device)).float().softmax(1)
        for of_frame, (h, w), size in zip(probs, contents[part], data.sizes[part], strict=True):
            yield [(slice(0, size[0]), of_frame[:, :h, :w])]


def _sample(count: int, taken: int, index: int) -> Integer[np.ndarray, "_"]:
    """Return which of the ``count`` pixels of a frame are taken."""
    if taken == count:
        return np.arange(count)
    rng = generator(0, "calibration", index)
    return rng.choice(count, taken, replace=False, shuffle=False)


def _at(probs: Tensor, size: tuple[int, int], pixels: Tensor) -> Tensor:
    """Return ``(n, k)``: some pixels of maps ``(k, h, w)`` resized bilinearly to a size."""
    if probs.shape[-2:] == size:
        return probs.flatten(1)[:, pixels].T.contiguous()
    height, width = size
    rows, columns = pixels // width, pixels % width
    # centres of pixels from -1 to 1, so that these are the values that F.interpolate gives
    x, y = (2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1
    grid = torch.stack([x, y], dim=1)[None, None].to(probs.dtype)
    resized = F.grid_sample(probs[None], grid, padding_mode="border", align_corners=False)
    return resized[0, :, 0].T.contiguous()
