"""What to label next: the pictures whose labels would teach a run most.

A picture is worth its labels if it stands for many that the run is unsure of
([`headstart.labelling.selection`][]). The *uncertainty* of picture i is the mean over its pixels of the entropy
of the predicted classes, divided by the largest there can be,

    u_i = mean(-sum_k p_k log p_k) / log K,    from 0 (certain) to 1 (knows nothing);

its *features* are what the deepest stage of the encoder makes of it, mean over positions.

Never picked are pictures that nearly equal one that has labels or was picked (they would teach
nothing), or a validation or test frame (the score would say less than it seems to).

Source: uncertainty, then coverage: Yang et al. 2017 (Suggestive Annotation). What it is worth on
surgical frames was measured: docs/results/suggest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from headstart.data.decoded_frames import resize_image
from headstart.data.files import merged
from headstart.data.layouts.folders import Dataset, Frame, open_dataset
from headstart.data.pictures.duplicates import (
    NEAR,
    Fingerprints,
    fingerprint,
    fingerprints,
    joined,
    nearest,
)
from headstart.data.pictures.frame import read_frame
from headstart.errors import DataError, Finding
from headstart.inference.torch_network import Trained, load_trained
from headstart.labelling.selection import pick
from headstart.runs.records import refuse_changed_data
from headstart.tasks.budgets import LABELS
from headstart.tasks.segmentation import Segmentation
from headstart.training.config import RunConfig
from headstart.training.config_files import read_frame_names, read_run_config
from headstart.training.placement import placed, to_input

_BATCH = 8


@dataclass(frozen=True)
class Seen:
    """What a run makes of some pictures.

    Attributes:
        uncertainty: of each picture, in ``[0, 1]``.
        features: of the deepest stage of its encoder, mean over positions.
        shares: of the pixels, by the class that is the most probable.
        prints: to find copies by.
    """

    uncertainty: Float[np.ndarray, "n"]
    features: Float[np.ndarray, "n d"]
    shares: Float[np.ndarray, "n k"]
    prints: Fingerprints


def uncertainty(probs: Float[Tensor, "b k h w"]) -> Float[Tensor, "b"]:
    """Mean entropy of the pixels, as a share of the largest there can be.

    >>> probs = torch.tensor([[1.0, 0.0], [0.5, 0.5]])[:, :, None, None]
    >>> uncertainty(probs)
    tensor([0., 1.])
    """
    entropy: Float[Tensor, "b"] = torch.special.entr(probs).sum(1).mean((1, 2))
    return entropy / float(np.log(probs.shape[1]))


@torch.no_grad()
def look(
    trained: Trained,
    frames: Sequence[Frame],
    root: Path,
    device: torch.device,
    step: Callable[[int], None] = lambda _done: None,
) -> Seen:
    """What a run makes of pictures, at least one.

    Args:
        trained: its network.
        frames: the pictures.
        root: their folder.
        device: where to compute.
        step: told how many were looked at.

    Raises:
        DataError: pictures cannot be read; every one is named.
    """
    model = placed(trained.model, device)
    deepest: list[Tensor] = []

    def keep(_stage: nn.Module, _given: tuple[Tensor, ...], made: Tensor) -> None:
        deepest.append(made.mean((2, 3)).cpu())

    unsure, shares, prints = [], [], []
    findings: list[Finding] = []
    hook = model.deepest.register_forward_hook(keep)
    try:
        for start in range(0, len(frames), _BATCH):
            pictures = []
            for frame in frames[start : start + _BATCH]:
                try:
                    pictures.append(read_frame(frame, root))
                except DataError as e:
                    findings.extend(e.findings)
            if findings or not pictures:
                continue  # all that cannot be read is named; nothing is picked without them
            prints += [fingerprint(picture) for picture in pictures]
            images = [resize_image(p, trained.size).transpose(2, 0, 1) for p in pictures]
            batch = to_input(torch.from_numpy(np.stack(images)), device)
            probs = model(batch).float().softmax(1)
            unsure.append(uncertainty(probs).cpu())
            classes = torch.arange(probs.shape[1], device=device)
            found = probs.argmax(1).flatten(1)[..., None] == classes
            shares.append(found.float().mean(1).cpu())
            step(min(start + _BATCH, len(frames)))
    finally:
        hook.remove()
    if findings:
        raise DataError(merged(findings))
    its = [torch.cat(part).double().numpy() for part in (unsure, deepest, shares)]
    return Seen(its[0], its[1], its[2], joined(prints))


@dataclass(frozen=True)
class Known:
    """What a run and its data say about which pictures need no labels.

    Attributes:
        learned: frames it learned from: what they show is covered.
        labelled: all frames that have labels to learn from; those outside its label budget too.
        held_out: validation and test frames.
        root: of their dataset.
        findings: what could not be found out, and what follows from that.
    """

    learned: tuple[Frame, ...]
    labelled: tuple[Frame, ...]
    held_out: tuple[Frame, ...]
    root: Path
    findings: tuple[Finding, ...] = ()


def known_of(run: Path) -> Known:
    """The labelled and held-out frames of a run, as far as its data are still where they were."""
    config = read_run_config(run / "config.json")
    data = Path(config.data)
    try:
        dataset = open_dataset(data)
    except DataError as e:
        message = (
            f"it cannot be said which pictures have labels or are test frames of {run}: "
            f"{e.findings[0].message}"
        )
        hint = "such pictures may be among the suggested: put the data back in their place"
        return Known((), (), (), data, (_unknown(message, hint),))
    labelled = dataset.splits.get("train", ())
    held_out = tuple(f for s in ("validation", "test") for f in dataset.splits.get(s, ()))
    findings, learned = [], labelled
    if config.labels is not None:
        try:
            names = read_frame_names(run / LABELS)
        except DataError as e:
            names = ()
            message = f"it cannot be said what {run} learned from: {e.findings[0].message}"
            findings.append(_unknown(message, "what is suggested may resemble what it knows"))
        learned = tuple(f for f in labelled if f.name in set(names))
        if len(learned) < len(names):
            message = f"{len(names) - len(learned)} frames that {run} learned from are not in "
            message += f"{data} any more"
            findings.append(_unknown(message, "its splits may have changed since"))
    findings += _changed(run, config, dataset)
    return Known(learned, labelled, held_out, dataset.root, tuple(findings))


def _changed(run: Path, config: RunConfig, dataset: Dataset) -> list[Finding]:
    """Whether the pictures that bear the names of a run's are still the same."""
    hint = "what is suggested may be what it learned from or was scored on: restore them"
    try:
        before = json.loads((run / "environment.json").read_bytes())["data"]
        now = Segmentation().hashes(dataset, config, run)
    except (OSError, ValueError, KeyError, DataError) as e:
        why = (
            e.findings[0].message if isinstance(e, DataError) else "its environment.json is damaged"
        )
        message = f"it cannot be said whether the data of {run} are as it was trained on: {why}"
        return [_unknown(message, hint)]
    try:
        refuse_changed_data(run, before, now)
    except DataError as e:  # what was labelled since is a change too: no reason to refuse
        return [Finding("data-changed", "warning", e.findings[0].message, hint)]
    return []


def _unknown(message: str, hint: str) -> Finding:
    return Finding("labels-unknown", "warning", message, hint)


@dataclass(frozen=True)
class Suggestion:
    """A picture to label.

    Attributes:
        frame: the picture.
        uncertainty: of the run about it, in ``[0, 1]``.
        covers: the share of all uncertainty that it stands for and nothing before it does.
        shares: of its pixels, by the class predicted there.
    """

    frame: Frame
    uncertainty: float
    covers: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Suggestions:
    """What [`suggest`][] found.

    Attributes:
        picked: the most valuable first.
        pictures: how many there were.
        labelled: how many of them nearly equal a picture that has labels.
        held_out: how many nearly equal a validation or test frame.
        findings: what could not be found out.
    """

    picked: tuple[Suggestion, ...]
    pictures: int
    labelled: int
    held_out: int
    findings: tuple[Finding, ...]


def suggest(
    run: Path,
    frames: Sequence[Frame],
    root: Path,
    count: int,
    device: torch.device,
    known: Known | None = None,
    step: Callable[[int, int], None] = lambda _done, _all: None,
) -> Suggestions:
    """The pictures whose labels would teach a run most; see this module.

    Args:
        run: a finished run of a segmentation.
        frames: pictures without labels.
        root: their folder, for messages; links that leave it are refused.
        count: how many to suggest, at most.
        device: where to compute.
        known: which pictures need no labels; by default what [`known_of`][] the run says.
        step: told how many of how many pictures were looked at.

    Raises:
        DataError: the run is none or is not finished, or pictures cannot be read.
    """
    trained, known = load_trained(run), known or known_of(run)
    whole = len(frames) + len(known.learned)
    seen = look(trained, frames, root, device, lambda done: step(done, whole))
    covered = seen.features[:0]
    if known.learned:
        mine = look(
            trained, known.learned, known.root, device, lambda done: step(len(frames) + done, whole)
        )
        covered = mine.features
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        labelled, held_out = (
            fingerprints(some, known.root, pool) for some in (known.labelled, known.held_out)
        )
    has_labels = nearest(seen.prints, labelled)[1] <= NEAR
    is_held_out = nearest(seen.prints, held_out)[1] <= NEAR
    allowed = ~has_labels & ~is_held_out
    order, covers = pick(seen.uncertainty, seen.features, covered, seen.prints, allowed, count)
    picked = tuple(
        Suggestion(frames[i], seen.uncertainty[i].item(), share, tuple(seen.shares[i].tolist()))
        for i, share in zip(order.tolist(), covers.tolist(), strict=True)
    )
    counts = int(has_labels.sum()), int((is_held_out & ~has_labels).sum())
    return Suggestions(picked, len(frames), *counts, known.findings)
