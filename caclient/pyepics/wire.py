"""The one place that touches the native API: a channel as the rest of the drop-in sees it.

Everything else here speaks pyepics; this file speaks ``caclient.client``.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from caclient.client.context import Context
from caclient.client.pv import PV as NativePV
from caclient.client.request import Request, failure
from caclient.client.subscription import Monitor, Subscription
from caclient.dbr import ChannelType, Reading
from caclient.errors import (
    AccessDeniedError,
    BadValueError,
    CAError,
    CATimeoutError,
    ChannelAccessError,
    DecodeError,
    DisconnectedError,
)
from caclient.protocol.commands import ReadNotifyRequest, WriteNotifyRequest

__all__ = [
    "AccessDeniedError",
    "Asked",
    "BadName",
    "CAError",
    "CATimeoutError",
    "ChannelAccessError",
    "Context",
    "DecodeError",
    "DisconnectedError",
    "Reading",
    "Sent",
    "Watch",
    "Wire",
    "metadata",
    "settle",
    "status_of",
]


class BadName(Exception):  # noqa: N818
    """A name that no server can be asked for."""


class Asked(Request):
    """A read that is under way; it stays so when a wait for it runs out of time."""

    __slots__ = ("_channel", "_circuit")

    def __init__(self, channel: Any) -> None:
        super().__init__(channel.name)
        self._channel = channel
        self._circuit: Any = None

    def begin(self, ftype: int, count: int) -> None:
        """Send it."""
        row = self._channel.row
        if row is None:
            raise self._channel._unreadable()
        self._circuit, sid = row[0], row[1]
        self._circuit.ask(ReadNotifyRequest(ChannelType(ftype), count, sid, 0), self)

    def result(self, timeout: float) -> Reading | None:
        """The answer; None if there is none yet."""
        if not self.done:
            with self._channel.context.lanes.blocking():
                self._circuit.lead(self, time.monotonic() + timeout)
        if self.error is not None:
            raise self.error
        if not self.done:
            return None
        if not self.reply.status.success:
            raise failure(self.name, self.reply.status)
        return _reading(self._channel, self.reply)


class Sent(Request):
    """A put that is under way; ``done`` is called when it is over, in order with the channel's other callbacks."""

    __slots__ = ("_channel", "_circuit", "_on_done")

    def __init__(self, channel: Any, push: Callable[..., None], on_done: Callable[[Any], None]) -> None:
        super().__init__(channel.name)
        self._channel = channel
        self._circuit: Any = None
        self._on_done = (push, on_done)

    def begin(self, ftype: int, count: int, data: Any) -> None:
        """Send it."""
        core, circuit = self._channel._usable()
        if not self._channel.can_write:
            raise self._channel.denied("write")
        self._circuit = circuit
        circuit.ask(WriteNotifyRequest(data, ChannelType(ftype), count, core.sid, 0), self)
        self._channel.puts += 1

    def _finish(self) -> None:
        if not self.done:
            super()._finish()
            push, on_done = self._on_done
            push(on_done, self)

    def wait(self, timeout: float) -> bool:  # type: ignore[override]
        """Whether it is over within so many seconds."""
        if not self.done:
            with self._channel.context.lanes.blocking():
                self._circuit.lead(self, time.monotonic() + min(timeout, 1e9))
        return self.done


class _TypedMonitor(Monitor):
    """A monitor of a type and count of its own."""

    __slots__ = ("_choose",)

    def __init__(self, channel: Any, mask: int, choose: Callable[[], tuple[int, int]]) -> None:
        super().__init__(channel, mask)
        self._choose = choose
        self.automatic = False

    def start(self) -> None:
        channel = self.channel
        core, circuit = channel.core, channel.circuit
        if core is None or circuit is None or self.core_id is not None or not channel.connected:
            return
        ftype, count = self._choose()
        self.refusal = ""
        try:
            self.core_id = circuit.subscribe(core, ChannelType(ftype), count, self.mask, self)
        except CAError:
            return
        channel.context.flush_soon(circuit)

    def _shared_reading(self, reply: Any) -> Reading | None:
        if reply.data_count == 0 and reply.data_type <= ChannelType.DOUBLE:
            return None  # no elements and no metadata: libca takes it for the end of the subscription
        reading = _reading(self.channel, reply)
        if hasattr(reading[0], "flags"):
            reading[0].flags.writeable = False
        return reading


class Watch:
    """A subscription: ``callback(reading)`` for each update, until it is closed."""

    __slots__ = ("_monitor", "_subscription", "_wire", "mask")

    def __init__(self, wire: Wire, monitor: Any, subscription: Any, mask: int) -> None:
        self._wire = wire
        self._monitor = monitor
        self._subscription = subscription
        self.mask = mask

    def close(self) -> None:
        """No update any more."""
        self._subscription.close()


def _reading(channel: Any, reply: Any) -> Reading:
    if reply.data_count == 0 and channel.count == 1:
        from caclient.dbr import decode_reading

        return decode_reading(reply.data_type, 0, reply.payload, False, channel.control)
    return channel.reading(reply)  # type: ignore[no-any-return]


class Owner(Protocol):
    """Who is told what happens to a channel."""

    def on_connection(self, conn: bool) -> None:
        """It has been connected, or lost."""

    def on_access(self, read_access: bool, write_access: bool) -> None:
        """The server has said what it lets us do."""

    def on_lost(self) -> None:
        """The loss has been told, and that there is no access."""


class Wire:
    """A channel by name. Its owner is told what happens in order, one call at a time, on a worker thread."""

    def __init__(self, context: Context, name: str, owner: Owner) -> None:
        self.name = name
        self._owner = owner
        self._told: tuple[bool, bool, bool] = (False, False, False)
        try:
            self._pv = NativePV(name, auto_monitor=False, context=context)
        except BadValueError:
            raise BadName(name) from None
        self._channel = self._pv.channel
        self._pv.add_connection_callback(self._connection)
        self._pv.add_access_callback(self._access)

    # -- events ------------------------------------------------------------------------------------------------------

    def _connection(self, conn: bool, **_: Any) -> None:
        if conn == self._told[0]:
            return
        channel = self._channel
        if conn:
            if channel.address is not None:
                host_name(channel.address[0])
            rights = channel.can_read, channel.can_write
            self._told = (True, *rights)
            self._owner.on_access(*rights)
            self._owner.on_connection(True)
        else:
            self._owner.on_connection(False)
            self._told = (False, False, False)
            self._owner.on_access(False, False)
            self._owner.on_lost()

    def _access(self, read_access: bool, write_access: bool, **_: Any) -> None:
        if self._told[0] and self._channel.connected and self._told[1:] != (read_access, write_access):
            self._told = (True, read_access, write_access)
            self._owner.on_access(read_access, write_access)

    def push(self, call: Callable[[Any], None], argument: Any) -> None:
        """Have a worker make ``call(argument)``, after what has been told before."""
        assert self._pv._lane is not None
        self._pv._lane.push(call, argument)

    # -- facts -------------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether it can be used right now."""
        return self._channel.connected

    @property
    def was_connected(self) -> bool:
        """Whether it has been connected at some time."""
        return self._channel.native_type is not None

    @property
    def native_type(self) -> int:
        """DBR number; -1 while it is not known."""
        native = self._channel.native_type
        return -1 if native is None else int(native)

    @property
    def count(self) -> int:
        """The most elements that it can have."""
        return self._channel.count

    @property
    def access(self) -> tuple[bool, bool]:
        """Whether we may read, and write."""
        return self._channel.can_read, self._channel.can_write

    @property
    def host(self) -> str:
        """``name:port`` of the server."""
        address = self._channel.address
        return "<disconnected>" if address is None else f"{host_name(address[0])}:{address[1]}"

    def wait(self, timeout: float) -> bool:
        """Wait for the connection; whether there is one."""
        try:
            return self._channel.wait_ready(time.monotonic() + min(timeout, 1e9))
        except CAError:
            return False

    def blocking(self) -> Any:
        """Around a wait: a worker that waits gives its place to another."""
        return self._channel.context.lanes.blocking()

    # -- requests ----------------------------------------------------------------------------------------------------

    def read(self, ftype: int, count: int, timeout: float) -> Reading | None:
        """Ask and wait; None if no answer has come in time."""
        asked = self.ask(ftype, count)
        return asked.result(timeout)

    def ask(self, ftype: int, count: int) -> Asked:
        """Ask the server for so many elements (0: all there are) of a type."""
        asked = Asked(self._channel)
        asked.begin(ftype, count)
        return asked

    def send(self, ftype: int, count: int, data: Any) -> None:
        """Write without an answer."""
        self._channel.put(ChannelType(ftype), count, data, time.monotonic() + 5.0)

    def begin_send(self, ftype: int, count: int, data: Any, on_done: Callable[[Any], None]) -> Sent:
        """Write; ``on_done(sent)`` is called when the record has finished, or the server is lost."""
        sent = Sent(self._channel, self.push, on_done)
        sent.begin(ftype, count, data)
        return sent

    def watch(self, choose: Callable[[], tuple[int, int]], mask: int, callback: Callable[[Reading], None]) -> Watch:
        """Call back for each update; *choose* tells type and count when the channel is there."""
        channel, context = self._channel, self._channel.context
        with context.lock:
            channel.users += 1
            monitor = _TypedMonitor(channel, mask, choose)
            monitor.users += 1
            channel.monitors = (*channel.monitors, monitor)
        assert self._pv._lane is not None
        subscription = Subscription(monitor, callback, self._pv._lane, "all", False, context._unsubscribe)
        context.on_engine(context._attach, monitor, subscription)
        return Watch(self, monitor, subscription, mask)

    def close(self) -> None:
        """Let the server forget it."""
        self._pv.close()


# -- names of hosts ----------------------------------------------------------------------------------------------------

_hosts: dict[str, str] = {}
_HOSTS = 10_000
_PATIENCE = 0.3


def host_name(address: str) -> str:
    """The name of a server's address if the system tells it soon, else the address; asked once for each."""
    name = _hosts.get(address)
    if name is None:
        if len(_hosts) >= _HOSTS:
            _hosts.clear()
        _hosts[address] = address
        thread = threading.Thread(target=_look_up, args=(address,), name="caclient-host-name", daemon=True)
        thread.start()
        thread.join(_PATIENCE)
        name = _hosts.get(address, address)
    return name


def _look_up(address: str) -> None:
    try:
        _hosts[address] = socket.gethostbyaddr(address)[0]
    except OSError:
        pass


# -- readings ----------------------------------------------------------------------------------------------------------


def status_of(error: ChannelAccessError) -> int:
    """The number of the status that a server answered with."""
    return int(getattr(error.status, "code_with_severity", 0))


def metadata(reading: Reading, ftype: int) -> dict[str, Any]:
    """What a reading of this type says beside its value, under pyepics' names."""
    from . import dbr

    if ftype >= dbr.CTRL_INT:
        return _control(reading, ftype)
    if ftype < dbr.TIME_STRING:
        return {}
    stamp = reading.stamp
    seconds, nanoseconds = (0, 0) if stamp is None else (stamp.seconds, stamp.nanoseconds)
    return {
        "status": int(reading.status),
        "severity": int(reading.severity),
        "timestamp": dbr.unixtime(seconds, nanoseconds),
        "posixseconds": dbr.EPICS2UNIX_EPOCH + seconds,
        "nanoseconds": nanoseconds,
    }


def _control(reading: Reading, ftype: int) -> dict[str, Any]:
    from . import dbr

    if ftype == dbr.CTRL_ENUM:
        found: dict[str, Any] = {"status": int(reading.status), "severity": int(reading.severity)}
        if reading.enum_strs:
            found["enum_strs"] = reading.enum_strs
        return found
    found = {name: getattr(reading, name) for name in dbr.ctrl_limits}
    if ftype in (dbr.CTRL_FLOAT, dbr.CTRL_DOUBLE):
        found["precision"] = reading.precision
    return {**found, "units": reading.units, "status": int(reading.status), "severity": int(reading.severity)}


_SETTLING = 0.02


def settle(contexts: Iterable[Context | None]) -> None:
    """Let callbacks run that wait already, for a moment."""
    over = time.monotonic() + _SETTLING
    for context in list(contexts):
        while context is not None and context.lanes.depth()[0] and time.monotonic() < over:
            time.sleep(0.0002)
