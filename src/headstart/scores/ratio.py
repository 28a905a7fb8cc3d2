"""A share that is undefined without a denominator."""

from __future__ import annotations


def ratio(part: int, total: int) -> float | None:
    """Return ``part / total``, or ``None`` if the total is 0.

    >>> ratio(1, 4), ratio(0, 0)
    (0.25, None)
    """
    return part / total if total else None
