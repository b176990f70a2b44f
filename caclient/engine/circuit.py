"""A TCP circuit: its life, from the first SYN to the last byte.

Down (``sending``): one door, through which everything is policed and encoded under the circuit's lock, and leaves.
Up (``reader``): one thread at a time reads, and hands every item to its owner. Beside it (``watch``): whether the
server still lives. Lock order: seat, then lock. Nobody waits for anything while holding the lock, and nothing is called
up under it.

A circuit ends in one of two ways. It is *closed* because it is broken: that is at once. Or it is *finished* because it
is not needed any more: then nothing accepted is lost. What was put still leaves, the server is told that no more will
come (``SHUT_WR``), and what it says is read, and thrown away, until it has closed its end; for unread bytes would have
the kernel reset the connection, and with that goes what the server has not read yet. That takes as long as the server
makes progress, within the time given.
"""

from __future__ import annotations

import enum
import errno
import os
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from caclient.engine.batches import Batches
from caclient.engine.creations import CreationWatch
from caclient.engine.farewell import Farewell
from caclient.engine.intake import Intake
from caclient.engine.loop import Loop, Timer
from caclient.engine.outbox import Outbox
from caclient.engine.poller import READ, WRITE
from caclient.engine.reader import Reader
from caclient.engine.sending import AT_ONCE, LATER, Sending
from caclient.engine.sockets import Address, errno_name, tcp_socket
from caclient.engine.watch import Watch
from caclient.errors import CAError, DisconnectedError, LocalProtocolError
from caclient.protocol.channel import ClientChannel
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.command import CLIENT, Command
from caclient.protocol.commands import EchoRequest, EchoResponse, EventsOffRequest, EventsOnRequest
from caclient.protocol.crowds import CreatedRun, Made
from caclient.protocol.liveness import PROBE

_PAUSE: Final = 0.1
"""Seconds for which updates are off if nobody says how long."""
_RELAY: Final = 0.01
"""Seconds after a read for which requests may wait for those who are just being woken."""


class State(enum.Enum):
    """Where the TCP connection stands."""

    CONNECTING = "connecting"
    OPEN = "open"
    UNRESPONSIVE = "unresponsive"
    CLOSED = "closed"


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


class Creator(Protocol):
    """Who wants a channel."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def waiting(self) -> bool:
        """Whether it is still wanted, and was not asked for yet."""

    def asked_for(self, core: ClientChannel) -> None:
        """The server was asked for it."""

    def made(self, made: Made) -> None:
        """The server has made it."""

    def creation_overdue(self) -> None:
        """It was neither made nor refused in time."""


class Circuit(Sending):
    """A connection to (address, priority), and the counters that a report shows.

    *on_closed* is called once at the end, *on_command* with what has no owner; both on the engine thread. What one
    receive brings for callbacks goes to *batches* together.
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
        batches: Batches | None = None,
        intake: Intake | None = None,
    ) -> None:
        self.address = address
        self.priority = priority
        self.name = f"{address[0]}:{address[1]}" + (f" (priority {priority})" if priority else "")
        """``host:port``, with the priority if it is not 0."""
        core = VirtualCircuit(our_role=CLIENT, address=address, priority=priority, max_payload=max_payload)
        outbox = Outbox(partial(loop.call_soon, self._write_blocked), self._write_failed)
        super().__init__(loop, core, outbox)
        self.state = State.CONNECTING
        self.reason = ""
        self.riders: dict[Rider, None] = {}
        self.served = False
        self.opened_at = 0.0
        self.owed_since = 0.0
        """Since when the server has said nothing though it was asked something; 0 if nobody has waited in vain."""
        self.pauses = 0
        """How often the server was asked to keep only the newest values for a while."""
        self.watch = Watch(loop, self, outbox, conn_timeout, echo_timeout)
        self.creations = CreationWatch(loop, self)
        """Channels that the server was asked for and has not made."""
        self.reader = Reader(loop, self, outbox, self.watch.heard, self.close, self._unowned, batches, intake)
        self.exchange = self.reader.exchange
        self.lead = self.reader.lead
        self._on_closed = on_closed
        self._on_command = on_command
        self._conn_timeout = conn_timeout
        self._holders: dict[Any, None] = {}
        self._paused = False
        self._sock: socket.socket | None = None
        self._shut = False
        self._timer: Timer | None = None
        self._farewell: Farewell | None = None

    @property
    def bytes_in(self) -> int:
        """Bytes received."""
        return self.reader.bytes_in

    @property
    def round_trip(self) -> float:
        """Seconds that the last answer took which somebody waited for, or the last echo; 0 if there was none."""
        return self.reader.round_trip or self.watch.round_trip

    @property
    def paused(self) -> bool:
        """Whether the server has been asked to keep only the newest values."""
        return self._paused

    @property
    def engine_lag(self) -> float:
        """Seconds by which the selector thread was last late."""
        return self._loop.lag

    def unusable(self) -> CAError:
        """What to raise while the circuit is not up."""
        return DisconnectedError(f"circuit to {self.name} is {self.state.value}{self.reason and ': ' + self.reason}")

    # -- opening: engine thread ----------------------------------------------------------------------------------------

    def open(self, greeting: Sequence[Command]) -> None:
        """Begin to connect without waiting; *greeting* goes first when TCP is up. *Engine thread.*"""
        self._outbox.put(self.core.send(*greeting))
        try:
            sock = _connecting(self.address, self._conn_timeout)
        except OSError as error:
            self._loop.call_soon(self.close, f"connect failed: {errno_name(error.errno)}")
            return
        try:
            self._loop.poller.add(sock.fileno(), WRITE, self._ready)
        except OSError as error:  # no more sockets than that can be watched here: better one circuit less than none
            sock.close()
            self._loop.call_soon(self.close, f"connection refused by this side: {error.strerror}")
            return
        self._sock = sock
        self._timer = self._loop.call_at(time.monotonic() + self._conn_timeout, self._connect_too_slow)

    def _connected(self) -> None:
        sock = self._sock
        assert sock is not None and self._timer is not None
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.close(f"connect failed: {errno_name(code)}")
            return
        self._timer.cancel()
        self.opened_at = now = time.monotonic()
        self.reader.start(sock, now)
        with self.lock:
            self._outbox.connect(sock.send)
            self._move(State.OPEN)
        self.watch.start(now)
        for rider in list(self.riders):
            rider.circuit_open()
        self.flush()

    def _connect_too_slow(self) -> None:
        if self.state is State.CONNECTING:
            self.close(f"no connection within {self._conn_timeout:g} s")

    def _move(self, state: State) -> None:
        self.state = state
        self.up = state is State.OPEN

    # -- the socket: engine thread -------------------------------------------------------------------------------------

    def _ready(self, bits: int) -> None:
        try:
            if self._farewell is not None:
                self._farewell.ready(bits)
            elif self.state is State.CONNECTING:
                self._connected()
            elif self.state is not State.CLOSED:
                if bits & WRITE and self._outbox.blocked:
                    self._write_more()
                if bits & READ:
                    self.reader.unled()
        except Exception as error:
            self.close(f"internal error: {error!r}", reset=True)  # else it would be called again at once, for ever
            raise

    def _write_more(self) -> None:
        with self.lock:
            self._outbox.unblock()
        self.watch.sent_much()
        if not self._outbox.blocked:
            self.reader.watch()

    def _write_blocked(self) -> None:
        if self.state in (State.OPEN, State.UNRESPONSIVE):
            self.reader.watch()
            self.watch.blocked()

    def _write_failed(self, error: OSError) -> None:
        self._loop.call_soon(self.close, f"write failed: {errno_name(error.errno)}")

    def _hurries(self) -> bool:
        """Whether callers are just being woken, who soon write what they ask together with this."""
        return self.reader.relay.runner is not None and time.monotonic() - self.heard_at < _RELAY

    # -- down: engine thread -------------------------------------------------------------------------------------------

    def dismiss(self, command: Command) -> None:
        """Tell the server what is (not) needed any more, also while it is unresponsive. A ``flush`` is to follow."""
        self._tell(command, LATER)

    def create(self, askers: Sequence[Creator]) -> None:
        """Ask for channels, all at once. Where that cannot be said the circuit is about to end, which riders hear."""
        failed = None
        with self.lock:
            if not self.up:
                return
            try:
                channels, buffer = self.core.send_creates([(asker.name, asker) for asker in askers])
            except LocalProtocolError:  # it was found broken just now
                return
            self._outbox.put((buffer,))
            failed = self.closing(AT_ONCE)
        self.closed(failed)
        self.creations.ask_all(askers)
        for asker, channel in zip(askers, channels, strict=True):
            asker.asked_for(channel)

    def echo(self) -> None:
        """Ask the server for a sign of life."""
        self._tell(EchoRequest(), AT_ONCE)

    def _tell(self, command: Command, mode: int) -> None:
        failed = None
        with self.lock:
            if self.state in (State.OPEN, State.UNRESPONSIVE):
                try:
                    self.saying.send(command)
                except LocalProtocolError:
                    if self.core.standing.moves:
                        raise
                    return  # it was found broken just now, and is about to end
                failed = self.closing(mode)
        self.closed(failed)

    # -- flow control --------------------------------------------------------------------------------------------------

    def pause_updates(self, holder: Any = None) -> None:
        """Have the server keep only the newest values until the last *holder* resumes; without one, for a moment.

        *Any thread.*
        """
        paused = bool(self._holders)
        self._holders[holder] = None
        if holder is None:
            self._loop.call_at(time.monotonic() + _PAUSE, self.resume_updates)
        if not paused:
            self.pauses += 1
            self._loop.call_soon(self._switch_updates)

    def resume_updates(self, holder: Any = None) -> None:
        """Let updates flow again, if nobody else holds them back. *Any thread.*"""
        if self._holders.pop(holder, self) is None and not self._holders:
            self._loop.call_soon(self._switch_updates)

    def _switch_updates(self) -> None:
        wanted = bool(self._holders)
        if wanted is not self._paused:
            self._paused = wanted
            self.dismiss(EventsOffRequest() if wanted else EventsOnRequest())
            self.flush()

    # -- what the watch finds: engine thread ---------------------------------------------------------------------------

    def beacon(self, now: float, vouches: bool) -> None:
        """A beacon of this server came, in time or not."""
        self.watch.beacon(now, vouches)

    def probe(self) -> None:
        """There is reason to ask the server for a sign of life now."""
        self.watch.probe()

    def doubt_for(self, seconds: float) -> None:
        """The server answers elsewhere: end this circuit unless the echo comes within *seconds*."""
        self.watch.doubt_for(seconds)

    def set_unresponsive(self) -> None:
        """The server does not answer: who waits is told, and nothing more is asked."""
        with self.lock:
            if self.state is not State.OPEN:
                return
            self._move(State.UNRESPONSIVE)
            waiting = self.core.abandon_requests()
            self._outbox.give_room()
        for rider in list(self.riders):
            rider.circuit_unresponsive()
        error = DisconnectedError(f"circuit to {self.name} is unresponsive: echo not answered")
        for owner in waiting:
            owner.fail(error)

    def set_responsive(self) -> None:
        """It answers again."""
        with self.lock:
            if self.state is not State.UNRESPONSIVE:
                return
            self._move(State.OPEN)
        for rider in list(self.riders):
            rider.circuit_responsive()

    def _made(self, run: CreatedRun) -> None:
        """Channels by the thousand; one that fails must not cost the others their server."""
        self.creations.answered_all([made.owner for made in run.made])
        for made in run.made:
            try:
                made.owner.made(made)
            except Exception as error:  # noqa: BLE001
                self._loop.report(error)

    def _unowned(self, command: Any) -> None:
        if self.state is State.CLOSED:
            return
        if type(command) is EchoResponse:
            self.watch.echo_answered()
        elif type(command) is CreatedRun:
            self._made(command)
        else:
            self._on_command(self, command)

    # -- the end: engine thread ----------------------------------------------------------------------------------------

    def close(self, reason: str, reset: bool = False) -> None:
        """End the connection at once and tell the riders; closing twice is no error."""
        if self.state is not State.CLOSED:
            waiting = self._end_use(reason, clear=True)
            self._end_socket(reset)
            self._tell_of_the_end(waiting)
        elif self._farewell is not None:
            self._farewell.end()

    def finish(self, reason: str, seconds: float, on_ended: Callable[[Circuit], None] | None = None) -> None:
        """End the connection without losing what was put, within *seconds*; *on_ended* is called when that is done.

        For everybody else it is closed from now on.
        """
        polite = self.state is State.OPEN
        if self.state is not State.CLOSED:
            self._tell_of_the_end(self._end_use(reason, clear=not polite))
        if polite and self._sock is not None:
            locks = self.reader.seat, self.lock
            end = partial(self._ended, on_ended)
            self._farewell = Farewell(self._loop, self._sock, self._outbox, locks, seconds, end)
        else:
            self._ended(on_ended)

    def _ended(self, on_ended: Callable[[Circuit], None] | None) -> None:
        self._end_socket(reset=False)
        if on_ended is not None:
            on_ended(self)

    def abandon(self) -> None:
        """In a forked child: close the descriptor; the connection is the parent's. *The only thread.*"""
        if self._sock is not None:
            self._sock.close()

    def _end_use(self, reason: str, clear: bool) -> list[Any]:
        """Nothing more can be asked: those who wait for what has been."""
        with self.lock:
            self._move(State.CLOSED)
            self.reason = reason
            waiting = self.core.disconnect()
            if clear:
                self._outbox.clear()
        self.watch.stop()
        self.creations.stop()
        if self._timer is not None:
            self._timer.cancel()
        return [*waiting, *self.reader.stop()]

    def _tell_of_the_end(self, waiting: list[Any]) -> None:
        """Tell the riders, and then those who wait: who has seen a request fail finds its PV disconnected."""
        self._on_closed(self)
        riders, self.riders = self.riders, {}
        for rider in riders:
            rider.circuit_closed(self.reason)
        error = DisconnectedError(f"circuit to {self.name} ended: {self.reason}")
        for owner in waiting:
            owner.fail(error)

    def _end_socket(self, reset: bool) -> None:
        sock = self._sock
        if sock is None or self._shut:
            return
        self._loop.poller.remove(sock.fileno())
        self._shut = True
        _shut(sock, reset)
        self.reader.close(sock)


def _connecting(address: Address, patience: float) -> socket.socket:
    sock = tcp_socket(patience)
    code = sock.connect_ex(address)
    if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        sock.close()
        raise OSError(code, os.strerror(code))
    return sock


def _shut(sock: socket.socket, reset: bool) -> None:
    try:
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # already gone
