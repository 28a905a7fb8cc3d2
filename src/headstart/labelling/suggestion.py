"""Suggesting which pictures to label next: those whose labels would improve a run most.

A picture is worth labelling if it represents many pictures that the run is uncertain about
([`headstart.labelling.selection`][]). The *uncertainty* of picture i is the mean over its pixels of
the entropy of the predicted classes, divided by the largest possible entropy,

    u_i = mean(-sum_k p_k log p_k) / log K,    from 0 (certain) to 1 (all classes equal);

with calibrated probabilities, if the run has a temperature. Its *features* are the output of the
encoder's deepest stage, averaged over positions.

Near-duplicates of labelled or already picked pictures are never picked, because their labels would
add nothing; nor are near-duplicates of validation or test frames, because scores would be too good.

Source: uncertainty, then coverage: Yang et al. 2017 (Suggestive Annotation). The benefit on
surgical frames was measured: docs/results/suggest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from headstart.data.files import merged
from headstart.data.framing import Framing, framed
from headstart.data.own_size import cut
from headstart.data.pictures.duplicates import (
    NEAR,
    Fingerprints,
    fingerprint,
    fingerprints,
    joined,
    nearest,
)
from headstart.data.pictures.frame import Frame, read_by, read_frame
from headstart.errors import DataError, Finding, UsageError
from headstart.inference.finished_run import read_finished_run
from headstart.inference.opening import kind_of_run
from headstart.inference.segmenter import Segmenter
from headstart.labelling.known_frames import KnownFrames, known_of
from headstart.labelling.selection import pick
from headstart.tasks.windows import window_starts
from headstart.training.placement import placed, to_input

_BATCH = 8


@dataclass(frozen=True)
class PictureMeasures:
    """What the network of a run gives for some pictures.

    Attributes:
        uncertainty: of each picture, in ``[0, 1]``.
        features: the output of the encoder's deepest stage, averaged over positions.
        shares: the share of each picture's pixels for which a class is the most probable.
        prints: to find near-copies.
        frames: the pictures.
        unreadable: what is wrong with pictures that could not be read and were left out.
    """

    uncertainty: Float[np.ndarray, "n"]
    features: Float[np.ndarray, "n d"]
    shares: Float[np.ndarray, "n k"]
    prints: Fingerprints
    frames: tuple[Frame, ...]
    unreadable: tuple[Finding, ...]


def uncertainty(probs: Float[Tensor, "b k h w"]) -> Float[Tensor, "b"]:
    """Return the mean entropy of the pixels, divided by the largest possible entropy.

    >>> probs = torch.tensor([[1.0, 0.0], [0.5, 0.5]])[:, :, None, None]
    >>> uncertainty(probs)
    tensor([0., 1.])
    """
    entropy: Float[Tensor, "b"] = torch.special.entr(probs).sum(1).mean((1, 2))
    return entropy / float(np.log(probs.shape[1]))


@torch.no_grad()
def look(
    network: nn.Module,
    size: tuple[int, int],
    framing: Framing,
    frames: Sequence[Frame],
    root: Path,
    device: torch.device,
    step: Callable[[int], None] = lambda _done: None,
    temperature: float = 1.0,
) -> PictureMeasures:
    """Measure pictures with the network of a run.

    Args:
        network: a segmentation network.
        size: height and width at which it was trained.
        framing: how pictures become pictures of that size; of pictures cut into tiles, all measures
            are means over the tiles; of padded ones, over picture and mirror image.
        frames: the pictures, at least one.
        root: their folder.
        device: where to compute.
        step: hears how many pictures are done.
        temperature: logits are divided by it for the uncertainty.

    Raises:
        DataError: no picture can be read; all of them are named.
    """
    network = placed(network, device)
    deepest: list[Tensor] = []

    def keep(_stage: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        deepest.append(output.mean((2, 3)).cpu())

    uncertain: list[Tensor] = []
    share: list[Tensor] = []
    measures: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    prints = []
    readable: list[Frame] = []
    findings: list[Finding] = []
    stage: Any = network.deepest
    hook = stage.register_forward_hook(keep)
    try:
        at_once = 1 if framing == "tile" else _BATCH
        for start in range(0, len(frames), at_once):
            views = []
            for frame in frames[start : start + at_once]:
                try:
                    picture = read_frame(frame, root)
                except DataError as e:
                    findings.extend(e.findings)
                    continue
                readable.append(frame)
                prints.append(fingerprint(picture))
                views.append(_views(picture, size, framing))
            counts = [len(of_picture) for of_picture in views]
            for batch in _batches(views):
                logits = network(to_input(batch, device)).float()
                uncertain.append(uncertainty((logits / temperature).softmax(1)).cpu())
                classes = torch.arange(logits.shape[1], device=device)
                is_class = logits.argmax(1).flatten(1)[..., None] == classes
                share.append(is_class.float().mean(1).cpu())
            for found, of_pictures in zip((uncertain, share, deepest), measures, strict=True):
                of_pictures += _means(found, counts)
                found.clear()
            step(min(start + at_once, len(frames)))
    finally:
        hook.remove()
    unreadable = merged(findings)
    if not readable:
        raise DataError(unreadable)
    return PictureMeasures(
        uncertainty=torch.stack(measures[0]).double().numpy(),
        features=torch.stack(measures[2]).double().numpy(),
        shares=torch.stack(measures[1]).double().numpy(),
        prints=joined(prints),
        frames=tuple(readable),
        unreadable=unreadable,
    )


def _views(
    picture: UInt8[np.ndarray, "h w 3"], size: tuple[int, int], framing: Framing
) -> UInt8[np.ndarray, "m 3 h2 w2"]:
    """Return what the network sees of a picture: all of it, resized, or the tiles that cover it."""
    if framing != "tile":
        return framed(picture, size, framing).transpose(2, 0, 1)[None]
    own = picture.shape[0], picture.shape[1]
    tops, lefts = (window_starts(side, tile) for side, tile in zip(own, size, strict=True))
    corners = [(top, left) for top in tops for left in lefts]
    tiles = [cut((picture,), 0, own, corner, size) for corner in corners]
    return np.stack(tiles).transpose(0, 3, 1, 2)


def _batches(views: Sequence[UInt8[np.ndarray, "m 3 h w"]]) -> Iterator[UInt8[Tensor, "b 3 h w"]]:
    if views:
        together = torch.from_numpy(np.concatenate(views))
        yield from (together[i : i + _BATCH] for i in range(0, len(together), _BATCH))


def _means(values: list[Tensor], counts: Sequence[int]) -> list[Tensor]:
    """Return the mean of the first ``counts[0]`` values, of the next ``counts[1]``, and so on."""
    if not values:
        return []
    ends, together = np.cumsum(counts).tolist(), torch.cat(values)
    return [together[end - n : end].mean(0) for end, n in zip(ends, counts, strict=True)]


@dataclass(frozen=True)
class Suggestion:
    """A picture to label.

    Attributes:
        frame: the picture.
        uncertainty: of the run about the picture, in ``[0, 1]``.
        covers: the share of all uncertainty that this picture covers, and no earlier one did.
        shares: the share of its pixels that each class is predicted for.
    """

    frame: Frame
    uncertainty: float
    covers: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Suggestions:
    """The result of [`suggest`][].

    Attributes:
        picked: the most valuable first.
        pictures: the number of pictures to choose from.
        labelled: how many were left out as near-duplicates of labelled pictures.
        held_out: how many were left out as near-duplicates of validation or test frames.
        findings: warnings about what could not be found out.
        unreadable: errors of pictures that cannot be read and were left out.
    """

    picked: tuple[Suggestion, ...]
    pictures: int
    labelled: int
    held_out: int
    findings: tuple[Finding, ...]
    unreadable: tuple[Finding, ...] = ()


def suggest(
    run: Path,
    frames: Sequence[Frame],
    root: Path,
    count: int,
    device: torch.device,
    known: KnownFrames | None = None,
    step: Callable[[int, int], None] = lambda _done, _total: None,
) -> Suggestions:
    """Return the pictures whose labels would improve a run most; see this module.

    Args:
        run: the folder of a finished run that segments.
        frames: pictures without labels.
        root: their folder, for messages; links that leave it are refused.
        count: the maximum number of suggestions.
        device: where to compute.
        known: which pictures need no labels; by default
            [`known_of`][headstart.labelling.known_frames.known_of] the run.
        step: hears how many pictures are done, of how many.

    Raises:
        DataError: the run does not exist, is not finished or does not segment, or no picture, or
            one that it learned from, cannot be read.
    """
    finished = read_finished_run(run)
    if finished.members:
        message = f"{run} holds several networks; suggest looks at pictures with one"
        hint = f"give one of its runs, such as {finished.members[0].folder}"
        raise UsageError(Finding("several-networks", "error", message, hint))
    kind_of_run(finished, Segmenter)
    network, known = Segmenter.network(finished), known or known_of(run)
    frames = read_by(frames, root, finished.facts.rules)

    def measure(some: Sequence[Frame], folder: Path, before: int) -> PictureMeasures:
        total = len(frames) + len(known.learned)
        return look(
            network,
            finished.facts.size,
            finished.facts.framing,
            some,
            folder,
            device,
            lambda done: step(before + done, total),
            finished.temperature,
        )

    measures = measure(frames, root, 0)
    covered = measures.features[:0]
    if known.learned:
        learned = measure(known.learned, known.root, len(frames))
        if learned.unreadable:
            raise DataError(learned.unreadable)
        covered = learned.features
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        labelled, held_out = (
            fingerprints(some, known.root, pool) for some in (known.labelled, known.held_out)
        )
    has_labels = nearest(measures.prints, labelled)[1] <= NEAR
    is_held_out = nearest(measures.prints, held_out)[1] <= NEAR
    allowed = ~has_labels & ~is_held_out
    unsure, features, prints = measures.uncertainty, measures.features, measures.prints
    order, covers = pick(unsure, features, covered, prints, allowed, count)
    picked = tuple(
        Suggestion(measures.frames[i], unsure[i].item(), share, tuple(measures.shares[i].tolist()))
        for i, share in zip(order.tolist(), covers.tolist(), strict=True)
    )
    counts = int(has_labels.sum()), int((is_held_out & ~has_labels).sum())
    return Suggestions(picked, len(frames), *counts, known.findings, measures.unreadable)
