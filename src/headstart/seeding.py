"""Randomness as a function of (seed, purpose, position), never a state that must be saved.

Everything random in a run is drawn from a generator whose key is made of the run's seed and of what
is being drawn: the order of pass 7, the augmentation of step 1200, the new weights. A run that was
killed and continued therefore draws what it would have drawn, and two runs that share a seed differ
in nothing but what was meant to differ.
"""

from __future__ import annotations

import hashlib

import numpy as np


def key(seed: int, *purpose: str | int) -> int:
    """A 64-bit key that depends on all its arguments, the same on every machine and version.

    Args:
        seed: the run's seed, any integer.
        *purpose: what is drawn, e.g. ``"augment", step``.

    Returns:
        The first 8 bytes of the SHA-256 of the arguments' text, in ``[0, 2**63)`` so that both
        ``torch.manual_seed`` and numpy accept it.

    >>> key(1, "order", 0) == key(1, "order", 0)
    True
    >>> key(1, "order", 0) == key(1, "order", 1)
    False
    """
    text = "\x1f".join([str(seed), *(str(p) for p in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A fresh numpy generator (Philox) for one purpose; see [`key`][headstart.seeding.key].

    >>> a = generator(1, "augment", 12).random(2)
    >>> b = generator(1, "augment", 12).random(2)
    >>> bool((a == b).all())
    True
    """
    return np.random.Generator(np.random.Philox(key=key(seed, *purpose)))
