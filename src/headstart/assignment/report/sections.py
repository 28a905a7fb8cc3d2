"""The report of part 1 as plain values, which the page and the LaTeX document set alike."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.assignment.report import words
from headstart.assignment.report.parts import PARTS
from headstart.assignment.report.results import CONSTANT, STEPLR, Pair, Results, values
from headstart.errors import printable
from headstart.report.read import Run
from headstart.report.verdict import verdict_means
from headstart.report.words import NONE, Entry, Table, duration, number, plural, signed
from headstart.training.recipes import ASSIGNMENT

_SIZE, _WIDTH = (256, 320), 32  # of the assignment


def summary(results: Results) -> Table:
    """All parts in one table."""
    rows: list[tuple[Entry, ...]] = []
    for letter, part in PARTS.items():
        ran = getattr(results, letter)
        score, done = NONE, f"{len(ran.history)} epochs"
        if isinstance(ran, Run):
            score = number(ran.scores["dice_assignment"])
            done += ", collapsed" if ran.scores["collapsed"] else ""
        expected = f"> {part.expected}" if part.expected else NONE
        reported = f"{part.reported or NONE}", f"{part.epochs} epochs"
        rows.append((f"({letter}) {part.title.lower()}", (score, done), expected, reported))
    trivial = number(results.a.scores["trivial"]["dice_assignment"])
    rows.append(("one class everywhere", trivial, NONE, NONE))
    caption = "Test Dice as the assignment counts it, and epochs, beside what was reported."
    head = ("part", "Dice", "expected", "reported")
    return Table(caption, head, tuple(rows))


def of_seeds(results: Results) -> list[Table]:
    """(b) and (d) of every seed under both schedules, a table for each score."""
    captions = {
        "dice_assignment": "Dice as the assignment counts it (dice_assignment), seed by seed.",
        "dice": "Dice pooled over the foreground (dice), seed by seed.",
    }
    tables = []
    for score, caption in captions.items():
        rows: list[tuple[Entry, ...]] = []
        for schedule in (STEPLR, CONSTANT):
            mine = results.of(schedule)
            rows.append((f"With {schedule}",))
            rows.extend(
                (
                    f"seed {pair.seed}",
                    _marked(pair.b, score),
                    _marked(pair.d, score),
                    signed(pair.difference(score)),
                )
                for pair in mine
            )
            if len(mine) > 1:
                rows += _over_seeds(mine, score)
        head = ("", "(b)", "(d)", "(d) − (b)")
        tables.append(Table(caption, head, tuple(rows)))
    return tables


def _marked(run: Run, score: str) -> Entry:
    value = number(run.scores[score])
    return (value, "collapsed") if run.scores["collapsed"] else value


def _over_seeds(pairs: tuple[Pair, ...], score: str) -> list[tuple[Entry, ...]]:
    columns = [values(pairs, "b", score), values(pairs, "d", score)]
    columns.append(tuple(x for p in pairs if (x := p.difference(score)) is not None))
    shown = (number, number, signed)
    means = (f(sum(c) / len(c)) if c else NONE for f, c in zip(shown, columns, strict=True))
    ranges = (number(max(c) - min(c)) if c else NONE for c in columns)
    return [("mean", *means), ("range", *ranges)]


def of_effects(results: Results) -> Table | None:
    """The four differences with their intervals; None where there are none."""
    rows: list[tuple[Entry, ...]] = []
    of = ""
    for effect in results.effects:
        if effect.of != of:
            of = effect.of
            rows.append((_CHANGED[of],))
        c = effect.told
        interval = "no interval" if c.low is None else f"{signed(c.low)} to {signed(c.high)}"
        held = f"with {effect.given}" if of == "colorization" else f"from {effect.given}"
        rows.append((held, (signed(c.difference), interval), str(c.seeds), c.verdict))
    caption = (
        "Differences in dice with their 95 % intervals over seeds and frames, each by itself: of "
        "four such intervals one misses the truth more often than in 5 % of all cases. A verdict "
        "is read off its interval."
    )
    head = ("", "difference", "seeds", "verdict")
    return Table(caption, head, tuple(rows), left=(3,)) if rows else None


_CHANGED = {
    "colorization": "(d) instead of (b)",
    "schedule": "A constant learning rate instead of StepLR",
}


def of_classes(results: Results) -> Table:
    """Dice by class of the assignment's own runs."""
    runs = {"(a)": results.a, "(b)": results.b, "(d)": results.d}
    rows: list[tuple[Entry, ...]] = [
        (
            printable(name),
            str(truth["frames"]),
            *(number(run.scores["classes"][name]["dice"]) for run in runs.values()),
        )
        for name, truth in results.a.scores["classes"].items()
    ]
    caption = "Dice by class, pooled over the test frames; frames whose truth holds it."
    return Table(caption, ("class", "frames", *runs), tuple(rows))


def answers(results: Results) -> list[tuple[str, str]]:
    """The assignment's last question, one possible reason after the other."""
    if not results.effects:
        told = [("No verdict", f"There is no interval: {results.no_effects}.")]
    else:
        told = [
            ("Colorization", words.of_colorization(results.effects)),
            ("Schedule", words.of_schedule(results.effects)),
        ]
    trivial = results.a.scores["trivial"]["dice_assignment"]
    return [
        *told,
        ("Seed", words.of_seeds(results.of(STEPLR))),
        ("Metric", words.of_metric(results.pairs, trivial)),
        ("Collapse", words.of_collapse(results.pairs)),
    ]


def about(results: Results) -> str:
    """What was computed, in a line."""
    config = results.configs["a"]
    height, width = config.size
    seeds = plural(len({pair.seed for pair in results.pairs}), "seed")
    return (
        f"Segmentation into {len(results.a.frames.names)} classes: U-Net of width "
        f"{config.width} at {height} × {width}, {plural(results.a.labels, 'label')}; (b) to (d) "
        f"with {seeds}, with and without StepLR."
    )


def deviations(results: Results) -> list[str]:
    """Where part 1 is not of the assignment's scale."""
    config = results.configs["b"]
    assert config.width is not None
    found = []
    if config.size != _SIZE:
        found.append(f"pictures are {config.size[0]} × {config.size[1]} (there 256 × 320)")
    if config.width != _WIDTH:
        found.append(f"the first level has {plural(config.width, 'channel')} (there {_WIDTH})")
    if config.recipe.epochs != ASSIGNMENT.epochs:
        found.append(
            f"trainings end after {config.recipe.epochs} epochs at most (there "
            f"{ASSIGNMENT.epochs}), which shows that the machinery works and nothing else"
        )
    return found


def limits(results: Results) -> list[str]:
    """What the numbers do not say."""
    said = [verdict_means(results.steplr, results.grouped)] if results.effects else []
    if not results.grouped:
        said.append(
            "It is not known which video or patient a frame comes from: the scores say nothing "
            "about new patients."
        )
    said.append(
        "The reported figures are of one run each, on a copy of the course’s data with six classes."
    )
    return said


def machines(results: Results, others: Sequence[Run]) -> Table:
    """Versions and hardware of part (a), and the time that all took, ``others`` too."""
    environment = results.a.environment
    runs = [results.a, *(run for pair in results.pairs for run in (pair.b, pair.d)), *others]
    seconds = sum(run.seconds for run in runs) + sum(p.seconds for p in results.steplr.pretexts)
    rows: list[tuple[Entry, ...]] = [
        (name, printable(str(version))) for name, version in environment["versions"].items()
    ]
    rows.append(("cpu", printable(environment["cpu"])))
    if environment["gpu"]:
        rows.append(("gpu", printable(environment["gpu"])))
    rows.append(("threads", str(environment["threads"])))
    spent = f"{duration(seconds)}, one after the other"
    rows.append((f"{len(runs)} runs, {len(results.steplr.pretexts)} pretexts", spent))
    return Table("Versions, hardware, time.", ("what", "value"), tuple(rows), left=(1,))


def in_order(answers: Sequence[tuple[str, str]], first: str) -> list[str]:
    """The headline and the answers, each a line."""
    return [first, *(f"{label}: {text}" for label, text in answers)]
