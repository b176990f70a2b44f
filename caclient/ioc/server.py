"""A Channel Access server: records on the network, one thread for everything."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from caclient.config import Address, Config
from caclient.engine.loop import Loop, Timer
from caclient.engine.poller import READ
from caclient.errors import BadValueError

from .beacons import Beacons, beacon_destinations
from .complaints import Complaints
from .connection import Connection
from .database import Database
from .listeners import Listeners, open_listeners
from .record import Record
from .responder import Responder
from .session import Session

_SEARCH_TURN = 1 << 16
"""Bytes of datagrams answered before the circuits have their turn."""
_ACCEPTS = 32
"""Circuits taken before the others have their turn."""
_REST = 0.5
"""Seconds for which nobody is let in when there is no descriptor left."""
_LONGEST = 1e6
"""Seconds from which on a delay is for ever: eleven days."""
_DATAGRAM_SIZE = 1 << 16
_LEAST_COST = 256
"""What the shortest datagram counts for in a turn."""
_LOOPBACK = "127.0.0.1"
_PATIENCE = 10.0
"""Seconds that the server's thread has for an answer."""
_T = TypeVar("_T")


class IOC:
    """Serves records. Start and stop it as often as you like, it comes back on the same ports; also a context manager.

    `config` says where (its `cas_server_port`, `intf_addr_list` and beacon settings; `Config.isolated()` is a free port
    on loopback). `on_start` is called in the server's thread whenever the server starts: the place to set timers going.
    Everything here may be called from any thread.
    """

    def __init__(
        self,
        records: Iterable[Record] = (),
        config: Config | None = None,
        *,
        on_start: Callable[[IOC], object] | None = None,
    ) -> None:
        self.config = Config.from_env() if config is None else config
        self.database = Database(records)
        self._on_start = on_start
        self._complaints = Complaints()
        self._ports = (_udp_port(self.config), 0)
        self._loop: Loop | None = None
        self._listeners: Listeners | None = None
        self._beacons: Beacons | None = None
        self._destinations: list[Address] = []
        self._connections: set[Connection] = set()
        self._awaited: list[tuple[Callable[[], bool], threading.Event]] = []

    # ------------------------------------------------------------- life

    def start(self, *, tcp_port: int | None = None) -> Self:
        """Bind and serve in a thread of its own; returns itself. `tcp_port` moves the circuits (0: a free port)."""
        if self._loop is not None:
            return self
        udp_port, old_tcp_port = self._ports
        self._listeners = open_listeners(self.config, udp_port, old_tcp_port if tcp_port is None else tcp_port)
        self._ports = (self._listeners.udp_port, self._listeners.tcp_port)
        self._destinations = beacon_destinations(self.config)
        self._loop = Loop(self._failed, name="caclient-ioc")
        self._loop.call_soon(self._open)
        self._loop.start()
        return self

    def stop(self) -> None:
        """Close every socket and end the thread; nothing happens if it does not run."""
        loop = self._loop
        if loop is None:
            return
        loop.call_soon(self._shut)
        loop.stop()
        self._loop = None

    def run(self) -> None:
        """Serve until the calling thread is interrupted (KeyboardInterrupt) or another calls `stop`."""
        self.start()
        loop = self._loop
        try:
            while loop is not None and loop.thread.is_alive():
                loop.thread.join()
        finally:
            self.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------- what there is

    @property
    def port(self) -> int:
        """The UDP port of searches; with a configured port of 0 the TCP port too. 0 before the first start."""
        return self._ports[0]

    @property
    def tcp_port(self) -> int:
        """The port of the circuits."""
        return self._ports[1]

    @property
    def address(self) -> Address:
        """Where clients on this host search: an entry for their address list."""
        host = _LOOPBACK if self._listeners is None else self._listeners.host
        return (_LOOPBACK if host == "0.0.0.0" else host, self.port)

    def client_config(self, **settings: Any) -> Config:
        """A configuration for clients that reach this server and nothing else."""
        return Config.isolated(**{"addr_list": (self.address,), **settings})

    def __getitem__(self, name: str) -> Record:
        """The record of that name."""
        return self.database[name]

    def channel_count(self) -> int:
        """Channels that clients have open."""
        return self._ask(lambda: sum(len(each.session.bindings) for each in self._connections), 0)

    def connection_count(self) -> int:
        """Circuits that clients have open."""
        return self._ask(lambda: len(self._connections), 0)

    def subscription_count(self) -> int:
        """Subscriptions that clients have."""
        return sum(record.monitor_count for record in self.database)

    # ------------------------------------------------------------- what may be done to it

    def add(self, record: Record) -> Record:
        """Serve one more record."""
        self.database.add(record)
        return record

    def drop_clients(self, *, reset: bool = False) -> None:
        """Close every circuit, without saying so if `reset`; clients may come back at once."""
        self._ask(partial(self._close_connections, reset), None)

    def disconnect_channel(self, name: str) -> None:
        """Tell every client that channels of this name are gone; the circuits live on."""
        self._ask(partial(self._disconnect, name), None)

    def call_later(self, delay: float, call: Callable[[], None]) -> Timer:
        """Have `call` made in the server's thread after `delay` seconds; it is forgotten when the server stops.

        A delay may be any number, for clients' puts may become delays; one of over eleven days is that.
        """
        delay = min(max(delay, 0.0), _LONGEST)
        if math.isnan(delay):
            raise BadValueError("a delay of nan seconds")
        return self._running().call_at(time.monotonic() + delay, call)

    def wait_until(self, condition: Callable[[IOC], bool], timeout: float) -> bool:
        """Wait for what clients do; the condition is looked at in the server's thread after each thing they do."""
        met = threading.Event()
        entry = (lambda: condition(self), met)
        loop = self._running()
        loop.call_soon(self._awaited.append, entry)
        loop.call_soon(self._look)
        if met.wait(timeout):
            return True
        loop.call_soon(self._awaited.remove, entry)
        return False

    # ------------------------------------------------------------- server thread

    def _open(self) -> None:
        """Begin to listen."""
        loop, listeners = self._running(), self._listening()
        ignored = (host for host, _ in self.config.ignore_addr_list)
        responder = Responder(self.database, listeners.tcp_port, ignored)
        for receiver, sender in listeners.udp:
            loop.poller.add(receiver.fileno(), READ, partial(_answer_searches, receiver, sender, responder))
        for sock in listeners.tcp:
            loop.poller.add(sock.fileno(), READ, partial(self._accept, sock))
        if self._destinations:
            self._beacons = Beacons(self.config, listeners.tcp_port, self._destinations)
            self._send_beacon()
        if self._on_start is not None:
            self._on_start(self)

    def _shut(self) -> None:
        """Close everything."""
        listeners = self._listening()
        self._close_connections(False)
        for sock in (*listeners.tcp, *(receiver for receiver, _ in listeners.udp)):
            self._running().poller.remove(sock.fileno())
        listeners.close()
        if self._beacons is not None:
            self._beacons.close()
            self._beacons = None

    def _close_connections(self, reset: bool) -> None:
        for connection in tuple(self._connections):
            connection.close(reset=reset)

    def _disconnect(self, name: str) -> None:
        for connection in tuple(self._connections):
            connection.disconnect_channel(name)

    def _accept(self, listener: socket.socket, _bits: int) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):  # all are in, or one has gone already
                return
            except OSError as error:
                self._rest(listener, error)
                return
            self._serve(sock, address)

    def _rest(self, listener: socket.socket, error: OSError) -> None:
        """No descriptor or memory for another circuit: those that wait stay in the kernel's queue for a moment."""
        self._complaints.warn(f"no more circuits for now: {error.strerror}")
        poller, fd = self._running().poller, listener.fileno()
        poller.modify(fd, 0)
        self.call_later(_REST, lambda: poller.modify(fd, READ))

    def _serve(self, sock: socket.socket, address: Address) -> None:
        session = Session(self.database, self.tcp_port, self._complaints)
        connection = Connection(
            self._running(), sock, address, session, self._look, self._connections.discard, self._complaints
        )
        self._connections.add(connection)
        try:
            connection.open()
        except OSError as error:  # it has gone already, or the poller takes no more
            self._complaints.warn(f"a circuit was refused: {error}")
            self._connections.discard(connection)
            sock.close()
        self._look()

    def _send_beacon(self) -> None:
        if self._beacons is not None:
            self.call_later(self._beacons.send(), self._send_beacon)

    def _look(self) -> None:
        """See whether what somebody waits for has come about."""
        for entry in tuple(self._awaited):
            condition, met = entry
            if condition():
                met.set()
                self._awaited.remove(entry)

    def _failed(self, error: BaseException) -> None:
        self._complaints.failed("a call in the server's thread failed", error)

    # ------------------------------------------------------------- inside

    def _running(self) -> Loop:
        if self._loop is None:
            raise RuntimeError("the server does not run")
        return self._loop

    def _listening(self) -> Listeners:
        if self._listeners is None:
            raise RuntimeError("the server does not run")
        return self._listeners

    def _ask(self, question: Callable[[], _T], otherwise: _T) -> _T:
        """What the server's thread answers; `otherwise` if it does not run."""
        loop = self._loop
        if loop is None:
            return otherwise
        if loop.thread is threading.current_thread():
            return question()
        answers: list[_T] = []
        answered = threading.Event()

        def answer() -> None:
            answers.append(question())
            answered.set()

        loop.call_soon(answer)
        answered.wait(_PATIENCE)
        return answers[0] if answers else otherwise


def _udp_port(config: Config) -> int:
    """The port of the first interface listed, or the one configured for all."""
    return next((port for _, port in config.intf_addr_list), config.cas_server_port)


def _answer_searches(receiver: socket.socket, sender: socket.socket, responder: Responder, _bits: int) -> None:
    """Answer what has arrived, for a turn; a search that cannot be answered now will be asked again."""
    turn = _SEARCH_TURN
    while turn > 0:
        try:
            datagram, address = receiver.recvfrom(_DATAGRAM_SIZE)
            for reply in responder.answer(datagram, address):
                sender.sendto(reply, address)
        except OSError:
            return
        turn -= max(len(datagram), _LEAST_COST)
