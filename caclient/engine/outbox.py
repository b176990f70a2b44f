"""What is to leave on a circuit: buffers in order, joined, gathered, and written as far as the kernel takes them.

The box knows no lock and no thread: its caller holds the circuit's lock, but for ``await_room``. Ctrl-C is held while
it is used (``hold``). What the handler of another signal raises in a write may tear the stream: then nothing more is
written, and the connection is given up.
"""

from __future__ import annotations

import errno
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from caclient.engine.signals import await_signal, new_signal

JOIN: Final = 262_144
"""Bytes up to which small buffers are joined; a larger one leaves by itself."""
GATHER: Final = 0.0005
"""Seconds after a write within which further puts are gathered."""
GATHERED_SIZE: Final = 32_768
"""Bytes gathered at which a put writes by itself."""
ROOM: Final = 16 * 1024 * 1024
"""Bytes that may wait for a server that takes none, before the next put has to."""

Send = Callable[[Any], int]
"""A socket's ``send``: how many bytes the kernel took, or OSError."""


class Outbox:
    """Bytes on their way to one socket.

    *on_blocked* is called when the kernel takes no more, *on_failure* with why it never will; both under the lock.
    """

    __slots__ = (
        "_buffers",
        "_on_blocked",
        "_on_failure",
        "_room_wanted",
        "_send",
        "_writing",
        "blocked",
        "gathered_at",
        "gathering",
        "sent",
        "size",
        "written_at",
    )

    def __init__(self, on_blocked: Callable[[], None], on_failure: Callable[[OSError], None]) -> None:
        self.blocked = False
        """The kernel is full: nothing is written before ``unblock()``."""
        self.gathering = False
        """Puts are being gathered: somebody is to write them soon."""
        self.sent = 0
        """Bytes that the kernel has taken."""
        self.size = 0
        """Bytes that it has not taken yet."""
        self.written_at = 0.0
        self.gathered_at = -math.inf
        """When something was last put that nobody waits for."""
        self._on_blocked = on_blocked
        self._on_failure = on_failure
        self._send: Send | None = None
        self._buffers: deque[Any] = deque()
        self._writing = False
        self._room_wanted: deque[Any] = deque()

    @property
    def full(self) -> bool:
        """Whether so much waits that the next put has to."""
        return self.size > ROOM

    def connect(self, send: Send) -> None:
        """Write through *send* from now on."""
        self._send = send

    def put(self, buffers: Sequence[Any]) -> None:
        """Queue the buffers of a command; they must not change any more.

        All of them or none, whatever comes in between: signals are looked for after calls, not between the last lines.
        """
        size = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        self.size += size
        self._buffers.extend(buffers)

    def gather(self, now: float) -> bool:
        """Write what was put unless that was just done; true if somebody has to be asked to write soon."""
        if self.gathering:
            if self.size >= GATHERED_SIZE:
                self.write()
            return False
        self.gathered_at = now
        if now - self.written_at > GATHER:
            self.written_at = now
            self.write()
            return False
        self.gathering = True
        return True

    def write(self) -> None:
        """Write until all is gone or the kernel is full."""
        if self._writing:
            self._fail(InterruptedError(errno.EINTR, "a write was interrupted halfway"))
        send = self._send
        while self._buffers and not self.blocked and send is not None:
            self._writing = True
            head = self._head()
            try:
                taken = send(head)
            except (BlockingIOError, InterruptedError):
                taken = 0
            except OSError as error:
                if error.errno is None:  # the handler of a signal has raised it, and its user is to see it
                    raise
                self._fail(error)
                return
            self.sent += taken
            self.size -= taken
            if taken < len(head):
                self._buffers.appendleft(memoryview(head)[taken:])
                self.blocked = True
                self._on_blocked()
            self._writing = False

    def unblock(self) -> None:
        """The kernel takes more: write on, and let those put who wait for room."""
        self.blocked = False
        self.write()
        if self.size <= ROOM // 2:
            self.give_room()

    def clear(self) -> None:
        """Forget everything; nobody need wait any more."""
        self._buffers.clear()
        self.size = 0
        self.give_room()

    def give_room(self) -> None:
        """Wake those who wait for room; they look for themselves how things stand."""
        while self._room_wanted:
            self._room_wanted.popleft().release()

    def await_room(self, deadline: float) -> bool:
        """Wait until the box is not full any more, or given up; false at the monotonic *deadline*.

        *Any thread but the engine's, without the lock.*
        """
        room = new_signal()
        self._room_wanted.append(room)
        try:
            return not self.full or await_signal(room, deadline)
        finally:
            try:
                self._room_wanted.remove(room)
            except ValueError:
                pass  # it was given

    def _head(self) -> Any:
        """Take out the first buffer; small ones are joined, a large one stays by itself."""
        buffers = self._buffers
        if len(buffers) == 1:
            return buffers.popleft()
        if self.size <= JOIN:
            head = b"".join(buffers)
            buffers.clear()
            return head
        size, number = len(buffers[0]), 1
        while number < len(buffers) and size + len(buffers[number]) <= JOIN:
            size += len(buffers[number])
            number += 1
        first = [buffers.popleft() for _ in range(number)]
        return first[0] if number == 1 else b"".join(first)

    def _fail(self, error: OSError) -> None:
        self._writing = False
        self._send = None
        self._on_failure(error)


__all__ = ["Outbox"]
