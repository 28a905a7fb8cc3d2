"""Class maps from logits, each at its frame's own size, and pixel counts from class maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.data.decoded_frames import Decoded
from headstart.scores.counts import count
from headstart.system.memory import give_back
from headstart.tasks.windows import Answer, Corners, class_map
from headstart.tasks.windows import Seen as SeenRows
from headstart.training.placement import to_input

Sizes = Sequence[tuple[int, int]]
Seen = Callable[[int, slice, Float32[Tensor, "k h w"]], None]
"""Hears the class probabilities of a frame: its index, some of its rows, and the probabilities of
their pixels, which may have another size. Each row of a frame is heard once, from above."""
_AT_ONCE = 1 << 24  # classes times pixels that are resized at once, and counted at once


def class_maps(
    logits: Float[Tensor, "b k h w"], sizes: Sizes, min_area: float, contents: Sizes = ()
) -> list[UInt8[Tensor, "_ _"]]:
    """Return the most probable class of each pixel, at each frame's own size.

    Probabilities are resized (bilinear) *before* the argmax, so that a model trained at 64 x 80 and
    one trained at 256 x 320 are scored on the same pixels.

    Args:
        logits: logits of a batch of frames, ``(B, K, H, W)``.
        sizes: height and width of each frame.
        min_area: smallest share of a frame, in ``[0, 1)``, that a foreground class must cover. A
            class below it is dropped from that frame, and each of its pixels gets the next most
            probable class.
        contents: height and width of each frame within the logits, which are padded at the right
            and the bottom; empty: no frame is padded.
    """
    return list(each_class_map(logits, sizes, min_area, contents))


def each_class_map(
    logits: Float[Tensor, "b k h w"],
    sizes: Sizes,
    min_area: float,
    contents: Sizes = (),
    seen: Seen | None = None,
) -> Iterator[UInt8[Tensor, "_ _"]]:
    """Yield what [`class_maps`][] returns, one frame at a time; ``seen`` hears probabilities."""
    contents = contents or [(logits.shape[2], logits.shape[3])] * len(logits)
    frames = zip(logits.float().softmax(1), sizes, contents, strict=True)
    for i, (probs, size, (height, width)) in enumerate(frames):
        if seen is not None:
            seen(i, slice(0, size[0]), probs[:, :height, :width])
        yield _class_map(probs[None, :, :height, :width], size, min_area)


def _class_map(probs: Tensor, size: tuple[int, int], min_area: float) -> Tensor:
    """Return the class map of one frame from its probabilities, ``(1, K, H, W)``."""
    num_classes = probs.shape[1]
    if num_classes * size[0] * size[1] <= _AT_ONCE:
        return _classes(_resized(probs, size), min_area)[0]
    classes = _best(probs, size, range(num_classes))
    if min_area:
        areas = [(classes == k).float().mean((1, 2)) for k in range(num_classes)]
        kept = [k for k, area in enumerate(areas) if k == 0 or not area < min_area]
        if len(kept) < num_classes:
            classes = _best(probs, size, kept)
    return classes[0]


def _best(probs: Tensor, size: tuple[int, int], among: Iterable[int]) -> Tensor:
    """Return the most probable of some classes, ``(1, H, W)``, with two classes resized at a time.

    Every class of a large photograph at once would take gigabytes.
    """
    first, *others = among
    highest = _resized(probs[:, first : first + 1], size)[:, 0]
    if highest.shape[-2:] == probs.shape[-2:]:
        highest = highest.clone()  # part of the probabilities, which stay as they are
    classes = torch.full_like(highest, first, dtype=torch.uint8)
    for k in others:
        other = _resized(probs[:, k : k + 1], size)[:, 0]
        classes.masked_fill_(other > highest, k)
        torch.maximum(highest, other, out=highest)
        del other
    return classes


def _classes(probs: Tensor, min_area: float) -> Tensor:
    # Equals argmax (ties go to the first class too), which is several times slower on a CPU, where
    # the classes of one pixel lie far apart in memory.
    classes = probs.max(1).indices
    if min_area:
        num_classes = probs.shape[1]
        area = torch.stack([(classes == k).float().mean((1, 2)) for k in range(num_classes)], dim=1)
        too_small = area < min_area
        too_small[:, 0] = False
        classes = probs.masked_fill(too_small[:, :, None, None], -1).max(1).indices
    return classes.to(torch.uint8)


def _resized(probs: Tensor, size: tuple[int, int]) -> Tensor:
    if probs.shape[-2:] == size:
        return probs
    return F.interpolate(probs, size=size, mode="bilinear", align_corners=False)


@torch.no_grad()
def segment(
    model: nn.Module,
    images: UInt8[np.ndarray, "n c h w"],
    sizes: Sizes,
    device: torch.device,
    min_area: float,
    batch: int = 8,
    contents: Sizes = (),
    seen: Seen | None = None,
) -> Iterator[UInt8[Tensor, "_ _"]]:
    """Yield the class map of each picture at its original size.

    Both scoring and prediction use this function, so masks written to files get exactly the scores
    of the run.

    Args:
        model: the network; set to evaluation mode.
        images: pictures at the model's size.
        sizes: original height and width of each picture.
        device: device of the model.
        min_area: see [`class_maps`][].
        batch: pictures per forward pass.
        contents: see [`class_maps`][].
        seen: hears the probabilities of each picture.
    """
    model.eval()
    for start in range(0, len(images), batch):
        chunk = torch.from_numpy(np.ascontiguousarray(images[start : start + batch]))
        logits = model(to_input(chunk, device))
        part = slice(start, start + batch)
        of_part = None if seen is None else _from(start, seen)
        yield from each_class_map(logits, sizes[part], min_area, contents[part], of_part)


def _from(first: int, seen: Seen) -> Seen:
    """Return a function that hears of a batch, whose first frame has this index."""
    return lambda i, rows, probs: seen(first + i, rows, probs)


@torch.no_grad()
def segment_decoded(
    model: nn.Module,
    data: Decoded,
    tile: tuple[int, int],
    device: torch.device,
    min_area: float,
    seen: Seen | None = None,
) -> Iterator[UInt8[Tensor, "_ _"]]:
    """Yield the class map of each decoded frame at its own size; ``seen`` hears probabilities.

    Frames that were decoded at their own size are cut into windows of the size ``tile``, see
    [`class_map`][headstart.tasks.windows.class_map]; others are segmented as by [`segment`][].
    """
    if not data.pictures:
        args = (data.images, data.sizes, device, min_area)
        yield from segment(model, *args, contents=data.contents, seen=seen)
        return
    model.eval()
    answer = answer_of(model, device)
    for i, picture in enumerate(data.pictures):
        of_picture = None if seen is None else _as_tensors(i, seen)
        yield torch.from_numpy(class_map(picture, tile, answer, min_area, of_picture)).to(device)


def _as_tensors(frame: int, seen: Seen) -> SeenRows:
    return lambda rows, probs: seen(frame, rows, torch.from_numpy(probs))


def answer_of(model: nn.Module, device: torch.device) -> Answer:
    """Return a function from windows to class probabilities, by a network in evaluation mode."""

    @torch.no_grad()
    def answer(
        windows: UInt8[np.ndarray, "n 3 h w"], _corners: Corners
    ) -> Float32[np.ndarray, "n k h w"]:
        batch = torch.from_numpy(np.ascontiguousarray(windows))
        probs: Tensor = model(to_input(batch, device)).float().softmax(1)
        return probs.cpu().numpy()

    return answer


def frame_counts(
    maps: Iterable[Tensor],
    truth: Iterable[Tensor],
    num_classes: int,
    ignore: int | None = None,
) -> Int64[Tensor, "n k 3"]:
    """Count TP, FP and FN pixels per frame and class; maps and masks are on one device.

    Pixels whose truth is ``ignore`` are ignored.
    """
    parts: list[Int64[Tensor, "_ k 3"]] = []
    held: list[tuple[Tensor, Tensor]] = []

    def count_held() -> None:
        if held:
            predicted, true = (torch.stack(part) for part in zip(*held, strict=True))
            parts.append(count(predicted, true, num_classes, ignore))
            give_back(held[0][0].numel())
            held.clear()

    for m, t in zip(maps, truth, strict=True):
        if held and (m.shape != held[0][0].shape or (len(held) + 1) * m.numel() > _AT_ONCE):
            count_held()
        held.append((m, t))
    count_held()
    return torch.cat(parts)


def count_maps(
    maps: Iterable[UInt8[Tensor, "_ _"]],
    data: Decoded,
    num_classes: int,
    ignore: int | None = None,
) -> Int64[np.ndarray, "n k 3"]:
    """Count TP, FP and FN pixels per frame and class, one frame at a time.

    Pixels whose truth is ``ignore`` are ignored.

    Args:
        maps: predicted classes of each frame, at its own size.
        data: the frames, with their true classes.
        num_classes: number of classes, background included.
        ignore: see above.
    """
    parts = []
    for m, t in zip(maps, data.truth, strict=True):
        truth = torch.from_numpy(np.array(t)).to(m.device)
        parts.append(count(m[None], truth[None], num_classes, ignore))
    return torch.cat(parts).cpu().numpy()
