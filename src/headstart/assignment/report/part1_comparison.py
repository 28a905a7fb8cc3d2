"""The comparison of (b) and (d), and the tables and remarks about part 1."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.assignment.report import answers
from headstart.assignment.report.part1_records import (
    CONSTANT,
    STEPLR,
    Pair,
    Part1,
    scores_over_seeds,
)
from headstart.assignment.report.part1_sections import PARTS, Part, Rows
from headstart.config.recipes import ASSIGNMENT
from headstart.errors import printable
from headstart.reports.formatting import NONE, Entry, Table, duration, number, plural, signed
from headstart.reports.records import RunRecord
from headstart.reports.sentences import verdict_scope

_SIZE, _WIDTH = (256, 320), 32  # the assignment's

_CHANGES = {
    "colorization": "(d) instead of (b)",
    "schedule": "A constant learning rate instead of StepLR",
}


def summary_table(part1: Part1) -> Table:
    """Return the scores of all parts, beside the expected and the reported ones."""
    rows: Rows = []
    for letter, part in PARTS.items():
        if letter in part1.not_run:
            rows.append(_summary_row(letter, part, "not run"))
            continue
        if letter == "c":
            assert part1.colorization is not None
            score, epochs = NONE, f"{len(part1.colorization.history)} epochs"
        else:
            run = part1.runs[letter]
            score, epochs = number(run.scores["dice_assignment"]), f"{len(run.history)} epochs"
            epochs += ", collapsed" if run.scores["collapsed"] else ""
        rows.append(_summary_row(letter, part, (score, epochs)))
    if part1.runs:
        rows.append(("one class everywhere", number(part1.trivial["dice_assignment"]), NONE, NONE))
    caption = "Test Dice by the assignment’s definition, with epochs, beside the reported scores."
    return Table(caption, ("part", "Dice", "expected", "reported"), tuple(rows))


def _summary_row(letter: str, part: Part, score: Entry) -> tuple[Entry, ...]:
    expected = f"> {part.expected}" if part.expected else NONE
    reported = f"{part.reported or NONE}", f"{part.epochs} epochs"
    return (f"({letter}) {part.title.lower()}", score, expected, reported)


def seed_tables(part1: Part1) -> list[Table]:
    """Return the scores of (b) and (d) for every seed and schedule, with one table per score."""
    captions = {
        "dice_assignment": "Dice by the assignment’s definition (dice_assignment), seed by seed.",
        "dice": "Dice pooled over the foreground (dice), seed by seed.",
    }
    tables = []
    for score, caption in captions.items():
        rows: Rows = []
        for schedule in (STEPLR, CONSTANT):
            pairs = part1.pairs_of(schedule)
            if not pairs:
                continue
            rows.append((f"With {schedule}",))
            rows.extend(
                (
                    f"seed {pair.seed}",
                    _score_entry(pair.b, score),
                    _score_entry(pair.d, score),
                    signed(pair.difference(score)),
                )
                for pair in pairs
            )
            if len(pairs) > 1:
                rows += _mean_and_range(pairs, score)
        tables.append(Table(caption, ("", "(b)", "(d)", "(d) − (b)"), tuple(rows)))
    return tables


def _score_entry(run: RunRecord, score: str) -> Entry:
    value = number(run.scores[score])
    return (value, "collapsed") if run.scores["collapsed"] else value


def _mean_and_range(pairs: tuple[Pair, ...], score: str) -> Rows:
    columns = [scores_over_seeds(pairs, "b", score), scores_over_seeds(pairs, "d", score)]
    columns.append(tuple(x for p in pairs if (x := p.difference(score)) is not None))
    formats = (number, number, signed)
    means = (f(sum(c) / len(c)) if c else NONE for f, c in zip(formats, columns, strict=True))
    ranges = (number(max(c) - min(c)) if c else NONE for c in columns)
    return [("mean", *means), ("range", *ranges)]


def effects_table(part1: Part1) -> Table | None:
    """Return the effects with their intervals; ``None`` if there are none."""
    if not part1.effects:
        return None
    rows: Rows = []
    change = ""
    for effect in part1.effects:
        if effect.of != change:
            change = effect.of
            rows.append((_CHANGES[change],))
        c = effect.comparison
        interval = "no interval" if c.low is None else f"{signed(c.low)} to {signed(c.high)}"
        held = f"with {effect.given}" if change == "colorization" else f"from {effect.given}"
        rows.append((held, (signed(c.difference), interval), str(c.seeds), c.verdict))
    caption = "Differences in dice with their 95 % intervals over seeds and frames."
    if (several := len(part1.effects)) > 1:
        caption += (
            " The intervals are not adjusted for each other: the chance that at least one of the "
            f"{several} misses the truth is above 5 %."
        )
    caption += " The verdict follows from the interval."
    return Table(caption, ("", "difference", "seeds", "verdict"), tuple(rows), left=(3,))


def classes_table(part1: Part1) -> Table:
    """Return the Dice of each class for the runs that the assignment asks for."""
    columns = {f"({letter})": run for letter, run in part1.runs.items()}
    rows: Rows = [
        (
            printable(name),
            str(truth["frames"]),
            *(number(run.scores["classes"][name]["dice"]) for run in columns.values()),
        )
        for name, truth in part1.any_run.scores["classes"].items()
    ]
    caption = (
        "Dice by class, pooled over the test frames, and the number of frames that show the class."
    )
    return Table(caption, ("class", "frames", *columns), tuple(rows))


def comparison_answers(part1: Part1) -> list[tuple[str, str]]:
    """Return possible explanations of the difference between (b) and (d), each with a name."""
    if part1.effects:
        verdicts = [
            ("Colorization", answers.of_colorization(part1.effects)),
            ("Schedule", answers.of_schedule(part1.effects)),
        ]
    else:
        verdicts = [("No verdict", f"There is no interval: {part1.no_effects}.")]
    return [
        *verdicts,
        ("Seed", answers.of_seeds(part1.pairs_of(STEPLR))),
        ("Metric", answers.of_metric(part1.pairs, part1.trivial["dice_assignment"])),
        ("Collapse", answers.of_collapse(part1.pairs)),
    ]


def about(part1: Part1) -> str:
    """Return what was computed, in two sentences."""
    if not part1.runs:
        return "Of part 1, no segmentation was run."
    config, run = next(iter(part1.run_configs.values())), part1.any_run
    height, width = config.size
    if not part1.pairs:
        return (
            f"Segmentation into {len(run.frames.names)} classes by a U-Net of width {config.width} "
            f"at {height} × {width} from {plural(run.labels, 'label')}."
        )
    schedules = "with and without StepLR" if part1.pairs_of(CONSTANT) else "with StepLR"
    seeds = plural(len({pair.seed for pair in part1.pairs}), "seed")
    return (
        f"Segmentation into {len(run.frames.names)} classes by a U-Net of width {config.width} at "
        f"{height} × {width} from {plural(run.labels, 'label')}. Parts (b) to (d) have {seeds}, "
        f"{schedules}."
    )


def deviations(part1: Part1) -> list[str]:
    """Return how part 1 deviates from the assignment's scale."""
    config = part1.any_config
    if config is None:
        return []
    assert config.width is not None
    differences = []
    if config.size != _SIZE:
        size = f"{config.size[0]} × {config.size[1]}"
        differences.append(f"pictures are {size} (assignment: 256 × 320)")
    if config.width != _WIDTH:
        channels = plural(config.width, "channel")
        differences.append(f"the first level has {channels} (assignment: {_WIDTH})")
    if config.recipe.epochs != ASSIGNMENT.epochs:
        differences.append(
            f"runs end after at most {config.recipe.epochs} epochs (assignment: "
            f"{ASSIGNMENT.epochs}), which only shows that the machinery works"
        )
    return differences


def limits(part1: Part1) -> list[str]:
    """Return the limits of the results, one paragraph each."""
    paragraphs = []
    if part1.effects and part1.steplr is not None:
        paragraphs.append(verdict_scope(part1.steplr, part1.grouped))
    if not part1.grouped:
        paragraphs.append(
            "The dataset does not say which video or patient a frame comes from, so the scores say "
            "nothing about new patients."
        )
    paragraphs.append(
        "The reported scores come from one run each, on a copy of the course’s data with six "
        "classes."
    )
    return paragraphs


def machines_table(part1: Part1, others: Sequence[RunRecord]) -> Table:
    """Return versions and hardware of the first run, and the computing time of all runs.

    Args:
        part1: the records of part 1.
        others: the runs of part 2.
    """
    pairs = {id(r): r for pair in part1.pairs for r in (pair.b, pair.d)}
    of_part1 = {id(run): run for run in part1.runs.values()} | pairs
    if part1.steplr is not None:
        of_part1 |= {id(run): run for run in part1.steplr.runs}
    runs, pretexts = [*of_part1.values(), *others], part1.pretexts
    if not runs and not pretexts:
        return Table("Versions, hardware, time.", ("what", "value"), (), left=(1,))
    environment = (runs or pretexts)[0].environment
    seconds = sum(run.seconds for run in runs) + sum(p.seconds for p in pretexts)
    rows: Rows = [(name, printable(str(version))) for name, version in environment.versions.items()]
    rows.append(("cpu", printable(environment.cpu)))
    if environment.gpu:
        rows.append(("gpu", printable(environment.gpu)))
    rows.append(("threads", str(environment.threads)))
    total = f"{duration(seconds)}, one after the other"
    rows.append((f"{len(runs)} runs, {len(pretexts)} pretexts", total))
    return Table("Versions, hardware, time.", ("what", "value"), tuple(rows), left=(1,))
