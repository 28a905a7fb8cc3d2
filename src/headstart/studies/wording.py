"""The comparisons of a ``study.json`` in words: verdicts, labels saved, what more would show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.config.methods import SUPERVISED, parted
from headstart.studies import statistics as stats
from headstart.studies.labels_saved import LabelsSaved


def called(start: str) -> str:
    """Return a short name of a start, and of its method; for a path, its last part.

    >>> called("colorization"), called("../weights/squeezenet1_0-imagenet.safetensors")
    ('colorization', 'squeezenet1_0-imagenet')
    >>> called("scratch+semi-supervised")
    'scratch (semi-supervised)'
    """
    start, method = parted(start)
    name = Path(start).name.removesuffix(".safetensors").removesuffix(".pth") or start
    return name if method == SUPERVISED else f"{name} ({method})"


def lasting(seconds: float) -> str:
    """Return a time as people say it.

    >>> lasting(20.0), lasting(1500.0), lasting(9000.0)
    ('1 minute', '25 minutes', '2.5 hours')
    """
    hours = seconds / 3600
    if hours >= 1:
        return f"{hours:.1f} hours"
    minutes = max(1, round(60 * hours))
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def sentences(study: dict[str, Any]) -> list[str]:
    """Return the conclusions in a ``study.json`` as sentences: comparisons, then labels saved."""
    rows = (*study["comparisons"], *study["labels_saved"])
    several_tunes = len({row["tune"] for row in rows}) > 1
    needed = needed_seeds(study)

    def names(row: dict[str, Any]) -> tuple[str, str]:
        tune = f" (tune {row['tune']})" if several_tunes else ""
        return called(row["start"]) + tune, called(row["against"]) + tune

    conclusions = []
    for row in study["comparisons"]:
        told = sentence(read_comparison(row), *names(row), row["labels"], row["metric"], needed)
        conclusions.append(" ".join([told, *more_sentences(row, study.get("groups"))]))
    for row in study["labels_saved"]:
        fields = LabelsSaved.__dataclass_fields__
        saved = LabelsSaved(**{f: row[f] for f in fields if f in row})  # old files lack level
        conclusions.append(labels_sentence(saved, *names(row), needed))
    return conclusions


def needed_seeds(study: dict[str, Any]) -> int:
    """Return how many seeds the verdicts of a ``study.json`` need: those of its first look."""
    look = study.get("look")
    return stats.MIN_SEEDS if look is None else int(look["needed"])


def read_comparison(row: dict[str, Any]) -> stats.Comparison:
    """Return a comparison of ``study.json``; older files lack the margin."""
    fields = stats.Comparison.__dataclass_fields__
    return stats.Comparison(**{name: row[name] for name in fields if name in row})


def more_sentences(row: dict[str, Any], groups: int | None = None) -> list[str]:
    r"""Return what another seed would say, and what would show a difference, as sentences.

    >>> row = {"verdict": "no difference shown", "margin": 0.02, "start": "chroma",
    ...        "better_on_another_seed": 0.831, "seeds_needed": 12, "frames_needed": None}
    >>> print(*more_sentences(row), sep="\n")
    Another seed would favour chroma with a probability of 83 %.
    A difference of 0.02 would probably be shown with 12 seeds.
    """
    told = []
    if (chance := row.get("better_on_another_seed")) is not None:
        start = called(row["start"])
        told.append(f"Another seed would favour {start} with a probability of {percent(chance)}.")
    if row["verdict"] == "no difference shown" and row.get("margin") is not None:
        told.append(would_show(row, groups))
    return told


def would_show(row: dict[str, Any], groups: int | None = None) -> str:
    """Return how many seeds or test pictures would show a difference as large as the margin.

    >>> would_show({"margin": 0.02, "seeds_needed": 12, "frames_needed": 160})
    'A difference of 0.02 would probably be shown with 12 seeds or 160 test pictures.'
    >>> would_show({"margin": 0.02, "seeds_needed": None, "frames_needed": None})
    'These runs do not say how many seeds or test pictures would show a difference of 0.02.'
    """
    seeds, units = row.get("seeds_needed"), row.get("frames_needed")
    noun = "test pictures" if groups is None else "test groups"
    ways = [f"{seeds} seeds"] if seeds else []
    ways += [f"{units} {noun}"] if units else []
    difference = f"difference of {row['margin']:g}"
    if ways:
        return f"A {difference} would probably be shown with {' or '.join(ways)}."
    return f"These runs do not say how many seeds or {noun} would show a {difference}."


def level_words(level: float) -> str:
    """Return the level of an interval; never 100 %.

    >>> level_words(0.95), level_words(1 - 0.05 / 6), level_words(0.99999)
    ('95 %', '99.17 %', '99.999 %')
    """
    digits = 4
    while (text := f"{100 * level:.{digits}g}") == "100" and level < 1:
        digits += 1
    return f"{text} %"


def percent(chance: float) -> str:
    """Return a probability; never 0 or 100 %.

    >>> percent(0.831), percent(0.9999), percent(0.0)
    ('83 %', 'over 99 %', 'under 1 %')
    """
    if chance > 0.99:
        return "over 99 %"
    return "under 1 %" if chance < 0.01 else f"{100 * chance:.0f} %"


def sentence(
    c: stats.Comparison,
    start: str,
    against: str,
    labels: int,
    metric: str = "dice",
    needed: int = stats.MIN_SEEDS,
) -> str:
    """Return the verdict and its interval as a sentence.

    >>> helps = stats.Comparison(0.054, 0.012, 0.096, 0.95, 1, 5, "helps")
    >>> print(sentence(helps, "colorization", "scratch", 30))  # doctest: +NORMALIZE_WHITESPACE
    With 30 labels, starting from colorization helps: dice 0.054 higher than from scratch
    (95 % interval 0.012 to 0.096, 5 seeds).
    """
    opening = f"With {labels} labels, "
    if c.low is None or c.high is None:
        reason = f"too few seeds ({c.seeds} of the {needed} needed)"
        if c.verdict == "incomplete":
            reason = "runs failed"
        return f"{opening}no verdict on starting from {start} against {against}: {reason}."
    adjusted = f", adjusted for {c.among} comparisons (Holm)" if c.among > 1 else ""
    ends = f"{decimal(c.low)} to {decimal(c.high)}"
    support = f"({level_words(c.level)} interval {ends}{adjusted}, {c.seeds} seeds)"
    direction = "lower" if c.difference < 0 else "higher"
    amount = f"{metric} {decimal(abs(c.difference))} {direction}"
    if c.verdict == "no difference shown":
        both = f"between starting from {start} and from {against} (which is not the same as equal)"
        return f"{opening}no difference shown {both}: {amount} {support}."
    if c.verdict == "practically equal":
        both = f"starting from {start} and from {against} are practically equal"
        within = f"closer than the margin of {c.margin:g}"
        return f"{opening}{both}, {within}: {amount} {support}."
    return f"{opening}starting from {start} {c.verdict}: {amount} than from {against} {support}."


def labels_sentence(
    saved: LabelsSaved, start: str, against: str, needed: int = stats.MIN_SEEDS
) -> str:
    """Return the labels saved as a sentence.

    >>> saved = LabelsSaved(300, 30, 120.5, 80.1, None, 5)
    >>> print(labels_sentence(saved, "imagenet", "scratch"))  # doctest: +NORMALIZE_WHITESPACE
    Starting from imagenet reaches with 120 labels what scratch reaches with 300
    (95 % interval 80 to more than 300 labels, 5 seeds).
    """
    reaches, low, high = (_budget(x, saved) for x in (saved.reaches, saved.low, saved.high))
    ends = f"{level_words(saved.level)} interval {low} to {high} labels"
    support = f"{ends}, {saved.seeds} seeds"
    if saved.seeds < needed:
        support = f"no interval: too few seeds, {saved.seeds} of the {needed} needed"
    goal = f"what {against} reaches with {saved.labels}"
    return f"Starting from {start} reaches with {reaches} labels {goal} ({support})."


def decimal(value: float) -> str:
    """Return three decimals, or the first non-zero digit so that small values do not show as 0.

    >>> decimal(0.0544), decimal(-0.00021), decimal(-0.0)
    ('0.054', '-0.0002', '0.000')
    """
    return f"{value:.1g}" if 0 < abs(value) < 0.0005 else f"{value + 0.0:.3f}"


def _budget(value: float | None, saved: LabelsSaved) -> str:
    if value is None:
        return f"more than {saved.labels}"
    return f"{saved.smallest} or fewer" if value <= saved.smallest else f"{value:.0f}"
