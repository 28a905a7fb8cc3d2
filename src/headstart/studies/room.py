"""Whether there is memory for one more run: learned from those that train, never guessed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headstart.system.devices import (
    CudaDevice,
    DeviceMemory,
    device_memory,
    free_device_memory,
)
from headstart.system.processor import available_memory, process_memory

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

    @property
    def on_device(self) -> int:
        """The bytes that it takes on its device now."""
        return 0 if self.device is None else self.device.now


def taken() -> Taken:
    """Measure what this process takes, of main memory and of its CUDA device."""
    peak, now = process_memory() or (None, 0)
    return Taken(peak, now, device_memory())


def taken_after() -> Taken:
    """Measure the same after a run, and give back what is of no use to the next one."""
    after = taken()
    if after.device is None:
        return after
    gc.collect()  # which may hold tensors
    free_device_memory()
    left = device_memory()
    assert left is not None
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

    @property
    def name(self) -> str:
        """The device's name; empty for the machine."""
        return "" if self.device is None else self.device.name


@dataclass
class Seat:
    """A process, at its place, and what it said last that it takes."""

    place: Place
    taken: Taken = Taken()


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
        need: what the largest run took so far; None: unknown.
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


class Room:
    """Where the next run can begin.

    The first run trains alone until it has told, after an epoch, what it takes. From then on,
    another begins on the device with the fewest where that much memory is free, of the device and
    of the machine. One run may always train, whatever is free.

    Args:
        most: how many runs at most.
        devices: the devices that they share; none: the processes see what this one sees.
        tell: receives a line where memory suffices for fewer, once for each device.
        available: measures the machine's available memory; None: unknown.
    """

    def __init__(
        self,
        most: int,
        devices: Sequence[CudaDevice],
        tell: Callable[[str], object],
        available: Callable[[], int | None] = available_memory,
    ) -> None:
        self.places = [Place(device) for device in devices] or [Place()]
        self._most, self._tell, self._available = most, tell, available
        self._most_at_one = -(-most // len(self.places))  # others get no more where one is full
        self._trained, self._told = False, set[str]()
        self._main: int | None = None
        self._device: int | None = None

    def learn(self, seat: Seat, taken: Taken, trained: bool) -> None:
        """Take note of what a process takes; ``trained``: it has just trained an epoch."""
        self._trained |= trained
        seat.taken = taken
        if taken.peak is not None:
            self._main = max(self._main or 0, taken.peak)
        if taken.device is not None:
            self._device = max(self._device or 0, taken.device.peak)
            seat.place.free = taken.device.free

    def next(self, busy: Sequence[Seat], idle: Sequence[Seat]) -> Place | None:
        """Return where a run can begin; None: it has to wait for another to end, or to train.

        Args:
            busy: the processes that train.
            idle: those that wait for a run.
        """
        if len(busy) >= self._most or (busy and not self._trained):
            return None

        def at(place: Place, seats: Sequence[Seat]) -> list[Seat]:
            return [seat for seat in seats if seat.place is place]

        def unknown(place: Place) -> bool:
            """Whether a run trains there of which nobody knows yet what it leaves free."""
            return place.device is not None and place.free is None and bool(at(place, busy))

        open_ = [
            place
            for place in self.places
            if len(at(place, busy)) < self._most_at_one and not unknown(place)
        ]
        open_.sort(key=lambda place: (len(at(place, busy)), not at(place, idle)))
        for place in open_:
            found = self._short(place, busy, at(place, busy), at(place, idle)[:1])
            if found is None:
                return place
            self._say(found, len(at(place, busy) if found.of else busy))
        return None

    def _short(
        self, place: Place, busy: Sequence[Seat], there: Sequence[Seat], idle: Sequence[Seat]
    ) -> Short | None:
        if not busy:
            return None
        own = idle[0].taken if idle else Taken()
        others = [seat.taken.now for seat in busy]
        short = shortage("", self._main, self._available(), others, own.now)
        if short is not None or place.device is None or not there:
            return short
        had = [seat.taken.on_device for seat in there]
        return shortage(place.name, self._device, place.free, had, own.on_device)

    def _say(self, short: Short, running: int) -> None:
        if short.of in self._told:
            return
        self._told.add(short.of)
        runs = "1 run" if running == 1 else f"{running} runs"
        self._tell(
            f"{short.of or 'this machine'} has memory for {runs} at a time: one took up to "
            f"{short.needed / 1e9:.1f} GB, and {short.free / 1e9:.1f} GB are free; others wait"
        )
