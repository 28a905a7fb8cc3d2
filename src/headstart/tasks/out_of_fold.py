"""Which networks have not seen a picture: of each cross-validation, that of the fold it tests.

The other networks of a cross-validation learned from the picture, or it chose their epoch.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.config.files import read_run_config
from headstart.data.layouts.dataset import LABELLED
from headstart.errors import DataError, Finding, printable
from headstart.records.calibration import read_calibration
from headstart.records.run_records import ENVIRONMENT, read_environment
from headstart.records.vouching import CONFIG
from headstart.scores.calibration import mean_temperature
from headstart.tasks.interface import LabelledTask

_COMPARED = 8  # pictures, to tell whether those of the same names are the same


@dataclass(frozen=True)
class Unseen:
    """The networks that have not seen each labelled picture of a dataset.

    Attributes:
        testers: for each picture, by its name among all labelled ones, a fold's run of each
            cross-validation.
        splits: the names of the dataset's splits.
    """

    testers: dict[str, tuple[Path, ...]]
    splits: tuple[str, ...] = ()

    def of(self, name: str, split: str | None = None) -> tuple[Path, ...]:
        """Return the runs whose networks have not seen a picture.

        Args:
            name: its name in the split; without a split, among all labelled pictures.
            split: the split of the dataset that it belongs to.

        Raises:
            DataError: no fold tested it.
        """
        if (key := self.key_of(name, split)) is not None:
            return self.testers[key]
        message = (
            f"no fold tested {printable(name)}, so it is not known which networks have seen it"
        )
        hint = "restore the records of the folds from a copy"
        raise DataError(Finding("bad-record", "error", message, hint))

    def key_of(self, name: str, split: str | None = None) -> str | None:
        """Return how ``testers`` names a picture; None if no fold tested one of its name."""
        names = (name,) if split is None or not self._prefixed else (f"{split}/{name}", name)
        return next((each for each in map(printable, names) if each in self.testers), None)

    def grouped(self, names: Iterable[str]) -> list[tuple[tuple[Path, ...], list[int]]]:
        """Return the indices of pictures by the runs that have not seen them."""
        groups: dict[tuple[Path, ...], list[int]] = defaultdict(list)
        for i, name in enumerate(names):
            groups[self.of(name)].append(i)
        return list(groups.items())

    @property
    def _prefixed(self) -> bool:
        """Whether names have that of their split in front, as where splits share names."""
        begins = tuple(f"{split}/" for split in self.splits)
        return all(name.startswith(begins) for name in self.testers)


def folds_of(run: Path) -> tuple[Path, ...]:
    """Return the runs of the folds of a finished cross-validation.

    Raises:
        DataError: its configuration is missing or damaged.
    """
    folds = read_run_config(run / CONFIG).folds
    assert folds is not None
    return tuple(run / f"fold-{k}" for k in range(1, folds + 1))


def unseen_by(task: LabelledTask, runs: Sequence[Path], splits: Iterable[str] = ()) -> Unseen:
    """Return which networks have not seen each picture.

    Args:
        task: task of the runs.
        runs: folders of finished cross-validations of the same pictures.
        splits: the names of the dataset's splits.

    Raises:
        DataError: a record is missing or damaged, or they tested different pictures.
    """
    testers: dict[str, list[Path]] = defaultdict(list)
    for run in runs:
        for fold in folds_of(run):
            for name in task.read_counts(fold).frames:
                testers[name].append(fold)
    if odd := tuple(name for name, each in testers.items() if len(each) != len(runs)):
        message = f"{runs[0].parent} holds cross-validations of different pictures"
        hint = "delete the folders that are of other pictures, and repeat the command"
        raise DataError(Finding("bad-record", "error", message, hint, odd))
    return Unseen({name: tuple(each) for name, each in testers.items()}, tuple(splits))


def are_theirs(task: LabelledTask, fold: Path, dataset: Any) -> bool:
    """Return whether the labelled pictures of a dataset are those that folds were dealt from.

    It recognises the dataset as a whole, not after a change of any labelled picture; for that case
    see [`changed_since`][].

    Args:
        task: its task.
        fold: the run of a fold.
        dataset: result of the task's ``open``.
    """
    if not (fold / ENVIRONMENT).exists():
        return False
    now = task.hashes(dataset, read_run_config(fold / CONFIG), fold)
    return now[LABELLED] == read_environment(fold).data.get(LABELLED)


def changed_since(
    task: LabelledTask, unseen: Unseen, dataset: Any, split: str, hint: str
) -> tuple[Finding, ...]:
    """Return a warning if a dataset is probably that of some folds, changed since; else nothing.

    It is if half or more of the pictures of a split have the names of pictures that they tested,
    and half or more of a few of these have the same labels.

    Args:
        task: its task.
        unseen: which folds tested what.
        dataset: result of the task's ``open``, whose labelled pictures are not [`are_theirs`][].
        split: the name of a split.
        hint: what to do.
    """
    keys = [unseen.key_of(name, split) for name in task.names(dataset, split)]
    known = [(i, key) for i, key in enumerate(keys) if key is not None]
    few = known[:: max(1, len(known) // _COMPARED)][:_COMPARED]
    counts = functools.cache(task.read_counts)

    def same(index: int, key: str) -> bool:
        of_fold = counts(unseen.testers[key][0])
        try:
            row = of_fold.counts[list(of_fold.frames).index(key)]
            return task.has_counts(dataset, split, index, row)
        except DataError:  # which predicting it says
            return False

    if 2 * len(known) < len(keys) or 2 * sum(same(*each) for each in few) < max(1, len(few)):
        return ()
    message = (
        f"{len(known)} of {len(keys)} pictures of {split} have the names of those that these folds "
        "were trained on, but the labelled pictures have changed since"
    )
    return (Finding("changed-since-folds", "warning", message, hint),)


def temperature_of_folds(folds: Iterable[Path]) -> tuple[float, int] | None:
    """Return the geometric mean of temperatures, and the predictions that they were fitted on.

    None if an older version finished a fold, which has none.

    Raises:
        DataError: a record is damaged.
    """
    records = [read_calibration(fold) for fold in folds]
    known = [record for record in records if record is not None]
    if len(known) < len(records):
        return None
    temperature = mean_temperature([record.temperature for record in known])
    return temperature, sum(record.fitted_predictions for record in known)
