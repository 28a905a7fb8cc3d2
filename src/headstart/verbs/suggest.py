"""``headstart.suggest``: what to label next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.data.layouts.picture_folder import find_pictures, with_flat_names
from headstart.data.layouts.recognise import recognise
from headstart.data.pictures.frame import Frame
from headstart.errors import DataError, Finding, UsageError
from headstart.inference.format_names import MaskFormat
from headstart.training.listener import ignore

if TYPE_CHECKING:
    from headstart.labelling.suggestion import Suggestion


@dataclass(frozen=True)
class SuggestResult:
    """The pictures to label next.

    Attributes:
        folder: the pictures, masks to correct, a list and a contact sheet; None: nothing is left
            to suggest, and nothing was written.
        suggestions: the most valuable first.
        pictures: the number of pictures there were.
        labelled: how many were left out as near-duplicates of labelled pictures.
        held_out: how many were left out as near-duplicates of validation or test frames.
        findings: what was passed over, and warnings about what could not be found out.
        annotations: files or folders of the masks in the format of an annotation tool.
    """

    folder: Path | None
    suggestions: tuple[Suggestion, ...]
    pictures: int
    labelled: int
    held_out: int
    findings: tuple[Finding, ...]
    annotations: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return an object of schema 1."""
        result: dict[str, Any] = {
            "schema": 1,
            "pictures": self.pictures,
            "out": None if self.folder is None else str(self.folder),
            "findings": [finding.to_json() for finding in self.findings],
            "left_out": {"labelled": self.labelled, "held_out": self.held_out},
            "suggestions": [
                {
                    "rank": rank,
                    "name": suggestion.frame.name,
                    "picture": str(suggestion.frame.image),
                    "uncertainty": suggestion.uncertainty,
                    "covers": suggestion.covers,
                }
                for rank, suggestion in enumerate(self.suggestions, start=1)
            ],
        }
        if self.annotations:
            result["annotations"] = [str(path) for path in self.annotations]
        return result


def suggest(
    run: Path | str,
    unlabelled: Path | str,
    *,
    count: int = 20,
    out: Path | str | None = None,
    format: MaskFormat = "masks",  # noqa: A002
    device: str = "auto",
    step: Callable[[int, int], None] | None = None,
) -> SuggestResult:
    """Pick the pictures whose labels would teach a run most, as ``headstart suggest`` does.

    Args:
        run: a finished run that segments.
        unlabelled: a folder of pictures, which is walked, or a dataset with unlabelled pictures.
        count: the maximum number of suggestions.
        out: where to put the pictures, and masks to correct; by default ``RUN/to-label``.
        format: the format of annotations to write beside the masks: ``"coco"``, ``"labelme"``,
            ``"yolo"`` or ``"cvat"``; ``"masks"``: only masks.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        step: hears how many pictures were looked at, of how many.

    Raises:
        UsageError: the run is a file, there is no such device, or there are no pictures.
        DataError: the run is not finished, or pictures cannot be read; those that can be read have
            been suggested.
        LockedError, DiskError: as their names say.
    """
    run, unlabelled = Path(run), Path(unlabelled)
    if run.is_file():
        message = f"{run} is a file; suggesting needs the run itself: it looks inside the network"
        raise UsageError(Finding("not-a-run", "error", message, "give the run's folder"))

    from headstart.inference.opening import open_segmenter
    from headstart.labelling.folder import write_suggestions
    from headstart.labelling.suggestion import suggest as pick
    from headstart.system.devices import torch_device

    segmenter = open_segmenter(run, device)
    frames, root, passed_over = _unlabelled_frames(unlabelled)
    outcome = pick(run, frames, root, count, torch_device(device), step=step or ignore)
    folder = Path(out) if out is not None else run / "to-label"
    form = None if format == "masks" else format
    annotations: tuple[Path, ...] = ()
    if outcome.picked:
        annotations = write_suggestions(segmenter, outcome.picked, root, folder, form)
    if outcome.unreadable:
        raise DataError(outcome.unreadable)
    return SuggestResult(
        folder=folder if outcome.picked else None,
        suggestions=outcome.picked,
        pictures=outcome.pictures,
        labelled=outcome.labelled,
        held_out=outcome.held_out,
        findings=(*passed_over, *outcome.findings),
        annotations=annotations,
    )


def _unlabelled_frames(
    unlabelled: Path,
) -> tuple[tuple[Frame, ...], Path, tuple[Finding, ...]]:
    """Return the pictures, their folder, and what was passed over."""
    if (found := recognise(unlabelled)) is not None:
        dataset = found.read()
        root = dataset.root if dataset.root.is_dir() else dataset.root.parent
        frames = dataset.unlabelled.get("train", ())
        if not frames:
            message = f"{unlabelled} is a dataset without unlabelled pictures"
            raise UsageError(Finding("no-pictures", "error", message, "give a folder of pictures"))
        return frames, root, ()
    folder = find_pictures(unlabelled, "only pictures can be suggested")
    return with_flat_names(folder.frames, folder.root), folder.root, folder.passed_over
