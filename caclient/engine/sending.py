"""The one door down: ``with circuit.sending() as core:``.

It takes the circuit's lock, looks whether the circuit is up, lets the core police and encode what is said, and queues
that for the socket; as it closes, what is queued leaves. Nothing else is done under the lock.

A signal's handler, or the finalizer of an object that the garbage collector happens to find, may want to say something
while its own thread is inside the door. The core is in the middle of something else then. So what is said is postponed
until the outer door closes, in order: a put leaves, a request gets its id then. Only who would wait for an answer there
has to be refused.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from caclient.engine.hold import held
from caclient.engine.loop import Loop
from caclient.engine.outbox import GATHER, GATHERED_SIZE, Outbox
from caclient.errors import CAError, CATimeoutError, ReentrantError
from caclient.protocol.channel import ClientChannel
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.command import Command
from caclient.protocol.commands import EventAddRequest

AT_ONCE: Final = 0
"""What is said leaves as the door closes."""
LATER: Final = 1
"""It waits for a ``flush``, which is to follow."""
GATHERED: Final = 2
"""Nobody waits for it: what follows closely leaves together."""
HURRIED: Final = 3
"""It leaves with what callers say who are just being woken, or else at once."""

_Result = TypeVar("_Result")
Rows = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""(sids, types, counts) of many reads."""


class Asker(Protocol):
    """Who asks and gets the answer: either ``receive(command)`` or ``fail(error)`` is called, once."""

    ioid: int
    sent_at: float

    def fail(self, error: Exception) -> None:
        """There will be no answer."""


Failed = tuple["Asker | None", Exception]
"""Who postponed something, and why it could not be said."""


class Saying:
    """What may be said inside the door. *Caller holds the lock.*"""

    __slots__ = ("_core", "_outbox")

    def __init__(self, core: VirtualCircuit, outbox: Outbox) -> None:
        self._core = core
        self._outbox = outbox

    def send(self, *commands: Command) -> None:
        """Commands that need no answer, or whose ids and owners are set.

        :raises LocalProtocolError: if the core forbids it; then no byte has left.
        """
        self._outbox.put(self._core.send(*commands))

    def ask(self, command: Command, asker: Asker) -> None:
        """A request, under an id of its own, whose answer goes to *asker*."""
        command.parameter2 = asker.ioid = self._core.new_ioid()
        command.owner = asker
        buffers = self._core.send(command)
        asker.sent_at = time.monotonic()
        self._outbox.put(buffers)

    def ask_all(self, rows: Rows, owner: Any) -> int:
        """Any number of READ_NOTIFY requests as one buffer; the first of their ids."""
        first, buffer = self._core.send_reads(rows, owner)
        self._outbox.put((buffer,))
        return first

    def subscribe(self, channel: ClientChannel, data_type: int, count: int, mask: int, owner: Any) -> int:
        """Ask for updates, which go to *owner*; the subscription's id."""
        request = EventAddRequest(data_type, count, channel.sid, self._core.new_ioid(), mask=mask)
        request.owner = owner
        self._outbox.put(self._core.send(request))
        return request.subscriptionid


class Postponed(deque["tuple[tuple[Command, ...], Asker | None]"]):
    """The same for a thread that is inside the door already: done as that closes."""

    __slots__ = ()

    def send(self, *commands: Command) -> None:
        """Commands that need no answer."""
        self.append((commands, None))

    def ask(self, command: Command, asker: Asker) -> None:
        """A request, whose id is not known yet."""
        self.append(((command,), asker))

    def say(self, saying: Saying) -> list[Failed]:
        """Say it; what could not be said. *Caller holds the lock.*"""
        failed: list[Failed] = []
        while self:
            commands, asker = self.popleft()
            try:
                if asker is None:
                    saying.send(*commands)
                else:
                    saying.ask(commands[0], asker)
            except CAError as error:
                failed.append((asker, error))
        return failed


class _Door:
    """The door as a context, for one way of leaving."""

    __slots__ = ("_mode", "_way")

    def __init__(self, way: Sending, mode: int) -> None:
        self._way = way
        self._mode = mode

    def __enter__(self) -> Saying:
        way = self._way
        way.lock.acquire()
        if way.up:
            return way.saying
        way.lock.release()
        raise way.unusable()

    def __exit__(self, *_exception: object) -> None:
        way = self._way
        try:
            failed = way.closing(self._mode)
        finally:
            way.lock.release()
        way.closed(failed)


class _NestedDoor:
    """For a thread that is inside."""

    __slots__ = ("_postponed",)

    def __init__(self, postponed: Postponed) -> None:
        self._postponed = postponed

    def __enter__(self) -> Postponed:
        return self._postponed

    def __exit__(self, *_exception: object) -> None:
        pass


class Sending:
    """The way down of a circuit: lock, core and outbox, and the door to them."""

    name: str

    def __init__(self, loop: Loop, core: VirtualCircuit, outbox: Outbox) -> None:
        self.lock = threading.RLock()  # it knows its thread, which is all that it is an RLock for
        self.core = core
        self.up = False
        """Whether anything may be said."""
        self.heard_at = 0.0
        """When bytes came last."""
        self.saying = Saying(core, outbox)
        self._outbox = outbox
        self._loop = loop
        self._postponed = Postponed()
        self._doors = (_Door(self, AT_ONCE), _Door(self, LATER), _Door(self, GATHERED))
        self._nested_door = _NestedDoor(self._postponed)

    @property
    def pending(self) -> int:
        """Bytes not yet taken by the kernel."""
        return self._outbox.size

    @property
    def bytes_out(self) -> int:
        """Bytes that the kernel has taken."""
        return self._outbox.sent

    def sending(self, mode: int = AT_ONCE) -> Any:
        """The door, as a context that gives a ``Saying``. *Any thread.*

        Ctrl-C is not held in there: what the main thread says, it says through the methods below.

        :raises DisconnectedError: on entering, if the circuit is not up.
        """
        return self._nested_door if self.nested else self._doors[mode]

    def post(self, command: Command, deadline: float = 0.0) -> None:
        """Send what nobody waits for; commands that follow closely leave together. *Any thread.*

        :raises CATimeoutError: if the server has taken nothing for so long that 16 MiB wait, and they do until the
            monotonic *deadline*.
        """
        if self.nested:
            self._postponed.send(command)
            return
        outbox = self._outbox
        if outbox.gathering and outbox.size < GATHERED_SIZE and self._join(command):
            return
        if outbox.full and not outbox.await_room(deadline):
            heard = time.monotonic() - self.heard_at
            raise CATimeoutError(f"{self.name} takes no more: {self.pending} bytes wait, last heard {heard:.1f} s ago")
        held(self._say, GATHERED, self.saying.send, command)

    def _join(self, command: Command) -> bool:
        """Queue it behind others that somebody is going to write; false if they have just been written.

        The books do not change, and the outbox changes in one step: so Ctrl-C need not be held, which takes a fifth of
        a put.
        """
        try:
            with self.lock:
                if not (self.up and self._outbox.gathering):
                    return False
                self.saying.send(command)
            if self._postponed:
                self.flush()
        except BaseException:
            if self._postponed:
                self._loop.call_soon(self.flush)
            raise
        return True

    def ask(self, command: Command, asker: Asker, mode: int = HURRIED) -> None:
        """Send a request, under an id of its own, whose answer goes to *asker*. *Any thread.*"""
        if self.nested:
            self._postponed.ask(command, asker)
        else:
            held(self._say, mode, self.saying.ask, command, asker)

    def ask_all(self, rows: Rows, owner: Any) -> int:
        """Send any number of reads as one buffer; the first of their ids. *Any thread.*

        :raises ReentrantError: inside the door, where the id cannot be known.
        """
        if self.nested:
            raise self.stuck()
        first: int = held(self._say, AT_ONCE, self.saying.ask_all, rows, owner)
        return first

    def flush(self) -> None:
        """Write what waits. *Any thread.*"""
        if self.nested:
            self._loop.call_soon(self.flush)
        else:
            held(self._flush)

    def forget(self, ioid: int) -> None:
        """A request is given up; its late reply will be dropped and counted. *Any thread.*"""
        with self.lock:
            self.core.forget(ioid)

    def forget_all(self, owner: Any) -> None:
        """Like ``forget``, for whatever *owner* has asked. *Any thread.*"""
        with self.lock:
            for ioid in [ioid for ioid, request in self.core.ioids.items() if request.owner is owner]:
                self.core.forget(ioid)

    @property
    def nested(self) -> bool:
        """Whether this thread is inside the door: the handler of a signal or a finalizer has come in between."""
        return self.lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    @property
    def waits(self) -> bool:
        """Whether something was postponed that is to be said now."""
        return bool(self._postponed)

    def stuck(self) -> ReentrantError:
        """What to raise where nobody can wait."""
        return ReentrantError(
            f"circuit to {self.name}: the handler of a signal, or a finalizer, has interrupted caclient halfway, and "
            "so cannot wait for an answer, which would only come after it; a put without wait is sent"
        )

    def unusable(self) -> CAError:
        """What to raise while the circuit is not up."""
        raise NotImplementedError

    def _hurries(self) -> bool:
        """Whether somebody will write soon in any case. *Caller holds the lock*, so what he has put is not missed."""
        return False

    # -- the steps of the door -----------------------------------------------------------------------------------------

    def _say(self, mode: int, say: Callable[..., _Result], *args: Any) -> _Result:
        """The door as a call: what the handler of another signal raises in there leaves the lock free."""
        try:
            with self.lock:
                if not self.up:
                    raise self.unusable()
                result = say(*args)
                failed = self.closing(mode)
        except BaseException:
            if self._outbox.size or self._postponed:
                self._loop.call_soon(self.flush)  # what waits leaves all the same
            raise
        if failed or self._postponed:
            self.closed(failed)
        return result

    def closing(self, mode: int) -> list[Failed] | None:
        """Say what was postponed, and write. *Caller holds the lock.*"""
        failed = None
        if self._postponed:
            failed = self._postponed.say(self.saying)
            mode = AT_ONCE
        if mode == AT_ONCE or (mode == HURRIED and not self._hurries()):
            self._outbox.write()
        elif mode == GATHERED:
            now = time.monotonic()
            if self._outbox.gather(now):  # not at once: the selector thread would wake, and fight for the interpreter
                self._loop.call_at(self._outbox.written_at + GATHER, self.flush)
        return failed

    def closed(self, failed: list[Failed] | None) -> None:
        """Do what is not to be done under the lock."""
        if failed:
            for asker, error in failed:
                if asker is None:
                    self._loop.report(error)
                else:
                    asker.fail(error)
        if self._postponed:  # between the last look and the lock's release
            self.flush()

    def _flush(self) -> None:
        try:
            with self.lock:
                self._outbox.gathering = False
                if self._outbox.size or self._postponed:
                    self._outbox.written_at = time.monotonic()
                    failed = self.closing(AT_ONCE)
                else:
                    failed = None
        except BaseException:
            self._loop.call_soon(self.flush)
            raise
        if failed:
            self.closed(failed)


__all__ = ["AT_ONCE", "GATHERED", "HURRIED", "LATER", "Asker", "Postponed", "Saying", "Sending"]
