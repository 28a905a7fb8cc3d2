"""Values of options, from text or as Python has them: sizes, label budgets, seeds, lists."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headstart.errors import Finding, UsageError

Size = str | int | tuple[int, int]
"""``"64x80"`` or ``(64, 80)``, height by width; ``"128"`` or ``128``, a square; ``"auto"``."""

AUTO = "auto"
"""The size that fits the pictures: see [`headstart.data.training_size`][]."""

FEWEST_SEEDS = 5  # that allow a verdict

Listed = str | Sequence[str]
"""Several values: a sequence, or one text with commas."""


def parse_size(value: Size) -> tuple[int, int]:
    """Return height and width: ``"64x80"`` is height by width, ``"128"`` a square.

    Raises:
        UsageError: it is no size from 8 to 8192.

    >>> parse_size("64x80"), parse_size("128"), parse_size(128), parse_size((64, 80))
    ((64, 80), (128, 128), (128, 128), (64, 80))
    """
    text = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
    match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text, re.ASCII)
    height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not (8 <= height <= 8192 and 8 <= width <= 8192):
        message = (
            f"size {text} is not understood; expected HEIGHTxWIDTH or one number, 8 to 8192, or "
            "auto"
        )
        raise UsageError(Finding("bad-size", "error", message, "for example --size 64x80"))
    return height, width


def parse_labels(value: int | str) -> int | None:
    """Return a number of labels, None for ``"all"``.

    Raises:
        UsageError: it is neither a number from 1 nor ``"all"``.
    """
    text = str(value)
    if text == "all":
        return None
    if re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII):
        return int(text)
    message = f"--labels {text} is not understood; expected a number from 1, or all"
    raise UsageError(Finding("bad-labels", "error", message))


def parse_seeds(
    value: int | str | Sequence[int] | None, looks: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """Return seeds: a single number says how many, several say which.

    None means as many as the first of the planned looks has, else 5.

    Raises:
        UsageError: it is neither.

    >>> parse_seeds("3"), parse_seeds(3), parse_seeds("2,7"), parse_seeds("7,"), parse_seeds([7])
    ((1, 2, 3), (1, 2, 3), (2, 7), (7,), (7,))
    """
    if value is None:
        value = looks[0] if looks else FEWEST_SEEDS
    text = str(value) if isinstance(value, int | str) else ",".join(map(str, value)) + ","
    parts = listed(text.removesuffix(","))
    if not all(re.fullmatch(r"\d{1,18}", part, re.ASCII) for part in parts):
        message = f"--seeds {text} is not understood; expected a number, or several with commas"
        raise UsageError(Finding("bad-seeds", "error", message, "for example --seeds 5"))
    numbers = tuple(map(int, parts))
    if "," in text:
        return numbers
    if not 1 <= numbers[0] <= 1000:
        message = f"--seeds {text}: expected 1 to 1000 of them"
        raise UsageError(Finding("bad-seeds", "error", message))
    return tuple(range(1, numbers[0] + 1))


def parse_looks(value: int | str | Sequence[int] | None) -> tuple[int, ...] | None:
    """Return the numbers of seeds at which a study is compared; None if no looks are planned.

    Raises:
        UsageError: they are not numbers that grow, from 5 to 1000.

    >>> parse_looks("5,10,20"), parse_looks(8), parse_looks([5, 10])
    ((5, 10, 20), (8,), (5, 10))
    """
    if value is None:
        return None
    text = str(value) if isinstance(value, int | str) else ",".join(map(str, value))
    parts = [part.strip() for part in text.split(",")]
    numbers = [int(part) for part in parts if re.fullmatch(r"\d{1,4}", part, re.ASCII)]
    grow = numbers == sorted(set(numbers)) and all(FEWEST_SEEDS <= n <= 1000 for n in numbers)
    if not parts or len(numbers) < len(parts) or not grow:
        message = (
            f"--looks {text} is not understood; expected numbers of seeds that grow, from "
            f"{FEWEST_SEEDS} to 1000"
        )
        raise UsageError(Finding("bad-looks", "error", message, "for example --looks 5,10,20"))
    return tuple(numbers)


def listed(values: Listed) -> tuple[str, ...]:
    """Return different values, of a sequence or of one text with commas.

    Raises:
        UsageError: a value is empty or repeated.

    >>> listed("scratch, colorization"), listed(["scratch"])
    (('scratch', 'colorization'), ('scratch',))
    """
    parts = values.split(",") if isinstance(values, str) else values
    parts = [part.strip() for part in parts]
    if not parts or not all(parts) or len(set(parts)) != len(parts):
        text = values if isinstance(values, str) else ",".join(values)
        message = f"{text!r} is not understood; expected different values with commas between them"
        raise UsageError(Finding("bad-list", "error", message))
    return tuple(parts)
