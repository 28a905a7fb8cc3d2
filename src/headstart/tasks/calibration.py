"""The calibration of trained networks: a temperature from validation, judged on the scored split.

For a segmentation, probabilities are resized to the size of each mask, as for the scores. Of all
pixels a fixed sample is taken: neighbouring pixels say much the same, so more of them cost time and
memory, and hardly change the temperature.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32, Int64, Integer, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.data.decoded_frames import Decoded
from headstart.records.calibration import Calibration, reliability
from headstart.scores.calibration import BINS, Bins, bins_of, fit_temperature
from headstart.seeding import generator
from headstart.tasks.class_maps import answer_of, count_maps, segment_decoded
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
    judged = Judged.fitted_on(validation)
    for part in scored:
        judged.add(*part)
    return judged.record(split)


@dataclass(frozen=True)
class Judged:
    """A fitted temperature, and predictions by confidence before and after it.

    Predictions are added to the bins, which are sums, and none is kept.

    Attributes:
        temperature: see [`fit_temperature`][headstart.scores.calibration.fit_temperature].
        reason: why it is 1 if none could be fitted.
        fitted_predictions: the number of predictions that it was fitted on.
        before: with temperature 1.
        after: with this temperature.
    """

    temperature: float
    reason: str
    fitted_predictions: int
    before: Bins = field(default_factory=lambda: np.zeros((BINS, 4)))
    after: Bins = field(default_factory=lambda: np.zeros((BINS, 4)))

    @classmethod
    def fitted_on(cls, validation: Iterable[Predictions]) -> Judged:
        """Return a temperature that was fitted on predictions, with empty bins."""
        probs, truth = (np.concatenate(part) for part in zip(*validation, strict=True))
        return cls(*fit_temperature(probs, truth), len(truth))

    def add(self, probs: Float32[np.ndarray, "n k"], truth: Integer[np.ndarray, " n"]) -> None:
        """Add predictions of the scored split to the bins."""
        self.before[:] += bins_of(probs, truth, 1.0)
        self.after[:] += bins_of(probs, truth, self.temperature)

    def record(self, split: str) -> Calibration:
        """Return the content of ``calibration.json``; ``split`` is the scored one."""
        return Calibration(
            temperature=self.temperature,
            reason=self.reason,
            fitted_on="validation",
            fitted_predictions=self.fitted_predictions,
            split=split,
            before=reliability(self.before),
            after=reliability(self.after),
        )


@torch.no_grad()
def count_and_calibrate(
    network: nn.Module,
    validation: Decoded,
    scored: Decoded,
    split: str,
    num_classes: int,
    min_area: float,
    tile: tuple[int, int],
    device: torch.device,
    ignore: int | None,
    keep: int = 0,
) -> tuple[Int64[np.ndarray, "n k 3"], Calibration, list[UInt8[Tensor, "_ _"]]]:
    """Return counts and calibration of a network that segments; each split is predicted once.

    Args:
        network: maps pictures to logits.
        validation: frames to fit the temperature on.
        scored: frames of the scored split.
        split: its name.
        num_classes: number of classes, background included.
        min_area: see [`class_maps`][headstart.tasks.class_maps.class_maps].
        tile: size of the windows that frames at their own size are cut into.
        device: device of the network.
        ignore: true class of pixels that do not count; None if every pixel counts.
        keep: the most pixels whose classes are kept.

    Returns:
        TP, FP and FN pixels per frame and class; the calibration; and the class map of each frame,
        or nothing if they have more pixels than ``keep``.
    """
    judged = Judged.fitted_on(sampled_pixels(network, validation, tile, device, ignore))
    pixels_of = pixel_sample(scored, ignore)

    def seen(frame: int, rows: slice, probs: Tensor) -> None:
        judged.add(*pixels_of(frame, rows, probs))

    maps: Iterable[Tensor] = segment_decoded(network, scored, tile, device, min_area, seen)
    kept: list[Tensor] = []
    if sum(height * width for height, width in scored.sizes) <= keep:
        kept = list(maps)
        maps = kept
    counts = count_maps(maps, scored, num_classes, ignore)
    return counts, judged.record(split), kept


def sampled_pixels(
    network: nn.Module,
    data: Decoded,
    tile: tuple[int, int],
    device: torch.device,
    ignore: int | None,
    at_most: int = _FIT_PIXELS,
) -> Iterator[Predictions]:
    """Yield the pixels of frames with their probabilities: a [`pixel_sample`][].

    Args:
        network: maps pictures to logits.
        data: frames with their true classes at their own size.
        tile: size of the windows that frames at their own size are cut into.
        device: device of the network.
        ignore: true class of pixels that are left out; None if every pixel counts.
        at_most: the number of pixels to take; fewer if there are many classes.
    """
    pixels_of = pixel_sample(data, ignore, at_most)
    for i, parts in enumerate(_probabilities(network, data, tile, device)):
        yield from (pixels_of(i, rows, probs) for rows, probs in parts)


def pixel_sample(
    data: Decoded, ignore: int | None, at_most: int = _SCORE_PIXELS
) -> Callable[[int, slice, Tensor], Predictions]:
    """Return a function that takes pixels from the probabilities of a frame: all, or a sample.

    The sample depends on the sizes of the frames alone, so all runs on these frames have the same.
    The function is given the index of a frame, some of its rows, and the class probabilities of
    these rows at any size, ``(k, h, w)``.

    Args:
        data: frames with their true classes at their own size.
        ignore: true class of pixels that are left out; None if every pixel counts.
        at_most: the number of pixels to take; fewer if there are many classes.
    """
    total = sum(height * width for height, width in data.sizes)
    taken = min(at_most, _VALUES // data.present.shape[1], total)

    @functools.lru_cache(maxsize=1)  # frames come one after the other, each in several parts
    def of_frame(frame: int) -> tuple[Integer[np.ndarray, "_"], Integer[np.ndarray, "_"]]:
        height, width = data.sizes[frame]
        count = height * width
        pixels = _sample(count, max(1, count * taken // total), frame)
        true = np.asarray(data.truth[frame]).reshape(-1)[pixels]
        counts = np.ones(len(true), bool) if ignore is None else true != ignore
        return pixels[counts], true[counts]

    def predictions(frame: int, rows: slice, probs: Tensor) -> Predictions:
        pixels, true = of_frame(frame)
        width = data.sizes[frame][1]
        first, end = rows.start * width, rows.stop * width
        here = (pixels >= first) & (pixels < end)
        size = rows.stop - rows.start, width
        at = _at(probs, size, torch.from_numpy(pixels[here] - first).to(probs.device))
        return at.cpu().numpy(), true[here]

    return predictions


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
