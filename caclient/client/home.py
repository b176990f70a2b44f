"""The home: everything behind a context, put together, and taken apart again.

A home is what threads hold, a context is a handle. Contexts and PVs hold a ``Lease`` on the home, which no thread
holds: when the last of them goes, the lease does, and files that the home is to close. So nobody waits, no lock is
taken, and nothing is left behind. A home that closes sends what was put, for as long as that goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from caclient.client.budget import Budget
from caclient.client.facts import Destination, Surroundings
from caclient.client.names import Names
from caclient.config import Config
from caclient.engine.circuit import Circuit
from caclient.engine.nameservers import NameServers
from caclient.engine.pool import Pool
from caclient.engine.registration import Registration
from caclient.engine.runtime import Runtime
from caclient.engine.searches import Searches
from caclient.engine.signals import await_signal, new_signal
from caclient.engine.sockets import Address, interface_addresses
from caclient.errors import LimitError
from caclient.protocol.beacons import Verdict
from caclient.protocol.command import Command
from caclient.protocol.commands import ErrorResponse, SearchResponse, VersionResponse

log = logging.getLogger("caclient")

DRAIN: Final = 10.0
"""Seconds that closing takes at the most while servers go on taking what was put."""
_JOIN: Final = 1.0
"""Seconds beyond that for the threads to end."""


class Settings(NamedTuple):
    """What a home is made of."""

    config: Config
    timeout: float
    queue_bytes: int


class Home:
    """Runtime, circuits, channels and searches of one or more handles. *Any thread*, unless a method says otherwise.

    *on_over* is called when nothing is left of it.
    """

    searches: Searches
    name_servers: NameServers
    repeater: Registration

    def __init__(self, settings: Settings, on_over: Callable[[Home], None]) -> None:
        self.settings = settings
        self.config = config = settings.config
        try:
            self.runtime = Runtime(config.identity(), self._wake, self._engine_ended)
        except OSError as error:
            raise _limit(error) from error
        self.pool = Pool(self.runtime, config, self._unowned, self._circuit_gone)
        self.names = Names(self.runtime, self.pool, self.surroundings)
        self.budget = Budget(settings.queue_bytes, self.names.all)
        self.runtime.intake.look = self.budget.look
        self._waking = threading.RLock()
        self._on_over = on_over
        self._over = new_signal()
        self._to_finish = [True]  # emptied by whoever is first: the engine as it ends, or who closes just then
        self._closing = False
        self._unfinished = 0
        if config.auto_addr_list:
            interface_addresses()  # its first call is slow, which the engine thread must not be
        self._make_engine()
        self._start_engine()

    def __repr__(self) -> str:
        state = "closed" if self.runtime.closed else f"{len(self.names)} channels, {len(self.pool.circuits)} circuits"
        return f"<Home: {state}>"

    def surroundings(self) -> Surroundings:
        """What is the same for all names at this moment. *Any thread.*"""
        searches, loop = self.searches, self.runtime.loop
        limit = "descriptors" if "Too many open files" in searches.deaf else ""
        ended = "" if loop.thread.is_alive() or self.runtime.asleep or self.runtime.closed else "see the log"
        return Surroundings(
            self.config,
            [
                *(
                    Destination(f"{host}:{port}", error=searches.failure((host, port)))
                    for host, port in searches.destinations
                ),
                *(
                    Destination(f"{server.address[0]}:{server.address[1]}", error=server.failure, tcp=server.state)
                    for server in self.name_servers.servers
                ),
            ],
            self.runtime.identity,
            ended,
            loop.lag,
            limit,
            searches.listed,
        )

    # -- engine --------------------------------------------------------------------------------------------------------

    def _make_engine(self) -> None:
        runtime, config = self.runtime, self.config
        self.searches = self.names.searches = Searches(
            runtime.loop, runtime.log, config, self.names.found, self._beacon
        )
        self.name_servers = NameServers(runtime.loop, runtime.log, self.searches, config, self.pool.circuit)
        self.repeater = Registration(runtime.loop, self.searches, config.repeater_port)

    def _start_engine(self) -> None:
        loop = self.runtime.loop
        try:
            loop.start()
        except RuntimeError as error:
            loop.abandon()
            raise _limit(error) from error
        for start in (self.searches.start, self.name_servers.start, self.repeater.start):
            loop.call_soon(start)
        for problem in self.config.problems:
            self.runtime.log.push(log.warning, problem, problem)

    def _beacon(self, address: Address, verdict: Verdict) -> None:
        self.pool.beacon(address, verdict)

    def _unowned(self, circuit: Circuit, command: Command) -> None:
        if isinstance(command, SearchResponse):
            self.searches.answered(command, circuit.address)
        elif isinstance(command, VersionResponse):
            self.name_servers.heard_version(circuit)
        elif isinstance(command, ErrorResponse):
            self.runtime.log.push(_log_error, (circuit.name, command), f"errors reported by {circuit.name}")

    def _circuit_gone(self, address: Address) -> None:
        self.searches.beacons.forget(address)

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self, timeout: float = DRAIN) -> None:
        """Send what was put, for *timeout* seconds at most, end every circuit and thread; twice is no error.

        On the engine thread, where a finalizer may call it, it is filed only.
        """
        deadline = time.monotonic() + timeout
        self.close_soon(timeout)
        if threading.current_thread() is not self.runtime.loop.thread:
            self.await_over(deadline)

    def close_soon(self, timeout: float = DRAIN) -> None:
        """Have it closed, without a wait or a lock: finalizers call it."""
        if self._closing:
            return
        self._closing = self.runtime.closed = True
        if self.runtime.asleep:
            self.runtime.loop.abandon()  # it was never started
            self._finished()
            return
        if self.runtime.ended:
            self._end()
            return
        self.runtime.lanes.ending = True
        self.runtime.loop.call_soon(self._close, time.monotonic() + timeout)

    def await_over(self, deadline: float) -> None:
        """Wait until nothing is left of it, or a little longer than the monotonic *deadline*."""
        runtime = self.runtime
        with runtime.lanes.blocking():
            if not await_signal(self._over, deadline + _JOIN):
                return
            self._over.release()  # for the next who waits
        if runtime.loop.thread.ident is not None:
            runtime.loop.thread.join(_JOIN)
        runtime.lanes.join(0.05)

    def _close(self, deadline: float) -> None:
        for part in (self.repeater, self.name_servers, self.searches):
            part.stop()
        self.names.abandon()
        self.pool.finish("the context was closed", deadline, self._end)

    def _engine_ended(self) -> None:
        """The engine thread ends by an error: whoever waits is told, nothing is connected. *Engine thread.*"""
        for part in (self.repeater, self.name_servers, self.searches):
            part.stop()
        self.names.abandon()
        for circuit in self.pool.all():
            circuit.close(self.runtime.ended, reset=True)
        if self._closing:
            self._end()

    def _end(self) -> None:
        self.runtime.lanes.close()
        self.runtime.loop.stop()
        self._finished()

    def _finished(self) -> None:
        try:
            self._to_finish.pop()
        except IndexError:
            return
        self._on_over(self)
        self._over.release()

    # -- fork ----------------------------------------------------------------------------------------------------------

    def fall_asleep(self) -> None:
        """In a forked child: let go of the parent's descriptors without a word to the servers. *The only thread.*"""
        self._waking = threading.RLock()
        self._over = new_signal()
        if self.runtime.closed:
            self._over.release()  # nothing of it is in this process, and who closes it again has nothing to wait for
        self.budget.orphan()
        if not self.runtime.closed:
            self.searches.abandon()
            self.repeater.abandon()
            self.pool.abandon()
        self.runtime.fall_asleep()
        if not self.runtime.closed:
            self._make_engine()
            self.names.forget_circuits()

    def _wake(self) -> None:
        """In a forked child, at the first use: an engine and circuits of its own."""
        runtime = self.runtime
        with self._waking:
            if not runtime.asleep or runtime.closed:
                return
            runtime.asleep = False
            try:
                self._start_engine()
            except BaseException:
                runtime.asleep = True
                raise
        runtime.loop.call_soon(self.names.search_all)


class Lease:
    """What handles and PVs hold: when the last reference to it goes, the home closes."""

    __slots__ = ("__weakref__", "home")

    def __init__(self, home: Home) -> None:
        self.home = home

    def __del__(self) -> None:
        self.home.close_soon()


def _limit(error: Exception) -> LimitError:
    return LimitError(f"no engine for a context: {error}; see `ulimit -n` and `ulimit -u`")


def _log_error(what: tuple[str, ErrorResponse]) -> None:
    name, error = what
    log.warning("%s reports %s: %s", name, error.status.name, error.error_message)
