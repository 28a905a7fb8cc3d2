"""``headstart.homework``: the assignment, all of it, with its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headstart.training.listener import SILENT, Listener, ignore

if TYPE_CHECKING:
    from headstart.studies.costs import Cost


@dataclass(frozen=True)
class HomeworkResult:
    """The assignment's report, or a plan of its runs.

    Attributes:
        folder: where everything is.
        files: the report: HTML, LaTeX and, where a LaTeX is installed, PDF; empty for a plan.
        record: the content of ``homework.json``; None for a plan.
        no_pdf: why there is no PDF; empty where there is one.
        costs: what is left to do, by part, of a plan.
        lines: size and time of each part, in words, of a plan.
        not_run: parts that a plan does not run, each with the reason.
    """

    folder: Path
    files: tuple[Path, ...] = ()
    record: dict[str, Any] | None = None
    no_pdf: str = ""
    costs: dict[str, Cost] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    not_run: dict[str, str] = field(default_factory=dict)


def homework(
    data: Path | str,
    *,
    out: Path | str = "homework",
    fashion_mnist: Path | str | None = None,
    new_data: Path | str | None = None,
    model: str | None = None,
    weights: Path | str | None = None,
    scale: Literal["full", "small", "tiny"] = "full",
    hours: float | None = None,
    parts: str | Sequence[str] | None = None,
    seeds: int | None = None,
    jobs: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    without_pictures: bool = False,
    dry_run: bool = False,
    listener: Listener | None = None,
    tell: Callable[[str], None] | None = None,
) -> HomeworkResult:
    """Do the assignment: its runs, figures and report, as ``headstart homework`` does.

    The same call resumes; more seeds, and part 2, may be added later.

    Args:
        data: the assignment's folder, or any dataset with masks.
        out: where everything is written.
        fashion_mnist: for part 2, a dataset with one folder per class, or the word
            ``fashion-mnist``, which is fetched; None: no part 2.
        new_data: for 2(c), a dataset with one folder a class; None: no 2(c).
        model: the classifier; by default ``vgg16``.
        weights: a file of the classifier's ImageNet weights; by default those that torchvision
            publishes.
        scale: how much is computed.
        hours: how long everything together may take: sizes are the largest that fit, from those of
            ``scale`` down, and what does not fit at any is left out. The folder keeps them.
        parts: which parts to run, for example ``["1a", "2a"]``, with what they need; by default
            all. What was run before stays in the report.
        seeds: how many; a verdict needs 5.
        jobs: runs at a time, each in its own process; by default one for each device that is named,
            else one. They are spread over the devices.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``, or one or several as
            ``"cuda:0,cuda:1"``.
        threads: CPU threads of a run; by default all, shared by the jobs.
        without_pictures: show no frames of the dataset, which may be patients' pictures.
        dry_run: only plan: train and write nothing.
        listener: hears how each training goes, where one runs at a time.
        tell: hears a line for each part.

    Raises:
        HeadstartError: data or weights are at fault, or as
            [`do_homework`][headstart.assignment.run.do_homework].
    """
    from headstart.assignment.costs import costs_of, forecast
    from headstart.assignment.datasets import open_datasets
    from headstart.assignment.missing import not_run
    from headstart.assignment.parts import recorded_part, with_recorded_part2
    from headstart.assignment.run import do_homework, refuse_strangers
    from headstart.assignment.settings import (
        SCALES,
        Homework,
        parse_parts,
        part_name,
        with_needed,
    )
    from headstart.assignment.sizes_file import with_sizes
    from headstart.config.begun import device_name
    from headstart.studies.hours import Measured
    from headstart.system.devices import cuda_devices, device_names, pick_device
    from headstart.system.processor import available_threads

    folder, tell = Path(out), tell or ignore
    asked = parse_parts(parts)
    needed = with_needed(asked)
    before = recorded_part(folder)
    names = device_names(device)
    jobs = len(names) if jobs is None else jobs
    if threads is None:
        threads = before.threads if before else max(1, available_threads() // jobs)
    settings = Homework(
        data=str(data),
        scale=scale,
        seeds=SCALES[scale].seeds if seeds is None else seeds,
        device=pick_device(device_name(names[0], before)),
        threads=threads,
        fashion_mnist=_text(fashion_mnist),
        new_data=_text(new_data),
        model=model,
        weights=_text(weights),
        parts=needed,
    )
    devices = cuda_devices(names) if settings.device == "cuda" and jobs > 1 else ()
    settings = with_recorded_part2(settings, folder)
    if more := [part_name(part) for part in needed if part not in asked]:
        tell(f"--parts: what these parts need is run too: {', '.join(more)}")
    measured = Measured()
    refuse_strangers(folder)
    settings, chosen = with_sizes(settings, hours, folder, jobs, measured, tell)
    if dry_run:
        datasets = open_datasets(settings)
        missing = not_run(settings, datasets, folder, fetch=False)
        costs = costs_of(settings, datasets, missing, folder, measured)
        lines = tuple(forecast(settings, datasets, costs, jobs))
        not_run_named = {part_name(part): reason for part, reason in missing.items()}
        return HomeworkResult(folder, costs=costs, lines=lines, not_run=not_run_named)
    written = do_homework(
        settings,
        folder,
        listener or SILENT,
        tell,
        jobs,
        not without_pictures,
        chosen,
        measured,
        devices,
    )
    return HomeworkResult(folder, tuple(written.files), written.record, written.no_pdf or "")


def _text(path: Path | str | None) -> str | None:
    return None if path is None else str(path)
