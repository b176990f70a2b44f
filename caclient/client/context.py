"""The context: owner of the selector thread, the circuits, the channels and the lanes. One is enough for a program.

``import caclient`` makes none: the default context starts with the first PV. All public methods may be called from any
thread; the rest runs on the engine thread, as each says.
"""

from __future__ import annotations

import atexit
import getpass
import itertools
import logging
import os
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from typing_extensions import Self

from caclient.client.channel import Channel
from caclient.client.properties import Properties
from caclient.client.report import Report
from caclient.client.subscription import DBE_PROPERTY, DEFAULT_MASK, Monitor, Subscription
from caclient.config import Config
from caclient.engine.circuits import Circuit
from caclient.engine.circuits import State as CircuitState
from caclient.engine.lanes import Lane, Lanes
from caclient.engine.loop import Loop
from caclient.engine.nameservers import NameServers
from caclient.engine.registration import Registration
from caclient.engine.searches import Searches
from caclient.engine.signals import await_signal, new_signal
from caclient.engine.sockets import Address, interface_addresses, local_addresses
from caclient.errors import BadValueError, ContextClosedError
from caclient.protocol.beacons import Verdict
from caclient.protocol.command import Command
from caclient.protocol.commands import (
    ClientNameRequest,
    ErrorResponse,
    HostNameRequest,
    SearchResponse,
    VersionRequest,
    VersionResponse,
)
from caclient.protocol.search import message_size

if TYPE_CHECKING:
    from caclient.client.pv import PV

log = logging.getLogger("caclient")

_FLUSH: Final = 0.2
"""Seconds that closing a context spends on puts not yet taken by the kernel."""
_LINGER: Final = 0.5
"""Seconds that a circuit without channels is kept for the next one."""
_PATIENCE: Final = (0.1, 5.0)
"""Seconds before an address that accepts no connection is tried again: at first, and at the most."""
_LASTING: Final = 5.0
"""Seconds that a connection has to last for what failed before it to be forgiven."""
_LATER: Final = 0.02
"""Seconds that monitors which only fill a cache leave to channels that are being made."""
_STALE: Final = 30.0
"""Seconds after the last failure of an address from which on the report leaves it out: nothing tries it any more."""
_HOLD: Final = 2.0
"""Seconds for which a daemon thread is held while the interpreter ends, which takes less."""
_LOG_LINES: Final = 1000
"""Log lines that wait for a slow handler at the most; a storm of errors says the same over and over."""
_ADDRESSES: Final = 10_000
"""Addresses whose failures are remembered at the most."""


class _Failure(NamedTuple):
    """An address that accepted no connection, or soon dropped it: how often in a row, and until when it is left."""

    attempts: int
    until: float
    reason: str


_NO_FAILURE: Final = _Failure(0, 0.0, "")


class Context:
    """Everything that talks to IOCs, made from a ``Config`` (by default the EPICS_CA_* variables).

    The keyword arguments replace single fields of the config: ``addr_list`` and ``name_servers`` as text or a list of
    ``"host:port"``, ``auto_addr_list``, ``server_port``, ``conn_timeout``, ``max_search_period``, ``repeater_port``...
    An ``addr_list`` given here is searched alone unless ``auto_addr_list`` is given too.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        addr_list: str | Iterable[Address | str] | None = None,
        auto_addr_list: bool | None = None,
        name_servers: str | Iterable[Address | str] | None = None,
        server_port: int | None = None,
        repeater_port: int | None = None,
        conn_timeout: float | None = None,
        echo_timeout: float | None = None,
        max_search_period: float | None = None,
        max_array_bytes: int | None = None,
        mcast_ttl: int | None = None,
        timeout: float = 5.0,
        queue_bytes: int | str = "256 MB",
        read_only: bool | None = None,
        user: str | None = None,
        host: str | None = None,
    ) -> None:
        if auto_addr_list is None and not (addr_list is None and name_servers is None):
            auto_addr_list = False
        given = {
            "addr_list": addr_list,
            "auto_addr_list": auto_addr_list,
            "name_servers": name_servers,
            "server_port": server_port,
            "repeater_port": repeater_port,
            "conn_timeout": conn_timeout,
            "echo_timeout": echo_timeout,
            "max_search_period": max_search_period,
            "max_array_bytes": max_array_bytes,
            "mcast_ttl": mcast_ttl,
            "user": user,
            "host": host,
        }
        settings = {name: value for name, value in given.items() if value is not None}
        self.config = (config or Config.from_env()).replace(**settings)
        self.timeout = timeout
        self.queue_bytes = queue_bytes
        self.read_only = bool(read_only)
        self.lock = threading.Lock()
        self.pv_lock = threading.RLock()
        """Held while a PV changes its callbacks; ``lock`` may be taken inside."""
        self.identity = (self.config.user or _user_name(), self.config.host or socket.gethostname())
        self.closed = False
        self._cids = itertools.count(1)
        self._channels: dict[tuple[str, int], Channel] = {}
        self._by_cid: dict[int, Channel] = {}
        self._dropped: deque[tuple[Channel, Monitor | None]] = deque()
        self._pvs: dict[str, PV] = {}
        self._asleep = False
        self._later: list[Monitor] = []
        self._unsearched: deque[Channel] = deque()
        self._searching_soon = False
        if self.config.auto_addr_list:
            interface_addresses()  # its first call is slow, which the engine thread must not be
        self._make_engine()
        self._start_engine()
        _contexts.add(self)

    # -- what a user calls ---------------------------------------------------------------------------------------------

    def pv(self, name: str, **options: Any) -> PV:
        """A PV of this context; ``options`` are those of ``PV``."""
        from caclient.client.pv import PV

        return PV(name, context=self, **options)

    def shared_pv(self, name: str) -> PV:
        """The PV that the functions of this package use for a name; it lives as long as the context."""
        pv = self._pvs.get(name)
        if pv is None:
            made = self.pv(name)
            pv = self._pvs.setdefault(name, made)
        return pv

    def report(self) -> Report:
        """What the context is doing: circuits, channels, searches, lanes, drops. Prints readably."""
        return Report.of(self)

    def close(self, timeout: float = _FLUSH) -> None:
        """Flush puts (for *timeout* seconds at most), close every circuit and end the threads; twice is no error."""
        with self.lock:
            if self.closed:
                return
            self.closed = True
        if self._asleep:
            self.loop.abandon()  # it was never started
            return
        self.lanes.ending = True
        done = new_signal()
        self.loop.call_soon(self._close, time.monotonic() + timeout, done)
        if threading.current_thread() is not self.loop.thread:
            await_signal(done, time.monotonic() + timeout + 1.0)
            self.loop.stop(1.0)
        self.lanes.close()
        self.lanes.join(0.05)
        _contexts.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _same_context, (None if self is _default else self.config,)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self._channels)} channels, {len(self.circuits)} circuits"
        return f"<Context: {state}>"

    # -- channels: any thread ------------------------------------------------------------------------------------------

    def channel(self, name: str, priority: int = 0) -> Channel:
        """The channel of a name, with one user more; ``release`` takes the user back."""
        _check_name(name, priority)
        if self._asleep:
            self.wake()
        if self.closed:
            raise self.closed_error(name)
        with self.lock:
            channel = self._channels.get((name, priority))
            if channel is None:
                cid = next(self._cids)
                channel = Channel(self, name, priority, cid)
                self._unsearched.append(channel)
                self._channels[name, priority] = self._by_cid[cid] = channel
            channel.users += 1
        if self._unsearched and not self._searching_soon:
            self._search_soon()
        return channel

    def _search_soon(self) -> None:
        try:
            self._searching_soon = True
            self.loop.call_soon(self._search)
        except BaseException:  # Ctrl-C between the two lines: nobody else would file the call
            self.loop.call_soon(self._search)
            raise

    def release(self, channel: Channel, monitor: Monitor | None = None) -> None:
        """A user of the channel, and of one of its monitors, has gone. Takes no lock: finalizers call it."""
        self._dropped.append((channel, monitor))
        self.loop.call_soon(self._reap)

    def auto_monitor(self, channel: Channel, wanted: bool | int | None) -> Monitor | None:
        """The monitor that keeps a PV's newest reading; None if it is not wanted."""
        if wanted is not None and not wanted:
            return None
        monitor = self._monitor(
            channel, DEFAULT_MASK if wanted is None or wanted is True else _checked(channel, wanted)
        )
        if wanted is not None:
            monitor.automatic = False
        self.loop.call_soon(self._start_later, monitor)
        return monitor

    def subscribe(
        self,
        channel: Channel,
        callback: Callable[[Any], Any],
        lane: Lane,
        policy: str,
        mask: int,
        runs: bool = False,
        on_end: Callable[[], None] | None = None,
    ) -> Subscription:
        """A callback on a channel's monitor; it is a user of the channel. *on_end* is called if the context closes."""
        _checked(channel, mask)
        if self._asleep:
            self.wake()
        with self.lock:
            channel.users += 1
        if self.closed:
            raise self.closed_error(channel.name)
        if mask & DBE_PROPERTY:
            self.want_control(channel, follow=True)  # ahead of the monitor: its updates then find the metadata changed
        monitor = self._monitor(channel, mask)
        subscription = Subscription(monitor, callback, lane, policy, runs, self._unsubscribe, on_end)
        self.loop.call_soon(self._attach, monitor, subscription)
        return subscription

    def on_engine(self, call: Callable[..., None], *args: Any) -> None:
        """Have the engine thread make a call; in a forked child this starts it. *Any thread.*"""
        if self._asleep:
            self.wake()
        self.loop.call_soon(call, *args)

    def want_control(self, channel: Channel, follow: bool = False) -> None:
        """Have the metadata fetched at each connection, without waiting for them; *follow*: kept up to date too."""
        with self.lock:
            properties = channel.properties
            if properties is None:
                channel.properties = properties = Properties(channel)
            elif properties.following or not follow:
                return
            properties.following = follow
        self.loop.call_soon(properties.start)

    def _monitor(self, channel: Channel, mask: int) -> Monitor:
        with self.lock:
            monitor = next((monitor for monitor in channel.monitors if monitor.mask == mask), None)
            if monitor is None:
                monitor = Monitor(channel, mask)
                channel.monitors = (*channel.monitors, monitor)
            monitor.users += 1
        return monitor

    def _attach(self, monitor: Monitor, subscription: Subscription) -> None:
        if subscription.closed:
            return
        if monitor.core_id is None:
            monitor.attach(subscription)
            monitor.start()
        else:
            monitor.welcome(subscription)

    def _unsubscribe(self, subscription: Subscription) -> None:
        monitor = subscription.monitor
        monitor.detach(subscription)
        self.release(monitor.channel, monitor)

    def _start_later(self, monitor: Monitor) -> None:
        """Start a monitor that only fills the cache, after channels that wait to be made. *Engine thread.*"""
        if not self._later:
            self.loop.call_at(time.monotonic() + _LATER, self._start_waiting)
        self._later.append(monitor)

    def _start_waiting(self) -> None:
        waiting, self._later = self._later, []
        for monitor in waiting:
            monitor.start()

    def start_monitor(self, monitor: Monitor) -> None:
        """The channel is ready: callbacks at once, caches when there is time. *Engine thread.*"""
        if monitor.sinks:
            monitor.start()
        else:
            self._start_later(monitor)

    def channels(self) -> list[Channel]:
        """All channels there are."""
        with self.lock:
            return list(self._channels.values())

    def closed_error(self, name: str) -> ContextClosedError:
        """What to raise for a PV whose context is closed. *Any thread.*

        While the interpreter ends, daemon threads are held here instead: nobody can handle what they would raise.
        """
        if _exiting and threading.current_thread().daemon:
            time.sleep(_HOLD)
        return ContextClosedError(f"'{name}': the context has been closed")

    def describe_search(self, cid: int) -> str:
        """How often a name was searched, where, and that nobody has answered."""
        return self.searches.describe(cid, self.name_servers.describe())

    # -- engine thread -------------------------------------------------------------------------------------------------

    def _make_engine(self) -> None:
        self.loop = Loop(self._engine_error)
        self.lanes = Lanes(self.loop)
        self.log: Lane = self.lanes.lane("caclient log", _LOG_LINES)
        self.circuits: dict[tuple[Address, int], Circuit] = {}
        self.duplicates: dict[str, tuple[Address, Address]] = {}
        self._failures: dict[Address, _Failure] = {}
        self._dirty: set[Circuit] = set()
        self._later = []
        self.searches = Searches(self.loop, self.log, self.config, self._found, self._beacon)
        self.name_servers = NameServers(self.loop, self.log, self.searches, self.config, self.circuit)
        self.repeater = Registration(self.loop, self.searches, self.config.repeater_port)

    def _start_engine(self) -> None:
        for start in (self.searches.start, self.name_servers.start, self.repeater.start):
            self.loop.call_soon(start)
        self.loop.start()
        for problem in self.config.problems:
            self.log.push(log.warning, problem)

    def _search(self) -> None:
        """Search the channels that were made since, which may be thousands."""
        self._searching_soon = False
        while self._unsearched:
            self._unsearched.popleft().search()

    def wake(self) -> None:
        """In a forked child, at the first use: an engine and circuits of its own. *Any thread.*"""
        if self._asleep:  # looked at first without the lock, for this is called for every PV
            self._wake()

    def _wake(self) -> None:
        with self.lock:
            if not self._asleep or self.closed:
                return
            self._asleep = False
            self._unsearched = deque(self._channels.values())
        self._start_engine()
        self.loop.call_soon(self._reap)
        self._search_soon()

    def fall_asleep(self) -> None:
        """In a forked child: let go of the parent's descriptors without a word to the servers. *The only thread.*"""
        self.lock = threading.Lock()
        self.pv_lock = threading.RLock()
        if self.closed:
            return
        self.loop.abandon()
        self.searches.abandon()
        self.repeater.abandon()
        for circuit in self.circuits.values():
            circuit.abandon()
        for channel in self._channels.values():
            channel.forget_circuit()
        self._make_engine()
        self._asleep = True  # which _reap, too, waits for

    def circuit(self, address: Address, priority: int) -> Circuit:
        """The circuit to an address, made if there is none. *Engine thread.*"""
        circuit = self.circuits.get((address, priority))
        if circuit is None:
            circuit = Circuit(
                self.loop,
                address,
                priority,
                self.config.conn_timeout,
                self._circuit_closed,
                self._unowned,
                self.config.max_array_bytes,
                self.config.echo_timeout,
            )
            self.circuits[address, priority] = circuit
            user, host = self.identity
            circuit.open([VersionRequest(priority, 13), ClientNameRequest(user), HostNameRequest(host)])
        return circuit

    def flush_soon(self, circuit: Circuit) -> None:
        """Write what was queued, after the commands at hand have all been served. *Engine thread.*"""
        if not self._dirty:
            self.loop.call_soon(self._flush_dirty)
        self._dirty.add(circuit)

    def _flush_dirty(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for circuit in dirty:
            circuit.flush()

    def maybe_idle(self, circuit: Circuit) -> None:
        """A channel has left the circuit: without any it is closed after a moment. *Engine thread.*"""
        if not circuit.riders:
            self.loop.call_at(time.monotonic() + _LINGER, lambda: self._close_idle(circuit))

    def _close_idle(self, circuit: Circuit) -> None:
        if not circuit.riders and circuit.state is not CircuitState.CLOSED:
            circuit.close("not needed any more")

    def patience_with(self, address: Address) -> float:
        """Seconds for which an address that accepted no connection is left alone. *Engine thread.*"""
        failed = self._failures.get(address)
        return 0.0 if failed is None else failed.until - time.monotonic()

    def not_serving(self, address: Address) -> str:
        """What is known of an address that answers searches only. *Any thread.*"""
        failed = self._failures.get(address, _NO_FAILURE)
        return f"answers searches but does not serve: {failed.reason} ({failed.attempts} attempts)"

    def refusing(self) -> dict[Address, int]:
        """The addresses that answer searches but do not serve, and how often each was tried in vain. *Any thread.*"""
        serving = {circuit.address for circuit in list(self.circuits.values()) if circuit.served}
        since = time.monotonic() - _STALE
        return {
            address: failed.attempts
            for address, failed in list(self._failures.items())
            if address not in serving and failed.until > since
        }

    def created(self, circuit: Circuit) -> None:
        """A channel was made there. *Engine thread.*"""
        circuit.served = True

    def duplicate(self, channel: Channel, other: Address) -> None:
        """A second server answered for a name: warn once. *Engine thread.*"""
        first = channel.address
        if first is None or channel.name in self.duplicates:
            return
        if _same_server(first, other) or self.searches.beacons.in_step(first, other):
            return
        if len(self.duplicates) < _ADDRESSES:
            self.duplicates[channel.name] = (first, other)
            self.log.push(_log_duplicate, (channel.name, first, other))

    def _found(self, cid: int, address: Address) -> None:
        channel = self._by_cid.get(cid)
        if channel is not None:
            channel.found(address)

    def _beacon(self, address: Address, verdict: Verdict) -> None:
        now = time.monotonic()
        if verdict.boosts or verdict is Verdict.FIRST:
            self._failures.pop(address, None)
            self.searches.hurry(channel.cid for channel in self.channels() if channel.is_lost_by(address[0]))
        for circuit in self.circuits.values():
            if circuit.address == address and (verdict.vouches or verdict.doubts):
                circuit.beacon(now, verdict.vouches)

    def _unowned(self, circuit: Circuit, command: Command) -> None:
        if isinstance(command, SearchResponse):
            self.searches.answered(command, circuit.address)
        elif isinstance(command, VersionResponse):
            self.name_servers.heard_version(circuit)
        elif isinstance(command, ErrorResponse):
            self.log.push(_log_error, (circuit.name, command))

    def _circuit_closed(self, circuit: Circuit) -> None:
        if self.circuits.get((circuit.address, circuit.priority)) is circuit:
            del self.circuits[circuit.address, circuit.priority]
        self._dirty.discard(circuit)
        self.searches.beacons.forget(circuit.address)
        if circuit.served and time.monotonic() - circuit.opened_at > _LASTING:
            self._failures.pop(circuit.address, None)
        elif circuit.riders:
            self._failed(circuit.address, circuit.reason)

    def _failed(self, address: Address, reason: str) -> None:
        """Leave an address alone for a while, longer each time: it accepted no connection, or soon dropped it."""
        count = self._failures.get(address, _NO_FAILURE).attempts
        delay = min(_PATIENCE[0] * 2 ** min(count, 30), _PATIENCE[1])
        if len(self._failures) < _ADDRESSES or count:
            self._failures[address] = _Failure(count + 1, time.monotonic() + delay, reason)

    def _reap(self) -> None:
        while self._dropped:
            channel, monitor = self._dropped.popleft()
            if monitor is not None:
                self._release_monitor(channel, monitor)
            with self.lock:
                channel.users -= 1
                last = channel.users == 0 and self._channels.get((channel.name, channel.priority)) is channel
                if last:
                    del self._channels[channel.name, channel.priority]
            if last:
                channel.close()
                del self._by_cid[channel.cid]

    def _release_monitor(self, channel: Channel, monitor: Monitor) -> None:
        with self.lock:
            monitor.users -= 1
            unused = monitor.users == 0
            if unused:
                channel.monitors = tuple(other for other in channel.monitors if other is not monitor)
        if unused:
            monitor.stop()

    def _close(self, deadline: float, done: threading.Lock) -> None:
        waiting = [circuit for circuit in self.circuits.values() if circuit.pending]
        for circuit in waiting:
            circuit.flush()
        stuck = any(circuit.pending and circuit.state is CircuitState.OPEN for circuit in waiting)
        if stuck and time.monotonic() < deadline:
            self.loop.call_at(time.monotonic() + 0.005, lambda: self._close(deadline, done))
            return
        self.repeater.stop()
        self.name_servers.stop()
        self.searches.stop()
        for channel in self.channels():
            channel.abandon()
        for circuit in list(self.circuits.values()):
            circuit.close("the context was closed")
        done.release()

    def _engine_error(self, error: BaseException) -> None:
        self.log.push(_log_engine_error, error)


# -- the default context, fork and exit --------------------------------------------------------------------------------

_contexts: weakref.WeakSet[Context] = weakref.WeakSet()
_default: Context | None = None
_unpickled: list[Context] = []
"""Contexts that came with pickled PVs; they live as long as the process."""
_default_lock = threading.Lock()
_exiting = False


def default_context() -> Context:
    """The context that is used where none is given; made from the environment by the first who asks."""
    global _default
    with _default_lock:
        if _default is None or _default.closed:
            _default = Context()
        return _default


def _same_context(config: Config | None) -> Context:
    """What a pickled context becomes: the default one, or one of the same config, made if there is none."""
    if config is None:
        return default_context()
    with _default_lock:
        for context in list(_contexts):
            if context.config == config and not context.closed:
                return context
        _unpickled.append(Context(config))
        return _unpickled[-1]


def close_default_context() -> None:
    """Close it, if there is one; the next use makes another, from the environment as it is then."""
    with _default_lock:
        context = _default
    if context is not None:
        context.close()


def _at_exit() -> None:
    global _exiting
    _exiting = True
    for context in list(_contexts):
        context.close()


def _after_fork_in_child() -> None:
    global _default_lock
    _default_lock = threading.Lock()
    for context in list(_contexts):
        context.fall_asleep()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _check_name(name: object, priority: int) -> None:
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise BadValueError(f"{name!r} is no PV name: text, not empty, without NUL")
    message_size(name)  # the engine thread could only log that it does not fit
    if not 0 <= priority <= 99:
        raise BadValueError(f"'{name}': priority {priority} is not in 0..99")


def _checked(channel: Channel, mask: Any) -> int:
    if not isinstance(mask, int) or not 0 < mask < 256:
        raise BadValueError(f"'{channel.name}': event mask {mask!r} is not in 1..255")
    return int(mask)


def _same_server(one: Address, other: Address) -> bool:
    """Whether two addresses are known to be one IOC: the same port of this machine."""
    local = local_addresses()
    return one[1] == other[1] and _is_here(one, local) and _is_here(other, local)


def _is_here(address: Address, local: Iterable[str]) -> bool:
    return address[0] in local or address[0].startswith("127.")


def _log_duplicate(what: tuple[str, Address, Address]) -> None:
    name, (host, port), (other_host, other_port) = what
    log.warning("'%s' is served twice: using %s:%d, ignoring %s:%d", name, host, port, other_host, other_port)


def _log_error(what: tuple[str, ErrorResponse]) -> None:
    name, error = what
    log.warning("%s reports %s: %s", name, error.status.name, error.error_message)


def _log_engine_error(error: BaseException) -> None:
    log.error("internal error on the engine thread", exc_info=error)
