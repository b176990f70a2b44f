"""Searching by TCP: the circuits to EPICS_CA_NAME_SERVERS.

Each search that goes out by UDP also goes to every name server whose circuit is up and that has said it is version 4.12
or newer. A dead one costs nothing but a connection attempt now and then. The circuit serves channels as well if the
server turns out to have them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from caclient.config import Config
from caclient.engine.circuit import Circuit, State
from caclient.engine.log import Log
from caclient.engine.lookups import Lookups
from caclient.engine.loop import Loop, Timer
from caclient.engine.searches import Searches
from caclient.engine.sending import LATER
from caclient.engine.sockets import Address, is_numeric
from caclient.errors import CAError
from caclient.protocol.commands import SearchRequest
from caclient.protocol.queues import SearchName

_logger = logging.getLogger("caclient.search")

SINCE: Final = 12
"""The minor version from which a server answers searches on a circuit."""
_DELAY: Final = 0.5
"""Seconds before a server is connected to again, at first; then twice as many, up to the connection timeout."""


class NameServers:
    """All name servers of a context. *Engine thread.*"""

    def __init__(
        self, loop: Loop, log: Log, searches: Searches, config: Config, circuit: Callable[[Address, int], Circuit]
    ) -> None:
        self.servers = [
            NameServer(loop, log, searches.lookups, address, config.conn_timeout, circuit)
            for address in config.name_servers
        ]
        self._searches = searches
        if self.servers:
            searches.broadcast_also.append(self.ask)

    def start(self) -> None:
        """Begin to connect to each."""
        for server in self.servers:
            server.start()

    def stop(self) -> None:
        """Connect no more."""
        for server in self.servers:
            server.stop()

    def describe(self) -> list[str]:
        """Each with how it is. *Any thread.*"""
        return [server.describe() for server in self.servers]

    def ask(self, names: list[SearchName]) -> None:
        """Send searches to all that can take them."""
        for server in self.servers:
            server.ask(names)

    def heard_version(self, circuit: Circuit) -> None:
        """A server has told its version: if it is one of ours, ask it for all that is missing."""
        if any(server.circuit is circuit for server in self.servers):
            self._searches.boost()


class NameServer:
    """One address, and the circuit to it while there is one."""

    def __init__(
        self,
        loop: Loop,
        log: Log,
        lookups: Lookups,
        address: Address,
        retry: float,
        circuit: Callable[[Address, int], Circuit],
    ) -> None:
        self.address = address
        self.circuit: Circuit | None = None
        self.note = ""
        self._loop = loop
        self._log = log
        self._lookups = lookups
        self._retry = retry
        self._delay = _DELAY
        self._make_circuit = circuit
        self._timer: Timer | None = None
        self._stopped = False

    def start(self) -> None:
        """Look up the name if it is one, and connect."""
        if is_numeric(self.address[0]):
            self._connect(self.address)
        else:
            self._lookups.ask(self.address[0], self._resolved)

    def stop(self) -> None:
        """Connect no more; the context closes the circuit."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def describe(self) -> str:
        """Where it is, and how. *Any thread.*"""
        return f"name server {self.address[0]}:{self.address[1]} ({self.state})"

    @property
    def state(self) -> str:
        """How it is. *Any thread.*"""
        circuit = self.circuit
        if circuit is not None and circuit.state is State.OPEN and circuit.core.version < SINCE:
            version = circuit.core.version
            return f"CA 4.{version}, too old to be asked" if version else "has not told its version"
        return circuit.state.value if circuit is not None else self.note or "not connected"

    @property
    def failure(self) -> str:
        """Why it cannot be asked; "" if it can. *Any thread.*"""
        circuit = self.circuit
        return "" if circuit is not None and circuit.state is State.OPEN else self.state

    def ask(self, names: list[SearchName]) -> None:
        """Send searches if the server is up and new enough."""
        circuit = self.circuit
        if circuit is None or circuit.state is not State.OPEN or circuit.core.version < SINCE:
            return
        try:
            with circuit.sending(LATER) as core:
                core.send(*(SearchRequest(name.name, name.cid) for name in names))
        except CAError:
            return  # it has just gone; the names go to it when it is back
        self._loop.call_soon(circuit.flush)

    def _resolved(self, ip: str | None) -> None:
        if ip is not None:
            self._connect((ip, self.address[1]))
            return
        if not self.note:
            self._log.push(_log_unresolved, self.address[0], f"host {self.address[0]}")
        self.note = f"host {self.address[0]} cannot be resolved"
        self._later()

    def _connect(self, address: Address) -> None:
        if not self._stopped:
            self.circuit = self._make_circuit(address, 0)
            self.circuit.riders[self] = None

    def _later(self) -> None:
        if not self._stopped:
            self._timer = self._loop.call_at(time.monotonic() + self._delay, self.start)
            self._delay = min(self._delay * 2, max(self._retry, _DELAY))

    def circuit_open(self) -> None:
        """It is there."""

    def circuit_closed(self, reason: str) -> None:
        """It is gone: try again later, and ever later if it never stays."""
        circuit, self.circuit = self.circuit, None
        if circuit is not None and circuit.opened_at and time.monotonic() - circuit.opened_at > self._retry:
            self._delay = _DELAY
        self.note = reason
        self._later()

    def circuit_unresponsive(self) -> None:
        """It hangs: nobody else would notice if its host has gone, so begin anew unless channels wait for it."""
        circuit = self.circuit
        if circuit is not None and all(isinstance(rider, NameServer) for rider in circuit.riders):
            circuit.close("the name server does not answer", reset=True)

    def circuit_responsive(self) -> None:
        """It is back."""


def _log_unresolved(host: str) -> None:
    _logger.warning("EPICS_CA_NAME_SERVERS: host %s cannot be resolved; it is not asked until it can be", host)
