"""From a run's folder or an ONNX file to a trained network, ready for use."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.config.files import read_config
from headstart.errors import Finding
from headstart.inference.classifier import Classifier
from headstart.inference.finished_run import FinishedRun, read_finished_run
from headstart.inference.members import members_of, told
from headstart.inference.onnx_file import OnnxFile, is_onnx, read_onnx
from headstart.inference.predictor import Predictor, PredictorKind
from headstart.inference.segmenter import Segmenter
from headstart.tasks.lookup import labelled_task
from headstart.tasks.out_of_fold import Unseen, are_theirs, changed_since, unseen_by

PREDICTORS: dict[str, PredictorKind] = {
    kind.task: kind for kind in (Segmenter, Classifier)
}  # a new task is a new file and an entry here


def open_predictor(
    run_or_onnx: Path,
    device: str = "auto",
    expected: PredictorKind | None = None,
    mirror: bool = False,
) -> Predictor:
    """Return the trained network in a run's folder or in an ONNX file.

    Of a study or a cross-validation, several networks predict together. ONNX Runtime runs the
    file, and torch is not loaded.

    Args:
        run_or_onnx: a run's folder, or a file that ``headstart export`` wrote.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        expected: refuses other kinds of network; by default any is opened.
        mirror: predict the mean probability of each picture and of its mirror image.

    Raises:
        DataError: it is neither, is not finished, is the run of a pretext, or is of another kind.
        UsageError: there is no such device.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if is_onnx(run_or_onnx):
        from headstart.inference.onnx_session import check_device

        check_device(device)
        file = read_onnx(run_or_onnx)
        return kind_of_file(file, expected).from_onnx(file, mirror)
    from headstart.system.devices import torch_device

    chosen = torch_device(device)
    run = read_finished_run(run_or_onnx)
    return kind_of_run(run, expected).from_run(run, chosen, mirror)


def open_for_split(
    run_or_onnx: Path, dataset: Any, split: str, device: str = "auto", mirror: bool = False
) -> tuple[Predictor, tuple[Finding, ...]]:
    """Return the trained network for a split of an opened dataset, and which networks predict.

    If folds were dealt from the labelled pictures of this dataset, networks of other folds have
    seen each of them: it is then predicted by those that have not, one of each seed. If these
    pictures have changed since, they are recognised by their names, and a warning says so.

    Args:
        run_or_onnx: as of [`open_predictor`][].
        dataset: what opening a dataset of any task gave.
        split: the name of one of its splits.
        device: as of [`open_predictor`][].
        mirror: as of [`open_predictor`][].

    Raises:
        DataError, UsageError, MissingExtraError: as [`open_predictor`][].
    """
    kind = kind_for(dataset)
    if is_onnx(run_or_onnx):
        return open_predictor(run_or_onnx, device, kind, mirror), ()
    members, task = members_of(run_or_onnx), labelled_task(kind.task)
    if (
        members is None
        or members.task != kind.task
        or not members.crossed
        or split not in dataset.splits
    ):
        return open_predictor(run_or_onnx, device, kind, mirror), told(run_or_onnx)
    unseen = unseen_by(task, members.crossed, dataset.splits)
    changed: tuple[Finding, ...] = ()
    if not are_theirs(task, members.runs[0], dataset):
        hint = "each is predicted by networks that saw none of its name; train again to be sure"
        changed = changed_since(task, unseen, dataset, split, hint)
        if not changed:  # pictures of somebody else
            return open_predictor(run_or_onnx, device, kind, mirror), told(run_or_onnx)
    predictor = _out_of_fold(run_or_onnx, kind, unseen, split, device, mirror)
    return predictor, (*told(run_or_onnx, unseen=True), *changed)


def _out_of_fold(
    folder: Path, kind: PredictorKind, unseen: Unseen, split: str, device: str, mirror: bool
) -> Predictor:
    """Return what predicts each picture of a split by networks that have not seen it."""
    from headstart.models.averaged import Averaged
    from headstart.system.devices import torch_device

    chosen, run = torch_device(device), read_finished_run(folder)
    kind_of_run(run, kind)
    members = {member.folder: member for member in run.members}
    network = functools.cache(lambda fold: kind.network(members[fold]))  # pictures share them

    def together(folds: tuple[Path, ...]) -> Any:
        some = tuple(members[fold] for fold in folds)
        least = min(member.facts.min_area for member in some)
        facts = run.facts.model_copy(update={"min_area": least})
        of_some = replace(run, members=some, facts=facts, digest=f"{run.digest} out of fold")
        return kind.of_network(Averaged(map(network, folds)).eval(), of_some, chosen, mirror)

    recent = functools.lru_cache(maxsize=1)(together)
    any_folds = next(iter(unseen.testers.values()))

    def of(name: str) -> Any:  # what no fold knows, none has seen
        return recent(unseen.of(name, split) if unseen.key_of(name, split) else tuple(members))

    whole: Predictor = replace(together(any_folds), unseen=of)
    return whole


def open_segmenter(run_or_onnx: Path, device: str = "auto", mirror: bool = False) -> Segmenter:
    """Return a trained network that segments.

    Raises:
        DataError: as [`open_predictor`][]; or the network does not segment.
        UsageError, MissingExtraError: as [`open_predictor`][].
    """
    segmenter = open_predictor(run_or_onnx, device, Segmenter, mirror)
    assert isinstance(segmenter, Segmenter)
    return segmenter


def open_classifier(run_or_onnx: Path, device: str = "auto") -> Classifier:
    """Return a trained classifier.

    Raises:
        DataError: as [`open_predictor`][]; or the network is no classifier.
        UsageError, MissingExtraError: as [`open_predictor`][].
    """
    classifier = open_predictor(run_or_onnx, device, Classifier)
    assert isinstance(classifier, Classifier)
    return classifier


def kind_of_file(file: OnnxFile, expected: PredictorKind | None = None) -> PredictorKind:
    """Return the implementation for an ONNX file.

    Raises:
        DataError: it is not the expected one.
    """
    return _kind(file.facts.task, expected, file.path, file.facts.model)


def kind_of_run(run: FinishedRun, expected: PredictorKind | None = None) -> PredictorKind:
    """Return the implementation for a finished run.

    Raises:
        DataError: it is not the expected one, or the run is one of a pretext.
    """
    return _kind(run.facts.task, expected, run.folder, run.network_name)


def kind_at(run_or_onnx: Path) -> PredictorKind:
    """Return the implementation for a run's folder or an ONNX file; no weights are read.

    If nothing says which, it is the segmentation's: opening then names what is wrong.

    Raises:
        DataError: ``config.json`` or the file is damaged, or the run is one of a pretext.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if is_onnx(run_or_onnx):
        return kind_of_file(read_onnx(run_or_onnx))
    path = run_or_onnx / "config.json"
    if not path.exists():
        return Segmenter
    if (several := members_of(run_or_onnx)) is not None:
        return _kind(several.task, None, run_or_onnx, "")
    config = read_config(path)
    return _kind(config.task, None, run_or_onnx, str(config.pretext))


def kind_for(dataset: Any) -> PredictorKind:
    """Return the implementation that predicts and scores an opened dataset."""
    return next(kind for kind in PREDICTORS.values() if isinstance(dataset, kind.dataset))


def _kind(task: str, expected: PredictorKind | None, path: Path, network: str) -> PredictorKind:
    kind = PREDICTORS.get(task)
    if kind is None or (expected is not None and kind is not expected):
        raise (expected or Segmenter).refusal(path, task, network)
    return kind
