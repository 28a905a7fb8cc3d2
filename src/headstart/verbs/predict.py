"""``headstart.predict``: masks and overlays of pictures and clips; or classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.data.layouts.dataset import frames_of
from headstart.data.layouts.picture_folder import (
    PictureFolder,
    nothing_to_use,
    walk,
    without_clips,
)
from headstart.data.layouts.recognise import recognise
from headstart.data.pictures.clip import is_clip, open_clip
from headstart.data.pictures.frame import Frame
from headstart.errors import DataError, Finding, UsageError
from headstart.inference.format_names import (
    PROBABILITIES,
    WRITTEN,
    AnnotationFormat,
    MaskFormat,
    ProbabilityFormat,
)
from headstart.inference.members import told
from headstart.inference.opening import (
    kind_at,
    open_for_split,
    open_predictor,
    open_segmenter,
)
from headstart.inference.predictor import Predictor
from headstart.inference.segmenter import Segmenter
from headstart.system.packages import require
from headstart.system.signals import Stopping
from headstart.tasks.lookup import labelled_task

if TYPE_CHECKING:
    from headstart.inference.clips import ClipPrediction

Step = Callable[[int, int | None], None]

_OF_PICTURES = ("masks", "overlays", "classes.csv", PROBABILITIES, *WRITTEN)
"""Files and folders in ``out`` of pictures, so that no folder of a clip may have their names."""


@dataclass(frozen=True)
class PredictedClip:
    """What came of a clip in a folder.

    Attributes:
        folder: the folder of its files.
        prediction: what was written.
    """

    folder: Path
    prediction: ClipPrediction


@dataclass(frozen=True)
class PredictResult:
    """What was written; None: nothing of that kind.

    Attributes:
        folder: where.
        pictures: how many pictures, or frames of a single clip, were predicted.
        masks: the folder of the masks.
        overlays: the folder of the overlays of pictures.
        classes: ``classes.csv``, of a classifier.
        probabilities: the folder of the probabilities of each class.
        annotations: files or folders of the masks in the format of an annotation tool.
        clip: what came of a single clip, beside ``overlay.mp4``, ``areas.csv`` and
            ``timeline.png``.
        clips: what came of each clip in a folder.
        findings: which networks predict together, what was passed over, warnings about clips.
    """

    folder: Path
    pictures: int
    masks: Path | None = None
    overlays: Path | None = None
    classes: Path | None = None
    probabilities: Path | None = None
    annotations: tuple[Path, ...] = ()
    clip: ClipPrediction | None = None
    clips: tuple[PredictedClip, ...] = ()
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return an object of schema 1."""
        findings = [finding.to_json() for finding in self.findings]
        if self.clip is not None:
            return {**self.clip.to_json(self.folder), "findings": findings}
        files = {
            "masks": self.masks,
            "overlays": self.overlays,
            "classes": self.classes,
            "probabilities": self.probabilities,
        }
        result: dict[str, Any] = {"schema": 1, "pictures": self.pictures}
        result |= {name: str(path) for name, path in files.items() if path is not None}
        if self.annotations:
            result["annotations"] = [str(path) for path in self.annotations]
        if self.clips:
            result["clips"] = [clip.prediction.to_json(clip.folder) for clip in self.clips]
        if findings:
            result["findings"] = findings
        return result


def predict(
    run: Path | str,
    source: Path | str,
    *,
    out: Path | str,
    split: str | None = None,
    format: MaskFormat = "masks",  # noqa: A002
    masks: bool = False,
    probabilities: ProbabilityFormat | None = None,
    tta: bool = False,
    device: str = "auto",
    step: Step | None = None,
) -> PredictResult:
    """Write masks and overlays at each picture's own size, as ``headstart predict`` does.

    A folder is walked; its tree is kept in ``out/masks`` and ``out/overlays``. A clip becomes
    ``overlay.mp4``, ``areas.csv`` and ``timeline.png``; each clip of a folder gets a folder in
    ``out``. A classifier writes ``classes.csv``. An ONNX file is run without torch.

    Args:
        run: a finished run, or the ONNX file of one; of a study or a cross-validation, several
            networks predict together, with folds each picture of a split of their own dataset by
            those that have not seen it.
        source: a picture, a folder of pictures and clips, a clip, or a dataset with ``split``.
        out: where to write; nothing there is overwritten that does not come from the same weights
            and pictures.
        split: the split of a dataset.
        format: the format of annotations to write beside the masks of pictures: ``"coco"``,
            ``"labelme"``, ``"yolo"`` or ``"cvat"``; ``"masks"``: only masks.
        masks: also write a mask for every frame of a clip.
        probabilities: also write the calibrated probability of each class for each pixel of
            pictures: ``"png"``, 16 bits, a file for each class; or ``"npz"``.
        tta: predict the mean probability of each picture and of its mirror image (left and right
            swapped), which takes twice as long.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        step: hears how many frames of a clip are done, of about how many.

    Raises:
        UsageError: there is no such split or device, ``out`` holds something else, a clip is given
            to a classifier, a format or
            probabilities are given for a clip or a classifier, or a dataset with masks
            comes without a split.
        DataError: the run is not finished, or pictures or clips cannot be read; those of a folder
            that can be read have been predicted.
        LockedError, DiskError, MissingExtraError, InterruptedRun: as their names say.
    """
    run = Path(run)
    extras = _Extras(None if format == "masks" else format, probabilities)
    network = _Network(run, device, tta)
    return _predict(network, Path(source), Path(out), split, extras, masks, step)


@dataclass(frozen=True)
class _Network:
    """What predicts: a run or a file, the device, and whether mirror images count too."""

    path: Path
    device: str
    mirror: bool

    def predictor(self) -> Predictor:
        return open_predictor(self.path, self.device, mirror=self.mirror)

    def segmenter(self) -> Segmenter:
        return open_segmenter(self.path, self.device, self.mirror)


@dataclass(frozen=True)
class _Extras:
    """What is written beside the masks of pictures."""

    form: AnnotationFormat | None
    probabilities: ProbabilityFormat | None

    @property
    def option(self) -> str:
        """The option that asks for it; empty if nothing does."""
        if self.form is not None:
            return f"--format {self.form}"
        return "" if self.probabilities is None else f"--probabilities {self.probabilities}"


def _predict(
    network: _Network,
    source: Path,
    out: Path,
    split: str | None,
    extras: _Extras,
    masks: bool,
    step: Step | None,
) -> PredictResult:
    run = network.path
    kind = kind_at(run)
    if extras.option and not kind.predicts_masks:
        raise _not_of_pictures(extras, f"{run} is a classifier, which predicts no masks")
    if split is not None:
        dataset = labelled_task(kind.task).open(source)
        args = (dataset, split, network.device, network.mirror)
        predictor, together = open_for_split(run, *args)
        if extras.option:
            frames = frames_of(dataset, split)
            result = _predict_frames(predictor, frames, dataset.root, out, extras)
        else:
            predictions = predictor.predict_split(dataset, split, out)
            result = _written(predictions.pictures, predictions.files, out)
        return replace(result, findings=(*together, *result.findings))
    together = told(run)
    if is_clip(source):
        if not kind.predicts_masks:
            message = f"{run} is a classifier, which takes pictures; {source} is a clip"
            hint = "give a run that segments, or the clip's frames as pictures"
            raise UsageError(Finding("clip-for-classifier", "error", message, hint))
        if extras.option:
            raise _not_of_pictures(extras, f"{source} is a clip")
        prediction = _predict_clip(network.segmenter, source, out, masks, step)
        warnings = prediction.warnings
        files = {} if prediction.masks is None else {"masks": prediction.masks}
        result = _written(prediction.frames, files, out)
        return replace(result, clip=prediction, findings=(*together, *warnings))
    folder = _find(run, source, kind.predicts_masks)
    if extras.option and not folder.frames:
        raise _not_of_pictures(extras, f"{source} holds only clips")
    clip_folders = _clip_folders(folder)
    if clip_folders:
        require("video")
    found = (folder, clip_folders, out, extras, masks, step)
    result = _predict_folder(network.predictor(), *found)
    return replace(result, findings=(*together, *folder.passed_over, *result.findings))


def _not_of_pictures(extras: _Extras, reason: str) -> UsageError:
    message = f"{extras.option} is for masks of pictures; {reason}"
    hint = f"leave {extras.option.split()[0]} out"
    return UsageError(Finding("format-of-pictures", "error", message, hint))


def _find(run: Path, source: Path, with_clips: bool) -> PictureFolder:
    """Return the pictures and clips to predict.

    Raises:
        UsageError: the folder is a dataset whose masks would be taken for pictures.
        DataError: there is nothing to predict, or names collide.
    """
    try:
        found = recognise(source) if source.is_dir() or source.suffix == ".toml" else None
    except OSError:  # a folder that may not be listed, which walking it reports
        found = None
    if found is not None:
        layout, splits = found.layout, found.read().splits.values()
        if any(frame.masks or frame.valid for frames in splits for frame in frames):
            message = f"{source} is a dataset ({layout}); its masks would be taken for pictures"
            hint = "name a split, as in --split test; or give the folder that holds only pictures"
            raise UsageError(Finding("needs-split", "error", message, hint))
    folder = walk(source)
    if not with_clips:
        folder = without_clips(folder, f"{run} is a classifier")
    if not folder.frames and not folder.clips:
        raise nothing_to_use(source, "a dataset needs --split")
    return folder


def _clip_folders(folder: PictureFolder) -> dict[Path, Path]:
    """Return the folder of each clip's files, relative to ``out``.

    Raises:
        DataError: a folder would be that of another clip, lie in it, or be that of the masks.
    """
    folders = {clip: clip.relative_to(folder.root).with_suffix("") for clip in folder.clips}
    counts = Counter(folders.values())
    if same := [
        str(clip.relative_to(folder.root))
        for clip, path in folders.items()
        if counts[path] > 1
        or path.parts[0] in _OF_PICTURES
        or any(parent in counts for parent in path.parents)
    ]:
        message = "files of these clips would get into a folder of other predictions"
        hint = "rename the clip, or the folder that it lies in"
        raise DataError(Finding("same-stem", "error", message, hint, tuple(same)))
    return folders


def _predict_folder(
    predictor: Predictor,
    folder: PictureFolder,
    clip_folders: Mapping[Path, Path],
    out: Path,
    extras: _Extras,
    masks: bool,
    step: Step | None,
) -> PredictResult:
    """Predict pictures, then clips; raise what is wrong with some after the others are done."""
    faults: list[DataError | UsageError] = []
    result = PredictResult(out, 0)
    if folder.frames:
        try:
            result = _predict_frames(predictor, folder.frames, folder.root, out, extras)
        except (DataError, UsageError) as error:  # UsageError: masks that were corrected are kept
            faults.append(error)
    clips: list[PredictedClip] = []

    def segmenter() -> Segmenter:
        assert isinstance(predictor, Segmenter)
        return predictor

    for clip, name in clip_folders.items():
        try:
            prediction = _predict_clip(segmenter, clip, out / name, masks, step)
        except (DataError, UsageError) as error:
            faults.append(error)
        else:
            clips.append(PredictedClip(out / name, prediction))
    warnings = tuple(finding for clip in clips for finding in clip.prediction.warnings)
    if faults:
        kind = UsageError if any(isinstance(e, UsageError) for e in faults) else DataError
        of_others = (*folder.passed_over, *warnings)
        raise kind([*(finding for error in faults for finding in error.findings), *of_others])
    return replace(result, clips=tuple(clips), findings=warnings)


def _predict_frames(
    predictor: Predictor,
    frames: Sequence[Frame],
    root: Path,
    out: Path,
    extras: _Extras,
) -> PredictResult:
    if not extras.option:
        predictions = predictor.predict_pictures(frames, root, out)
        return _written(predictions.pictures, predictions.files, out)
    from headstart.inference.masks import predict as predict_masks

    assert isinstance(predictor, Segmenter)
    args = (predictor, frames, root, out, extras.form, extras.probabilities)
    annotations = predict_masks(*args)
    written = ("masks", "overlays", *((PROBABILITIES,) if extras.probabilities else ()))
    files = {name: out / name for name in written}
    return replace(_written(len(frames), files, out), annotations=annotations)


def _written(pictures: int, files: Mapping[str, Path], out: Path) -> PredictResult:
    return PredictResult(
        folder=out,
        pictures=pictures,
        masks=files.get("masks"),
        overlays=files.get("overlays"),
        classes=files.get("classes"),
        probabilities=files.get(PROBABILITIES),
    )


def _predict_clip(
    segmenter: Callable[[], Segmenter], source: Path, out: Path, masks: bool, step: Step | None
) -> ClipPrediction:
    with Stopping() as stopping, open_clip(source, stopping.asked) as clip:
        # Imported late: what is wrong with a clip is said before the libraries are loaded.
        from headstart.inference.clips import predict_clip

        return predict_clip(segmenter(), clip, out, stopping, masks, step)
