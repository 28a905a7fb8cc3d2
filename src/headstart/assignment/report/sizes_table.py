"""What the assignment asks for and what was run instead, side by side."""

from __future__ import annotations

from headstart.assignment.report.part1_records import CONSTANT, STEPLR, Part1
from headstart.assignment.report.part2_classifiers import PARTS as CLASSIFIER_PARTS
from headstart.assignment.report.part2_classifiers import Part2
from headstart.assignment.settings import NEW_DATA, VGG16, part_name
from headstart.config.recipes import ASSIGNMENT
from headstart.config.records import PretextConfig, RunConfig
from headstart.reports.formatting import NONE, Entry, Table, listed, plural

_ASKED_1 = "256 × 320, width 32"
_ASKED_2 = "VGG16, 224 × 224, all pictures"
_BEYOND = "beyond the assignment"


def sizes_table(part1: Part1, part2: Part2, why: str) -> Table:
    """Return the table of parts: asked for, run, why.

    Args:
        part1: the records of part 1.
        part2: the records of part 2.
        why: why sizes differ from the assignment's.
    """
    rows = [
        _row(f"1({letter})", _ASKED_1, _part1(part1, letter), part1.not_run.get(letter, ""), why)
        for letter in "abcd"
    ]
    for folder, part in CLASSIFIER_PARTS.items():
        asked = NONE if part.reported is None else _ASKED_2
        run, reason = _classifier(part2, folder), part2.not_run.get(folder, "")
        option = "" if part2.network == "VGG16" else f"--model {part2.network}; otherwise "
        rows.append(_row(part_name(folder), asked, run, reason, f"{option}{why}"))
    reason = part2.not_run.get(NEW_DATA, "")
    asked, run = "an opinion", _new_data(part2)
    rows.append((part_name(NEW_DATA), asked, run, "measured here"))
    if reason:
        rows[-1] = _row(part_name(NEW_DATA), asked, run, reason, why)
    caption = (
        "Sizes that the assignment asks for, and those that were run. Hyper-parameters are the "
        "assignment’s; a part that trains labels has one run, unless seeds are named."
    )
    return Table(caption, ("part", "asked for", "run", "why"), tuple(rows), left=(1, 2, 3))


def _row(part: str, asked: str, run: str, reason: str, why: str) -> tuple[Entry, ...]:
    if reason:
        short = reason.partition(". ")[0].partition(" (")[0]
        return part, asked, "not run", short
    if asked == NONE:
        return part, asked, run, _BEYOND
    if run == asked or run.startswith(f"{asked}; "):
        return part, asked, run, "as asked for"
    return part, asked, run, why


def _part1(part1: Part1, letter: str) -> str:
    config: RunConfig | PretextConfig | None = part1.run_configs.get(letter)
    if letter == "c":
        config = part1.colorization_config
    if config is None:
        return NONE
    height, width = config.size
    size = f"{height} × {width}, width {config.width}"
    if config.labels is not None:
        size += f", {plural(config.labels, 'label')}"
    if config.recipe.epochs != ASSIGNMENT.epochs:
        size += f", at most {plural(config.recipe.epochs, 'epoch')}"
    seeds = {"c": len(part1.pretexts), "a": 1}.get(letter, 0)
    if letter in "bd" and part1.steplr is not None:
        start = part1.runs[letter].start
        seeds = len({run.seed for run in part1.steplr.runs if run.start == start})
    schedules = ""
    if letter in "bd" and part1.pairs_of(STEPLR) and part1.pairs_of(CONSTANT):
        schedules = ", with and without StepLR"
    return size if seeds <= 1 and not schedules else f"{size}; {plural(seeds, 'seed')}{schedules}"


def _classifier(part2: Part2, folder: str) -> str:
    if folder not in part2.configs:
        return NONE
    config, run = part2.configs[folder], part2.runs[folder]
    labels = "all pictures" if config.labels is None else plural(run.labels, "picture")
    return f"{part2.network}, {config.size[0]} × {config.size[1]}, {labels}"


def _new_data(part2: Part2) -> str:
    if part2.new_data is None or part2.new_data.study is None:
        return NONE
    config = part2.new_data.study.config
    model = "VGG16" if config.model == VGG16 else config.model
    budgets = listed([str(labels) for labels in config.labels])
    return (
        f"{model}, {config.size[0]} × {config.size[1]}; {plural(len(config.starts), 'start')}, "
        f"{budgets} labels, {plural(len(config.seeds), 'seed')}"
    )
