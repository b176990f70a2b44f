"""The native API as the rest of the drop-in sees it: a channel, and requests to it.

Everything else here speaks pyepics; this file and ``updates`` speak ``caclient.client``.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from caclient.client import get, put
from caclient.client.callbacks import Note
from caclient.client.channel import Channel
from caclient.client.context import Context
from caclient.client.pv import PV as NativePV
from caclient.client.request import Request
from caclient.client.ride import Ride
from caclient.dbr import ChannelType, Reading
from caclient.errors import (
    AccessDeniedError,
    BadValueError,
    CAError,
    CATimeoutError,
    ChannelAccessError,
    DisconnectedError,
    LocalProtocolError,
)
from caclient.protocol.commands import ReadNotifyRequest, WriteNotifyRequest

from . import dbr
from .updates import Arrivals, Queue, Wanted, Watch

__all__ = [
    "AccessDeniedError",
    "Asked",
    "BadName",
    "CAError",
    "CATimeoutError",
    "ChannelAccessError",
    "Context",
    "DisconnectedError",
    "Note",
    "Reading",
    "Sent",
    "Wire",
    "metadata",
    "settle",
    "status_of",
]

_SENDING = 5.0
"""Seconds that a put without completion may wait for the kernel."""
_LONG = 1.0e9
_SETTLING = 0.02


class BadName(Exception):
    """A name that no server can be asked for."""


# -- requests ----------------------------------------------------------------------------------------------------------


class Asked(Request):
    """A read that is under way; it stays so when a wait for it runs out of time."""

    __slots__ = ("_asked", "_channel", "_ride")

    def __init__(self, channel: Channel, ride: Ride, ftype: int, count: int) -> None:
        super().__init__(channel.name)
        self._channel = channel
        self._ride = ride
        self._asked = ftype, count

    def answer(self, timeout: float) -> Reading | None:
        """The answer; None if there is none yet.

        :raises ChannelAccessError: the server could not read it.
        :raises DisconnectedError: it has gone.
        """
        channel, circuit = self._channel, self._ride.circuit
        if not self.done:
            with channel.runtime.lanes.blocking():
                self.wait(circuit, time.monotonic() + min(timeout, _LONG))
            if not self.done:
                return None
        return get.reading_of(channel, self.result(circuit), *self._asked)


class Sent(Request):
    """A put that is under way; *on_done* is called when it is over, in order with what the queue tells."""

    __slots__ = ("_channel", "_on_done", "_queue", "_ride")

    def __init__(self, channel: Channel, ride: Ride, queue: Queue, on_done: Callable[[Any], None]) -> None:
        super().__init__(channel.name)
        self._channel = channel
        self._ride = ride
        self._queue = queue
        self._on_done = on_done

    def _finish(self) -> None:
        super()._finish()
        self._channel.runtime.loop.call_soon(self._queue.note, Note(self._on_done, self))

    def over(self, timeout: float) -> bool:
        """Whether it is over within so many seconds: the record has finished, or the server has gone."""
        if not self.done:
            with self._channel.runtime.lanes.blocking():
                self.wait(self._ride.circuit, time.monotonic() + min(timeout, _LONG))
        return self.done


# -- channels ----------------------------------------------------------------------------------------------------------


class Owner(Protocol):
    """Who is told what happens to a channel: on the engine thread, so quickly, and without a user's code."""

    def on_up(self, rights: tuple[bool, bool]) -> None:
        """It has been connected, and may be read and written so."""

    def on_rights(self, rights: tuple[bool, bool]) -> None:
        """It may be read and written so from now on."""

    def on_down(self) -> None:
        """It has been lost."""

    def on_orphan(self) -> None:
        """This is a forked child: all has to begin anew. *The only thread.*"""


class _AnyName(NativePV):
    """A native PV of a name with blanks, too: nobody answers to it, but to ask is no error in pyepics."""

    __slots__ = ()
    _odd_names = True


class Wire:
    """A channel by name: a dependent of the native one."""

    __slots__ = ("_arrivals", "_orphaned", "_owner", "_pv", "_rights", "_up", "channel", "name")

    def __init__(self, context: Context, name: str, owner: Owner, arrivals: Arrivals) -> None:
        self.name = name
        self._owner = owner
        self._up = False
        self._rights = (False, False)
        self._orphaned = False
        self._arrivals = arrivals
        try:
            self._pv = _AnyName(name, auto_monitor=False, context=context)
        except BadValueError:
            raise BadName(name) from None
        self.channel = self._pv.channel
        self._join()

    def _join(self) -> None:
        channel = self.channel
        while not channel.join(self, channel.dependents, ahead=True):
            pass
        self._arrivals.add(channel, self._look)

    def _look(self) -> None:
        if self.channel.connected:
            self.serve(self.channel)

    def revive(self) -> None:
        """In a forked child, at the first use: join the channel again."""
        if self._orphaned:
            self._orphaned = False
            self.channel.runtime.wake()
            self._join()

    # -- a dependent: engine thread ------------------------------------------------------------------------------------

    def serve(self, channel: Channel) -> None:
        """The channel can be used, or there are other rights."""
        rights = channel.can_read, channel.can_write
        if not self._up:
            self._up, self._rights = True, rights
            self._owner.on_up(rights)
        elif rights != self._rights:
            self._rights = rights
            self._owner.on_rights(rights)

    def lost(self) -> None:
        """It cannot be used for a while."""
        if self._up:
            self._up, self._rights = False, (False, False)
            self._owner.on_down()

    def end(self) -> None:
        """It never will be used again."""
        self.lost()

    def orphan(self) -> None:
        """In a forked child. *The only thread.*"""
        self._up, self._rights = False, (False, False)
        self._orphaned = True
        self.channel.leave(self)
        self._owner.on_orphan()

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether it can be used right now."""
        return self.channel.connected

    @property
    def was_connected(self) -> bool:
        """Whether it has been connected at some time."""
        return self.channel.native_type is not None

    @property
    def native_type(self) -> int:
        """DBR number; -1 while it is not known."""
        native = self.channel.native_type
        return -1 if native is None else int(native)

    @property
    def count(self) -> int:
        """The most elements that it can have."""
        return self.channel.count

    @property
    def access(self) -> tuple[bool, bool]:
        """Whether we may read, and write."""
        channel = self.channel
        return channel.can_read, channel.can_write

    @property
    def host(self) -> str:
        """``name:port`` of the server."""
        address = self.channel.address
        return "<disconnected>" if address is None else f"{host_name(address[0])}:{address[1]}"

    @property
    def known_host(self) -> str | None:
        """The same without a look, which may take a while; None if nobody has looked yet."""
        address = self.channel.address
        name = None if address is None else known_host_name(address[0])
        return None if name is None or address is None else f"{name}:{address[1]}"

    @property
    def progress(self) -> str:
        """How far the connection has got, in words."""
        channel = self.channel
        return str(channel.unready(time.monotonic() - channel.since))

    # -- what can be done ----------------------------------------------------------------------------------------------

    def blocking(self) -> Any:
        """Around a wait: a worker that waits gives its place to another."""
        return self.channel.runtime.lanes.blocking()

    @property
    def on_worker(self) -> bool:
        """Whether this thread runs callbacks."""
        return self.channel.runtime.lanes.on_worker()

    def on_engine(self, call: Callable[..., None], *args: Any) -> None:
        """Have the engine thread make a call."""
        self._arrivals.add(self.channel, call, *args)

    def queue(self, deliver: Callable[[Reading], None], quiet: bool = False) -> Queue:
        """A queue for what happens to it."""
        return Queue(self.channel, deliver, quiet)

    def ask(self, ftype: int, count: int) -> Asked:
        """Ask the server for so many elements (0: all there are) of a type.

        :raises AccessDeniedError, DisconnectedError: it cannot be asked.
        """
        channel = self.channel
        ride = channel.readable
        if ride is None:
            if channel.connected and not channel.can_read:
                raise channel.denied("read")
            raise channel.ended(channel.note or channel.state.value)
        asked = Asked(channel, ride, ftype, count)
        try:
            ride.circuit.ask(ReadNotifyRequest(ChannelType(ftype), count, ride.sid, 0), asked)
        except (DisconnectedError, LocalProtocolError) as error:
            raise channel.ended(error) from None
        return asked

    def read(self, ftype: int, count: int, timeout: float) -> Reading | None:
        """Ask and wait; None if no answer has come in time."""
        try:
            return get.read(self.channel, time.monotonic() + timeout, ChannelType(ftype), count)
        except CATimeoutError:
            return None

    def send(self, ftype: int, count: int, data: Any) -> None:
        """Write without an answer."""
        put.send(self.channel, ChannelType(ftype), count, data, time.monotonic() + _SENDING)

    def send_and_wait(self, ftype: int, count: int, data: Any, timeout: float) -> bool:
        """Write, and wait until the record has finished or the server is lost; false if that takes too long."""
        now = time.monotonic()
        try:
            put.send_and_wait(self.channel, ChannelType(ftype), count, data, now + _SENDING, now + min(timeout, _LONG))
        except CATimeoutError:
            return False
        except (DisconnectedError, ChannelAccessError):
            pass  # over, too: pyepics does not ask how it ended
        return True

    def begin_send(self, ftype: int, count: int, data: Any, queue: Queue, on_done: Callable[[Any], None]) -> Sent:
        """Write; ``on_done(sent)`` is called through the queue when the record has finished, or the server is lost."""
        channel = self.channel
        ride = channel.ride
        if not channel.connected or ride is None:
            raise channel.ended(channel.note or channel.state.value)
        if not ride.can_write:
            raise channel.denied("write")
        sent = Sent(channel, ride, queue, on_done)
        try:
            ride.circuit.ask(WriteNotifyRequest(data, ChannelType(ftype), count, ride.sid, 0), sent)
        except (DisconnectedError, LocalProtocolError) as error:
            raise channel.ended(error) from None
        channel.puts += 1
        return sent

    def watch(self, wanted: Wanted, mask: int, queue: Queue) -> Watch:
        """Subscribe, now or when it is connected."""
        return Watch(self.channel, wanted, mask, queue)

    def close(self) -> None:
        """Let the server forget it."""
        self.channel.leave(self)
        self._pv.close()


def settle(wires: Iterable[Wire]) -> None:
    """Let callbacks run that wait already, for a moment; one channel of each context will do."""
    over = time.monotonic() + _SETTLING
    for wire in wires:
        lanes = wire.channel.runtime.lanes
        while lanes.depth()[0] and time.monotonic() < over:
            time.sleep(0.0002)


# -- names of hosts ----------------------------------------------------------------------------------------------------

_hosts: dict[str, str] = {}
_HOSTS = 10_000
_PATIENCE = 0.3


def known_host_name(address: str) -> str | None:
    """The same, if it has been asked for."""
    return _hosts.get(address)


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
    if ftype >= dbr.CTRL_INT:
        return _control(reading, ftype)
    if ftype < dbr.TIME_STRING:
        return {}
    _, status, severity, seconds, nanoseconds, _ = reading.row
    seconds, nanoseconds = seconds or 0, nanoseconds or 0
    return {
        "status": status,
        "severity": severity,
        "timestamp": dbr.unixtime(seconds, nanoseconds),
        "posixseconds": dbr.EPICS2UNIX_EPOCH + seconds,
        "nanoseconds": nanoseconds,
    }


def _signed(limit: Any) -> Any:
    """Limits of characters have a sign in pyepics, other than their values."""
    return limit - 256 if limit is not None and limit > 127 else limit


def _control(reading: Reading, ftype: int) -> dict[str, Any]:
    if ftype == dbr.CTRL_ENUM:
        found: dict[str, Any] = {"status": int(reading.status), "severity": int(reading.severity)}
        if reading.enum_strs:
            found["enum_strs"] = reading.enum_strs
        return found
    found = {name: getattr(reading, name) for name in dbr.ctrl_limits}
    if ftype == dbr.CTRL_CHAR:
        found = {name: _signed(limit) for name, limit in found.items()}
    if ftype in (dbr.CTRL_FLOAT, dbr.CTRL_DOUBLE):
        found["precision"] = reading.precision
    return {**found, "units": reading.units, "status": int(reading.status), "severity": int(reading.severity)}
