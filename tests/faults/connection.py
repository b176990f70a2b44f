"""One client's circuit on the misbehaving server: honest replies by the real session, spoilt by the script."""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from caclient.engine.loop import Loop
from caclient.engine.poller import READ, WRITE
from caclient.errors import ProtocolError
from caclient.ioc.access import zeros
from caclient.ioc.database import Database
from caclient.ioc.session import Session
from caclient.protocol import commands as ca
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.status import ECA_NORMAL
from tests.faults.script import Parcel, Script

DYNAMIC_SINCE = 13
"""The minor version from which a count of 0 means the current length; older servers answer it with no elements."""


class Server(Protocol):
    """What a connection needs of its server."""

    database: Database
    script: Script
    version: int | None
    holding: bool
    refused_names: set[str]
    elsewhere: dict[str, tuple[str, int]]
    tcp_port: int

    def note(self, connection: FaultConnection, command: ca.Command) -> None: ...
    def ignores(self, command: ca.Command) -> bool: ...
    def takes_away(self, command: ca.CreateChanRequest) -> bool: ...
    def broken(self, error: ProtocolError) -> None: ...
    def closed(self, connection: FaultConnection) -> None: ...


class FaultConnection:
    """Moves bytes between a socket and a session, as the script says. Server thread."""

    def __init__(self, loop: Loop, sock: socket.socket, address: tuple[str, int], server: Server) -> None:
        self.circuit = VirtualCircuit(our_role=ca.SERVER, address=address)
        self.session = Session(server.database, server.tcp_port)
        self.session.on_ready = lambda: loop.call_soon(self._tell_news)
        self.events_on = True
        self.stalled = False
        self.sent = 0
        self.written = 0
        self._loop = loop
        self._sock = sock
        self._server = server
        self._outbox: deque[bytes | Callable[[], None]] = deque()
        self._held: list[bytes] = []
        self._starved: set[int] = set()
        self._floods: deque[Iterator[bytes]] = deque()
        self._closed = False
        self._breathing = False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def open(self) -> None:
        """Begin: greet the client if the server is of the kind that does."""
        self._loop.poller.add(self._sock.fileno(), READ, self._ready)
        if self._server.version is not None:
            self.reply(ca.VersionResponse(self._server.version))

    def reply(self, command: ca.Command) -> None:
        """Say what a server may say just now, as the script leaves it."""
        self.post(command, b"".join(bytes(buffer) for buffer in self.circuit.send(command)))

    def post(self, command: ca.Command, data: bytes) -> None:
        """The same with bytes that need not be legal."""
        parcel = self._server.script.parcel(command, data)
        if parcel.delay:
            self._loop.call_at(time.monotonic() + parcel.delay, lambda: self._ship(parcel))
        else:
            self._ship(parcel)

    def stall(self) -> None:
        """Neither read nor write until `resume`; the kernel goes on acknowledging."""
        self.stalled = True
        if not self._closed:
            self._mind()

    def resume(self) -> None:
        """Go on where `stall` stopped."""
        self.stalled = False
        self._tell_news()
        self._flush()

    def release(self) -> None:
        """Write in one piece what was held back."""
        self._outbox.append(b"".join(self._held))
        self._held.clear()
        self._flush()

    def flood(self, blocks: Iterator[bytes]) -> None:
        """Write blocks of prebuilt updates as fast as the client takes them and lets them come."""
        self._floods.append(blocks)
        self._flush()

    def close(self, *, reset: bool = False) -> None:
        """End the connection, by RST if `reset`."""
        if self._closed:
            return
        self._closed = True
        self._loop.poller.remove(self._sock.fileno())
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        self.session.close()
        self._server.closed(self)

    def _ship(self, parcel: Parcel) -> None:
        if self._closed:
            return
        self.sent += 1
        if self._server.holding:
            self._held += parcel.pieces
        else:
            self._queue(parcel)
        if parcel.then:
            self._outbox.append(self._ending(parcel.then))
        self._flush()

    def _queue(self, parcel: Parcel) -> None:
        for number, piece in enumerate(parcel.pieces):
            if number:
                self._outbox.append(self._breathe)
            self._outbox.append(piece)

    def _breathe(self) -> None:
        """Let the client have a look before the next piece."""
        self._breathing = True
        self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._breathing = False
        self._flush()

    def _ending(self, then: str) -> Callable[[], None]:
        return {"reset": lambda: self.close(reset=True), "close": self.close, "stall": self.stall}[then]

    def _ready(self, bits: int) -> None:
        if bits & READ and not self.stalled:
            self._read()
        if bits & WRITE:
            self._flush()

    def _read(self) -> None:
        try:
            data = self._sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            self._answer(data)
        except ProtocolError as error:
            self._server.broken(error)
            self.close()

    def _answer(self, data: bytes) -> None:
        for command in self.circuit.recv(data)[0]:
            if self._server.ignores(command):
                self._server.note(self, command)
                continue
            heeded = self.circuit.process_command(command)
            self._heed(command)
            self._server.note(self, command)
            if not heeded:  # it crossed our word that its channel is gone
                continue
            for reply in self._replies(command):
                self.reply(reply)
            if isinstance(command, ca.CreateChanRequest) and self._server.takes_away(command):
                for farewell in self.session.disconnect_channel(command.name):
                    self.reply(farewell)
            if self._closed:
                return

    def _heed(self, command: ca.Command) -> None:
        if isinstance(command, (ca.EventsOffRequest, ca.EventsOnRequest)):
            self.events_on = isinstance(command, ca.EventsOnRequest)
            self._loop.call_soon(self._tell_news)
            self._loop.call_soon(self._flush)

    def _replies(self, command: ca.Command) -> list[ca.Command]:
        if isinstance(command, ca.CreateChanRequest) and command.name in self._server.refused_names:
            return [ca.CreateChFailResponse(command.cid)]
        if isinstance(command, ca.SearchRequest) and command.name in self._server.elsewhere:
            host, port = self._server.elsewhere[command.name]
            return [ca.SearchResponse(port, host, command.cid, None)]
        replies = self.session.answer(command)
        if (
            isinstance(command, (ca.ReadNotifyRequest, ca.EventAddRequest))
            and not command.data_count
            and self._is_old()
        ):
            self._starved.add(command.parameter2)
        return [self._starve(reply) for reply in replies]

    def _starve(self, reply: ca.Command) -> ca.Command:
        """The answer of an old server to a count of 0: it takes it at its word."""
        if reply.parameter2 not in self._starved or not isinstance(reply, (ca.ReadNotifyResponse, ca.EventAddResponse)):
            return reply
        _, payload, count = zeros(ECA_NORMAL, reply.type_field, 0)
        starved: ca.Command = reply.from_header(reply.header._replace(data_count=count), payload)
        return starved

    def _is_old(self) -> bool:
        return self._server.version is None or self._server.version < DYNAMIC_SINCE

    def _tell_news(self) -> None:
        if not self._closed and not self.stalled:
            for command in self.session.news():
                self.reply(self._starve(command))

    def _flush(self) -> None:
        """Write what waits, each piece by itself, then blocks of a flood."""
        while not self._is_idle() and (self._outbox or self._next_block()):
            entry = self._outbox.popleft()
            if callable(entry):
                entry()
                continue
            rest = self._write(entry)
            if rest:
                self._outbox.appendleft(rest)
                break
        if not self._closed:
            self._mind()

    def _is_idle(self) -> bool:
        return self._closed or self.stalled or self._breathing

    def _write(self, data: bytes) -> bytes:
        """What the socket has not taken."""
        try:
            written = self._sock.send(data)
            self.written += written
            return data[written:]
        except BlockingIOError:
            return data
        except OSError:
            self.close()
            return b""

    def _next_block(self) -> bool:
        while self.events_on and self._floods:
            block = next(self._floods[0], None)
            if block is not None:
                self._outbox.append(block)
                return True
            self._floods.popleft()
        return False

    @property
    def flooding(self) -> bool:
        """Whether a flood is not over yet."""
        return bool(self._floods or self._outbox) and not self._closed

    def _mind(self) -> None:
        interest = 0 if self.stalled else READ | (WRITE if self._outbox and not self._breathing else 0)
        self._loop.poller.modify(self._sock.fileno(), interest)
