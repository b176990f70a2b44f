"""One client's TCP connection: bytes in, bytes out, and never more waiting than a bound.

A client that asks without end gets its answers in small turns, and the others have theirs in between.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from time import monotonic

from caclient.config import Address
from caclient.engine.loop import Loop
from caclient.engine.outbox import Outbox
from caclient.engine.poller import READ, WRITE
from caclient.errors import ProtocolError
from caclient.protocol import commands as ca
from caclient.protocol.circuit import VirtualCircuit

from .complaints import Complaints
from .session import Session, farewell

_CHUNK = 1 << 14
_LARGE_CHUNK = 1 << 18
"""Bytes received at once of a payload that is known to be large."""
_TURN = 64
"""Requests answered, and again updates sent, before others have their turn."""
_SLICE = 0.002
"""Seconds that each of the two may last: a put to a record with 60,000 subscriptions is worth many others."""
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
        complaints: Complaints,
    ) -> None:
        self.circuit = VirtualCircuit(our_role=ca.SERVER, address=address, max_payload=session.largest_payload)
        self.session = session
        self._complaints = complaints
        session.on_ready = self.notify
        self.address = "{}:{}".format(*address)
        self._loop = loop
        self._sock = sock
        self._on_activity = on_activity
        self._on_closed = on_closed
        self._outbox = Outbox(self._await_room, self._lose)
        self._requests: deque[ca.Command] = deque()
        self._interest = READ
        self._closed = False
        self._ending = False
        self._lost = False
        self._flush_filed = False

    def open(self) -> None:
        """Begin: greet the client and listen to it. OSError if that cannot be."""
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._outbox.connect(self._sock.send)
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
            self._outbox.unblock()
            self._flush()

    def _read(self) -> None:
        if self._requests or self._outbox.size > _MOST_WAITING:
            return
        self.circuit.permit(self.session.largest_payload)
        try:
            data = self._sock.recv(_LARGE_CHUNK if self.circuit.missing > _CHUNK else _CHUNK)
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
            self._end(None, str(error))
        self._flush()
        self._on_activity()

    def _answer(self, command: ca.Command) -> None:
        try:
            if self.circuit.process_command(command):  # else it crossed our word that its channel is gone
                self._send(*self.session.answer(command))
        except ProtocolError as error:
            self._end(command, str(error))
        except Exception as error:  # noqa: BLE001  a record's own code, or ours: it must not cost the others anything
            self._complaints.failed(f"a request failed: {type(command).__name__}", error, f" of {self.address}")
            self._end(command, "internal error")

    def _end(self, command: ca.Command | None, reason: str) -> None:
        """Say why, and close once that is written."""
        self._outbox.put([farewell(command, reason).to_bytes()])
        self._requests.clear()
        self._ending = True

    def _send(self, *commands: ca.Command) -> None:
        self._outbox.put(self.circuit.send(*commands))

    def _flush_now(self) -> None:
        self._flush_filed = False
        if not self._closed:
            self._flush()

    def _flush(self) -> None:
        """Write what waits, then a turn's replies and updates as far as the client takes them."""
        self._outbox.write()
        more = self._take_turn()
        self._outbox.write()
        if self._lost:
            self.close()
            return
        if self._ending and not self._outbox.size:
            self.close()
            return
        self._mind(self._wanted())
        if more and self._may_say_more():
            self.notify()

    def _take_turn(self) -> bool:
        """Put replies, then what is new, into the outbox; whether there may be more than was allowed."""
        turn, over = _TURN, monotonic() + _SLICE
        while turn and self._requests and self._may_say_more():
            self._answer(self._requests.popleft())
            turn = turn - 1 if monotonic() < over else 0
        return self._take_news() or bool(self._requests)

    def _take_news(self) -> bool:
        over = monotonic() + _SLICE
        try:
            for _ in range(_TURN):
                if not self._may_say_more():
                    break
                command = self.session.next_news()
                if command is None:
                    return False
                self._send(command)
                if monotonic() >= over:
                    break
        except ProtocolError as error:  # nothing that an old client could understand
            self._end(None, str(error))
        return True

    def _may_say_more(self) -> bool:
        return self._outbox.size <= _MOST_WAITING and not self._ending

    def _await_room(self) -> None:
        """The kernel takes no more for now; `_flush` minds that."""

    def _lose(self, _error: OSError) -> None:
        """The kernel will never take any more; `_flush` closes."""
        self._lost = True

    def _wanted(self) -> int:
        reading = READ if self._may_say_more() else 0
        return reading | (WRITE if self._outbox.size else 0)

    def _mind(self, interest: int) -> None:
        if interest != self._interest:
            self._interest = interest
            self._loop.poller.modify(self._sock.fileno(), interest)
