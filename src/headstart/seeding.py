"""Random generators as functions of (seed, purpose, position), without state to save.

Every random choice of a run has its own generator, whose key is made of the run's seed and of the
choice: the order of epoch 7, the augmentation of step 1200, the new weights. So a resumed run makes
the same choices as an uninterrupted one, and two runs with the same seed differ only where their
settings do.
"""

from __future__ import annotations

import hashlib

import numpy as np


def key(seed: int, *purpose: str | int) -> int:
    """Return a key that depends on all arguments, the same on every machine and version.

    Args:
        seed: the run's seed, any integer.
        *purpose: the name of the choice, e.g. ``"augment", step``.

    Returns:
        The first 8 bytes of the SHA-256 of the arguments, in ``[0, 2**63)`` so that both
        ``torch.manual_seed`` and numpy accept it.

    >>> key(1, "order", 0) == key(1, "order", 0)
    True
    >>> key(1, "order", 0) == key(1, "order", 1)
    False
    """
    text = "\x1f".join([str(seed), *(str(p) for p in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return a new numpy generator (Philox) for one purpose; see [`key`][headstart.seeding.key].

    >>> a = generator(1, "augment", 12).random(2)
    >>> b = generator(1, "augment", 12).random(2)
    >>> bool((a == b).all())
    True
    """
    return np.random.Generator(np.random.Philox(key=key(seed, *purpose)))
