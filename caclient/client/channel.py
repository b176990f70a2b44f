"""A channel: one for each (name, priority) of a context, shared by all who use the name.

It outlives circuits: searching -> connecting -> creating -> ready, and back to searching when the circuit or the server
lets it go. Subscriptions hang on the channel and are made again each time it becomes ready. Only the engine thread
moves a channel; other threads read its state, and wait for it to become ready.
"""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from caclient.client.request import Request, SharedRequest
from caclient.dbr import (
    LAYOUTS,
    ChannelType,
    ControlInfo,
    Origin,
    Reading,
    Reason,
    TimeStamp,
    ctrl_type,
    decode_reading,
    decode_run,
    scalar_decoder,
    time_type,
)
from caclient.engine.circuit import Circuit, State as CircuitState
from caclient.engine.pool import Pool
from caclient.engine.runtime import Runtime
from caclient.engine.sending import LATER
from caclient.engine.signals import await_signal, new_signal
from caclient.engine.sockets import Address
from caclient.errors import (
    AccessDeniedError,
    BadValueError,
    CAError,
    CATimeoutError,
    DecodeError,
    DisconnectedError,
    LocalProtocolError,
)
from caclient.protocol.channel import ClientChannel
from caclient.protocol.command import Command
from caclient.protocol.commands import (
    AccessRightsResponse,
    ClearChannelRequest,
    CreateChanResponse,
    CreateChFailResponse,
    ErrorResponse,
    ReadNotifyRequest,
    ServerDisconnResponse,
    WriteNotifyRequest,
    WriteRequest,
)

if TYPE_CHECKING:
    from caclient.client.properties import Properties
    from caclient.client.subscription import Monitor

log = logging.getLogger("caclient.channel")

_REFUSED: Final = 5.0
"""Seconds before a name is searched again that a server has answered for but would not create."""
_FORGETTING: Final = 0.1
"""Seconds before a channel is asked for again on a circuit whose server has yet to confirm that it forgot it."""
_SLOW: Final = 1.0
"""Seconds that a server has to make a channel before another one that answers for the name is tried."""
_HUNG: Final = 2.0
"""Seconds that an unresponsive circuit still has when its own server is heard to answer searches."""
_ARRAY: Final = 65_536
"""Bytes of an answer above which it is kept as it came until somebody looks at it."""


class State(enum.Enum):
    """How far a channel has got."""

    SEARCHING = "searching"
    CONNECTING = "connecting"
    CREATING = "creating"
    READY = "ready"
    UNRESPONSIVE = "unresponsive"
    CLOSED = "closed"


_UNDER_WAY: Final = (State.CONNECTING, State.CREATING)

ReadRow = tuple[Circuit, int, int, int]
"""(circuit, sid, type, count): on one circuit they become one buffer."""
Listener = Callable[["Channel", bool], None]
"""Called on the engine thread with the channel and whether it is connected."""


class Finder(Protocol):
    """Who looks for the servers of channels."""

    def seek(self, channel: Channel, delay: float = 0.0) -> None:
        """Search its name until ``settle``, from now (or *delay* seconds later) on, and tell it what was ``found``.

        *Engine thread.*
        """

    def settle(self, channel: Channel) -> None:
        """Search its name no more; one that is not searched is no error. *Engine thread.*"""

    def describe_search(self, channel: Channel) -> str:
        """How often its name was searched, where, and that nobody has answered; empty if it is not. *Any thread.*"""

    def duplicate(self, channel: Channel, other: Address) -> None:
        """A second server has answered for the name. *Engine thread.*"""


class Channel:
    """One PV of one server, wherever that is at the moment. Made by its home, never directly."""

    __slots__ = (
        "__weakref__",
        "access_listeners",
        "address",
        "can_read",
        "can_write",
        "cid",
        "circuit",
        "control",
        "core",
        "count",
        "decode",
        "finder",
        "floor",
        "listeners",
        "monitors",
        "name",
        "native_type",
        "note",
        "origins",
        "pool",
        "priority",
        "properties",
        "puts",
        "puts_read",
        "row",
        "runtime",
        "since",
        "state",
        "time_type",
        "users",
        "waiters",
    )

    def __init__(self, runtime: Runtime, pool: Pool, finder: Finder, name: str, priority: int, cid: int) -> None:
        self.runtime = runtime
        self.pool = pool
        self.finder = finder
        self.name = name
        self.priority = priority
        self.cid = cid
        self.state = State.SEARCHING
        self.since = time.monotonic()
        self.users = 0
        self.circuit: Circuit | None = None
        self.address: Address | None = None
        self.core: ClientChannel | None = None
        self.native_type: ChannelType | None = None
        self.time_type = ChannelType.TIME_STRING
        self.count = 0
        self.decode: Callable[..., Reading] | None = None
        self.can_read = False
        self.can_write = False
        self.control: ControlInfo | None = None
        self.properties: Properties | None = None
        """What keeps ``control`` up to date, once somebody wanted it."""
        self.origins: tuple[Origin, ...] = ()
        """What its readings share: one for each reason there has been."""
        self.note = ""
        self.row: ReadRow | None = None
        """How to read all there is, for bulk requests; None while it cannot be read."""
        self.puts = 0
        """Puts sent by this process."""
        self.puts_read = 0
        """How many of them the server had got when it was last asked for the value."""
        self.floor: TimeStamp | None = None
        """The time stamp read after our latest put: older updates are on their way, but are the past."""
        self.monitors: tuple[Monitor, ...] = ()
        self.listeners: tuple[Listener, ...] = ()
        self.access_listeners: tuple[Listener, ...] = ()
        self.waiters: list[Any] | None = None

    @property
    def connected(self) -> bool:
        """Whether it can be used right now. *Any thread.*"""
        return self.state is State.READY

    # -- waiting: any thread but the engine's --------------------------------------------------------------------------

    def wait_ready(self, deadline: float) -> bool:
        """Wait until the channel is ready or the monotonic *deadline* has passed; whether it is."""
        if self.state is State.READY:
            return True
        self.runtime.wake()
        signal = new_signal()
        if self.await_ready(signal) and not self.runtime.closed:  # who closes it sees the signal, or is seen
            try:
                with self.runtime.lanes.blocking():
                    await_signal(signal, deadline)
            finally:
                self.leave(signal)
        if self.state is State.CLOSED or self.runtime.closed:
            raise self.ended("it was closed")
        return self.connected

    def await_ready(self, signal: Any) -> bool:
        """Have ``signal.release()`` called when the channel is ready or closed; false if it is already."""
        with self.runtime.lock:
            if self.state in (State.READY, State.CLOSED):
                return False
            if self.waiters is None:
                self.waiters = []
            self.waiters.append(signal)
        return True

    def leave(self, signal: Any) -> None:
        """Take a signal back; one that was given is no error."""
        with self.runtime.lock:
            if self.waiters is not None and signal in self.waiters:
                self.waiters.remove(signal)

    def require(self, deadline: float) -> None:
        """Wait until the channel is ready.

        :raises CATimeoutError: saying how far it got.
        """
        started = time.monotonic()
        if not self.wait_ready(deadline):
            raise self.unready(time.monotonic() - started)

    def unready(self, waited: float) -> CAError:
        """What to raise, or to report, for a channel that is not ready after so many seconds."""
        if self.state is State.CLOSED:
            return self.ended(self.note)
        return CATimeoutError(self.progress(waited))

    def progress(self, waited: float) -> str:
        """What has been tried, and how far it got."""
        head = f"'{self.name}' not connected after {waited:.3f} s"
        where = "an unknown address" if self.address is None else f"{self.address[0]}:{self.address[1]}"
        if self.state is State.CONNECTING:
            return f"{head}: {where} answered the search, TCP connection not up yet"
        if self.state is State.CREATING:
            return f"{head}: TCP connection to {where} is up, channel requested, no answer yet"
        if self.state is State.UNRESPONSIVE:
            return f"{head}: {where} does not answer on its TCP connection, searching elsewhere too"
        asked = self.finder.describe_search(self)
        if not asked:
            return f"{head}: {self.note}; to be searched again" if self.note else f"{head}: not searched yet"
        return f"{head}: {asked}" + (f"; before that: {self.note}" if self.note else "")

    # -- reading and writing: any thread but the engine's --------------------------------------------------------------

    def read(
        self, deadline: float, data_type: int | None = None, count: int | None = None, monitor: Monitor | None = None
    ) -> Reading:
        """Ask the server, by default for all there is with its time stamp; *monitor* remembers the answer."""
        if self.state is not State.READY:
            self.require(deadline)
        row = self.row
        if row is None:
            raise self._unreadable()
        circuit, sid, own_type, all_there_is = row
        wanted = own_type if data_type is None else data_type
        length = all_there_is if count is None else count
        request = Request(self.name) if monitor is None else SharedRequest(self.name, monitor.keep)
        try:
            reply = self._exchange(request, circuit, ReadNotifyRequest(wanted, length, sid, 0), deadline)
        except (DisconnectedError, LocalProtocolError) as error:
            if request.ioid < 0 and self._moved_on(circuit, deadline):  # nothing has left: ask on the next connection
                return self.read(deadline, data_type, count, monitor)
            raise self.ended(error) from None
        if isinstance(request, SharedRequest) and request.reading is not None:
            return request.reading  # large arrays are decoded where they lie, so only once
        return self.reading(reply)

    def _exchange(self, request: Request, circuit: Circuit, command: Command, deadline: float) -> Any:
        """The answer to a request; a callback that waits for it gives its place on the lanes to another."""
        if not self.runtime.lanes.on_worker():
            return request.exchange(circuit, command, deadline)
        with self.runtime.lanes.blocking():
            return request.exchange(circuit, command, deadline)

    def origin(self, reason: Reason) -> Origin:
        """What readings of this channel for that reason share, with the metadata that are known by now."""
        control = self.control
        for origin in self.origins:
            if origin.reason == reason and origin.control is control and origin.native_type is self.native_type:
                return origin
        made = Origin(self.name, self.native_type, control, reason)
        self.origins = (*(other for other in self.origins if other.reason != reason), made)
        return made

    def reading(self, reply: Any, reason: Reason = "read") -> Reading:
        """An answer as a user holds it; arrays are read-only if they are shared.

        :raises DecodeError: if the server has not sent what it said.
        """
        try:
            if self.decode is not None and reply.data_type == self.time_type:
                return self.decode(reply.payload, 0, self.origin(reason))
            return self._general_reading(reply, self.origin(reason))
        except DecodeError as error:
            raise DecodeError(f"'{self.name}': {self.circuit_name} sent nonsense: {error}") from None

    def _general_reading(self, reply: Any, origin: Origin) -> Reading:
        payload = reply.payload
        own = (
            isinstance(payload, (bytearray, memoryview)) and len(payload) > _ARRAY and not memoryview(payload).readonly
        )
        return decode_reading(reply.data_type, reply.data_count, payload, self.count == 1, origin, own)

    def value(self, reply: Any) -> Any:
        """An answer's value alone."""
        return self.reading(reply).value

    def readings(self, data_type: int, rows: Any, reason: Reason = "update") -> list[Reading]:
        """A run as readings; an array channel that answered with one element each has arrays of one."""
        readings = decode_run(data_type, rows, self.origin(reason))
        return readings if self.count == 1 else [self.own(reading, data_type) for reading in readings]

    def own(self, reading: Reading, data_type: int) -> Reading:
        """A reading out of a run as one of this channel: its value is an array if it is an array channel."""
        if self.count == 1:
            return reading
        layout = LAYOUTS[data_type]
        return reading.with_value(np.array([reading.value], np.str_ if layout.is_string else layout.value_dtype))

    def fetch_control(self, deadline: float) -> ControlInfo:
        """Units, precision, limits and names of states, from memory if they are known; then kept up to date."""
        control, properties = self.control, self.properties
        if control is None:
            self.require(deadline)
            assert self.native_type is not None
            control = self.read(deadline, ctrl_type(self.native_type), 1).control or ControlInfo()
            self.control = control
        if properties is None or not properties.following:
            self.want_control(follow=True)
        return control

    def want_control(self, follow: bool = False) -> None:
        """Have the metadata fetched at each connection, without waiting for them; *follow*: kept up to date too."""
        from caclient.client.properties import Properties

        with self.runtime.lock:
            properties = self.properties
            if properties is None:
                self.properties = properties = Properties(self)
            elif properties.following or not follow:
                return
            properties.following = follow
        self.runtime.loop.call_soon(properties.start)

    def put(self, data_type: int, count: int, data: Any, deadline: float) -> None:
        """Send a value without asking for an answer; a refusal by the server is logged."""
        if self.state is not State.READY:
            self.require(deadline)
        core, circuit = self._usable()
        if not self.can_write:
            raise self.denied("write")
        try:
            circuit.post(WriteRequest(data, data_type, count, core.sid, self.cid), deadline)
        except BadValueError as error:
            raise BadValueError(f"'{self.name}': {error}") from None
        except DisconnectedError as error:
            if not self._moved_on(circuit, deadline):
                raise self.ended(error) from None
            self.put(data_type, count, data, deadline)  # nothing has left: send it on the next connection
        except LocalProtocolError as error:
            raise self.ended(error) from None
        except BaseException:  # Ctrl-C, or another signal's handler
            self.puts += 1  # it may have been sent; one too many only has the server asked once more
            raise
        else:
            self.puts += 1

    def put_wait(self, data_type: int, count: int, data: Any, deadline: float) -> None:
        """Send a value and wait until the record has finished processing."""
        core, circuit = self._usable()
        if not self.can_write:
            raise self.denied("write")
        request = Request(self.name)
        try:
            self._exchange(request, circuit, WriteNotifyRequest(data, data_type, count, core.sid, 0), deadline)
        except BadValueError as error:
            raise BadValueError(f"'{self.name}': {error}") from None
        except (DisconnectedError, LocalProtocolError) as error:
            raise self.ended(error) from None
        finally:
            if request.ioid >= 0:
                self.puts += 1

    def begin_put(self, data_type: int, count: int, data: Any) -> Callable[[float], None]:
        """Send a value; the result waits, until a monotonic deadline, for the record to finish processing."""
        core, circuit = self._usable()
        if not self.can_write:
            raise self.denied("write")
        request = Request(self.name)
        try:
            circuit.ask(WriteNotifyRequest(data, data_type, count, core.sid, 0), request)
        except BadValueError as error:
            raise BadValueError(f"'{self.name}': {error}") from None
        except (DisconnectedError, LocalProtocolError) as error:
            raise self.ended(error) from None
        self.puts += 1

        def finish(deadline: float) -> None:
            try:
                with self.runtime.lanes.blocking():
                    request.wait(circuit, deadline)
            except DisconnectedError as error:
                raise self.ended(error) from None

        return finish

    def _moved_on(self, circuit: Circuit, deadline: float) -> bool:
        """Let the engine thread finish with a circuit that is just ending; whether the channel has left it."""
        settled = new_signal()
        self.runtime.loop.call_soon(settled.release)
        with self.runtime.lanes.blocking():
            await_signal(settled, deadline)
        return self.circuit is not circuit

    def _unreadable(self) -> CAError:
        """Why there is no way to read."""
        if self.state is State.READY and self.circuit is not None and not self.can_read:
            return self.denied("read")
        return self.ended(self.note or self.state.value)

    def _usable(self) -> tuple[ClientChannel, Circuit]:
        core, circuit = self.core, self.circuit
        if core is None or circuit is None or self.state is not State.READY:
            raise self.ended(self.note or self.state.value)
        return core, circuit

    def ended(self, why: object) -> CAError:
        """What to raise when there is no connection any more, or never will be."""
        if self.runtime.closed:
            return self.runtime.closed_error(self.name)
        if isinstance(why, LocalProtocolError) and self.state is State.READY:
            return why  # it is connected, but what was asked for cannot be said to this server
        return DisconnectedError(f"'{self.name}' is not connected: {why}")

    def denied(self, what: str) -> AccessDeniedError:
        """What to raise when the server lets us not ``"read"``, or not ``"write"``."""
        user, host = self.runtime.identity
        return AccessDeniedError(f"'{self.name}': no {what} access for {user}@{host} on {self.circuit_name}")

    @property
    def circuit_name(self) -> str:
        """``host:port`` of the server, or that there is none."""
        return "no server" if self.address is None else f"{self.address[0]}:{self.address[1]}"

    # -- the life of the channel: engine thread ------------------------------------------------------------------------

    def search(self) -> None:
        """Have the name searched."""
        if self.state is State.SEARCHING:
            self.finder.seek(self)

    def found(self, address: Address, fresh: bool = True) -> None:
        """A server has answered for the name; *fresh*: the first since it was asked for."""
        if self.state is State.UNRESPONSIVE:
            self._found_elsewhere(address)
        elif self.state in _UNDER_WAY and address != self.address:
            self._try_instead(address)
        if self.state is State.SEARCHING:
            if fresh:
                self._ride(address)
        elif address != self.address:
            self.finder.duplicate(self, address)

    def _try_instead(self, address: Address) -> None:
        """Another server has the name too: try it if the first, which may not even exist, has had its time."""
        circuit = self.circuit
        if circuit is not None and time.monotonic() - self.since >= _SLOW:
            self._part_from(circuit)
            self._leave_circuit(f"{circuit.name} answered the search, but did not create the channel")
            self._move(State.SEARCHING)
            self._ride(address)

    def _found_elsewhere(self, address: Address) -> None:
        circuit = self.circuit
        if circuit is None:
            return
        if address == self.address:
            circuit.doubt_for(_HUNG)
            return
        self._part_from(circuit)
        self._leave_circuit(f"{circuit.name} is unresponsive, {address[0]}:{address[1]} has the name too")
        self._move(State.SEARCHING)

    def _part_from(self, circuit: Circuit) -> None:
        """Leave a circuit that does not answer: should it ever again, the server is to forget this channel."""
        circuit.riders.pop(self, None)
        core = self.core
        if core is not None and core.sid >= 0:
            self._clear(circuit, core.sid)
        elif core is not None:
            core.owner = _Leftover(self.runtime, self.pool, circuit, self.cid)
        self.pool.maybe_idle(circuit)

    def _ride(self, address: Address) -> None:
        delay = self.pool.patience_with(address)
        if delay > 0:
            self.note = f"{address[0]}:{address[1]} {self.pool.not_serving(address)}"
            self.finder.seek(self, delay)
            return
        self._move(State.CONNECTING)
        self.circuit = circuit = self.pool.circuit(address, self.priority)
        self.address = circuit.address
        circuit.riders[self] = None
        if circuit.state is CircuitState.OPEN:
            self.circuit_open()
        else:
            circuit.doubt_for(_HUNG)

    def circuit_open(self) -> None:
        """TCP is up: ask for the channel."""
        circuit = self.circuit
        if self.state is not State.CONNECTING or circuit is None:
            return
        if self.cid in circuit.core.channels:
            self._drop(f"{circuit.name} has not forgotten it yet", _FORGETTING)
            return
        self._move(State.CREATING)
        self.core = ClientChannel(self.name, circuit.core, cid=self.cid, owner=self)
        with circuit.sending(LATER) as core:
            core.send(self.core.create())
        self.pool.flush_soon(circuit)

    def circuit_closed(self, reason: str) -> None:
        """The circuit is gone: search again."""
        if self.state is State.CLOSED:
            return
        self._leave_circuit(reason)
        self._move(State.SEARCHING)
        self.search()

    def circuit_unresponsive(self) -> None:
        """Disconnected as far as users can tell, but the circuit is watched while others are asked."""
        if self.state in (State.READY, State.CREATING):
            was_ready = self.state is State.READY
            self.note = "the server does not answer"
            self._move(State.UNRESPONSIVE)
            self.finder.seek(self)
            if was_ready:
                self._tell(connected=False)

    def circuit_responsive(self) -> None:
        """The server answers again: one fresh value for each subscription, which it still holds."""
        if self.state is State.UNRESPONSIVE:
            self.finder.settle(self)
            if self.core is None or self.core.sid < 0 or self.native_type is None:
                self._move(State.CREATING)
            else:
                self._serve()
        elif self.state is State.CONNECTING:
            self.circuit_open()

    def receive(self, command: Any) -> None:
        """A command for this channel came. *The thread that reads the circuit.*"""
        self.runtime.loop.run(self._receive, command)

    def _receive(self, command: Any) -> None:
        if self.state is State.CLOSED:
            self._too_late(command)
            return
        handler = _HANDLERS.get(type(command))
        if handler is not None:
            handler(self, command)

    def _too_late(self, command: Any) -> None:
        """The channel was closed before the server had made it: it must not stay there."""
        circuit = self.circuit
        if circuit is None or type(command) not in (CreateChanResponse, CreateChFailResponse):
            return
        self.circuit = None
        if type(command) is CreateChanResponse:
            self._clear(circuit, command.sid)
        self.pool.maybe_idle(circuit)

    def _access_rights(self, command: AccessRightsResponse) -> None:
        rights = int(command.access_rights)
        self.can_read, self.can_write = bool(rights & 1), bool(rights & 2)
        if self.state is State.READY:
            self.row = self._read_row()
            for listener in self.access_listeners:
                listener(self, True)

    def _created(self, command: CreateChanResponse) -> None:
        self.finder.settle(self)
        if self.circuit is not None:
            self.pool.created(self.circuit)
        if self.state is State.CREATING:
            self._adopt(LAYOUTS[command.type_field].data_type, command.data_count)
            self.control = self.floor = None
            self._serve()

    def _serve(self) -> None:
        """Ready, for the first time on this circuit or again."""
        self._become_ready()
        if self.properties is not None:
            self.properties.start()
        for monitor in self.monitors:
            if monitor.core_id is None:
                self._start(monitor)
            else:
                monitor.refresh()

    def _start(self, monitor: Monitor) -> None:
        """Callbacks at once, caches when there is time."""
        if monitor.sinks:
            monitor.start()
        else:
            self.runtime.later(monitor.start)

    def _adopt(self, native: ChannelType, count: int) -> None:
        """Take what the server has, which may have answered in the meantime while it hung, or be another one by now."""
        if (native, count) != (self.native_type, self.count):
            self.native_type, self.count = native, count
            self.time_type = time_type(native)
            self.decode = scalar_decoder(self.time_type) if count == 1 else None
            self.control = self.floor = None

    def _become_ready(self) -> None:
        self.note = ""
        self._move(State.READY)
        self._release_waiters()
        self._tell(connected=True)

    def _refused(self, _command: CreateChFailResponse) -> None:
        self._drop(f"{self.circuit_name} answered the search but would not create the channel", _REFUSED)

    def _server_left(self, command: ServerDisconnResponse) -> None:
        error = DisconnectedError(f"{self.circuit_name} removed the channel")
        for owner in command.orphans:
            owner.fail(error)
        self._drop(f"{self.circuit_name} removed the channel", 0.0)

    def _drop(self, reason: str, delay: float) -> None:
        circuit = self.circuit
        if circuit is not None:
            circuit.riders.pop(self, None)
            self._leave_circuit(reason)
            self.pool.maybe_idle(circuit)
        self._move(State.SEARCHING)
        self.finder.seek(self, delay)

    def _leave_circuit(self, reason: str) -> None:
        was_ready = self.state is State.READY
        self.note = reason
        self.circuit = self.core = self.row = None
        self.can_read = self.can_write = False
        self._subscriptions_lost()
        if was_ready:
            self._move(State.SEARCHING)
            self._tell(connected=False)

    def _subscriptions_lost(self) -> None:
        for monitor in self.monitors:
            monitor.lost()
        if self.properties is not None:
            self.properties.lost()

    def _tell(self, connected: bool) -> None:
        for listener in self.listeners:
            listener(self, connected)

    def _write_failed(self, command: ErrorResponse) -> None:
        self.runtime.log.push(_log_write_failure, (self.name, command.status))

    def _move(self, state: State) -> None:
        self.since = time.monotonic()
        self.row = self._read_row() if state is State.READY else None
        self.state = state

    def _read_row(self) -> ReadRow | None:
        core, circuit = self.core, self.circuit
        if core is None or circuit is None or not self.can_read:
            return None
        return circuit, core.sid, int(self.time_type), core.count_for(1 if self.count == 1 else 0)

    def close(self) -> None:
        """Nobody uses the name any more: let the server forget it."""
        if self.state is State.CLOSED:
            return
        self.finder.settle(self)
        circuit, core, state = self.circuit, self.core, self.state
        self._move(State.CLOSED)
        self._release_waiters()
        self.properties = None
        if circuit is None:
            return
        if state is State.UNRESPONSIVE:
            self._part_from(circuit)
        circuit.riders.pop(self, None)
        if state is State.CREATING:
            return  # the answer is still to come; _too_late sees to it
        if core is not None and state is State.READY:
            self._clear(circuit, core.sid)
        self.circuit = self.core = None
        self.pool.maybe_idle(circuit)

    def abandon(self) -> None:
        """The context closes: whoever waits is told. *Engine thread.*"""
        was_ready = self.state is State.READY
        self._move(State.CLOSED)
        self.note = "the context was closed"
        self.circuit = self.core = None
        self._release_waiters()
        for monitor in self.monitors:
            monitor.end()
        if was_ready:
            self._tell(connected=False)

    def forget_circuit(self) -> None:
        """In a forked child: the circuit is the parent's, and so are the callbacks. *The only thread.*"""
        if self.state is not State.CLOSED:
            self.state = State.SEARCHING
            self.note = "the process was forked"
            self.circuit = self.core = self.row = self.waiters = None
            self.listeners = self.access_listeners = ()
            self._subscriptions_lost()
        for monitor in self.monitors:
            monitor.users -= monitor.orphan()

    def _clear(self, circuit: Circuit, sid: int) -> None:
        circuit.dismiss(ClearChannelRequest(sid, self.cid))
        self.pool.flush_soon(circuit)

    def _release_waiters(self) -> None:
        with self.runtime.lock:
            waiters, self.waiters = self.waiters, None
        for signal in waiters or ():
            signal.release()


class _Leftover:
    """A channel that was asked for on a circuit that did not answer: cleared if it is made after all."""

    __slots__ = ("_cid", "_circuit", "_pool", "_runtime")

    def __init__(self, runtime: Runtime, pool: Pool, circuit: Circuit, cid: int) -> None:
        self._runtime = runtime
        self._pool = pool
        self._circuit = circuit
        self._cid = cid

    def receive(self, command: Any) -> None:
        """A command for the channel came. *The thread that reads the circuit.*"""
        if type(command) is CreateChanResponse:
            self._runtime.loop.run(self._clear, command.sid)

    def _clear(self, sid: int) -> None:
        self._circuit.dismiss(ClearChannelRequest(sid, self._cid))
        self._pool.flush_soon(self._circuit)


_HANDLERS: dict[type, Callable[[Channel, Any], None]] = {
    AccessRightsResponse: Channel._access_rights,
    CreateChanResponse: Channel._created,
    CreateChFailResponse: Channel._refused,
    ServerDisconnResponse: Channel._server_left,
    ErrorResponse: Channel._write_failed,
}


def _log_write_failure(what: tuple[str, Any]) -> None:
    name, status = what
    log.warning("'%s': a put was refused by the server: %s: %s", name, status.name, status.description)
