"""The units of work of a study: each is one run or pretext, named by its folder in the study's.

``units.json`` in the study's folder lists them, each with what it needs first. So a worker that is
given the study's folder and the name of a unit knows all about it without hashing any picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, Field

from headstart.config.methods import start_of_arm
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.start_names import PRETEXT_NAMES, SCRATCH_LONGER
from headstart.errors import DataError, Finding
from headstart.records.run_records import Record, checked
from headstart.records.vouching import UNITS, parse_json, read_record, sealed, unsealed
from headstart.studies.cells import Cell, cells, pretext_config, pretexts_of, run_config
from headstart.studies.plan import Plan, steps_of
from headstart.system.disk import json_text, write_atomic
from headstart.tasks.lookup import task_named


class Unit(Record):
    """One run or pretext to train.

    Attributes:
        name: its folder inside the study's.
        about: what is trained, in words.
        seed: its seed; units of earlier seeds begin first.
        steps: the most optimizer steps of one of its trainings; one fold of a cross-validation.
        trainings: how many folds it trains.
        needs: names of the pretexts that must finish first: none, one, or one for each fold.
        pretext: name of the pretext that it trains; None for a run.
        fold: the fold whose pictures a pretext learns from; None: all share its pictures.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    about: str
    seed: int = 0
    steps: int = 1
    trainings: int = 1
    needs: tuple[str, ...] = Field(default=(), strict=False)
    pretext: str | None = None
    fold: int | None = None

    @property
    def length(self) -> int:
        """How long it takes beside other units: all its optimizer steps."""
        return self.steps * self.trainings


class _Units(Record):
    model_config = ConfigDict(extra="forbid")

    schema_: int = Field(alias="schema")
    units: tuple[Unit, ...] = Field(strict=False)


def units_of(planned: Plan, of: Iterable[Cell] | None = None) -> list[Unit]:
    """Return the units of a study, seed by seed, each pretext before its runs.

    Args:
        planned: plan of the study.
        of: the runs; by default those that are left. Only pretexts that these need are included.
    """
    config = planned.config
    wanted = tuple(planned.todo if of is None else of)
    pretexts = pretexts_of(config)
    units: list[Unit] = []
    for seed in config.seeds:
        of_seed = [cell for cell in wanted if cell.seed == seed]
        longer = any(cell.start == SCRATCH_LONGER for cell in of_seed)
        needed = {start_of_arm(cell.start) for cell in of_seed} & set(PRETEXT_NAMES)
        needed |= set(pretexts[:1] if longer else ())  # whose steps scratch-longer adds
        for name in (name for name in pretexts if name in needed):
            units += _pretexts(planned, name, seed)
        for cell in of_seed:
            start = start_of_arm(cell.start)
            pretext = start if start in PRETEXT_NAMES else None
            if cell.start == SCRATCH_LONGER:
                pretext = pretexts[0]
            needs = planned.folders[pretext, seed] if pretext else ()
            steps = steps_of(planned, cell)
            unit = Unit(name=cell.run, about=str(cell), seed=seed, steps=steps, needs=needs)
            units.append(unit.model_copy(update={"trainings": config.folds or 1}))
    return units


def _pretexts(planned: Plan, name: str, seed: int) -> list[Unit]:
    assert planned.pictures is not None
    count, folders = len(planned.pictures.train), planned.folders[name, seed]
    steps, units = planned.config.pretext_recipe.total_steps(count, count), []
    for number, folder in enumerate(folders, 1):
        fold = number if len(folders) > 1 else None
        about = f"pretext {name}, seed {seed}" + ("" if fold is None else f", fold {fold}")
        unit = Unit(name=folder, about=about, seed=seed, steps=steps, pretext=name, fold=fold)
        units.append(unit)
    return units


def write_units(out: Path, units: Sequence[Unit]) -> None:
    """Write ``units.json``."""
    record = {"schema": 1, "units": [unit.model_dump() for unit in units]}
    write_atomic(out / UNITS, json_text(sealed(record)))


def read_units(out: Path) -> tuple[Unit, ...]:
    """Return the units of a study; none if an older version made it.

    Raises:
        DataError: ``units.json`` is damaged.
    """
    path = out / UNITS
    if not path.exists():
        return ()
    record = unsealed(parse_json(read_record(out, UNITS), path), path)
    return checked(record, _Units, path).units


def unit_named(out: Path, name: str) -> Unit:
    """Return the unit with this name.

    Raises:
        DataError: the study has none.
    """
    for unit in read_units(out):
        if unit.name == name:
            return unit
    message = f"{out} is no study with a unit {name}"
    hint = "name a folder of its runs or starts, as in units.json"
    raise DataError(Finding("no-such-unit", "error", message, hint))


def config_of(config: StudyConfig, unit: Unit, out: Path) -> RunConfig | PretextConfig:
    """Return the configuration of a unit whose pretexts are finished.

    Args:
        config: configuration of the study.
        unit: the unit.
        out: folder of the study.

    Raises:
        DataError: the scores of a pretext are damaged, or the study has no such run.
    """
    if unit.pretext is not None:
        return pretext_config(config, unit.pretext, unit.seed, unit.fold)
    cell = next((cell for cell in cells(config) if cell.run == unit.name), None)
    if cell is None:
        message = f"{out} is no study with a unit {unit.name}"
        raise DataError(Finding("no-such-unit", "error", message))
    if cell.start != SCRATCH_LONGER or not unit.needs:
        return run_config(config, cell)
    read_scores = task_named("pretext").read_scores
    steps = max(read_scores(out / need)["steps"] for need in unit.needs)
    per_epoch = max(1, unit.steps // config.recipe.epochs)
    return run_config(config, cell, config.recipe.longer(steps, per_epoch))


@dataclass(frozen=True)
class Queue:
    """The order in which units begin.

    Attributes:
        chains: the length of each unit with the longest unit that needs it, by name.
        places: the place of each unit's seed among the seeds, and its own among all units.
    """

    chains: Mapping[str, int]
    places: Mapping[str, tuple[int, int]]

    def next(self, ready: Sequence[Unit], left: Sequence[Unit], at_a_time: int) -> Unit:
        """Return the unit to begin next.

        Seeds are finished in order, so that a study which is stopped has complete seeds. Within a
        seed, and towards the end of the study, the longest begins first, so that none is waited
        for while there is nothing else to do.

        Args:
            ready: units that can begin.
            left: all units that have not finished.
            at_a_time: how many are trained at a time.
        """
        if at_a_time == 1:
            return min(ready, key=lambda unit: self.places[unit.name])
        longest = max(self.chains[unit.name] for unit in left)
        at_the_end = sum(unit.length for unit in left) <= 2 * at_a_time * longest

        def key(unit: Unit) -> tuple[int, int, int]:
            seed, own = self.places[unit.name]
            return 0 if at_the_end else seed, -self.chains[unit.name], own

        return min(ready, key=key)


def queue_of(units: Sequence[Unit]) -> Queue:
    """Return the order of units; each follows what it needs.

    >>> long, short = Unit(name="a", about="", steps=9), Unit(name="b", about="", steps=2)
    >>> first = Unit(name="c", about="", steps=1)
    >>> after = Unit(name="d", about="", steps=9, needs=("c",))
    >>> units = [short, long, first, after]
    >>> queue_of(units).next([short, long, first], units, 2).name
    'c'
    """
    after: dict[str, int] = {}
    for unit in reversed(units):
        for need in unit.needs:
            after[need] = max(after.get(need, 0), unit.length + after.get(unit.name, 0))
    seeds = list(dict.fromkeys(unit.seed for unit in units))
    chains = {unit.name: unit.length + after.get(unit.name, 0) for unit in units}
    places = {unit.name: (seeds.index(unit.seed), i) for i, unit in enumerate(units)}
    return Queue(chains, places)
