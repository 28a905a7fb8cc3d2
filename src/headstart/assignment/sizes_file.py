"""``sizes.json``: the sizes chosen for ``--hours``, with which the same command continues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import TypeAdapter

from headstart.assignment.chosen import SQUARES, Chosen, choose
from headstart.assignment.costs import costs_of, time_of
from headstart.assignment.datasets import open_datasets
from headstart.assignment.missing import not_run
from headstart.assignment.settings import BEYOND, VGG16, Homework
from headstart.config.recipe_options import MOST_MINUTES
from headstart.errors import Finding, UsageError
from headstart.models.classifiers import check_network, check_size
from headstart.records.vouching import damaged
from headstart.studies.hours import Measured
from headstart.system.disk import write_json

FILE = "sizes.json"


def with_sizes(
    homework: Homework,
    hours: float | None,
    out: Path,
    jobs: int,
    measured: Measured,
    tell: Callable[[str], None],
) -> tuple[Homework, Chosen | None]:
    """Return the homework with the sizes of its folder, or chosen for some hours.

    Args:
        homework: the settings.
        hours: how long everything together may take; None: sizes are those of the scale, unless
            the folder was begun with others.
        out: the homework folder.
        jobs: number of runs at a time.
        measured: paces; gets those that are measured.
        tell: called with each line of progress.

    Raises:
        UsageError: the hours are out of range, or the folder was begun without hours.
        DataError: ``sizes.json`` is damaged.
    """
    if hours is not None and not 0 < hours <= MOST_MINUTES / 60:
        message = f"--hours is {hours:g}; expected more than 0, at most {MOST_MINUTES // 60}"
        raise UsageError(Finding("bad-setting", "error", message))
    before = read_chosen(out)
    if hours is None:
        if before is None:
            return homework, None
        # parts that did not fit are run; tunings beyond the assignment are not
        beyond = {folder: why for folder, why in before.left_out.items() if folder in BEYOND}
        return replace(_sized(homework, before), left_out=beyond), before
    if before is None and any((out / f / "config.json").exists() for f in ("a", "steplr", "2a")):
        message = f"{out} was begun without --hours, and its sizes cannot change"
        hint = "leave out --hours, or choose another --out"
        raise UsageError(Finding("settings-differ", "error", message, hint))
    if before is not None:
        tell(f"--hours {hours:g}: what was begun keeps the sizes chosen for {before.hours:g} hours")
    else:
        tell(f"Choosing sizes for --hours {hours:g}: timing a few steps")
    datasets = open_datasets(homework)
    missing = not_run(homework, datasets, out, fetch=False)

    def price(of: Homework) -> float:
        parts = costs_of(of, datasets, missing, None, measured)
        return sum(time_of(part, cost, jobs) for part, cost in parts.items())

    squares = _accepted(homework) if datasets.pictures is not None else ()
    with_data = tuple(part for part in homework.parts if part not in missing)
    chosen = choose(replace(homework, parts=with_data), hours, price, squares, before)
    parts = tuple(part for part in homework.parts if part not in chosen.left_out)
    sized = replace(_sized(homework, chosen), parts=parts, left_out=chosen.left_out)
    return sized, chosen


def _sized(homework: Homework, chosen: Chosen) -> Homework:
    return replace(homework, chosen=chosen.sizes, seeds=chosen.seeds, hours=chosen.hours)


def _accepted(homework: Homework) -> tuple[int, ...]:
    """Return the sides of square pictures that the classifier accepts."""
    model = homework.model or VGG16
    check_network(model)

    def accepts(square: int) -> bool:
        try:
            check_size(model, (square, square))
        except UsageError:
            return False
        return True

    return tuple(square for square in SQUARES if accepts(square))


def read_chosen(out: Path) -> Chosen | None:
    """Return the sizes in a homework folder; None if it has no ``sizes.json``.

    Raises:
        DataError: the file is damaged.
    """
    path = out / FILE
    if not path.exists():
        return None
    try:
        return TypeAdapter(Chosen).validate_json(path.read_bytes())
    except (OSError, ValueError) as e:  # ValidationError is a ValueError
        raise damaged(path, f"expected sizes for --hours ({type(e).__name__})") from None


def write_chosen(chosen: Chosen, out: Path) -> None:
    """Write ``sizes.json``.

    Raises:
        DiskError: it cannot be written.
    """
    write_json(out / FILE, {"schema": 1, **asdict(chosen)})
