"""``headstart.predict``: masks and overlays of pictures or a clip; or classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.data.layouts.picture_folder import find_pictures
from headstart.data.pictures.clip import is_clip, open_clip
from headstart.errors import Finding, UsageError
from headstart.inference.opening import kind_at, open_predictor, open_segmenter
from headstart.inference.predictor import Predictions
from headstart.system.signals import Stopping
from headstart.tasks.lookup import labelled_task

if TYPE_CHECKING:
    from headstart.inference.clips import ClipPrediction


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
    clip: ClipPrediction | None = None
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
    kind = kind_at(run)
    if split is not None:
        dataset = labelled_task(kind.task).open(source)
        return _written(open_predictor(run, device).predict_split(dataset, split, out), out)
    if is_clip(source):
        if not kind.predicts_masks:
            message = f"{run} is a classifier, which takes pictures; {source} is a clip"
            hint = "give a run that segments, or the clip's frames as pictures"
            raise UsageError(Finding("clip-for-classifier", "error", message, hint))
        return _predict_clip(run, source, out, masks, device, step)
    frames = find_pictures(source, "a dataset needs --split")
    root = source if source.is_dir() else source.parent
    return _written(open_predictor(run, device).predict_pictures(frames, root, out), out)


def _written(predictions: Predictions, out: Path) -> PredictResult:
    files = predictions.files
    return PredictResult(
        folder=out,
        pictures=predictions.pictures,
        masks=files.get("masks"),
        overlays=files.get("overlays"),
        classes=files.get("classes"),
    )


def _predict_clip(
    run: Path,
    source: Path,
    out: Path,
    masks: bool,
    device: str,
    step: Callable[[int, int | None], None] | None,
) -> PredictResult:
    with Stopping() as stopping, open_clip(source, stopping.asked) as clip:
        # Imported late: what is wrong with a clip is said before the libraries are loaded.
        from headstart.inference.clips import predict_clip

        segmenter = open_segmenter(run, device)
        prediction = predict_clip(segmenter, clip, out, stopping, masks, step)
    return PredictResult(
        folder=out,
        pictures=prediction.frames,
        masks=prediction.masks,
        clip=prediction,
        findings=prediction.warnings,
    )
