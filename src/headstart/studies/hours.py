"""From some hours to the options of a study: gathers the facts, measures, and proposes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from headstart.config.methods import start_of_arm
from headstart.config.options import StudyOptions
from headstart.config.records import PretextConfig, RunConfig, StudyConfig
from headstart.config.start_names import IMAGENET, OF_GREY, PRETEXT_NAMES, SCRATCH
from headstart.config.task_settings import TASKS, UNET
from headstart.data.layouts.dataset import LABELLED
from headstart.data.task import TaskName
from headstart.data.training_size import ANY_SIZE, tile_size
from headstart.errors import UsageError
from headstart.studies.costs import Cost, cost_of_study
from headstart.studies.pace import Pace, pace_of, pace_of_pretext
from headstart.studies.plan import unbegun
from headstart.studies.proposal import FOLDS, Design, Facts, Proposal, propose
from headstart.tasks.budgets import sizes_in_folds
from headstart.tasks.interface import DatasetSize, LabelledTask
from headstart.tasks.lookup import labelled_task
from headstart.tasks.pretext import PretextPictures, colour_warnings, pictures_of

_OF_DESIGN = tuple(each.name for each in fields(Design) if each.name != "tiles")


@dataclass(frozen=True)
class Measured:
    """Paces that were measured, so that each is measured once."""

    paces: dict[tuple[object, ...], Pace] = field(default_factory=dict)

    def of_run(self, run: RunConfig, sizes: DatasetSize, own_size: tuple[int, int] | None) -> Pace:
        """Return the pace of a run; as [`pace_of`][headstart.studies.pace.pace_of]."""
        taught = run.recipe.taught_by() is not None
        of_network = (run.model, run.size, run.framing, run.width, run.tune)
        key = (run.data, *of_network, run.folds, taught)
        if key not in self.paces:
            self.paces[key] = pace_of(run, sizes, own_size)
        return self.paces[key]

    def of_pretext(self, config: PretextConfig, pictures: PretextPictures) -> Pace:
        """Return that of a pretext; all pretexts take about as long."""
        key = ("pretext", config.size, config.framing, config.width)
        if key not in self.paces:
            self.paces[key] = pace_of_pretext(config, pictures)
        return self.paces[key]


def wants_proposal(options: StudyOptions) -> bool:
    """Return whether a study is proposed: hours are given, or nothing about its size is.

    >>> wants_proposal(StudyOptions()), wants_proposal(StudyOptions(seeds=5))
    (True, False)
    >>> wants_proposal(StudyOptions(seeds=5, hours=2.0))
    True
    """
    said = bool(_given(options)) or options.labels is not None or options.tile
    return options.hours is not None or not said


def _given(options: StudyOptions) -> frozenset[str]:
    """Return which fields of a design the options give."""
    given = {name for name in _OF_DESIGN if getattr(options, name) is not None}
    if options.epochs is not None:
        given.add("steps")
    if options.looks is not None:
        given.add("seeds")
    if options.methods is not None:  # each multiplies the starts
        given.add("starts")
    if options.score not in (None, "test"):  # folds have no other split
        given.add("folds")
    return frozenset(given)


def proposed(
    options: StudyOptions, config: StudyConfig, dataset: Any, hours: float, chosen_jobs: int = 1
) -> tuple[StudyOptions, Proposal, Measured]:
    """Return the options with those that were not given chosen.

    Args:
        options: of ``study``.
        config: what they and the defaults give, on this machine.
        dataset: result of the task's ``open``.
        hours: how long the study may take.
        chosen_jobs: runs at a time, if nobody has said how many; 1: somebody has.
    """
    facts = replace(_facts(options, config, dataset), chosen_jobs=chosen_jobs)
    measured, before = Measured(), facts.design

    def cost(design: Design) -> Cost:
        planned = unbegun(_config_of(design, facts, config, options, dataset), dataset)
        takes = cost_of_study(planned, True, measured.of_run, measured.of_pretext)
        return replace(takes, seconds=takes.elapsed(options.jobs))

    proposal = propose(facts, hours, cost)
    design = proposal.design
    chosen: dict[str, Any] = {}
    for name in _OF_DESIGN:
        if name not in facts.given and getattr(design, name) is not None:
            chosen[name] = getattr(design, name)
    for name in ("size", "width", "steps"):  # otherwise the defaults say the same
        if getattr(design, name) == getattr(before, name):
            chosen.pop(name, None)
    if design.tiles:
        chosen["tile"] = True
    if "steps" in chosen:
        chosen["pretext_steps"] = _pretext_steps(design, before, config, options, dataset)
    return replace(options, **chosen), proposal, measured


def _facts(options: StudyOptions, config: StudyConfig, dataset: Any) -> Facts:
    task = labelled_task(config.task)
    given = _given(options)
    starts, why = config.starts, ""
    if "starts" not in given:
        starts, why = starts_for(config.model, config.task, dataset)
    sizes = task.sizes(dataset).pictures
    labelled, units = _units(task, task.pooled(dataset), LABELLED)
    tested = _units(task, dataset, config.score)[0] if sizes[config.score] else 0
    design = Design(
        starts=starts,
        folds=config.folds,
        seeds=len(config.seeds),
        size=config.size,
        width=config.width,
        steps=config.recipe.total_steps(config.labels[-1], sizes["train"]),
        tiles=config.framing == "tile",
    )
    hidden = task.hidden_objects(dataset)
    of_pretext = (
        options.pretext_recipe, options.pretext_epochs, options.pretext_steps, options.drop_leaks,
    )  # fmt: skip
    return Facts(
        design=design,
        given=given,
        why_starts=why,
        tested=tested,
        units=units,
        labelled=labelled,
        folds=tuple(n for n in FOLDS if _foldable(n, options, config, task, dataset)),
        comparisons=len(config.labels) * len(config.tunes),
        on_frames=task.score.name == "dice" and units == "frames",
        encoder=TASKS[config.task].unet and config.model != UNET,
        tile=_tile(options, config, task, dataset),
        hides=lambda size: (classes := hidden(size)) is not None and classes.most,
        keeps_pretext=start_of_arm(options.against or "") in PRETEXT_NAMES or any(of_pretext),
    )


def starts_for(model: str, task: TaskName, dataset: Any) -> tuple[tuple[str, ...], str]:
    """Return the starts of a network worth comparing, and why; nothing is downloaded.

    Args:
        model: the network.
        task: of the runs.
        dataset: result of the task's ``open``.
    """
    settings = TASKS[task]
    with_pretext, why = settings.starts, "colorization has scored highest so far"
    if settings.pretexts and colour_warnings(pictures_of(dataset), settings.starts):
        with_pretext, why = (SCRATCH, OF_GREY[0]), f"{OF_GREY[0]} needs no colour"
    if model == UNET:
        return with_pretext, f"of the pretexts, {why}"
    from headstart.models.published import at_hand

    if not at_hand(model):
        if settings.pretexts:
            return with_pretext, f"published weights of {model} are not at hand"
        return settings.starts, f"published weights of {model} will be downloaded"
    here = f"published weights of {model} are at hand"
    if settings.pretexts and any(dataset.unlabelled.values()):
        return (*with_pretext, IMAGENET), f"{here}; of the pretexts, {why}"
    return (SCRATCH, IMAGENET), here


def _units(task: LabelledTask, dataset: Any, split: str) -> tuple[int, str]:
    """Return how many pictures a split has, or groups if known, and the word for them."""
    groups = task.groups(dataset, split)
    count = len({(i,) if group is None else group for i, group in enumerate(groups)})
    return count, "groups" if any(groups) else task.measures.units


def _tile(
    options: StudyOptions, config: StudyConfig, task: LabelledTask, dataset: Any
) -> tuple[int, int] | None:
    """Return the size of tiles; None: these pictures are not cut into tiles."""
    settings = TASKS[config.task]
    if options.squeeze or "tile" not in settings.framings or settings.names_another(options.recipe):
        return None
    return tile_size(task.fitting_size(dataset, ANY_SIZE) or config.size, config.device)


def _foldable(
    folds: int, options: StudyOptions, config: StudyConfig, task: LabelledTask, dataset: Any
) -> bool:
    """Return whether so many folds can be made, and leave enough pictures for every budget."""
    try:
        left = sizes_in_folds(task, dataset, folds).pictures["train"]
    except UsageError:
        return False
    budgets = set(config.labels)
    if options.labels is None or "all" in str(options.labels):  # whatever is left
        budgets.discard(task.sizes(dataset).pictures["train"])
    return all(budget <= left for budget in budgets)


def _config_of(
    design: Design, facts: Facts, config: StudyConfig, options: StudyOptions, dataset: Any
) -> StudyConfig:
    """Return the configuration of a design, as far as its cost depends on it."""
    changed: dict[str, Any] = {
        "starts": design.starts,
        "folds": design.folds,
        "size": design.size,
        "framing": "tile" if design.tiles else config.framing,
        "width": design.width,
    }
    if len(config.seeds) != design.seeds:
        changed["seeds"] = tuple(range(1, design.seeds + 1))
    if design.folds is not None and options.labels in (None, "all"):
        sizes = sizes_in_folds(labelled_task(config.task), dataset, design.folds)
        changed["labels"] = (sizes.pictures["train"],)
    if design.steps != facts.design.steps:
        changed["recipe"] = config.recipe.with_steps(design.steps)
        steps = _pretext_steps(design, facts.design, config, options, dataset)
        if steps is not None:
            changed["pretext_recipe"] = config.pretext_recipe.with_steps(steps)
    return config.model_copy(update=changed)


def _pretext_steps(
    design: Design, before: Design, config: StudyConfig, options: StudyOptions, dataset: Any
) -> int | None:
    """Return the pretext's number of steps, in proportion; None: as it is, or there is none."""
    if options.pretext_epochs is not None:
        return None
    pictures = unbegun(config.model_copy(update={"starts": design.starts}), dataset).pictures
    if options.pretext_steps is not None or pictures is None:
        return options.pretext_steps
    steps = config.pretext_recipe.total_steps(len(pictures.train), len(pictures.train))
    return max(1, round(steps * design.steps / before.steps))
