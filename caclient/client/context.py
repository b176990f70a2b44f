"""The context: owner of the selector thread, the circuits, the channels and the lanes. One is enough for a program.

``import caclient`` makes none: the default context starts with the first PV. All public methods may be called from any
thread; the rest runs on the engine thread, as each says.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import Self

from caclient.client.channel import Channel
from caclient.client.report import Report
from caclient.client.subscription import DBE_PROPERTY, DEFAULT_MASK, Monitor, Subscription
from caclient.client.timeout import seconds
from caclient.config import Config
from caclient.engine.circuits import Circuit
from caclient.engine.circuits import State as CircuitState
from caclient.engine.lanes import Lane, Lanes
from caclient.engine.log import Log
from caclient.engine.loop import Loop
from caclient.engine.nameservers import NameServers
from caclient.engine.pool import Pool
from caclient.engine.registration import Registration
from caclient.engine.runtime import Runtime
from caclient.engine.searches import Searches
from caclient.engine.signals import await_signal, new_signal
from caclient.engine.sockets import Address, interface_addresses, local_addresses
from caclient.errors import BadValueError
from caclient.protocol.beacons import Verdict
from caclient.protocol.command import Command
from caclient.protocol.commands import (
    ErrorResponse,
    SearchResponse,
    VersionResponse,
)
from caclient.protocol.search import message_size
from caclient.settings import size

if TYPE_CHECKING:
    from caclient.client.pv import PV

log = logging.getLogger("caclient")

_FLUSH: Final = 0.2
"""Seconds that closing a context spends on puts not yet taken by the kernel."""
_ADDRESSES: Final = 10_000
"""Names whose second server is remembered at the most."""


class Context:
    """Everything that talks to IOCs, made from a ``Config`` (by default the EPICS_CA_* variables).

    The keyword arguments replace single fields of the config: ``addr_list`` and ``name_servers`` as text or a list of
    ``"host:port"``, ``auto_addr_list``, ``server_port``, ``conn_timeout``, ``max_search_period``, ``repeater_port``...
    An ``addr_list`` given here is searched alone unless ``auto_addr_list`` is given too.

    :param timeout: seconds that calls may take unless the PV or the call has its own.
    :param queue_bytes: bytes of updates that may wait for all callbacks together, as a number or as ``"256 MB"``.
    :param read_only: puts raise ``ReadOnlyError``; by default as the variable CACLIENT_READ_ONLY says.
    :raises BadValueError: if a setting cannot be; the text says what to give instead.
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
            "read_only": read_only,
            "user": user,
            "host": host,
        }
        settings = {name: value for name, value in given.items() if value is not None}
        self.config = (config or Config.from_env()).replace(**settings)
        self.timeout = seconds(timeout)
        """Seconds that calls may take unless the PV or the call has its own."""
        self.queue_bytes = size("queue_bytes", queue_bytes)
        """Bytes of updates that may wait for all callbacks and iterators together."""
        self.read_only = self.config.read_only
        """Puts raise ``ReadOnlyError``."""
        self.pv_lock = threading.RLock()
        """Held while a PV changes its callbacks; ``lock`` may be taken inside."""
        self.runtime = Runtime(self.config.identity(), self._wake)
        self.pool = Pool(self.runtime, self.config, self._unowned, self._circuit_gone)
        self._cids = itertools.count(1)
        self._channels: dict[tuple[str, int], Channel] = {}
        self._by_cid: dict[int, Channel] = {}
        self._dropped: deque[tuple[Channel, Monitor | None]] = deque()
        self._pvs: dict[str, PV] = {}
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
            self.runtime.closed = True
        if self.runtime.asleep:
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
        state = "closed" if self.closed else f"{len(self._channels)} channels, {len(self.pool.circuits)} circuits"
        return f"<Context: {state}>"

    # -- channels: any thread ------------------------------------------------------------------------------------------

    def channel(self, name: str, priority: int = 0) -> Channel:
        """The channel of a name, with one user more; ``release`` takes the user back."""
        _check_name(name, priority)
        self.runtime.wake()
        if self.closed:
            raise self.runtime.closed_error(name)
        with self.lock:
            channel = self._channels.get((name, priority))
            if channel is None:
                cid = next(self._cids)
                channel = Channel(self.runtime, self.pool, self, name, priority, cid)
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
        self.loop.call_soon(self.runtime.later, monitor.start)
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
        self.runtime.wake()
        with self.lock:
            channel.users += 1
        if self.closed:
            raise self.runtime.closed_error(channel.name)
        if mask & DBE_PROPERTY:
            channel.want_control(follow=True)  # ahead of the monitor: its updates then find the metadata changed
        monitor = self._monitor(channel, mask)
        subscription = Subscription(monitor, callback, lane, policy, runs, self._unsubscribe, on_end)
        self.loop.call_soon(self._attach, monitor, subscription)
        return subscription

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

    def channels(self) -> list[Channel]:
        """All channels there are."""
        with self.lock:
            return list(self._channels.values())

    # -- what channels ask (``Finder``) --------------------------------------------------------------------------------

    def seek(self, channel: Channel, delay: float = 0.0) -> None:
        """Search its name until ``settle``, and tell it what was found. *Engine thread.*"""
        self.searches.add(channel.cid, channel.name, delay, "" if channel.address is None else channel.address[0])

    def settle(self, channel: Channel) -> None:
        """Search its name no more; one that is not searched is no error. *Engine thread.*"""
        self.searches.remove(channel.cid)

    def describe_search(self, channel: Channel) -> str:
        """How often its name was searched, where, and that nobody has answered; empty if it is not. *Any thread.*"""
        return self.searches.describe(channel.cid, self.name_servers.describe())

    def duplicate(self, channel: Channel, other: Address) -> None:
        """A second server answered for a name: warn once. *Engine thread.*"""
        first = channel.address
        if first is None or channel.name in self.duplicates:
            return
        if _same_server(first, other) or self.searches.beacons.in_step(first, other):
            return
        if len(self.duplicates) < _ADDRESSES:
            self.duplicates[channel.name] = (first, other)
            pair = f"names served by both {first[0]}:{first[1]} and {other[0]}:{other[1]}"
            self.log.push(_log_duplicate, (channel.name, first, other), pair)

    @property
    def loop(self) -> Loop:
        """The loop of its engine thread."""
        return self.runtime.loop

    @property
    def lanes(self) -> Lanes:
        """Where its callbacks run."""
        return self.runtime.lanes

    @property
    def log(self) -> Log:
        """Where its log lines are written."""
        return self.runtime.log

    @property
    def lock(self) -> threading.Lock:
        """Held while tables are changed."""
        return self.runtime.lock

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self.runtime.closed

    # -- engine thread -------------------------------------------------------------------------------------------------

    def _make_engine(self) -> None:
        self.duplicates: dict[str, tuple[Address, Address]] = {}
        self.searches = Searches(self.loop, self.log, self.config, self._found, self._beacon)
        self.name_servers = NameServers(self.loop, self.log, self.searches, self.config, self.pool.circuit)
        self.repeater = Registration(self.loop, self.searches, self.config.repeater_port)

    def _start_engine(self) -> None:
        for start in (self.searches.start, self.name_servers.start, self.repeater.start):
            self.loop.call_soon(start)
        self.loop.start()
        for problem in self.config.problems:
            self.log.push(log.warning, problem, problem)

    def _search(self) -> None:
        """Search the channels that were made since, which may be thousands."""
        self._searching_soon = False
        while self._unsearched:
            self._unsearched.popleft().search()

    def _wake(self) -> None:
        """In a forked child, at the first use: an engine and circuits of its own. *Any thread.*"""
        with self.lock:
            if not self.runtime.asleep or self.closed:
                return
            self.runtime.asleep = False
            self._unsearched = deque(self._channels.values())
        self._start_engine()
        self.loop.call_soon(self._reap)
        self._search_soon()

    def fall_asleep(self) -> None:
        """In a forked child: let go of the parent's descriptors without a word to the servers. *The only thread.*"""
        self.pv_lock = threading.RLock()
        if not self.closed:
            self.searches.abandon()
            self.repeater.abandon()
            self.pool.abandon()
        self.runtime.fall_asleep()
        if self.closed:
            return
        self._make_engine()
        for channel in self._channels.values():
            for monitor, count in channel.forget_circuit():
                self._dropped.extend([(channel, monitor)] * count)  # served when the engine wakes

    def _found(self, cid: int, address: Address, fresh: bool) -> None:
        channel = self._by_cid.get(cid)
        if channel is not None:
            channel.found(address, fresh)

    def _beacon(self, address: Address, verdict: Verdict) -> None:
        self.pool.beacon(address, verdict)

    def _unowned(self, circuit: Circuit, command: Command) -> None:
        if isinstance(command, SearchResponse):
            self.searches.answered(command, circuit.address)
        elif isinstance(command, VersionResponse):
            self.name_servers.heard_version(circuit)
        elif isinstance(command, ErrorResponse):
            self.log.push(_log_error, (circuit.name, command), f"errors reported by {circuit.name}")

    def _circuit_gone(self, address: Address) -> None:
        self.searches.beacons.forget(address)

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
        waiting = [circuit for circuit in self.pool.all() if circuit.pending]
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
        for circuit in self.pool.all():
            circuit.close("the context was closed")
        done.release()


# -- the default context, fork and exit --------------------------------------------------------------------------------

_contexts: weakref.WeakSet[Context] = weakref.WeakSet()
_default: Context | None = None
_unpickled: list[Context] = []
"""Contexts that came with pickled PVs; they live as long as the process."""
_default_lock = threading.Lock()


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
    Runtime.exiting = True
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
