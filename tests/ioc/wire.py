"""A blocking client of a few lines on the protocol core: what a server says, command by command."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from caclient.ioc import IOC
from caclient.protocol import commands as ca
from caclient.protocol.broadcaster import Broadcaster
from caclient.protocol.circuit import VirtualCircuit

PATIENCE = 5.0
_C = TypeVar("_C", bound=ca.Command)


def search(address: tuple[str, int], *names: str) -> list[ca.Command]:
    """What the server at `address` answers to one datagram that asks for all the names (cids 0, 1, ...)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        broadcaster = Broadcaster(our_role=ca.CLIENT)
        sock.sendto(broadcaster.search(*enumerate(names)), address)
        return broadcaster.receive(*sock.recvfrom(65536))


@contextmanager
def busy(ioc: IOC) -> Iterator[None]:
    """While inside, the server's thread does something else: what clients send meanwhile waits for it."""
    begun, go_on = threading.Event(), threading.Event()

    def do() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    ioc.call_later(0.0, lambda: ioc.call_later(0.0, do))  # a turn later: nobody stands first in line from before
    assert begun.wait(PATIENCE)
    try:
        yield
    finally:
        go_on.set()


class Wire:
    """A circuit and a socket; every call waits for its answer, PATIENCE seconds at the most."""

    def __init__(self, port: int, *, greet: bool = True) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.circuit = VirtualCircuit(our_role=ca.CLIENT, address=("127.0.0.1", port))
        self.heard: deque[ca.Command] = deque()
        self._cids = 0
        if greet:
            self.say(ca.VersionRequest())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.sock.close()

    def say(self, *commands: ca.Command) -> None:
        """Send what is legal."""
        for buffer in self.circuit.send(*commands):
            self.sock.sendall(buffer)

    def hear(self, kind: type[_C]) -> _C:
        """The next command of a class; what comes before it is dropped. EOFError if the circuit ends instead."""
        while True:
            while self.heard:
                command = self.heard.popleft()
                if isinstance(command, kind):
                    return command
            self._receive()

    def hear_end(self) -> list[ca.Command]:
        """Everything up to the end of the circuit."""
        try:
            while True:
                self._receive()
        except EOFError:
            return list(self.heard)

    def ask(self, command: ca.Command, kind: type[_C]) -> _C:
        """Send, and hear the answer."""
        self.say(command)
        return self.hear(kind)

    def create(self, name: str) -> ca.CreateChanResponse:
        """Open a channel."""
        self._cids += 1
        return self.ask(ca.CreateChanRequest(name, self._cids), ca.CreateChanResponse)

    def read(self, sid: int, data_type: int, count: int = 0) -> ca.ReadNotifyResponse:
        """Read a channel."""
        ioid = self.circuit.new_ioid()
        return self.ask(ca.ReadNotifyRequest(data_type, count, sid, ioid), ca.ReadNotifyResponse)

    def write(self, sid: int, data: Any, data_type: int) -> ca.WriteNotifyResponse:
        """Write a channel and wait for the end of it."""
        ioid = self.circuit.new_ioid()
        return self.ask(ca.WriteNotifyRequest(data, data_type, None, sid, ioid), ca.WriteNotifyResponse)

    def subscribe(self, sid: int, data_type: int, mask: int = 5, count: int = 0) -> int:
        """Subscribe; the subscription's id. Its updates are to be heard."""
        number = self.circuit.new_ioid()
        self.say(ca.EventAddRequest(data_type, count, sid, number, mask=mask))
        return number

    def _receive(self) -> None:
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        for command in self.circuit.receive(data):
            self.heard.extend(command.commands() if not isinstance(command, ca.Command) else (command,))
