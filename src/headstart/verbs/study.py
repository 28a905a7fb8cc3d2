"""``headstart.study``: which start is better, for how many labels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from headstart.config.begun import options_as_begun, study_before
from headstart.config.files import read_study_config
from headstart.config.methods import parted
from headstart.config.option_values import AUTO, Listed, Size
from headstart.config.options import PretextRecipeOption, RecipeOption, StudyOptions
from headstart.config.records import StudyConfig
from headstart.config.resolve import study_config
from headstart.config.start_names import PRETEXT_NAMES
from headstart.config.task_settings import ENCODER
from headstart.data.checks.small_test import small_test_split
from headstart.data.layouts.dataset import LABELLED as LABELLED_SPLIT
from headstart.errors import Finding, UsageError
from headstart.studies.backends import Backend
from headstart.studies.costs import Cost, cost_of_study
from headstart.studies.hours import Measured, proposed, starts_for, wants_proposal
from headstart.studies.job_script import asks_for_gpu, parse_slurm
from headstart.studies.plan import plan, prospects_of
from headstart.studies.proposal import NIGHT, Proposal
from headstart.studies.units import units_of
from headstart.system.devices import cuda_devices, device_names, has_cuda, pick_device
from headstart.system.processor import available_threads
from headstart.tasks.budgets import sizes_in_folds
from headstart.tasks.interface import LabelledTask
from headstart.tasks.lookup import find_task
from headstart.tasks.pretext import colour_warnings, pictures_of
from headstart.training.listener import SILENT, Listener, ignore
from headstart.verbs.default_framing import tiles_where_thin
from headstart.verbs.default_network import about_study, encoder_for_study
from headstart.verbs.machine import Jobs, on_this_machine


@dataclass(frozen=True)
class StudyResult:
    """A study that was run, or its plan.

    Attributes:
        folder: the study's folder.
        config: every setting that decides the result, with what the folder already held.
        findings: warnings about the data.
        study: the content of ``study.json``; None for a plan.
        done: the number of runs that were finished before, of a plan.
        cost: what the other runs would take, of a plan; else None.
        prospects: the smallest differences that the study could show, of a plan with five finished
            seeds; see [`headstart.studies.verdicts.prospects`][].
        proposal: of a plan, what was chosen for ``hours``; None if nothing was.
        script: of a plan for SLURM, the script of its first jobs.
        jobs: runs at a time.
    """

    folder: Path
    config: StudyConfig
    findings: tuple[Finding, ...]
    study: dict[str, Any] | None = None
    done: int = 0
    cost: Cost | None = None
    prospects: tuple[dict[str, Any], ...] = ()
    proposal: Proposal | None = None
    script: str | None = None
    jobs: int = 1


def study(
    data: Path | str,
    *,
    task: Literal["segmentation", "classification"] | None = None,
    model: str | None = None,
    starts: Listed | None = None,
    methods: Listed | None = None,
    against: str | None = None,
    tunes: Listed | None = None,
    labels: int | str | Sequence[int | str] | None = None,
    seeds: int | str | Sequence[int] | None = None,
    looks: int | str | Sequence[int] | None = None,
    folds: int | None = None,
    out: Path | str | None = None,
    recipe: RecipeOption | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    pretext_recipe: PretextRecipeOption | None = None,
    pretext_epochs: int | None = None,
    pretext_steps: int | None = None,
    size: Size | None = None,
    tile: bool = False,
    squeeze: bool = False,
    width: int | None = None,
    score: str | None = None,
    drop_leaks: bool = False,
    margin: float | None = None,
    jobs: int | None = None,
    on: Literal["local", "slurm", "ray"] = "local",
    slurm: str | Mapping[str, str] | None = None,
    ray: str | None = None,
    hours: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: Literal["float32", "bfloat16"] | None = None,
    checkpoint_seconds: float = 10.0,
    dry_run: bool = False,
    listener: Listener | None = None,
    tell: Callable[[str], None] | None = None,
) -> StudyResult:
    """Compare starts over label budgets and seeds, as ``headstart study`` does.

    The same call resumes a study; seeds, budgets and starts may be added. A finished run is never
    run again.

    Args:
        data: the dataset's folder.
        task: what to learn; by default segmentation if the data have masks.
        model: ``"unet"``, or a classifier, torchvision's or ``timm/NAME``; for segmentation it
            becomes the encoder. The default is that of [`train`][headstart.verbs.train.train].
        starts: the starts to compare, in a sequence or in a text with commas; by default scratch
            and colorization; if that encoder is chosen, scratch, ImageNet's weights, and a pretext
            if there are pictures without labels; for classification scratch and ImageNet's weights.
        methods: ways to train from each start: ``"supervised"``, ``"semi-supervised"`` (from
            pictures without labels, too) and its control of equal cost, ``"supervised-longer"``;
            by default supervised.
        against: the start that the others are compared with; by default ``"scratch"``, else the
            first.
        tunes: which layers to train: ``"all"``, ``"head"``, ``"last:N"``, ``"staged"``, or several;
            by default all.
        labels: one label budget or several, for example ``[30, 75, "all"]``; by default all.
        seeds: how many, or in a sequence which; by default 5, or as many as the first look has.
        folds: cross-validate: every labelled picture is a test picture once for each seed; for data
            with few test pictures.
        out: the study's folder; by default ``studies/NAME-OF-DATA``.
        recipe: a recipe: its name, its ``.toml`` or ``.json`` file, or a value.
        epochs: the maximum number of epochs, each as long as a pass over the training split.
        steps: the number of optimizer steps; by default the recipe's.
        pretext_recipe: the recipe of the pretexts.
        pretext_epochs: the maximum number of pretext epochs.
        pretext_steps: the number of optimizer steps of each pretext.
        size: height and width to train at; by default what fits the pictures, see
            [`headstart.data.training_size`][].
        tile: train on tiles of that size, which are cut from the pictures at their own size. This
            is the default where smaller pictures would hide thin objects, unless ``size`` or
            ``squeeze`` is given.
        squeeze: resize pictures to that size whatever their shape, as older versions did, and pad
            none.
        width: channels of a segmentation network's finest level.
        score: the split that each run scores once, at its end: ``"test"``, the default, or
            ``"validation"``.
        drop_leaks: leave pictures that are also validation or test frames out of the pretexts.
        margin: the smallest difference in the score that matters, by default 0.02: starts whose
            interval lies within it are practically equal. It cannot change once a study has begun.
        looks: the numbers of seeds at which the study is compared, for example ``[5, 10, 20]``, if
            seeds may be added after a look. They cannot change once a study has begun; see
            [`headstart.studies.looks`][].
        jobs: runs at a time, each in its own process, spread over the devices; by default one for
            each device that is named, else one, or, where a study is chosen for some hours on a
            CPU, or is resumed, as many as there are threads for; elsewhere as many as SLURM or Ray
            starts.
        on: where to train: ``"local"``, in processes on this machine; ``"slurm"``, as jobs of
            SLURM, which must see the same folders; ``"ray"``, as tasks of a Ray cluster, the same.
        slurm: options of ``sbatch``: ``"partition=gpu,time=2:00:00"``, or a mapping.
        ray: address of the Ray cluster, ``"HOST:PORT"`` or ``"auto"``; by default Ray is started on
            this machine.
        hours: how long a new study may take: what is not given of starts, folds, seeds, size, width
            and steps is chosen to fit. By default that is done for 8 hours, a night, if none of
            these, nor ``methods``, ``labels``, ``looks``, ``score="validation"``, ``tile`` or
            ``epochs``, is given.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``, or one or several as
            ``"cuda:0,cuda:1"``. Several jobs share all CUDA devices that are visible, unless some
            are named.
        threads: CPU threads of a run; by default all, shared by the jobs.
        precision: of the products in training, ``"float32"`` or ``"bfloat16"``; by default bfloat16
            where it is faster.
        checkpoint_seconds: seconds between checkpoints of a run.
        dry_run: only plan: train and write nothing, and time a few steps.
        listener: hears how each training goes, where one runs at a time, and warnings.
        tell: hears what was chosen, and a line for each run that is finished.

    Raises:
        HeadstartError: options or data are wrong, or as
            [`headstart.studies.study.study`][headstart.studies.study.study].
    """
    if ray is not None and on != "ray":
        message = f"--ray {ray} is the address of a cluster, but --on is {on}"
        raise UsageError(Finding("ray-unused", "error", message, "add --on ray"))
    data = Path(data)
    folder = Path(out) if out is not None else Path("studies") / (data.resolve().name or "study")
    names = device_names(device)
    shares_nothing_yet = jobs is None and threads is None and on == "local"
    jobs = len(names) if jobs is None and on == "local" else jobs
    asked = parse_slurm(slurm)
    if asked and on != "slurm":
        message, hint = "--slurm is given, but not --on slurm", "add --on slurm"
        raise UsageError(Finding("bad-slurm", "error", message, hint))
    before = study_before(folder)
    if on != "local" and before is None and threads is None:
        threads = int(asked.get("cpus-per-task", 1))  # many runs fill the cores of a cluster
    if shares_nothing_yet and before is not None and before.device == "cpu":
        jobs = max(1, available_threads() // before.threads)
    options = StudyOptions(
        task=task,
        model=model,
        starts=starts,
        methods=methods,
        against=against,
        tunes=tunes,
        labels=labels,
        seeds=seeds,
        folds=folds,
        recipe=recipe,
        epochs=epochs,
        steps=steps,
        pretext_recipe=pretext_recipe,
        pretext_epochs=pretext_epochs,
        pretext_steps=pretext_steps,
        size=size,
        tile=tile,
        squeeze=squeeze,
        width=width,
        score=score,
        drop_leaks=drop_leaks,
        margin=margin,
        looks=looks,
        jobs=jobs or 1,
        hours=hours,
        device=names[0],
        threads=threads,
        precision=precision,
    )
    chooses_jobs = shares_nothing_yet and before is None and wants_proposal(options)
    if chooses_jobs and names[0] in (AUTO, "cpu") and pick_device(names[0]) == "cpu":
        jobs = available_threads()  # one thread each: docs/decisions/0037-hours.md
        options = replace(options, jobs=jobs)
    problem, open_data = find_task(data, task)
    dataset = open_data()
    if before is not None:
        options = options_as_begun(options, before)
    fitting_size = functools.cache(functools.partial(problem.fitting_size, dataset))
    proposes = before is None and wants_proposal(options)
    options, thin = tiles_where_thin(
        options, problem.name, fitting_size, problem.hidden_objects(dataset), before
    )
    if before is None and encoder_for_study(options, problem.name, fitting_size):
        options = replace(options, model=ENCODER)
        if not proposes or (against, methods) != (None, None):
            starts_of_encoder, _ = starts_for(ENCODER, problem.name, dataset)
            options = replace(options, starts=",".join(starts_of_encoder))
    config = _resolved(options, data, problem, dataset, before)
    told, hear = tell or ignore, listener.finding if listener is not None else ignore
    findings = problem.warnings(dataset)
    for finding in (*problem.reading(dataset), *findings):
        hear(finding)

    elsewhere = None if on == "local" else Jobs(asks_for_gpu(asked), told)
    config = on_this_machine(config, options, before, fitting_size, elsewhere)
    more = [*about_study(model, config), *thin] if before is None else []
    sizes = problem.sizes(dataset)
    if config.folds is None and not proposes and config.score == "test" and sizes.pictures["test"]:
        tested = problem.groups(dataset, "test")
        labelled = problem.groups(problem.pooled(dataset), LABELLED_SPLIT)
        more += small_test_split(tested, labelled, problem.measures.units)
    compared = {parted(start)[0] for start in config.starts}
    if not proposes and compared.intersection(PRETEXT_NAMES):
        more += colour_warnings(pictures_of(dataset), sorted(compared))
    for finding in more:
        hear(finding)
    findings += tuple(more)

    here = elsewhere is None or config.device == "cpu" or has_cuda()
    if proposes and not here:
        message = "a study for some hours is chosen by timing steps, and this machine has no GPU"
        hint = "say what to train: --starts, --labels, --seeds, --size, --width, --steps"
        raise UsageError(Finding("bad-setting", "error", message, hint))
    spreads = on == "local" and config.device == "cuda" and (jobs or 1) > 1
    devices = cuda_devices(names) if spreads else ()
    backend = Backend(on, tuple(devices), asked, ray)
    proposal, measured = None, Measured()
    if proposes:
        told(f"Choosing a study for --hours {hours or NIGHT:g}: timing a few steps")
        chosen = options.jobs if shares_nothing_yet else 1
        options, proposal, measured = proposed(options, config, dataset, hours or NIGHT, chosen)
        config = _resolved(options, data, problem, dataset, before)
        config = on_this_machine(config, options, before, fitting_size, elsewhere)
        for line in proposal.lines:
            told(line)
    elif hours is not None:
        told(f"--hours {hours:g}: the study has begun and keeps what was chosen")
    if dry_run:
        from headstart.studies.backends import slurm_of

        planned = plan(config, folder, dataset)
        cost = cost_of_study(planned, True, measured.of_run, measured.of_pretext, timed=here)
        done, could_show = len(planned.done), prospects_of(planned, folder)
        script = None
        if on == "slurm":
            args = (planned.config, folder, checkpoint_seconds, ignore)
            executor = slurm_of(backend, jobs, *args)
            units = [unit.name for unit in units_of(planned) if not unit.needs]
            script = executor.script(units) if units else None
        plan_of = (None, done, cost, could_show, proposal, script, jobs or 1)
        return StudyResult(folder, planned.config, findings, *plan_of)
    from headstart.studies.study import study as run

    heard = (listener or SILENT, told)
    record = run(config, folder, *heard, jobs, checkpoint_seconds, dataset, backend)
    return StudyResult(folder, read_study_config(folder / "config.json"), findings, record)


def _resolved(
    options: StudyOptions,
    data: Path,
    problem: LabelledTask,
    dataset: Any,
    before: StudyConfig | None,
) -> StudyConfig:
    """Return the configuration that options ask for; "all" is what the smallest fold leaves."""
    sizes = problem.sizes(dataset)
    if options.folds is not None and options.folds > 1:  # another is refused with the options
        sizes = sizes_in_folds(problem, dataset, options.folds)
    return study_config(options, data, problem.name, sizes.pictures["train"], before)
