"""One client's TCP connection: bytes in, bytes out, and never more waiting than a bound."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable

from caclient.config import Address
from caclient.engine.loop import Loop
from caclient.engine.poller import READ, WRITE
from caclient.errors import ProtocolError
from caclient.protocol import commands as ca
from caclient.protocol.circuit import VirtualCircuit

from .outbox import Outbox
from .session import Session, farewell

_CHUNK = 1 << 16
_MOST_WAITING = 1 << 18
"""Bytes that may wait for a slow client; beyond, its requests and updates are left where they are."""


class Connection:
    """Moves bytes between a socket and a Session. Server thread, except where said."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        address: Address,
        session: Session,
        on_activity: Callable[[], None],
        on_closed: Callable[[Connection], None],
    ) -> None:
        self.circuit = VirtualCircuit(our_role=ca.SERVER, address=address)
        self.session = session
        session.on_ready = self.notify
        self._loop = loop
        self._sock = sock
        self._on_activity = on_activity
        self._on_closed = on_closed
        self._outbox = Outbox()
        self._requests: deque[ca.Command] = deque()
        self._interest = READ
        self._closed = False
        self._ending = False
        self._flush_filed = False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def open(self) -> None:
        """Begin: greet the client and listen to it."""
        self._loop.poller.add(self._sock.fileno(), READ, self._ready)
        self._send(ca.VersionResponse())
        self._flush()

    def notify(self) -> None:
        """The session has something to send. Any thread."""
        if not self._flush_filed:
            self._flush_filed = True
            self._loop.call_soon(self._flush_now)

    def close(self, *, reset: bool = False) -> None:
        """End the connection, without a FIN if `reset`; its channels and subscriptions go with it."""
        if self._closed:
            return
        self._closed = True
        self._loop.poller.remove(self._sock.fileno())
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        self._outbox.clear()
        self._requests.clear()
        self.session.close()
        self._on_closed(self)
        self._on_activity()

    def disconnect_channel(self, name: str) -> None:
        """Tell the client that its channels of this name are gone."""
        self._send(*self.session.disconnect_channel(name))
        self._flush()

    def _ready(self, bits: int) -> None:
        if bits & READ:
            self._read()
        if bits & WRITE and not self._closed:
            self._flush()

    def _read(self) -> None:
        if self._outbox.size > _MOST_WAITING:
            return
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            self._requests.extend(self.circuit.recv(data)[0])
        except ProtocolError as error:
            self._end(None, error)
        self._flush()
        self._on_activity()

    def _answer(self, command: ca.Command) -> None:
        try:
            if self.circuit.process_command(command):  # else it crossed our word that its channel is gone
                self._send(*self.session.answer(command))
        except ProtocolError as error:
            self._end(command, error)

    def _end(self, command: ca.Command | None, error: ProtocolError) -> None:
        """Say why, and close once that is written."""
        self._outbox.put([farewell(command, str(error)).to_bytes()])
        self._requests.clear()
        self._ending = True

    def _send(self, *commands: ca.Command) -> None:
        self._outbox.put(self.circuit.send(*commands))

    def _flush_now(self) -> None:
        self._flush_filed = False
        if not self._closed:
            self._flush()

    def _flush(self) -> None:
        """Write what waits, then replies and updates as far as the client takes them."""
        try:
            self._outbox.write(self._sock)
            while self._outbox.size <= _MOST_WAITING and not self._ending and self._work():
                self._outbox.write(self._sock)
        except OSError:
            self.close()
            return
        if self._ending and not self._outbox.size:
            self.close()
        else:
            self._mind(self._wanted())

    def _work(self) -> bool:
        """Put replies, or if nothing was asked what is new, into the outbox; whether there was anything."""
        asked = bool(self._requests)
        while self._requests and self._outbox.size <= _MOST_WAITING:
            self._answer(self._requests.popleft())
        return asked or self._take_news()

    def _take_news(self) -> bool:
        before = self._outbox.size
        try:
            for command in self.session.news():
                self._send(command)
                if self._outbox.size > _MOST_WAITING:
                    break
        except ProtocolError as error:  # nothing that an old client could understand
            self._end(None, error)
        return self._outbox.size > before

    def _wanted(self) -> int:
        reading = READ if self._outbox.size <= _MOST_WAITING and not self._ending else 0
        return reading | (WRITE if self._outbox.size else 0)

    def _mind(self, interest: int) -> None:
        if interest != self._interest:
            self._interest = interest
            self._loop.poller.modify(self._sock.fileno(), interest)
