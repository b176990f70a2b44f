"""Beacons reach a client through the host's repeater: registering with one, or serving as one.

Only one program of a host can own the beacon port. If nobody confirms our registration we take the port and serve every
other client of the host from the selector thread; no process is ever started. If another owns it we register, and ask
again from time to time, so that the death of a repeater is noticed and one of its clients takes over. Without beacons
everything works, only later.

All methods run on the engine thread.
"""

from __future__ import annotations

import socket
import time
from typing import Final

from caclient.engine.loop import Loop, Timer
from caclient.engine.poller import READ
from caclient.engine.searches import Searches
from caclient.engine.sockets import Address, local_addresses
from caclient.protocol.fanout import Fanout

_PATIENCE: Final = 0.3
"""Seconds that a repeater has to confirm."""
_AGAIN: Final = 30.0
"""Seconds after which a confirmed registration is renewed, or an unwanted state looked at anew."""
_DATAGRAMS: Final = 256


class RepeaterLink:
    """A registration with the host's repeater, or that repeater itself."""

    def __init__(self, loop: Loop, searches: Searches, port: int) -> None:
        self.confirmed = False
        self.serving = False
        self._loop = loop
        self._searches = searches
        self._port = port
        self._fanout: Fanout | None = None
        self._sock: socket.socket | None = None
        self._timer: Timer | None = None
        searches.on_confirm = self._on_confirm

    def start(self) -> None:
        """Register; a port of 0 means that beacons are not wanted."""
        if self._port:
            self._register()

    def stop(self) -> None:
        """Let the port go, so that another client may take it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sock is not None:
            self._loop.poller.remove(self._sock.fileno())
            self._sock.close()
            self._sock = None
            self.serving = False

    def abandon(self) -> None:
        """In a forked child: close the descriptor; the parent goes on serving. *The only thread.*"""
        if self._sock is not None:
            self._sock.close()

    def _register(self) -> None:
        self.confirmed = False
        self._searches.send(b"", ("127.0.0.1", self._port))
        self._timer = self._loop.call_at(time.monotonic() + _PATIENCE, self._no_answer)

    def _on_confirm(self) -> None:
        if not self.serving and self._timer is not None:
            self.confirmed = True
            self._timer.cancel()
            self._timer = self._loop.call_at(time.monotonic() + _AGAIN, self._register)

    def _no_answer(self) -> None:
        if not self._serve():
            self._timer = self._loop.call_at(time.monotonic() + _AGAIN, self._register)

    def _serve(self) -> bool:
        """Take the beacon port if it is free."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.bind(("", self._port))
        except OSError:
            sock.close()
            return False
        sock.setblocking(False)
        self._sock = sock
        self._fanout = Fanout(is_local=lambda ip: ip in local_addresses(), is_alive=_in_use)
        self._loop.poller.add(sock.fileno(), READ, self._readable)
        self.serving = True
        return True

    def _readable(self, _bits: int) -> None:
        for _ in range(_DATAGRAMS):
            if self._sock is None:
                return
            try:
                datagram, source = self._sock.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error: a client has gone; the next registration finds out which
            self._received(datagram, source)

    def _received(self, datagram: bytes, source: Address) -> None:
        assert self._fanout is not None and self._sock is not None
        for destination, copy in self._fanout.received(datagram, source):
            try:
                self._sock.sendto(copy, destination)
            except OSError:
                self._fanout.dead(destination)
        if datagram:
            self._searches.received(datagram, source)


def _in_use(client: Address) -> bool:
    """Whether a port of this host is bound by somebody: if we can bind it, its client has gone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("", client[1]))
        except OSError:
            return True
    return False
