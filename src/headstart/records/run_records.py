"""The records of a run as frozen values, read from its folder.

``config.json`` is read in [`headstart.config.files`][].
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headstart.errors import DataError
from headstart.records.vouching import damaged, parse_json, read_record

ENVIRONMENT = "environment.json"
SCORES = "scores.json"
WEIGHTS = "weights.safetensors"
METRICS = "metrics.jsonl"
TIMING = "timing.jsonl"
LEAKS = "leaks.json"
ENSEMBLES = "ensembles"
"""The folder of a study in which the seeds of each arm are scored together."""
MEMBERS = "members.json"
"""The runs of an ensemble, each with the SHA-256 of its counts."""

Row = dict[str, Any]
_Names = Annotated[tuple[str, ...], Field(strict=False)]


class Record(BaseModel):
    """A record with checked types; entries of newer versions are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, extra="ignore")


class MovedTensors(Record):
    """What a run took from its start; see [`Moved`][headstart.training.starts.Moved]."""

    name: str
    weights_sha256: str | None = None
    moved: _Names = ()
    adapted: _Names = ()
    fresh: _Names = ()
    unused: _Names = ()
    prefix: str = ""


class StartPictures(Record):
    """Numbers of a pretext's pictures that are held out in the run that starts from it.

    Attributes:
        pictures: all pictures of the pretext.
        copies: those that are also validation or test pictures.
        near: those that nearly are.
        dropped: whether these were left out.
        compared_with: the splits that were compared.
        same_data: whether pretext and run have the same dataset.
    """

    pictures: int
    copies: int
    near: int
    dropped: bool
    compared_with: _Names
    same_data: bool


class UnlabelledPictures(Record):
    """The pictures without labels that a semi-supervised run learned from.

    Attributes:
        source: where they came from, in words.
        pictures: how many.
        left_out: how many were left out as copies of validation or test frames.
    """

    source: str
    pictures: int
    left_out: int


class LabelCounts(Record):
    """Numbers of labelled pictures that a run trains on and validates on."""

    train: int
    validation: int


class ValidationWindows(Record):
    """Numbers of windows of the validation pictures of a run on tiles.

    Attributes:
        predicted: those that every validation during training predicts.
        all: those that cover the pictures.
    """

    predicted: int
    all: int


class Environment(Record):
    """The content of ``environment.json``: versions, hardware and data of a run.

    Attributes:
        versions: of Python and packages, by name.
        system: the operating system.
        cpu: the processor.
        cores: how many the machine has.
        gpu: the GPU that trained; None if it was the processor.
        executor: what started the run: ``"local"``, or a cluster's. Like the next three, older
            versions did not record it.
        host_class: the kind of machine, without its name.
        device: the device that trained.
        precision: of the products in training.
        threads: how many computed.
        data: SHA-256 of the inputs, by name.
        data_path: path from the run's folder to a dataset that was given by a relative path; older
            versions did not record it.
        labels: numbers of labelled pictures; None for a pretext.
        unlabelled: the pictures without labels of a semi-supervised run.
        validation_windows: the windows that validate each epoch; None if it is not on tiles, and in
            runs of older versions, where all do.
        start: what was taken from the start; None for a pretext from new weights.
        start_pictures: how the start's pictures relate to held-out ones, if it was a pretext.
        source: where the pictures of a pretext came from; None for other runs.
        pictures: pictures of a pretext by split; None for other runs.
    """

    versions: dict[str, str]
    system: str
    cpu: str
    cores: int | None
    gpu: str | None
    executor: str | None = None
    host_class: str | None = None
    device: str | None = None
    precision: str | None = None
    threads: int
    data: dict[str, str]
    data_path: str | None = None
    labels: LabelCounts | None = None
    unlabelled: UnlabelledPictures | None = None
    validation_windows: ValidationWindows | None = None
    start: MovedTensors | None = None
    start_pictures: StartPictures | None = None
    source: str | None = None
    pictures: dict[str, int] | None = None


class Timing(Record):
    """A line of ``timing.jsonl``: an epoch, or computing the features of frozen layers."""

    epoch: int
    steps: int
    train_seconds: float
    validation_seconds: float
    stage: str = ""

    @property
    def seconds(self) -> float:
        """Time spent on training and validation."""
        return self.train_seconds + self.validation_seconds


class LeakRecord(Record):
    """The content of ``leaks.json``: pictures of a pretext that are also held out.

    Attributes:
        compared_with: the splits that were compared.
        pictures: number of pictures of the pretext.
        copies: paths of pictures that are also validation or test pictures.
        near: paths of pictures that nearly are.
        dropped: whether these were left out.
    """

    compared_with: _Names
    pictures: int
    copies: _Names
    near: _Names
    dropped: bool


class _Metrics(BaseModel):
    """The form of a line of ``metrics.jsonl``: an epoch's numbers by name."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, extra="allow")
    __pydantic_extra__: dict[str, float | bool | None]

    epoch: int
    step: int
    train_loss: float | None = None
    validation_loss: float | None = None


_R = TypeVar("_R", bound=BaseModel)


def read_environment(run: Path) -> Environment:
    """Return the content of ``environment.json``.

    Raises:
        DataError: it is missing or damaged.
    """
    return _read(run, ENVIRONMENT, Environment)


def read_leaks(run: Path) -> LeakRecord:
    """Return the content of ``leaks.json``, which pretexts have.

    Raises:
        DataError: it is missing or damaged.
    """
    return _read(run, LEAKS, LeakRecord)


def read_scores(run: Path, form: type[BaseModel]) -> dict[str, Any]:
    """Return the content of ``scores.json``, as it was written.

    Args:
        run: folder of the run.
        form: which scores must be there, and their types.

    Raises:
        DataError: it is missing or damaged.
    """
    path = run / SCORES
    scores = parse_json(read_record(run, SCORES), path)
    checked(scores, form, path)
    return dict(scores)


def read_metrics(run: Path, stage: str = "") -> tuple[Row, ...]:
    """Return the lines of ``metrics.jsonl``, one an epoch.

    Args:
        run: folder of the run.
        stage: name of the stage of training; empty for the last.

    Raises:
        DataError: it is missing or damaged.
    """
    name = f"{stage}/{METRICS}" if stage else METRICS
    return tuple(dict(row) for row, _ in _lines(run, name, _Metrics))


def read_timing(run: Path) -> tuple[Timing, ...]:
    """Return the lines of ``timing.jsonl``; one that a kill tore is passed over.

    Raises:
        DataError: it is missing or damaged.
    """
    return tuple(timing for _, timing in _lines(run, TIMING, Timing))


def seconds_of(run: Path) -> float:
    """Return the time that a run spent on training and validation, repeated epochs included.

    Raises:
        DataError: ``timing.jsonl`` is missing or damaged.
    """
    return sum(line.seconds for line in read_timing(run))


def _lines(run: Path, name: str, form: type[_R]) -> list[tuple[Any, _R]]:
    """Return each line as it was written and as a record of this form.

    What follows the last newline was being written when it stopped.
    """
    path, rows = run / name, []
    for number, line in enumerate(read_record(run, name).split(b"\n")[:-1], 1):
        value = parse_json(line, path, number)
        rows.append((value, checked(value, form, path, number)))
    return rows


def _read(run: Path, name: str, form: type[_R]) -> _R:
    path = run / name
    return checked(parse_json(read_record(run, name), path), form, path)


def checked(value: Any, form: type[_R], path: Path, line: int | None = None) -> _R:
    """Return a JSON value as a record of this form.

    Raises:
        DataError: an entry is missing, or has another type or an impossible value.
    """
    try:
        return form.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        reason = first["msg"][:1].lower() + first["msg"][1:]
        raise damaged(path, f"{name}: {reason}" if name else reason, line) from None


def path_from(run: Path, data: str) -> str | None:
    """Return the path from a run's folder to its dataset.

    None if ``data`` is absolute or a word such as ``fashion-mnist``, or if the path would name
    folders that ``data`` does not, such as that of a user: records are published.
    """
    if Path(data).is_absolute() or not Path(data).exists():
        return None
    path = Path(os.path.relpath(Path(data).resolve(), run.resolve()))
    named = [part for part in path.parts if part != ".."]
    given = [part for part in Path(data).parts if part != ".."]
    return path.as_posix() if named == given[max(0, len(given) - len(named)) :] else None


def data_folder(run: Path, data: str) -> Path:
    """Return where the dataset of a run is, from whatever directory this is asked.

    Args:
        run: folder of the run.
        data: the dataset in its ``config.json``, as it was given.
    """
    recorded = _recorded(run)
    if recorded is None or Path(data).is_absolute():
        return Path(data)
    path = Path(os.path.normpath(run.resolve() / recorded))
    return path if path.exists() or not Path(data).exists() else Path(data)


def looked_for(run: Path, data: str) -> str:
    """Return where [`data_folder`][] looked for a dataset that is not there, in words."""
    if Path(data).is_absolute():
        return data
    if (recorded := _recorded(run)) is None:
        return f"{data} (relative to the current directory)"
    return (
        f"{recorded} (relative to the run's folder {run}), nor at {data} (relative to the current "
        "directory)"
    )


def _recorded(run: Path) -> str | None:
    try:
        return read_environment(run).data_path
    except DataError:  # whoever needs the record itself reports it
        return None
