"""A TCP circuit: socket and protocol core under one lock, read by whoever has the reader's seat.

Down: ``send`` polices and encodes under the lock, then writes what the kernel takes; the rest waits in the outbox for
the selector thread. ``post`` is for writes nobody waits for: the first goes out at once, those that follow closely are
gathered and leave together.

Up: one thread at a time holds the seat, reads, has the core decode, and hands every command to its owner. Usually that
is the selector thread. A caller who waits for a reply takes the seat if it is free (``lead``): then no other thread has
to be scheduled before the reply is seen, which halves the time of a get. Those who find it taken follow: their answers
are handed on from one to the next (``relay``). Commands that move a channel's life are handed on to the selector thread
by their owner, so a leader decodes and delivers values, nothing else.

Lock order: seat, then lock. Nobody waits for anything while holding the lock, and nothing is called up under it.

Ctrl-C may strike between any two bytecodes of the main thread. A write survives that anywhere (``outbox``), and a
request that was not sent is taken out of the books; while a read is under way it is held back (``interrupts``). What
the handlers of other signals raise is not. ``_reading`` is up while bytes are between the socket and the core; whoever
finds it up without being the cause knows that the stream is torn, and the circuit is closed and made anew rather than
trusted.

Such a handler may use PVs itself, in the middle of anything here. A put is queued, and leaves when what was interrupted
goes on (``_nested``). Whoever wants to wait for what only the interrupted code could bring is told so (``_stuck``).
"""

from __future__ import annotations

import enum
import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Final, Protocol

from caclient.engine.interrupts import whole
from caclient.engine.loop import Loop, Timer
from caclient.engine.outbox import GATHER, Outbox
from caclient.engine.poller import READ, WRITE
from caclient.engine.relay import Relay
from caclient.engine.signals import await_signal
from caclient.engine.sockets import Address, tcp_socket
from caclient.errors import CATimeoutError, DisconnectedError, ReentrantError, RemoteProtocolError
from caclient.protocol.channel import ClientChannel
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.command import CLIENT, Command
from caclient.protocol.commands import (
    EchoRequest,
    EchoResponse,
    EventAddRequest,
    EventsOffRequest,
    EventsOnRequest,
)
from caclient.protocol.liveness import PROBE, Action, Liveness

_CHUNK: Final = 65_536
"""Bytes read at a time: no more, for larger buffers are mapped anew by the C library, which takes as long as a read."""
_FLOOD: Final = 262_144
"""Bytes read at a time while so much comes; also what one circuit may take before the next has its turn."""
_SLICE: Final = 1024 * 1024
"""Bytes of a large payload taken at a time."""
_PAUSE: Final = 0.1
"""Seconds for which updates are off at the most: other PVs of the circuit wait as well."""
_LEAD: Final = 0.1
"""Seconds that a caller waits for bytes himself: the selector thread goes on for him, and can tell him of failures."""
_RELAY: Final = 0.01
"""Seconds after a read for which requests may wait for those who are just being woken."""
_TORN_READ: Final = "a read was interrupted halfway"


class State(enum.Enum):
    """Where the TCP connection stands."""

    CONNECTING = "connecting"
    OPEN = "open"
    UNRESPONSIVE = "unresponsive"
    CLOSED = "closed"


class Waiter(Protocol):
    """What ``lead`` waits for: ``done``, or a signal to acquire."""

    done: bool
    signal: Any


class Asker(Waiter, Protocol):
    """Who asks and gets the answer: ``receive(command)`` or ``fail(error)`` is called once."""

    ioid: int
    sent_at: float
    follows: ClassVar[bool]
    """Whether its answer may be handed on (``relay``) after what came behind it has been delivered."""


class Rider(Protocol):
    """Who lives on a circuit; all calls come on the engine thread."""

    def circuit_open(self) -> None:
        """TCP is up: a channel may be created."""

    def circuit_closed(self, reason: str) -> None:
        """The connection is gone for good."""

    def circuit_unresponsive(self) -> None:
        """No answer to an echo in time."""

    def circuit_responsive(self) -> None:
        """It answers again."""


class Circuit:
    """A connection to (address, priority), and the counters that a report shows.

    *on_closed* is called once at the end, *on_command* with what has no owner; both on the engine thread.
    """

    def __init__(
        self,
        loop: Loop,
        address: Address,
        priority: int,
        conn_timeout: float,
        on_closed: Callable[[Circuit], None],
        on_command: Callable[[Circuit, Command], None],
        max_payload: int | None = None,
        echo_timeout: float = PROBE,
    ) -> None:
        self.address = address
        self.priority = priority
        self.state = State.CONNECTING
        self.reason = ""
        self.lock = threading.RLock()  # re-entered by handlers of signals only
        self.core = VirtualCircuit(our_role=CLIENT, address=address, priority=priority, max_payload=max_payload)
        self.riders: dict[Rider, None] = {}
        self.served = False
        self.opened_at = 0.0
        self.heard_at = 0.0
        self.bytes_in = 0
        self.round_trip = 0.0
        self._loop = loop
        self._on_closed = on_closed
        self._on_command = on_command
        self._conn_timeout = conn_timeout
        self.pauses = 0
        self._paused = False
        self._doubted = False
        self._liveness = Liveness(conn_timeout, echo_timeout)
        self._timer: Timer | None = None
        self._progress = Timer(0.0, lambda: None)
        self._seat = threading.RLock()
        self._interest = threading.RLock()
        self._outbox = Outbox(partial(loop.call_soon, self._want_write), self._write_failed)
        self._reading = False
        self._appetite = _CHUNK
        self._echo_at = 0.0
        self._undelivered: Sequence[Any] = ()
        self._sock: socket.socket | None = None
        self._descriptor = -1
        self._patience: Any = None
        self._can_lead = False
        self._shut = False
        self._led = False
        self._relay = Relay(self._deliver, self._relay_over)

    @property
    def name(self) -> str:
        """``host:port``, with the priority if it is not 0."""
        text = f"{self.address[0]}:{self.address[1]}"
        return text if self.priority == 0 else f"{text} (priority {self.priority})"

    @property
    def engine_lag(self) -> float:
        """Seconds by which the selector thread was last late."""
        return self._loop.lag

    @property
    def pending(self) -> int:
        """Bytes not yet taken by the kernel."""
        return self._outbox.size

    @property
    def bytes_out(self) -> int:
        """Bytes that the kernel has taken."""
        return self._outbox.sent

    # -- opening and closing: engine thread ----------------------------------------------------------------------------

    def open(self, greeting: Sequence[Command]) -> None:
        """Begin to connect without waiting; *greeting* goes first when TCP is up. *Engine thread.*"""
        self._outbox.put(self.core.send(*greeting))
        try:
            self._sock = sock = _connecting(self.address)
        except OSError as error:
            self._loop.call_soon(self.close, f"connect failed: {_errno_name(error.errno)}")
            return
        self._descriptor = sock.fileno()
        self._loop.poller.add(self._descriptor, WRITE, self._ready)
        self._timer = self._loop.call_at(time.monotonic() + self._conn_timeout, self._connect_too_slow)

    def close(self, reason: str, reset: bool = False) -> None:
        """End the connection and tell the riders; closing twice is no error. *Engine thread.*"""
        with self.lock:
            if self.state is State.CLOSED:
                return
            self.state = State.CLOSED
            self.reason = reason
            waiting = self.core.disconnect()
            self._outbox.clear()
        self._end_socket(reset)
        error = DisconnectedError(f"circuit to {self.name} ended: {reason}")
        for owner in (*waiting, *_askers(self._undelivered)):
            owner.fail(error)
        self._undelivered = ()
        self._on_closed(self)
        riders, self.riders = self.riders, {}
        for rider in riders:
            rider.circuit_closed(reason)

    def abandon(self) -> None:
        """In a forked child: close the descriptor; the connection is the parent's. *The only thread.*"""
        if self._sock is not None:
            self._sock.close()

    def _end_socket(self, reset: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._progress.cancel()
        sock = self._sock
        if sock is None:
            return
        self._loop.poller.remove(self._descriptor)
        _shut(sock, reset)
        self._shut = True
        self._close_socket()

    def _close_socket(self) -> None:
        """Close it if nobody reads; a leader sees the end at once, for the socket is shut, and closes it on leaving."""
        if self._shut and self._sock is not None and self._seat.acquire(blocking=False):
            self._sock.close()
            self._descriptor = -1  # the number may soon be another circuit's
            self._seat.release()

    def _ready(self, bits: int) -> None:
        if self.state is State.CLOSED:
            return
        if self.state is State.CONNECTING:
            self._connected()
            return
        if bits & WRITE and self._outbox.blocked:
            self._write_more()
        if bits & READ:
            self._readable()

    def _connected(self) -> None:
        sock = self._sock
        assert sock is not None and self._timer is not None
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.close(f"connect failed: {_errno_name(code)}")
            return
        if hasattr(select, "poll"):
            self._patience = select.poll()
            self._patience.register(sock.fileno(), select.POLLIN)
            self._can_lead = self._loop.poller.shared
        self._watch()
        self.opened_at = self.heard_at = now = time.monotonic()
        with self.lock:
            self._outbox.connect(sock.send)
            self.state = State.OPEN
        self._timer.cancel()
        self._liveness.heard(now)
        self._timer = self._loop.call_at(self._liveness.next_due(), self._check_liveness)
        for rider in list(self.riders):
            rider.circuit_open()
        self.flush()

    def _connect_too_slow(self) -> None:
        if self.state is State.CONNECTING:
            self.close(f"no connection within {self._conn_timeout:g} s")

    # -- down ----------------------------------------------------------------------------------------------------------

    def send(self, *commands: Command) -> None:
        """Police, encode and write; what the kernel does not take follows by itself. *Any thread.*

        :raises DisconnectedError: if the circuit is not up.
        :raises LocalProtocolError: if the core forbids it; then no byte has left.
        """
        nested = self._nested()
        try:
            with self.lock:
                self._begin()
                self._outbox.put(self.core.send(*commands))
                if not nested:
                    self._outbox.write()
        except BaseException:
            self._go_on_soon()
            raise

    def enqueue(self, *commands: Command) -> None:
        """Like ``send``, but leave the writing to a ``flush`` that follows. *Any thread.*"""
        with self.lock:
            self._begin()
            self._outbox.put(self.core.send(*commands))

    def dismiss(self, command: Command) -> None:
        """Tell the server what is (not) needed any more, also while it is unresponsive. A ``flush`` is to follow.

        *Engine thread.*
        """
        with self.lock:
            if self.state in (State.OPEN, State.UNRESPONSIVE):
                self._outbox.put(self.core.send(command))

    def ask(self, command: Command, asker: Asker) -> None:
        """Send a request, under an id of its own, whose answer goes to *asker*. *Any thread.*"""
        if self._nested():
            raise self._stuck()
        try:
            with self.lock:
                self._begin()
                command.parameter2 = asker.ioid = self.core.new_ioid()
                command.owner = asker
                buffers = self.core.send(command)
                asker.sent_at = now = time.monotonic()
                self._outbox.put(buffers)
                if self._relay.runner is None or now - self.heard_at >= _RELAY:
                    self._outbox.write()
        except BaseException:
            self._go_on_soon()
            raise

    def subscribe(self, channel: ClientChannel, data_type: int, count: int, mask: int, owner: Any) -> int:
        """Ask for updates, which go to *owner*; the subscription id. A ``flush`` is to follow. *Engine thread.*"""
        with self.lock:
            self._begin()
            request = EventAddRequest(data_type, count, channel.sid, self.core.new_ioid(), mask=mask)
            request.owner = owner
            self._outbox.put(self.core.send(request))
        return request.subscriptionid

    def send_reads(self, sids: Sequence[int], types: Sequence[int], counts: Sequence[int], owner: Any) -> int:
        """Send any number of READ_NOTIFY requests as one buffer; returns the first ioid. *Any thread.*"""
        if self._nested():
            raise self._stuck()
        try:
            with self.lock:
                self._begin()
                first, buffer = self.core.send_reads((sids, types, counts), owner)
                self._outbox.put((buffer,))
                self._outbox.write()
        except BaseException:
            self._go_on_soon()
            self.forget_all(owner)
            raise
        return first

    def post(self, command: Command, deadline: float = 0.0) -> None:
        """Send what nobody waits for; commands that follow closely leave together. *Any thread but the engine's.*

        :raises CATimeoutError: if the server has taken nothing for so long that 16 MiB wait, and they do until the
            monotonic *deadline*.
        """
        nested = self._nested()
        if self._outbox.full and not nested and not self._outbox.await_room(deadline):
            raise CATimeoutError(f"{self.name} takes no more: {self.pending} bytes wait, {self._heard()}")
        try:
            with self.lock:
                self._begin()
                buffers = self.core.send(command)
                if nested:
                    self._outbox.put(buffers)
                late = nested or self._outbox.gather(buffers, time.monotonic())
            if late:  # not at once: the selector thread would wake, and fight for the interpreter, every few puts
                self._loop.call_at(self._outbox.written_at + GATHER, self.flush)
        except BaseException:
            self._go_on_soon()
            raise

    def flush(self) -> None:
        """Write what waits. *Any thread.*"""
        try:
            with self.lock:
                self._outbox.gathering = False
                if self._outbox and self.state in (State.OPEN, State.UNRESPONSIVE):
                    self._outbox.written_at = time.monotonic()
                    self._outbox.write()
        except BaseException:
            self._go_on_soon()
            raise

    def forget(self, ioid: int) -> None:
        """A request is given up; its late reply will be dropped and counted. *Any thread.*"""
        with self.lock:
            self.core.forget(ioid)

    def forget_all(self, owner: Any) -> None:
        """Like ``forget``, for whatever *owner* has asked. *Any thread.*"""
        with self.lock:
            for ioid in [ioid for ioid, request in self.core.ioids.items() if request.owner is owner]:
                self.core.forget(ioid)

    def _begin(self) -> None:
        if self.state is not State.OPEN:
            raise DisconnectedError(f"circuit to {self.name} is {self.state.value}{self.reason and ': ' + self.reason}")

    def _nested(self) -> bool:
        """Whether this thread has the lock already: a signal's handler has interrupted it. *Without the lock.*"""
        return self.lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    def _stuck(self) -> ReentrantError:
        return ReentrantError(
            f"circuit to {self.name}: the handler of a signal has interrupted caclient halfway, and so cannot wait for "
            "an answer, which would only come after it; a put without wait is sent"
        )

    def _go_on_soon(self) -> None:
        """Sending was broken off, perhaps by Ctrl-C before the last step: somebody else sees that what waits leaves."""
        if self._outbox:
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self.flush()
        if self._outbox.blocked:
            self._want_write()

    def _heard(self) -> str:
        return f"last heard {time.monotonic() - self.heard_at:.1f} s ago"

    def _write_failed(self, error: OSError) -> None:
        self._loop.call_soon(self.close, f"write failed: {_errno_name(error.errno)}")

    def _want_write(self) -> None:
        if self.state in (State.OPEN, State.UNRESPONSIVE):
            self._watch()
            self._watch_progress()

    def _write_more(self) -> None:
        with self.lock:
            self._outbox.unblock()
        self._liveness.sent_much(time.monotonic())
        if not self._outbox.blocked:
            self._watch()

    def _watch_progress(self) -> None:
        """Look again after the connection timeout whether the kernel has taken anything since. *Engine thread.*"""
        self._progress.cancel()
        check = partial(self._check_progress, self.bytes_out)
        self._progress = self._loop.call_at(time.monotonic() + self._conn_timeout, check)

    def _check_progress(self, bytes_out: int) -> None:
        if not self._outbox.blocked or self.state is not State.OPEN:
            return
        if self.bytes_out > bytes_out:
            self._watch_progress()
        else:
            self._act(self._liveness.send_blocked(time.monotonic()))

    # -- up ------------------------------------------------------------------------------------------------------------

    def exchange(self, command: Command, asker: Asker, deadline: float) -> None:
        """Send a request and wait until it is answered or the monotonic *deadline* has passed.

        Reads the circuit meanwhile if nobody else does. *Any thread but the engine's.*
        """
        self._check_waiting()
        try:
            if self._can_lead and self._take_seat():
                self.ask(command, asker)
                self._read_for(asker, deadline)
                self._leave_seat()
                self.round_trip = max(0.0, self.heard_at - asker.sent_at)
            else:
                if asker.follows:
                    self._relay.follow(asker)
                self.ask(command, asker)
                wait(asker, deadline)
                self._relay.leave(asker)
        except BaseException as error:  # Ctrl-C, anywhere in there, even between taking the seat and the next line
            try:
                self._stand_down(asker, error)
            except BaseException:  # once more: it may have struck in there
                self._stand_down(asker, error)
                raise
            raise
        if not asker.done:
            wait(asker, deadline)

    def lead(self, waiter: Waiter, deadline: float) -> None:
        """Wait for something asked before, like ``exchange``. *Any thread but the engine's.*"""
        self._check_waiting()
        try:
            if self._can_lead and self._take_seat():
                self._read_for(waiter, deadline)
                self._leave_seat()
        except BaseException:
            try:
                self._leave_seat()
            except BaseException:
                self._leave_seat()
                raise
            finally:
                self._loop.call_soon(self._hand_back)
            raise
        if not waiter.done:
            wait(waiter, deadline)

    def _check_waiting(self) -> None:
        if (
            self._nested()
            or (self._reading and self._seat._is_owned())  # type: ignore[attr-defined]
            or (self._relay.threads and not self._relay.make_way())
        ):
            raise self._stuck()

    def _stand_down(self, asker: Asker, error: BaseException) -> None:
        if not isinstance(error, Exception):
            self._loop.call_soon(self._relay.rescue)
        self._leave_seat()
        self._relay.leave(asker)

    def _take_seat(self) -> bool:
        """Become the reader if nobody is, and keep the selector thread out of it."""
        if self.state is not State.OPEN or not self._seat.acquire(blocking=False):
            return False
        self._led = True
        self._watch()
        return True

    def _leave_seat(self) -> None:
        if not self._seat._is_owned():  # type: ignore[attr-defined]
            return
        if self._reading:
            self._over(_TORN_READ, reset=True)
        relayed = self._relay.runner is not None  # somebody will be the next leader at once, or the last hands back
        if not relayed:
            self._led = False
            self._watch()
        self._seat.release()
        if self._shut:
            self._close_socket()
        if relayed and self._relay.runner is None:
            self._hand_back()

    def _relay_over(self) -> None:
        self.flush()
        self._hand_back()

    def _hand_back(self) -> None:
        """Let the selector thread read again, unless there is a leader, who will do so on leaving. *Any thread.*"""
        if self._led and not self._seat._is_owned() and self._seat.acquire(blocking=False):  # type: ignore[attr-defined]
            self._led = False
            self._watch()
            self._seat.release()
            if self._shut:
                self._close_socket()

    def _watch(self) -> None:
        """Have the selector thread look for what is wanted: to read unless a leader does, to write if bytes wait."""
        with self._interest:  # so that the last call is made of the newest flags
            try:
                wanted = (0 if self._led else READ) | (WRITE if self._outbox.blocked else 0)
                self._loop.poller.modify(self._descriptor, wanted)
            except (OSError, ValueError):
                pass  # closed meanwhile, which everyone who waits has been told

    def _read_for(self, waiter: Waiter, deadline: float) -> None:
        patience = self._patience
        over = min(deadline, time.monotonic() + _LEAD)
        while not waiter.done and self.state is State.OPEN:
            left = over - time.monotonic()
            if left <= 0 or not patience.poll(left * 1000.0) or not whole(self._read):
                return

    def _readable(self) -> None:
        if self._seat.acquire(blocking=False):
            try:
                self._read()
            finally:
                self._seat.release()

    def _read(self) -> bool:
        """Read once and deliver; false if the connection is over. *Caller holds the seat.*"""
        if self._reading:  # whoever read last was interrupted, or has found the end
            return self._over(_TORN_READ, reset=True)
        self._reading = True
        space = self.core.receive_buffer()
        assert self._sock is not None
        try:
            if space is None:
                data = self._sock.recv(self._appetite)
                count = len(data)
                self._appetite = _FLOOD if count >= _CHUNK else _CHUNK
            else:
                count = self._sock.recv_into(space[:_SLICE])
        except (BlockingIOError, InterruptedError):
            self._reading = False
            return True
        except OSError as error:
            return self._over(f"read failed: {_errno_name(error.errno)}")
        if not count:
            return self._over("closed by the server")
        self.bytes_in += count
        self.heard_at = now = time.monotonic()
        self._liveness.heard(now)
        try:
            with self.lock:
                items = self.core.receive(data) if space is None else self.core.received(count)
        except RemoteProtocolError as error:
            self._deliver(error.heard)
            return self._over(f"protocol error: {error}", reset=True)
        self._undelivered = own = self._relay.take(items)
        self._deliver(own)
        self._undelivered = ()
        self._relay.start()
        self._reading = False
        return True

    def _deliver(self, items: Sequence[Any]) -> None:
        for item in items:
            owner = item.owner
            if owner is None:
                self._loop.run(self._unowned, item)
                continue
            try:
                owner.receive(item)
            except Exception as error:  # noqa: BLE001  a value that cannot be decoded concerns its owner only
                self._refused(owner, error)

    def _refused(self, owner: Any, error: Exception) -> None:
        if hasattr(owner, "fail"):
            owner.fail(error)
        else:
            self._loop.report(error)

    def _over(self, reason: str, reset: bool = False) -> bool:
        """Have the circuit closed; ``_reading`` stays up, so that nobody reads on. *Caller holds the seat.*"""
        self._loop.call_soon(self.close, reason, reset)
        return False

    def _unowned(self, command: Command) -> None:
        if self.state is State.CLOSED:
            return
        if type(command) is EchoResponse:
            self._echo_answered()
        else:
            self._on_command(self, command)

    # -- flow control --------------------------------------------------------------------------------------------------

    def pause_updates(self) -> None:
        """A callback cannot keep up: have the server keep only the newest values for a moment. *Any thread.*"""
        if not self._paused:
            self._paused = True
            self.pauses += 1
            self._loop.call_soon(self._switch_updates, EventsOffRequest)
            self._loop.call_at(time.monotonic() + _PAUSE, self.resume_updates)

    def resume_updates(self) -> None:
        """Let updates flow again. *Any thread.*"""
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._switch_updates, EventsOnRequest)

    def _switch_updates(self, request: type[Command]) -> None:
        self.dismiss(request())
        self.flush()

    # -- liveness: engine thread ---------------------------------------------------------------------------------------

    def beacon(self, now: float, vouches: bool) -> None:
        """A beacon of this server came, in time or not. *Engine thread.*"""
        if vouches:
            self._liveness.beacon(now)
        else:
            self._liveness.doubt(now)

    def doubt_for(self, seconds: float) -> None:
        """The server answers elsewhere: end this circuit unless the echo comes within *seconds*. *Engine thread.*"""
        if self.state is State.UNRESPONSIVE and not self._doubted:
            self._doubted = True
            self._loop.call_at(time.monotonic() + seconds, self._give_up)

    def _give_up(self) -> None:
        self._doubted = False
        if self.state is State.UNRESPONSIVE:
            self.close("the server answers searches, but not on its circuit", reset=True)

    def _check_liveness(self) -> None:
        if self.state is State.CLOSED:
            return
        self._act(self._liveness.due(time.monotonic()))

    def _act(self, action: Action) -> None:
        if action is not Action.NONE:
            self._echo()
        if action is Action.UNRESPONSIVE:
            self._set_unresponsive()
        self._rearm()

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.state is not State.CLOSED:
            self._timer = self._loop.call_at(self._liveness.next_due(), self._check_liveness)

    def _echo(self) -> None:
        with self.lock:
            if self.state is State.CLOSED:
                return
            self._echo_at = time.monotonic()
            self._outbox.put(self.core.send(EchoRequest()))
            self._outbox.write()

    def _echo_answered(self) -> None:
        now = time.monotonic()
        self.round_trip = now - self._echo_at
        action = self._liveness.echo_answered(now)
        if action is Action.ECHO:
            self._echo()
        elif action is Action.RESPONSIVE and self.state is State.UNRESPONSIVE:
            with self.lock:
                self.state = State.OPEN
            for rider in list(self.riders):
                rider.circuit_responsive()
        self._rearm()

    def _set_unresponsive(self) -> None:
        with self.lock:
            if self.state is not State.OPEN:
                return
            self.state = State.UNRESPONSIVE
            waiting = self.core.abandon_requests()
            self._outbox.give_room()
        error = DisconnectedError(f"circuit to {self.name} is unresponsive: echo not answered")
        for owner in waiting:
            owner.fail(error)
        for rider in list(self.riders):
            rider.circuit_unresponsive()


def wait(waiter: Waiter, deadline: float) -> None:
    """Sleep until *waiter* is done or the monotonic *deadline* has passed. *Any thread but the engine's.*"""
    if not waiter.done:
        await_signal(waiter.signal, deadline)


def _connecting(address: Address) -> socket.socket:
    sock = tcp_socket()
    code = sock.connect_ex(address)
    if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        sock.close()
        raise OSError(code, os.strerror(code))
    return sock


def _askers(items: Sequence[Any]) -> list[Any]:
    """Those who would not hear of the end otherwise: the core has closed its books on what they asked.

    Who has been told already is no error.
    """
    return [item.owner for item in items if hasattr(item.owner, "fail")]


def _shut(sock: socket.socket, reset: bool) -> None:
    try:
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # already gone


def _errno_name(code: int | None) -> str:
    return errno.errorcode.get(code or 0, str(code))
