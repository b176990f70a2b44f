"""The pool: one circuit for each (address, priority), and what is known of addresses that accept none.

An address that accepts no connection, or soon drops it, is left alone for a while, longer each time. A circuit without
channels is kept for a moment, for the next one. All methods run on the engine thread unless they say otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from caclient.config import Config
from caclient.engine.circuit import Circuit, Creator, State
from caclient.engine.runtime import Runtime
from caclient.engine.sockets import Address
from caclient.protocol.beacons import Verdict
from caclient.protocol.command import Command
from caclient.protocol.commands import ClientNameRequest, HostNameRequest, VersionRequest

MINOR: Final = 13
"""The version of Channel Access that we tell servers: 4.13."""
_LINGER: Final = 0.5
"""Seconds that a circuit without channels is kept for the next one."""
_GOODBYE: Final = 5.0
"""Seconds that the server of such a circuit has at the most to read what was put."""
_PATIENCE: Final = (0.1, 5.0)
"""Seconds before an address that accepts no connection is tried again: at first, and at the most."""
_LASTING: Final = 5.0
"""Seconds that a connection has to last for what failed before it to be forgiven."""
_STALE: Final = 30.0
"""Seconds after the last failure of an address from which on it is not told of any more: nothing tries it."""
_ADDRESSES: Final = 10_000
"""Addresses whose failures are remembered at the most."""


class _Failure(NamedTuple):
    """An address that accepted no connection, or soon dropped it: how often in a row, and until when it is left."""

    attempts: int
    until: float
    reason: str


_NO_FAILURE: Final = _Failure(0, 0.0, "")


class Pool:
    """All circuits of a home.

    *on_command* is given what has no owner, *on_gone* the address of a circuit that ended.
    """

    def __init__(
        self,
        runtime: Runtime,
        config: Config,
        on_command: Callable[[Circuit, Command], None],
        on_gone: Callable[[Address], None],
    ) -> None:
        self.circuits: dict[tuple[Address, int], Circuit] = {}
        self.opened = 0
        """Circuits that there ever were."""
        self._at: dict[Address, dict[int, Circuit]] = {}
        self._runtime = runtime
        self._config = config
        self._on_command = on_command
        self._on_gone = on_gone
        self._failures: dict[Address, _Failure] = {}
        self._dirty: set[Circuit] = set()
        self._wanted: dict[Circuit, list[Creator]] = {}
        self._leaving: set[Circuit] = set()
        """Those that nobody uses any more, whose servers have yet to take what was put."""
        self._on_done: Callable[[], None] | None = None

    def circuit(self, address: Address, priority: int) -> Circuit:
        """The circuit to an address, made if there is none."""
        circuit = self.circuits.get((address, priority))
        if circuit is None:
            config = self._config
            circuit = Circuit(
                self._runtime.loop,
                address,
                priority,
                config.conn_timeout,
                self._closed,
                self._on_command,
                config.max_array_bytes,
                config.echo_timeout,
                self._runtime.lanes,
                self._runtime.intake,
            )
            self.circuits[address, priority] = circuit
            self.opened += 1
            self._at.setdefault(address, {})[priority] = circuit
            user, host = self._runtime.identity
            circuit.open([VersionRequest(priority, MINOR), ClientNameRequest(user), HostNameRequest(host)])
        return circuit

    def all(self) -> list[Circuit]:
        """The circuits there are. *Any thread.*"""
        return list(self.circuits.values())

    def create_soon(self, circuit: Circuit, asker: Creator) -> None:
        """Ask for a channel, together with all others that are found in the same go."""
        if not self._wanted:
            self._runtime.loop.call_soon(self._create)
        self._wanted.setdefault(circuit, []).append(asker)

    def _create(self) -> None:
        wanted, self._wanted = self._wanted, {}
        for circuit, askers in wanted.items():
            circuit.create([asker for asker in askers if asker.waiting])

    def flush_soon(self, circuit: Circuit) -> None:
        """Write what was queued, after the commands at hand have all been served."""
        if not self._dirty:
            self._runtime.loop.call_soon(self._flush_dirty)
        self._dirty.add(circuit)

    def _flush_dirty(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for circuit in dirty:
            circuit.flush()

    def maybe_idle(self, circuit: Circuit) -> None:
        """A channel has left the circuit: without any it is closed after a moment."""
        if not circuit.riders:
            self._runtime.loop.call_at(time.monotonic() + _LINGER, lambda: self._close_idle(circuit))

    def _close_idle(self, circuit: Circuit) -> None:
        if not circuit.riders and circuit.state is not State.CLOSED:
            self._leave(circuit, "not needed any more", _GOODBYE)

    def finish(self, reason: str, deadline: float, on_done: Callable[[], None]) -> None:
        """End every circuit, once what was put is sent, or nobody takes it, or at the monotonic *deadline*."""
        seconds = max(0.0, deadline - time.monotonic())
        for circuit in self.all():
            self._leave(circuit, reason, seconds)
        if not self._leaving:
            on_done()
            return
        timer = self._runtime.loop.call_at(deadline, self._end_leaving)

        def done() -> None:
            timer.cancel()
            on_done()

        self._on_done = done

    def _leave(self, circuit: Circuit, reason: str, seconds: float) -> None:
        self._leaving.add(circuit)
        circuit.finish(reason, seconds, self._left)

    def _left(self, circuit: Circuit) -> None:
        self._leaving.discard(circuit)
        if not self._leaving and self._on_done is not None:
            self._on_done()

    def _end_leaving(self) -> None:
        for circuit in list(self._leaving):
            circuit.close(circuit.reason)

    def abandon(self) -> None:
        """In a forked child: the circuits are the parent's, to whose servers no word is said. *The only thread.*"""
        for circuit in (*self.circuits.values(), *self._leaving):
            circuit.abandon()
        self._leaving = set()
        self.circuits = {}
        self._at = {}
        self._failures = {}
        self._dirty = set()
        self._wanted = {}
        self._leaving = set()

    # -- patience ------------------------------------------------------------------------------------------------------

    def patience_with(self, address: Address) -> float:
        """Seconds for which an address that accepted no connection is left alone."""
        failed = self._failures.get(address)
        return 0.0 if failed is None else failed.until - time.monotonic()

    def not_serving(self, address: Address) -> str:
        """Why an address that answers searches does not serve. *Any thread.*"""
        failed = self._failures.get(address, _NO_FAILURE)
        return f"{failed.reason} ({failed.attempts} attempt{'' if failed.attempts == 1 else 's'})"

    def refusing(self) -> dict[Address, int]:
        """The addresses that answer searches but do not serve, and how often each was tried in vain. *Any thread.*"""
        serving = {circuit.address for circuit in self.all() if circuit.served}
        since = time.monotonic() - _STALE
        return {
            address: failed.attempts
            for address, failed in list(self._failures.items())
            if address not in serving and failed.until > since
        }

    def beacon(self, address: Address, verdict: Verdict) -> None:
        """A server was heard: it may be tried again if it is new, and its circuits are told."""
        if verdict.boosts or verdict is Verdict.FIRST:
            self._failures.pop(address, None)
        if verdict.vouches or verdict.doubts:
            now = time.monotonic()
            for circuit in self._at.get(address, {}).values():
                circuit.beacon(now, verdict.vouches)

    def _closed(self, circuit: Circuit) -> None:
        if self.circuits.get((circuit.address, circuit.priority)) is circuit:
            del self.circuits[circuit.address, circuit.priority]
            at = self._at[circuit.address]
            del at[circuit.priority]
            if not at:
                del self._at[circuit.address]
        self._runtime.tally.keep(bytes_in=circuit.bytes_in, bytes_out=circuit.bytes_out)
        self._dirty.discard(circuit)
        self._on_gone(circuit.address)
        if circuit.served and time.monotonic() - circuit.opened_at > _LASTING:
            self._failures.pop(circuit.address, None)
        elif circuit.riders:
            self._failed(circuit.address, circuit.reason)

    def _failed(self, address: Address, reason: str) -> None:
        """Leave an address alone for a while, longer each time."""
        count = self._failures.get(address, _NO_FAILURE).attempts
        delay = min(_PATIENCE[0] * 2 ** min(count, 30), _PATIENCE[1])
        if len(self._failures) < _ADDRESSES or count:
            self._failures[address] = _Failure(count + 1, time.monotonic() + delay, reason)
