"""Part 1 of the assignment as one command: what it runs, on the engine of every other verb.

A homework's folder::

    a/          1(a): one run from scratch, the recipe ``assignment``, seed 1
    steplr/     a study of ``scratch`` and ``colorization``, the recipe ``assignment-augmented``:
                its runs of seed 1 are 1(b) and 1(d), its colorization of seed 1 is 1(c)
    constant/   the same study without StepLR; starts/ and cache/ there lead to those of steplr/
    homework.json, report.html, report.tex, report.pdf, figures/

Every part continues where it was stopped, and a finished one answers at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.config import (
    SCRATCH,
    RunConfig,
    StudyConfig,
    make_run_config,
    make_study_config,
    read_run_config,
)
from headstart.data.batches import steps_per_epoch
from headstart.data.folders import open_dataset
from headstart.disk import disk_errors, locked
from headstart.errors import DataError, Finding, InterruptedRun, UsageError
from headstart.fit import Listener, Stopping
from headstart.forecast import bytes_of_run, seconds_per_step
from headstart.homework_report.write import Written, write_homework
from headstart.recipes import ASSIGNMENT, ASSIGNMENT_AUGMENTED, PRETEXT_ASSIGNMENT, Training
from headstart.run import train
from headstart.run_folder import check_folder, strangers
from headstart.study import expected_steps, plan, pretext_config, study

ScaleName = Literal["full", "small", "tiny"]

_OURS = (
    ".lock",
    "a",
    "steplr",
    "constant",
    "figures",
    "homework.json",
    "report.html",
    "report.tex",
    "report.pdf",
)


@dataclass(frozen=True)
class Scale:
    """How much is computed.

    Attributes:
        size: height and width of the pictures.
        width: channels of the network's first level.
        seeds: how many, unless somebody says otherwise.
        epochs: at most this many; None: as many as the assignment has.
    """

    size: tuple[int, int]
    width: int
    seeds: int = 5
    epochs: int | None = None


SCALES: dict[ScaleName, Scale] = {
    "full": Scale((256, 320), 32),
    "small": Scale((64, 80), 16),
    "tiny": Scale((32, 40), 4, seeds=1, epochs=4),
}
"""``full`` is the assignment's; ``tiny`` shows that the machinery works, in seconds."""

CONSTANT = ASSIGNMENT_AUGMENTED.model_copy(
    update={"name": "assignment-augmented-constant", "schedule": "constant"}
)
"""Parts 1(b) and 1(d) without StepLR, everything else alike."""


@dataclass(frozen=True)
class Homework:
    """All that decides its result, apart from the data's content.

    Attributes:
        data: the dataset's folder, as it was given.
        scale: one of [`SCALES`][headstart.homework.SCALES].
        seeds: 1 to this many.
        device: ``"cpu"`` or ``"cuda"``.
        threads: CPU threads of a run.
    """

    data: str
    scale: ScaleName
    seeds: int
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        """What runs and studies have in common."""
        scale = SCALES[self.scale]
        return {
            "schema": 1,
            "data": self.data,
            "size": scale.size,
            "width": scale.width,
            "device": self.device,
            "threads": self.threads,
        }


def part_a(homework: Homework) -> RunConfig:
    """1(a): from scratch, without augmentation."""
    recipe = _shortened(ASSIGNMENT, SCALES[homework.scale].epochs)
    return make_run_config(**homework.settings, seed=1, recipe=recipe)


def with_steplr(homework: Homework) -> StudyConfig:
    """1(b), 1(c) and 1(d), for every seed."""
    return _study(homework, ASSIGNMENT_AUGMENTED)


def without_steplr(homework: Homework) -> StudyConfig:
    """The same with a constant learning rate; 1(c), where it starts, is as it was."""
    return _study(homework, CONSTANT)


def _study(homework: Homework, recipe: Training) -> StudyConfig:
    scale = SCALES[homework.scale]
    labels = len(open_dataset(Path(homework.data)).splits.get("train", ()))
    if labels == 0:
        message = f"{homework.data} has no frames for train"
        raise DataError(Finding("empty-split", "error", message))
    return make_study_config(
        **homework.settings,
        starts=(SCRATCH, "colorization"),
        labels=(labels,),
        seeds=tuple(range(1, homework.seeds + 1)),
        recipe=_shortened(recipe, scale.epochs),
        pretext_recipe=_shortened(PRETEXT_ASSIGNMENT, scale.epochs),
    )


def _shortened(recipe: Training, epochs: int | None) -> dict[str, Any]:
    return {**recipe.model_dump(), "epochs": epochs or recipe.epochs}


def command(homework: Homework, out: Path) -> str:
    """The command that makes a homework's folder again.

    >>> command(Homework("hw 6", "full", 5), Path("somewhere/hand-in"))
    "headstart homework --data 'hw 6' --scale full --seeds 5 --device cpu --threads 1 --out hand-in"
    """
    words = ["headstart", "homework", "--data", homework.data, "--scale", homework.scale]
    words += ["--seeds", str(homework.seeds), "--device", homework.device]
    return shlex.join([*words, "--threads", str(homework.threads), "--out", out.resolve().name])


def begun_with(out: Path) -> RunConfig | None:
    """What part (a) of a folder was begun with; None where nothing was."""
    path = out / "a" / "config.json"
    return read_run_config(path) if path.exists() else None


def _refuse_strangers(out: Path) -> None:
    if not (out / "a").exists() and (found := strangers(out, _OURS)):
        message = f"{out} is not empty and holds no homework"
        hint = "choose another --out"
        raise UsageError(Finding("not-a-homework", "error", message, hint, found))


def do_homework(
    homework: Homework,
    out: Path,
    listener: Listener,
    tell: Callable[[str], None],
    jobs: int = 1,
    pictures: bool = True,
) -> Written:
    """Runs what is missing of part 1 and writes its report.

    Args:
        homework: all that decides the result; what the folder already holds is kept.
        out: the homework's folder; made if need be.
        listener: told how each training goes, where one runs at a time.
        tell: told in words what is done.
        jobs: how many runs of a study at a time.
        pictures: whether frames of the dataset may stand in the report.

    Returns:
        The report's files, and the content of ``homework.json``.

    Raises:
        HeadstartError: as [`train`][headstart.run.train] and [`study`][headstart.study.study];
            what is finished is kept.
    """
    _refuse_strangers(out)
    with locked(out), Stopping() as stopping:
        try:
            for _ in _parts(homework, out, listener, tell, jobs):
                if stopping.signal is not None:
                    finding = Finding("interrupted", "info", "stopped between two parts")
                    raise InterruptedRun(finding, stopping.signal)
        except InterruptedRun as stopped:
            hint = f"the same command again continues (headstart homework, --out {out})"
            finding = Finding("interrupted", "info", stopped.findings[0].message, hint)
            raise InterruptedRun(finding, stopped.exit_status - 128) from None
        tell("writing the report")
        return write_homework(out, command(homework, out), pictures)


def _parts(
    homework: Homework, out: Path, listener: Listener, tell: Callable[[str], None], jobs: int
) -> Iterator[None]:
    """Does one after the other."""
    tell("1(a): one run from scratch")
    scores = train(part_a(homework), out / "a", listener, cache=out / "steplr" / "cache")
    tell(f"1(a): dice_assignment {scores['dice_assignment']:.4f}")
    yield
    tell("1(b), 1(c) and 1(d), with StepLR")
    study(with_steplr(homework), out / "steplr", listener, tell, jobs)
    yield
    tell("1(b) and 1(d) without StepLR")
    share_starts(out)
    study(without_steplr(homework), out / "constant", listener, tell, jobs)
    yield


def share_starts(out: Path) -> None:
    """Lets ``constant/`` find the starts of ``steplr/``, trained weights and decoded pictures.

    They are the same by content: the two studies differ in how they train on labels only.
    """
    with disk_errors(out / "constant"):
        (out / "constant").mkdir(exist_ok=True)
        for name in ("starts", "cache"):
            (out / "steplr" / name).mkdir(exist_ok=True)
            if not (out / "constant" / name).exists():
                (out / "constant" / name).symlink_to(Path("..", "steplr", name))


@dataclass(frozen=True)
class Cost:
    """What one part would cost, at most: every training may stop early.

    Attributes:
        part: which.
        runs: that are to do, pretexts among them.
        steps: of all of them.
        seconds, size: about; the size in bytes.
    """

    part: str
    runs: int
    steps: int
    seconds: float
    size: int


def costs(homework: Homework, out: Path) -> list[Cost]:
    """What is to do, part by part. Writes nothing.

    Raises:
        HeadstartError: as [`do_homework`][headstart.homework.do_homework] would, where that is
            known before anything is made.
    """
    _refuse_strangers(out)
    dataset = open_dataset(Path(homework.data))
    check_folder(part_a(homework), out / "a")
    classes = len(dataset.label_map.names)
    config = part_a(homework)
    plans = [plan(make(homework), out / name) for name, make in _STUDIES.items()]
    second, size = seconds_per_step(config, classes), bytes_of_run(config, classes)
    begin = pretext_config(plans[0].config, "colorization", 1)
    pretext_second = seconds_per_step(begin, classes)
    todo = 0 if (out / "a" / "scores.json").exists() else 1
    passes = steps_per_epoch(len(dataset.splits["train"]), config.recipe.batch)
    steps = todo * config.recipe.epochs * passes
    found = [Cost("1(a)", todo, steps, steps * second, todo * size)]
    for name, its in zip(_STUDIES, plans, strict=True):
        steps, pretext_steps, pretexts = expected_steps(its)
        if name == "constant":
            pretext_steps = pretexts = 0  # those of the other study
        runs = len(its.todo) + pretexts
        seconds = steps * second + pretext_steps * pretext_second
        found.append(Cost(_NAMES[name], runs, steps + pretext_steps, seconds, runs * size))
    return found


_STUDIES = {"steplr": with_steplr, "constant": without_steplr}
_NAMES = {"steplr": "1(b), (c), (d)", "constant": "without StepLR"}
