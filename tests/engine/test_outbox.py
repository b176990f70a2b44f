"""What waits to leave: order, joining, gathering, a kernel that takes part or nothing, room for those who wait."""

from __future__ import annotations

import errno
import threading
import time
from typing import Any

import pytest

from caclient.engine import outbox as module
from caclient.engine.outbox import GATHERED_SIZE, JOIN, ROOM, Outbox

PATIENCE = 20.0


class Kernel:
    """Takes up to *room* bytes, in writes that it remembers."""

    def __init__(self, room: int = 1 << 40) -> None:
        self.room = room
        self.writes: list[bytes] = []
        self.told: list[Any] = []
        self.box = Outbox(lambda: self.told.append("blocked"), self.told.append)

    def send(self, data: Any) -> int:
        taken = bytes(data[: self.room])
        if not taken:
            raise BlockingIOError
        self.room -= len(taken)
        self.writes.append(taken)
        return len(taken)

    @property
    def stream(self) -> bytes:
        return b"".join(self.writes)


@pytest.fixture
def kernel() -> Kernel:
    made = Kernel()
    made.box.connect(made.send)
    return made


def test_nothing_leaves_before_there_is_a_socket() -> None:
    kernel = Kernel()
    kernel.box.put([b"hello"])
    kernel.box.write()
    assert (kernel.writes, kernel.box.size) == ([], 5)
    kernel.box.connect(kernel.send)
    kernel.box.write()
    assert (kernel.writes, kernel.box.size, kernel.box.sent) == ([b"hello"], 0, 5)


def test_small_buffers_are_joined_but_never_with_a_large_one(kernel: Kernel) -> None:
    large = bytes(JOIN)
    kernel.box.put([b"a" * 8, b"b" * 8, large, b"c", b"d"])
    kernel.box.write()
    assert kernel.writes == [b"a" * 8 + b"b" * 8, large, b"cd"]


def test_one_before_a_large_one_leaves_by_itself(kernel: Kernel) -> None:
    kernel.box.put([b"head", bytes(JOIN)])
    kernel.box.write()
    assert [len(write) for write in kernel.writes] == [4, JOIN]


def test_what_the_kernel_does_not_take_leaves_when_it_takes_more(kernel: Kernel) -> None:
    kernel.room = 6
    kernel.box.put([b"0123456789", b"abc"])
    kernel.box.write()
    assert (kernel.stream, kernel.box.size, kernel.box.blocked, kernel.told) == (b"012345", 7, True, ["blocked"])
    kernel.room = 100
    kernel.box.write()  # it is not asked again before it says so
    assert kernel.stream == b"012345"
    kernel.box.unblock()
    assert (kernel.stream, kernel.box.size, kernel.box.blocked) == (b"0123456789abc", 0, False)


def test_a_kernel_that_takes_nothing(kernel: Kernel) -> None:
    kernel.room = 0
    kernel.box.put([b"x"])
    kernel.box.write()
    assert (kernel.told, kernel.box.size, kernel.box.sent) == (["blocked"], 1, 0)


def test_a_connection_that_is_lost_is_told_once(kernel: Kernel) -> None:
    error = OSError(errno.EPIPE, "Broken pipe")

    def broken(_data: Any) -> int:
        raise error

    kernel.box.connect(broken)
    kernel.box.put([b"x"])
    kernel.box.write()
    kernel.box.write()
    assert kernel.told == [error]


def gather(kernel: Kernel, data: bytes, now: float) -> bool:
    kernel.box.put([data])
    return kernel.box.gather(now)


def test_puts_that_follow_closely_are_gathered(kernel: Kernel) -> None:
    assert [gather(kernel, each, 100.0) for each in (b"a", b"b", b"c")] == [False, True, False]
    assert (kernel.writes, kernel.box.gathering) == ([b"a"], True)
    kernel.box.write()
    assert kernel.writes == [b"a", b"bc"]


def test_much_that_is_gathered_leaves_by_itself(kernel: Kernel) -> None:
    kernel.box.written_at = 100.0
    gather(kernel, b"x", 100.0)
    gather(kernel, bytes(GATHERED_SIZE), 100.0)
    assert len(kernel.stream) == GATHERED_SIZE + 1


def fill(kernel: Kernel) -> None:
    kernel.room = 0
    kernel.box.put([bytes(ROOM + 1)])
    kernel.box.write()
    assert kernel.box.full


def test_who_finds_room_does_not_wait(kernel: Kernel) -> None:
    assert kernel.box.await_room(0.0)


def test_who_finds_none_waits_until_the_deadline(kernel: Kernel) -> None:
    fill(kernel)
    assert not kernel.box.await_room(0.0)
    kernel.box.give_room()  # nobody is left to be told


@pytest.mark.parametrize("end", ["unblock", "clear"])
def test_who_waits_for_room_hears_of_it(kernel: Kernel, end: str) -> None:
    fill(kernel)
    results: list[bool] = []
    waiter = threading.Thread(target=lambda: results.append(kernel.box.await_room(time.monotonic() + PATIENCE)))
    waiter.start()
    deadline = time.monotonic() + PATIENCE
    while not kernel.box._room_wanted and time.monotonic() < deadline:
        pass
    kernel.room = ROOM
    getattr(kernel.box, end)()
    waiter.join(PATIENCE)
    assert results == [True]
    assert not kernel.box.full


def test_little_progress_makes_no_room(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(kernel)
    given: list[None] = []
    monkeypatch.setattr(module.Outbox, "give_room", lambda _self: given.append(None))
    kernel.room = 1
    kernel.box.unblock()
    assert given == []
    assert kernel.box.blocked


def test_after_an_interrupt_in_a_write_nothing_more_is_written(kernel: Kernel) -> None:
    """Nobody knows how much the kernel has taken. Ctrl-C is held in there; another signal's handler may raise."""
    send = kernel.send

    def struck(data: Any) -> int:
        send(data)
        raise TimeoutError("alarm")

    kernel.box.connect(struck)
    kernel.box.put([b"x"])
    with pytest.raises(TimeoutError):
        kernel.box.write()
    kernel.box.put([b"y"])
    kernel.box.write()
    kernel.box.write()
    (error,) = kernel.told
    assert (error.errno, str(error.strerror)) == (errno.EINTR, "a write was interrupted halfway")
    assert kernel.writes == [b"x"]
