"""Claims: who works on what in a folder that several machines see. They expire, and need no clock.

``ROOT/claims/NAME/`` has a folder for each time that ``NAME`` was worked on: ``1``, ``2``, ... Who
makes the next number has claimed it. In the folder of a number are::

    holder.json   host, process, executor, job, and since when
    heartbeat     a number that the holder counts up every few seconds
    log           what it printed, if it has a process of its own
    end.json      how the work ended, written once; without it, the claim is held

What is relied on, of a local disk, NFS or another shared file system:

- ``mkdir`` makes a folder once: of two that try, one is refused. Locks of files are not relied on:
  NFS may keep them on each machine alone.
- Whoever opens a file sees what was in it when it was last closed elsewhere (NFS: close-to-open).
- Making and removing a folder shows its parent as the server has it, whatever was cached
  ([`refresh`][]).

No clock is trusted. A holder is dead if its heartbeat has not changed for ``DEAD_AFTER`` seconds of
the observer's own clock; on the same machine, at once, if its process has ended. Then ``end.json``
says so, and the next number may be made. As numbers only grow, nobody can take a claim that was
taken over in the meantime.

A holder that was only suspended or cut off asks before it writes whether the claim is still its
own ([`Claim.check`][]). What it was writing at that moment may still arrive: such a file has its
old content or its new one, and a run that is repeated writes the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from headstart.errors import Finding, LockedError
from headstart.system.attempts import (
    CLAIMS,
    END,
    HEARTBEAT,
    HOLDER,
    Attempt,
    Ending,
    Holder,
    attempts,
    heartbeat_of,
    holder_of,
    last_number,
)
from headstart.system.disk import cannot_write, disk_errors
from headstart.system.host import host_name, own_process, this_machine

BEAT = 5.0
"""Seconds between two heartbeats."""
DEAD_AFTER = 90.0
"""Seconds without a heartbeat; more than NFS clients keep what they know of a folder, 60."""


class Claim:
    """A claim that this process holds, with a thread that shows that it lives.

    Attributes:
        attempt: the folder of its number.
        holder: this process.
    """

    def __init__(self, folder: Path, number: int, holder: Holder) -> None:
        self._folder, self._number = folder, number
        self.attempt, self.holder = folder / str(number), holder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        count = 1
        while not self._over.wait(BEAT):
            count += 1
            # a full disk, or a folder that was taken away: the next check says so
            with contextlib.suppress(OSError):
                _write(self.attempt / HEARTBEAT, str(count))

    def check(self) -> None:
        """Return if this process still holds the claim.

        Raises:
            LockedError: another has taken it over, or it was declared dead.
            DiskError: the folder cannot be asked.
        """
        try:
            refresh(self._folder)
            holder = holder_of(self.attempt)
            ours = holder is not None and holder.token == self.holder.token
            ended = (self.attempt / END).exists()
            if ours and not ended and last_number(self._folder) == self._number:
                return
        except FileNotFoundError:  # finished by another, and removed
            pass
        except OSError as error:
            raise cannot_write(self._folder, error) from error
        message = f"the claim on {self._folder.name} was lost: another process took it over"
        hint = "nothing: the other process trains it"
        raise LockedError(Finding("claim-lost", "error", message, hint))

    def end(self, ending: Ending) -> None:
        """End the claim; if it is finished, remove all that was kept of it."""
        self._over.set()
        self._thread.join()
        if ending.outcome == "finished":
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            end(self.attempt, ending)


def claim(root: Path, name: str, executor: str = "local", job: str | None = None) -> Claim | None:
    """Claim ``name`` in ``root``; None if another holds it.

    Raises:
        DiskError: the folder does not exist or cannot be written.
    """
    folder = root / CLAIMS / name
    pid, when = own_process()
    holder = Holder(
        token=uuid.uuid4().hex,
        host=host_name(),
        machine=this_machine(),
        pid=pid,
        began=when,
        executor=executor,
        job=job,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with disk_errors(root):
        root.stat()  # a folder that was deleted is not made again
        try:
            folder.mkdir(parents=True, exist_ok=True)
            refresh(folder)
            number = last_number(folder) + 1
            if number > 1 and not (folder / str(number - 1) / END).exists():
                return None
            (folder / str(number)).mkdir()
            if last_number(folder) > number:  # older numbers were removed, this one among them
                (folder / str(number)).rmdir()
                return None
            # first, as a holder that dies unknown is waited for
            _write(folder / str(number) / HOLDER, json.dumps(asdict(holder)))
            _write(folder / str(number) / HEARTBEAT, "1")
        except (FileExistsError, FileNotFoundError):  # made by another; finished and removed
            return None
    return Claim(folder, number, holder)


def end(attempt: Path, ending: Ending) -> None:
    """Say how a claim ended, unless that was said already or the claim was removed.

    Raises:
        DiskError: it cannot be written.
    """
    with disk_errors(attempt), contextlib.suppress(FileExistsError, FileNotFoundError):
        _write(attempt / END, json.dumps(asdict(ending)), "x")


def refresh(folder: Path) -> None:
    """Make this machine see a folder as its server has it: who changes a folder is shown it.

    Raises:
        OSError: the folder does not exist or cannot be written.
    """
    own = folder / f".{uuid.uuid4().hex}"
    own.mkdir()
    own.rmdir()


class Watch:
    """Tells which holders are dead: remembers when it last saw each heartbeat change.

    Args:
        clock: this machine's, in seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Path, tuple[bytes | None, float]] = {}

    def is_dead(self, attempt: Attempt) -> bool:
        """Return whether the holder of a claim that has not ended is dead."""
        if attempt.holder is not None and attempt.holder.is_gone:
            return True
        beat, now = heartbeat_of(attempt.folder), self._clock()
        before = self._seen.get(attempt.folder)
        if before is None or before[0] != beat:
            self._seen[attempt.folder] = (beat, now)
            return False
        return now - before[1] > DEAD_AFTER


@contextlib.contextmanager
def alone(
    root: Path, name: str, stop: Callable[[], bool] = lambda: False, pause: float = 0.05
) -> Iterator[Claim | None]:
    """Hold ``name`` in ``root`` for this process alone; wait while another holds it.

    Args:
        root: the folder that holds the claims.
        name: of the claim.
        stop: asked while it waits; if it returns true, the block begins without the claim.
        pause: seconds between two tries.

    Raises:
        DiskError: the folder does not exist or cannot be written.
    """
    watch = Watch()
    while (held := claim(root, name)) is None:
        for attempt in attempts(root, name)[-1:]:
            if attempt.ending is None and watch.is_dead(attempt):
                end(attempt.folder, Ending("died"))
        if stop():
            yield None
            return
        time.sleep(pause)
    try:
        yield held
    finally:
        held.end(Ending("released"))
        for attempt in attempts(root, name)[:-1]:  # the last shows which number is the next
            shutil.rmtree(attempt.folder, ignore_errors=True)


def _write(path: Path, text: str, mode: str = "w") -> None:
    """Write in place: a file that is renamed over may stay hidden from other machines.

    It is not flushed: after a power failure, its holder is dead whatever it says.
    """
    with path.open(mode) as file:
        file.write(text)
