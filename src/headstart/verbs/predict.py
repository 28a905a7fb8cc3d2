"""``headstart.predict``: masks and overlays of pictures or a clip; or classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.data.layouts.folders import Frame, find_pictures, frames_of, open_dataset
from headstart.data.pictures.clip import is_clip, open_clip
from headstart.errors import Finding, UsageError
from headstart.inference.onnx_metadata import is_onnx, read_onnx
from headstart.training.config_files import read_config

if TYPE_CHECKING:
    from headstart.inference.clips import Written

_OR_A_SPLIT = "a dataset needs --split"


@dataclass(frozen=True)
class PredictResult:
    """What was written; None: nothing of that kind.

    Attributes:
        folder: where.
        pictures: how many pictures, or frames of a clip, were predicted.
        masks: the folder of the masks.
        overlays: the folder of the overlays of pictures.
        classes: ``classes.csv``, of a classifier.
        clip: what came of a clip, beside ``overlay.mp4``, ``areas.csv`` and ``timeline.png``.
        findings: warnings about a clip.
    """

    folder: Path
    pictures: int
    masks: Path | None = None
    overlays: Path | None = None
    classes: Path | None = None
    clip: Written | None = None
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return an object of schema 1."""
        if self.clip is not None:
            return self.clip.to_json(self.folder)
        files = {"masks": self.masks, "overlays": self.overlays, "classes": self.classes}
        written = {name: str(path) for name, path in files.items() if path is not None}
        return {"schema": 1, "pictures": self.pictures, **written}


def predict(
    run: Path | str,
    source: Path | str,
    *,
    out: Path | str,
    split: str | None = None,
    masks: bool = False,
    device: str = "auto",
    step: Callable[[int, int | None], None] | None = None,
) -> PredictResult:
    """Write masks and overlays at each picture's own size, as ``headstart predict`` does.

    A clip becomes ``overlay.mp4``, ``areas.csv`` and ``timeline.png``; a classifier writes
    ``classes.csv``. An ONNX file is run without torch.

    Args:
        run: a finished run, or the ONNX file of one.
        source: a picture, a folder of pictures, a clip, or a dataset with ``split``.
        out: where to write; nothing there is overwritten that does not come from the same weights
            and pictures.
        split: the split of a dataset.
        masks: also write a mask for every frame of a clip.
        device: ``"cpu"``, ``"cuda"`` or ``"auto"``.
        step: hears how many frames of a clip are done, of about how many.

    Raises:
        UsageError: there is no such split or device, ``out`` holds something else, or a clip is
            given to a classifier.
        DataError: the run is not finished, or pictures or a clip cannot be read.
        LockedError, DiskError, MissingExtraError, InterruptedRun: as their names say.
    """
    run, source, out = Path(run), Path(source), Path(out)
    task = _task_of_run(run)
    if split is None and is_clip(source):
        return _CLIPS.get(task, _clip)(run, source, out, masks, device, step)
    return _PICTURES.get(task, _segment)(run, source, out, split, device)


def _task_of_run(run: Path) -> str:
    """Return the task of a run or of an ONNX file; where neither is there, opening it says so."""
    if is_onnx(run):
        return read_onnx(run).facts.task
    path = run / "config.json"
    return read_config(path).task if path.exists() else "segmentation"


def _clip(
    run: Path,
    source: Path,
    out: Path,
    masks: bool,
    device: str,
    step: Callable[[int, int | None], None] | None,
) -> PredictResult:
    from headstart.system.signals import Stopping

    with Stopping() as stopping, open_clip(source, stopping.asked) as clip:
        # Imported late: what is wrong with a clip is said before the libraries are loaded.
        from headstart.inference.clips import predict_clip
        from headstart.inference.masks import open_segmenter

        segmenter = open_segmenter(run, device)
        written = predict_clip(segmenter, clip, out, stopping, masks, step)
    return PredictResult(
        folder=out,
        pictures=written.frames,
        masks=written.masks,
        clip=written,
        findings=written.warnings,
    )


def _refuse_clip(run: Path, source: Path, *_: object) -> PredictResult:
    message = f"{run} is a classifier, which takes pictures; {source} is a clip"
    hint = "give a run that segments, or the clip's frames as pictures"
    raise UsageError(Finding("clip-for-classifier", "error", message, hint))


def _segment(run: Path, source: Path, out: Path, split: str | None, device: str) -> PredictResult:
    from headstart.inference.masks import open_segmenter
    from headstart.inference.masks import predict as write_predictions

    if split is None:
        frames, root = _frames_in(source)
    else:
        dataset = open_dataset(source)
        frames, root = frames_of(dataset, split), dataset.root
    write_predictions(open_segmenter(run, device), frames, root, out)
    return PredictResult(out, len(frames), masks=out / "masks", overlays=out / "overlays")


def _classify(run: Path, source: Path, out: Path, split: str | None, device: str) -> PredictResult:
    from headstart.data.layouts.class_folders import open_classes
    from headstart.inference.classes import (
        classes_of_pictures,
        classes_of_split,
        open_classifier,
        write_classes,
    )

    if split is None:
        frames, root = _frames_in(source)
        classifier = open_classifier(run, device)
        probabilities = classes_of_pictures(classifier, frames, root)
        names = tuple(frame.name for frame in frames)
    else:
        dataset = open_classes(source)
        classifier = open_classifier(run, device)
        pictures, probabilities = classes_of_split(classifier, dataset, split)
        names = pictures.names
    path = write_classes(out, names, classifier.names, probabilities)
    return PredictResult(out, len(names), classes=path)


def _frames_in(source: Path) -> tuple[tuple[Frame, ...], Path]:
    """Return the pictures of a folder, or a single one, and their folder."""
    frames = find_pictures(source, _OR_A_SPLIT)
    return frames, source if source.is_dir() else source.parent


# By task; any other is refused when its network is opened.
_CLIPS: Mapping[str, Callable[..., PredictResult]] = {
    "segmentation": _clip,
    "classification": _refuse_clip,
}
_PICTURES: Mapping[str, Callable[..., PredictResult]] = {
    "segmentation": _segment,
    "classification": _classify,
}
