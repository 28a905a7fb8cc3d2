"""Whether there is memory for one more run: learned from those that train, never guessed."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.system.devices import (
    CudaDevice,
    DeviceMemory,
    device_memory,
    free_device_memory,
)
from headstart.system.processor import process_memory

MARGIN = 1.25
"""Free memory that a run must find, beside what the largest run took so far: a later one may have
more labels, or larger pictures to score."""


@dataclass(frozen=True)
class Taken:
    """Memory that a process takes, in bytes.

    Attributes:
        peak: main memory at most; None where the system does not say.
        now: main memory now.
        device: memory of its CUDA device; None if it uses none.
    """

    peak: int | None = None
    now: int = 0
    device: DeviceMemory | None = None


def taken() -> Taken:
    """Measure what this process takes, of main memory and of its CUDA device."""
    peak, now = process_memory() or (None, 0)
    return Taken(peak, now, device_memory())


def taken_after() -> Taken:
    """Measure the same after a run, and give back what is of no use to the next one."""
    after = taken()
    gc.collect()
    free_device_memory()
    left = device_memory()
    if after.device is None or left is None:
        return after
    return Taken(after.peak, after.now, DeviceMemory(after.device.peak, left.now, left.free))


@dataclass
class Place:
    """Where processes train: a CUDA device, or the machine.

    Attributes:
        device: the only device that its processes see; None: they see what this process sees.
        free: bytes that were free on the device when a process last looked; None: nobody did.
    """

    device: CudaDevice | None = None
    free: int | None = None


@dataclass
class Need:
    """What the largest run took so far, in bytes; None: none has trained an epoch yet.

    Attributes:
        main: of main memory.
        device: of a device's.
    """

    main: int | None = None
    device: int | None = None
    measured: bool = False

    def learn(self, taken: Taken) -> None:
        """Take note of what a run that has trained took."""
        self.measured = True
        if taken.peak is not None:
            self.main = max(self.main or 0, taken.peak)
        if taken.device is not None:
            self.device = max(self.device or 0, taken.device.peak)


@dataclass(frozen=True)
class Short:
    """Memory that does not suffice, in bytes.

    Attributes:
        of: whose memory: a device's name, or ``""`` for the machine's.
        needed: what a run takes.
        free: what is free, after those that train have taken what they will.
    """

    of: str
    needed: int
    free: int


def shortage(
    of: str, need: int | None, free: int | None, others: Sequence[int], own: int
) -> Short | None:
    """Return what is short if one more run begins; None if nothing is.

    Args:
        of: whose memory.
        need: what a run takes; None: unknown.
        free: what is free now; None: unknown.
        others: what each run that trains had taken when ``free`` was measured, or before.
        own: what the process that would train has already taken.

    >>> shortage("cuda:0", 40, 60, [40], 0) is None, shortage("cuda:0", 40, 60, [10], 0).free
    (True, 30)
    """
    if need is None or free is None:
        return None
    left = free - sum(max(0, need - had) for had in others) + own
    return Short(of, need, max(0, left)) if left < need * MARGIN else None
