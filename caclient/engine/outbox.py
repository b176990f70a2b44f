"""What is to leave on a circuit: buffers in order, joined, gathered, and written as far as the kernel takes them.

The box knows no lock and no thread: its caller holds the circuit's lock, but for ``await_room``.

Ctrl-C may strike its caller between any two bytecodes. No byte is lost, doubled or put out of order by that, for the
queue changes only by steps that are one C call or one assignment, and after each of them it is in order:

* a command's buffers are queued by one ``extend``, small buffers are joined by one assignment to a slice;
* what the kernel took is kept by the very call that asks it, in ``_took``: nothing can come between the two;
* whoever writes next begins by cutting that off the head. The head is replaced rather than removed, and so it can be
  seen whether that has been done.

The number of bytes that wait may be wrong after an interrupt, until the box has been empty once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from caclient.engine.signals import await_signal, new_signal

JOIN: Final = 262_144
"""Bytes up to which small buffers are joined; a larger one leaves by itself."""
GATHER: Final = 0.0005
"""Seconds after a write within which further puts are gathered."""
GATHERED: Final = 32_768
"""Bytes gathered at which a put writes by itself."""
ROOM: Final = 16 * 1024 * 1024
"""Bytes that may wait for a server that takes none, before the next put has to."""
_GONE: Final = b""
"""In the place of a buffer that the kernel has taken."""

Send = Callable[[Any], int]
"""A socket's ``send``: how many bytes the kernel took, or OSError."""


class Outbox:
    """Bytes on their way to one socket.

    *on_blocked* is called when the kernel takes no more, *on_failure* when it never will; both under the lock.
    """

    __slots__ = (
        "_head",
        "_on_blocked",
        "_on_failure",
        "_queue",
        "_room_wanted",
        "_send",
        "_size",
        "_took",
        "blocked",
        "gathering",
        "sent",
        "written_at",
    )

    def __init__(self, on_blocked: Callable[[], None], on_failure: Callable[[OSError], None]) -> None:
        self.blocked = False
        """The kernel is full: nothing is written before ``unblock()``."""
        self.gathering = False
        """Puts are being gathered: somebody is to write them soon."""
        self.sent = 0
        """Bytes that the kernel has taken."""
        self.written_at = 0.0
        self._on_blocked = on_blocked
        self._on_failure = on_failure
        self._send: Send | None = None
        self._queue: list[Any] = []
        self._head: Any = None  # what the kernel was last given
        self._took: list[int] = []  # how much of it the kernel took, until that is cut off
        self._size = 0
        self._room_wanted: deque[Any] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    @property
    def size(self) -> int:
        """Bytes not yet taken by the kernel."""
        return max(1, self._size) if self._queue else 0

    @property
    def full(self) -> bool:
        """Whether so much waits that the next put has to."""
        return self._size > ROOM and bool(self._queue)

    def connect(self, send: Send) -> None:
        """Write through *send* from now on."""
        self._send = send

    def put(self, buffers: Sequence[Any]) -> None:
        """Queue the buffers of a command; they must not change any more."""
        self._queue.extend(buffers)
        for buffer in buffers:
            self._size += len(buffer)

    def gather(self, buffers: Sequence[Any], now: float) -> bool:
        """Queue, and write at once unless that was just done; true if somebody has to be asked to write soon."""
        self.put(buffers)
        if self.gathering:
            if self._size >= GATHERED:
                self.write()
            return False
        if now - self.written_at > GATHER:
            self.written_at = now
            self.write()
            return False
        self.gathering = True
        return True

    def write(self) -> None:
        """Write until all is gone or the kernel is full."""
        queue, took, send = self._queue, self._took, self._send
        if took or (queue and not queue[0]):
            self._settle()
        while queue and not self.blocked and send is not None:
            self._head = head = self._joined() if len(queue) > 1 else queue[0]
            try:
                took.extend(map(send, (head,)))  # one call, see above
            except (BlockingIOError, InterruptedError):
                self._block()
                return
            except OSError as error:
                self.blocked = True
                self._on_failure(error)
                return
            partly = took[0] < len(head)
            self._settle()
            if partly:
                self._block()
        if not queue:
            self._size = 0

    def unblock(self) -> None:
        """The kernel takes more: write on, and let those put who wait for room."""
        self.blocked = False
        self.write()
        if self.size <= ROOM // 2:
            self.give_room()

    def clear(self) -> None:
        """Forget everything; nobody need wait any more."""
        self._took.clear()
        self._queue.clear()
        self.give_room()

    def give_room(self) -> None:
        """Wake those who wait for room; they look for themselves how things stand."""
        try:
            while True:
                self._room_wanted.popleft().release()
        except IndexError:
            pass  # that was the last

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

    def _joined(self) -> Any:
        """The first buffer; small ones are joined, large ones stay by themselves."""
        queue = self._queue
        size, number = len(queue[0]), 1
        while number < len(queue) and size + len(queue[number]) <= JOIN:
            size += len(queue[number])
            number += 1
        if number > 1:
            queue[:number] = (b"".join(queue[:number]),)
        return queue[0]

    def _settle(self) -> None:
        """Cut off what the kernel took; whoever was to do that may have been interrupted anywhere in here."""
        queue, took = self._queue, self._took
        if took:
            head, taken = self._head, took[0]
            if queue[0] is head:
                queue[0] = _GONE if taken == len(head) else memoryview(head)[taken:]
            took.clear()
            self.sent += taken
            self._size -= taken
        if queue and not queue[0]:
            del queue[0]

    def _block(self) -> None:
        self.blocked = True
        self._on_blocked()


__all__ = ["Outbox"]
