"""Where the next run can begin: the fewest runs first, and never more than memory suffices for."""

from __future__ import annotations

from headstart.studies.room import MARGIN, Room, Seat, Taken
from headstart.system.devices import CudaDevice, DeviceMemory
from headstart.training.listener import ignore

GB = 10**9
TWO = (CudaDevice("cuda:0", "a"), CudaDevice("cuda:1", "GPU-b"))


def on_gpu(peak: int, free: int, main: int = GB) -> Taken:
    return Taken(main, main, DeviceMemory(peak * GB, peak * GB, free * GB))


def test_the_first_run_trains_alone_until_it_has_trained_an_epoch() -> None:
    room = Room(4, TWO, ignore, lambda: 100 * GB)
    first = Seat(room.places[0])
    assert room.next([], []) is room.places[0]
    assert room.next([first], []) is None
    room.learn(first, on_gpu(1, 70), trained=False)  # such as a run that failed at once
    assert room.next([first], []) is None
    room.learn(first, on_gpu(10, 70), trained=True)
    assert room.next([first], []) is room.places[1], "the one with the fewest"


def test_devices_get_their_share_and_one_that_is_full_gives_none_of_it_away() -> None:
    told: list[str] = []
    room = Room(3, TWO, told.append, lambda: 100 * GB)
    busy: list[Seat] = []
    for _ in range(3):
        place = room.next(busy, [])
        assert place is not None
        busy.append(Seat(place))
        room.learn(busy[-1], on_gpu(10, 70 - 10 * len(busy)), trained=True)
    assert [seat.place.name for seat in busy] == ["cuda:0", "cuda:1", "cuda:0"]
    assert room.next(busy, []) is None and not told, "as many as asked"
    full = Room(4, TWO, told.append, lambda: 100 * GB)
    busy = [Seat(full.places[0]), Seat(full.places[1]), Seat(full.places[1])]
    for seat, free in zip(busy, (5, 90, 90), strict=True):
        full.learn(seat, on_gpu(10, free), trained=True)
    assert full.next(busy, []) is None, "cuda:1 has its two"
    assert full.next(busy, []) is None
    assert len(told) == 1 and "cuda:0" in told[0] and "10.0 GB" in told[0] and "5.0 GB" in told[0]


def test_a_device_where_a_run_has_told_nothing_yet_gets_no_second_one() -> None:
    """What is free there is not known, though what a run takes is."""
    room = Room(4, TWO, ignore, lambda: 100 * GB)
    first, second = Seat(room.places[0]), Seat(room.places[1])
    room.learn(first, on_gpu(60, 40), trained=True)
    assert room.next([first], []) is room.places[1]
    assert room.next([first, second], []) is None
    room.learn(second, on_gpu(60, 240), trained=True)
    assert room.next([first, second], []) is room.places[1]


def test_a_run_that_has_begun_counts_with_what_it_will_take() -> None:
    room = Room(4, TWO[:1], ignore, lambda: 100 * GB)
    first, second = Seat(room.places[0]), Seat(room.places[0])
    room.learn(first, on_gpu(20, 44), trained=True)
    assert room.next([first], []) is room.places[0], "44 are more than 25"
    assert room.next([first, second], []) is None, "but 20 of them are the second's"
    room.learn(second, on_gpu(20, 24), trained=True)
    assert room.next([first, second], []) is None, f"24 are less than {20 * MARGIN}"
    room.learn(second, on_gpu(20, 26), trained=True)
    assert room.next([first, second], []) is room.places[0]


def test_the_machines_memory_counts_too() -> None:
    told: list[str] = []
    free = [100 * GB]
    room = Room(64, (), told.append, lambda: free[0])
    busy = [Seat(room.places[0])]
    room.learn(busy[0], Taken(4 * GB, 2 * GB), trained=True)
    while (place := room.next(busy, [])) is not None:
        busy.append(Seat(place))
    # of 100 GB, the first will take 2 more, each other 4, and the last found 5 or more free
    assert len(busy) == 25 and len(told) == 1
    assert "this machine" in told[0] and "25 runs" in told[0] and "4.0 GB" in told[0]
    free[0] = 0
    assert room.next(busy[:1], []) is None
    assert room.next([], []) is room.places[0], "one may always train"


def test_what_an_idle_process_holds_is_its_own() -> None:
    room = Room(2, TWO[:1], ignore, lambda: 100 * GB)
    busy, idle = Seat(room.places[0]), Seat(room.places[0])
    room.learn(busy, on_gpu(20, 24), trained=True)
    assert room.next([busy], []) is None
    idle.taken = on_gpu(1, 24)
    assert room.next([busy], [idle]) is room.places[0]


def test_where_nothing_can_be_measured_jobs_are_as_asked() -> None:
    room = Room(3, (), ignore, lambda: None)
    busy = [Seat(room.places[0])]
    room.learn(busy[0], Taken(), trained=True)
    assert room.next(busy, []) is room.places[0]
    assert room.next(busy * 3, []) is None
