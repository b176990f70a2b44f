"""A Channel Access server that does wrong what it is told to, on loopback and in one thread.

    with FaultServer({"x": 1.0}, version=12) as server:
        server.delay("read", 0.5)             # replies of a kind: see tests/faults/kinds.py
        server.reset_after(messages=3)
        ...
        server.wait_for(ca.ReadNotifyRequest)  # what clients have sent
        server.stall(); server.resume()

Replies come from the real server's sessions and pass through a script of faults before they are sent. Clients find it
by `server.client_config()`, or at `server.address`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from caclient.config import Address, Config
from caclient.engine.loop import Loop
from caclient.engine.poller import READ
from caclient.errors import ProtocolError
from caclient.ioc import Database, Record
from caclient.ioc.responder import Responder
from caclient.protocol import commands as ca
from caclient.protocol.broadcaster import Broadcaster
from caclient.protocol.header import Header
from tests.faults import lies, script
from tests.faults.connection import FaultConnection
from tests.faults.floods import prebuilt
from tests.faults.script import Change, Fault, Script
from tests.faults.sockets import Tcp, open_tcp, open_udp

PATIENCE = 10.0
_HOST = "127.0.0.1"
_T = TypeVar("_T")
_C = TypeVar("_C", bound=ca.Command)


class FaultServer:
    """See the module. Methods may be called from any thread.

    `pvs` are records, or values by name. `version` is the minor version told on circuits, None for a server that tells
    none; `search_version` the one told in search replies. `tcp` is what becomes of connections.
    """

    def __init__(
        self,
        pvs: Mapping[str, Any] | Iterable[Record] = (),
        *,
        version: int | None = ca.MINOR_VERSION,
        search_version: int | None = None,
        tcp: Tcp = Tcp.SERVE,
    ) -> None:
        records = [_record(name, value) for name, value in pvs.items()] if isinstance(pvs, Mapping) else pvs
        self.database = Database(records)
        self.version = version
        self.search_version = search_version or version or ca.MINOR_VERSION
        self.tcp = tcp
        self.script = Script()
        self.holding = False
        self.refused_names: set[str] = set()
        self.elsewhere: dict[str, Address] = {}
        self.ignored: tuple[type[ca.Command], ...] = ()
        self.taken_away: set[str] = set()
        self.searchers: list[Address] = []
        self.received: list[ca.Command] = []
        self.searches: list[ca.SearchRequest] = []
        self.errors: list[ProtocolError] = []
        self.port = 0
        self.tcp_port = 0
        self.search_port: int | None = None
        self._stalled = False
        self._connections: list[FaultConnection] = []
        self._changed = threading.Condition()
        self._loop: Loop | None = None
        self._udp: socket.socket | None = None
        self._tcp_sockets: list[socket.socket] = []

    # ------------------------------------------------------------- life

    def start(self) -> Self:
        """Bind and serve; a second start is on the same ports."""
        self._loop = Loop(self._record_error, name="fault-server")
        self._tcp_sockets, self.tcp_port = open_tcp(self.tcp, self.tcp_port)
        self._udp, self.port = open_udp(self.port)
        self._loop.call_soon(self._open)
        self._loop.start()
        return self

    def stop(self, *, reset: bool = False) -> None:
        """Close everything."""
        if self._loop is not None:
            self._loop.call_soon(self._shut, reset)
            self._loop.stop()
            self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def address(self) -> Address:
        """Where to search."""
        return _HOST, self.port

    def client_config(self, **settings: Any) -> Config:
        """A configuration for clients that reach this server and nothing else."""
        return Config.isolated(**{"addr_list": (self.address,), **settings})

    def __getitem__(self, name: str) -> Record:
        return self.database[name]

    # ------------------------------------------------------------- faults of replies: one kind, `times` often

    def fault(self, kind: str, change: Change, times: int | None = 1, skip: int = 0) -> Fault:
        """Any change; `skip` replies of the kind go unharmed first."""
        return self.script.add(Fault(kind, change, times, skip))

    def delay(self, kind: str, seconds: float, times: int | None = None) -> Fault:
        """Send them later; what follows overtakes them."""
        return self.fault(kind, script.delayed(seconds), times)

    def drop(self, kind: str, times: int | None = 1, skip: int = 0) -> Fault:
        """Do not send them."""
        return self.fault(kind, script.dropped, times, skip)

    def duplicate(self, kind: str, times: int | None = 1, copies: int = 2) -> Fault:
        """Send each twice."""
        return self.fault(kind, script.repeated(copies), times)

    def split(self, size: int = 1, kind: str = "any", times: int | None = None) -> Fault:
        """Write them in pieces."""
        return self.fault(kind, script.split(size), times)

    def half(self, kind: str, then: str = "reset", keep: int | None = None, skip: int = 0) -> Fault:
        """Send the first half (or `keep` bytes), then "reset", "close" or "stall"."""
        return self.fault(kind, script.truncated(keep, then), 1, skip)

    def lie(self, kind: str, times: int | None = 1, skip: int = 0, **fields: int) -> Fault:
        """Say something else in the header: command, payload_size, data_type, data_count, parameter1, parameter2."""
        return self.fault(kind, script.lying(**fields), times, skip)

    def rewrite(self, kind: str, rewrite: Callable[[bytes], bytes], times: int | None = 1) -> Fault:
        """Send other bytes."""
        return self.fault(kind, script.rewritten(rewrite), times)

    def reset_after(self, messages: int, kind: str = "any") -> Fault:
        """RST right behind so many more replies of the kind."""
        return self.fault(kind, script.ended("reset"), 1, messages - 1)

    def reshape(
        self,
        kind: str,
        *,
        data_type: int | None = None,
        count: int | None = None,
        payload: bytes | None = None,
        times: int | None = 1,
        skip: int = 0,
    ) -> Fault:
        """Answer with another type or another number of elements than asked for, well-formed (zeros, or `payload`)."""
        return self.fault(kind, lies.reshaped(data_type, count, payload), times, skip)

    def claim(self, kind: str, size: int = 0xFFFF_FFF8, times: int | None = 1, skip: int = 0) -> Fault:
        """Claim a payload of up to 4 GB before what there is; `stream` what is said to follow."""
        return self.fault(kind, lies.claiming(size), times, skip)

    def ignore(self, *kinds: type[ca.Command]) -> None:
        """Never answer requests of these classes, as if they had been lost; all else goes on. None: end that."""
        self.ignored = kinds

    def take_away(self, name: str) -> None:
        """Let the channel be created and take it away at once, each time, until `leave`."""
        self.taken_away.add(name)

    def leave(self, name: str) -> None:
        """Let it be once more."""
        self.taken_away.remove(name)

    def behave(self) -> None:
        """No more faults of replies; what is stalled or held stays so."""
        self.script.clear()

    # ------------------------------------------------------------- faults of the whole

    def stall(self) -> None:
        """Neither read nor answer, circuits and searches alike, until `resume`: a process that was stopped."""
        self._ask(partial(self._set_stalled, True))

    def stall_circuits(self) -> None:
        """Neither read nor answer on the circuits there are; searches and new circuits are served."""
        self._each(lambda connection: connection.stall())

    def resume(self) -> None:
        """Go on."""
        self._ask(partial(self._set_stalled, False))

    def hold(self) -> None:
        """Keep replies back until `release` writes them all at once."""
        self.holding = True

    def release(self) -> None:
        """Write what was held."""
        self.holding = False
        self._each(lambda connection: connection.release())

    def drop_clients(self, *, reset: bool = False) -> None:
        """Close the circuits, by RST if `reset`."""
        self._each(lambda connection: connection.close(reset=reset))

    def refuse_channel(self, name: str) -> None:
        """Answer searches for it, but not let it be created, until `accept_channel`."""
        self.refused_names.add(name)

    def accept_channel(self, name: str) -> None:
        """Let it be created again."""
        self.refused_names.remove(name)

    def point(self, name: str, server: FaultServer) -> None:
        """Answer searches by TCP for it with another server, as a name server does."""
        self.elsewhere[name] = (_HOST, server.tcp_port)

    @property
    def tcp_address(self) -> Address:
        """Where circuits go: what a list of name servers takes."""
        return _HOST, self.tcp_port

    def disconnect_channel(self, name: str) -> None:
        """SERVER_DISCONN for the channels of that name."""
        self._each(lambda connection: [connection.reply(c) for c in connection.session.disconnect_channel(name)])

    def set_access(self, name: str, rights: str) -> None:
        """Change the rights: "rw", "r", "w" or ""."""
        self[name].access = ca.AccessRights(("r" in rights) * 1 + ("w" in rights) * 2)

    def say(self, *messages: ca.Command | bytes) -> None:
        """Send every client something, legal or not."""
        raw = b"".join(m if isinstance(m, bytes) else m.to_bytes() for m in messages)
        self._each(lambda connection: connection.post(ca.EchoResponse(), raw))

    def nonsense_error(self, status: int = 142) -> None:
        """An ERROR about a request that nobody ever made, of a command that does not exist."""
        self.say(ca.ErrorResponse(Header(999, 8, 77, 3, 0xDEAD, 0xBEEF), 0xFFFFFFFF, status, "nonsense"))

    def flood(self, name: str, updates: int) -> None:
        """Send each subscription of a scalar so many updates (0, 1, 2, ...) as fast as clients let it."""
        self._each(lambda connection: _flood(connection, name, updates))

    def stream(self, size: int) -> None:
        """Send every client that many zeros as fast as it takes them: what a claim said would follow."""
        self._each(lambda connection: connection.flood(lies.zeros(size)))

    def storm(self, *messages: ca.Command | bytes, times: int) -> None:
        """Send every client these messages by turns, `times` altogether, as fast as it takes them."""
        self._each(lambda connection: connection.flood(lies.repeated(list(messages), times)))

    def storm_access(self, name: str, times: int) -> None:
        """Change the rights of the channels of that name `times` often; the last word is that all is allowed."""
        self._each(lambda connection: _storm_access(connection, name, times))

    def move(self, tcp: Tcp | None = None) -> None:
        """Close the TCP socket and open another on another port; searches tell the new one. Circuits live on."""
        self._ask(partial(self._move, self.tcp if tcp is None else tcp))

    # ------------------------------------------------------------- what clients did

    def of(self, kind: type[_C]) -> list[_C]:
        """What was received of one class."""
        return [command for command in tuple(self.received) if isinstance(command, kind)]

    def wait_for(
        self, wanted: type[ca.Command] | Callable[[ca.Command], bool], timeout: float = PATIENCE, count: int = 1
    ) -> ca.Command:
        """The `count`th command received (ever) that is wanted; AssertionError if it does not come."""
        fits = (lambda command: isinstance(command, wanted)) if isinstance(wanted, type) else wanted
        found: list[ca.Command] = []

        def arrived() -> bool:
            found[:] = [command for command in self.received if fits(command)]
            return len(found) >= count

        self.wait_until(arrived, timeout)
        return found[count - 1]

    def wait_until(self, condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
        """Wait until clients have made it true; AssertionError if they have not in time."""
        with self._changed:
            met = self._changed.wait_for(condition, timeout)
        assert met, f"not so after {timeout} s; received: {self.received}; searched: {self.searches}; {self.errors}"

    @property
    def circuits(self) -> int:
        """Open circuits."""
        return len(self._connections)

    @property
    def channels(self) -> int:
        """Open channels."""
        return sum(len(connection.session.bindings) for connection in tuple(self._connections))

    @property
    def subscriptions(self) -> int:
        """Subscriptions on all circuits."""
        connections = tuple(self._connections)
        return sum(len(binding.monitors) for each in connections for binding in tuple(each.session.bindings))

    @property
    def written(self) -> int:
        """Bytes that the kernel has taken for the circuits there are."""
        return sum(connection.written for connection in tuple(self._connections))

    @property
    def flooding(self) -> bool:
        """Whether a flood is not over yet."""
        return any(connection.flooding for connection in tuple(self._connections))

    # ------------------------------------------------------------- for connections

    def note(self, _connection: FaultConnection, command: ca.Command) -> None:
        """Keep what was received."""
        with self._changed:
            self.received.append(command)
            self._changed.notify_all()

    def ignores(self, command: ca.Command) -> bool:
        """Whether a request is as good as lost."""
        return isinstance(command, self.ignored)

    def takes_away(self, command: ca.CreateChanRequest) -> bool:
        """Whether a channel is not to last."""
        return command.name in self.taken_away

    def broken(self, error: ProtocolError) -> None:
        """Keep what a client (or the test) did against the rules."""
        self.errors.append(error)

    def closed(self, connection: FaultConnection) -> None:
        """A connection is gone."""
        with self._changed:
            self._connections.remove(connection)
            self._changed.notify_all()

    # ------------------------------------------------------------- server thread

    def _open(self) -> None:
        assert self._udp is not None
        self._running().poller.add(self._udp.fileno(), READ, self._search)
        self._watch_tcp()

    def _watch_tcp(self) -> None:
        if self.tcp is Tcp.SERVE:
            self._running().poller.add(self._tcp_sockets[0].fileno(), READ, self._accept)

    def _unwatch_tcp(self) -> None:
        if self.tcp is Tcp.SERVE:
            self._running().poller.remove(self._tcp_sockets[0].fileno())
        for sock in self._tcp_sockets:
            sock.close()

    def _shut(self, reset: bool) -> None:
        assert self._udp is not None
        for connection in tuple(self._connections):
            connection.close(reset=reset)
        self._running().poller.remove(self._udp.fileno())
        self._udp.close()
        self._unwatch_tcp()

    def _move(self, tcp: Tcp) -> None:
        old = self.tcp_port
        self._unwatch_tcp()
        self.tcp = tcp
        self._tcp_sockets, self.tcp_port = open_tcp(tcp, 0)
        assert self.tcp_port != old
        self._watch_tcp()

    def _accept(self, _bits: int) -> None:
        if self._stalled:
            return
        sock, address = self._tcp_sockets[0].accept()
        connection = FaultConnection(self._running(), sock, address, self)
        with self._changed:
            self._connections.append(connection)
            connection.open()
            self._changed.notify_all()

    def _search(self, _bits: int) -> None:
        assert self._udp is not None
        if self._stalled:
            return
        datagram, address = self._udp.recvfrom(1 << 16)
        requests = Broadcaster(our_role=ca.SERVER).receive(datagram, address)
        with self._changed:
            self.searches += [request for request in requests if isinstance(request, ca.SearchRequest)]
            if address not in self.searchers:
                self.searchers.append(address)
            self._changed.notify_all()
        responder = Responder(self.database, self.search_port or self.tcp_port, version=self.search_version)
        for reply in responder.answer(datagram, address):
            parcel = self.script.parcel(ca.SearchResponse(0, None, 0), reply)
            self._running().call_at(time.monotonic() + parcel.delay, partial(self._send_datagrams, parcel, address))

    def _send_datagrams(self, parcel: script.Parcel, address: Address) -> None:
        if self._udp is not None and self._udp.fileno() >= 0 and parcel.data:
            for _ in range(parcel.copies):
                self._udp.sendto(parcel.data, address)

    def _set_stalled(self, stalled: bool) -> None:
        self._stalled = stalled
        udp, loop = self._udp, self._running()
        assert udp is not None
        loop.poller.modify(udp.fileno(), 0 if stalled else READ)
        if self.tcp is Tcp.SERVE:
            loop.poller.modify(self._tcp_sockets[0].fileno(), 0 if stalled else READ)
        for connection in tuple(self._connections):
            connection.stall() if stalled else connection.resume()

    # ------------------------------------------------------------- inside

    def _running(self) -> Loop:
        assert self._loop is not None, "the server does not run"
        return self._loop

    def _each(self, action: Callable[[FaultConnection], object]) -> None:
        self._ask(lambda: [action(connection) for connection in tuple(self._connections)])

    def _ask(self, question: Callable[[], _T]) -> _T:
        """What the server's thread answers."""
        answers: list[_T] = []
        answered = threading.Event()

        def answer() -> None:
            try:
                answers.append(question())
            finally:
                answered.set()

        self._running().call_soon(answer)
        assert answered.wait(PATIENCE), "the server's thread does not answer"
        return answers[0]

    def _record_error(self, error: BaseException) -> None:
        raise AssertionError("the fault server failed itself") from error


def _record(name: str, value: Any) -> Record:
    return value if isinstance(value, Record) else Record(name, value)


def _flood(connection: FaultConnection, name: str, updates: int) -> None:
    for binding in connection.session.bindings:
        if binding.name == name:
            for monitor in binding.monitors.values():
                connection.flood(prebuilt(monitor, binding.record.snapshot, updates))


def _storm_access(connection: FaultConnection, name: str, times: int) -> None:
    for binding in connection.session.bindings:
        if binding.name == name:
            rights = [ca.AccessRightsResponse(binding.cid, number % 4) for number in range(4)]
            skipped = -times % 4
            connection.flood(lies.repeated([*rights[skipped:], *rights[:skipped]], times))
