"""Beacons reach a client through the host's repeater: registering with one, or serving as one.

Only one program of a host can own the beacon port. If nobody confirms our registration we take the port and serve every
other client of the host from the selector thread; no process is ever started. If another owns it we register, and ask
again from time to time, so that the death of a repeater is noticed and one of its clients takes over. Without beacons
everything works, only later.

All methods run on the engine thread.
"""

from __future__ import annotations

import time
from typing import Final

from caclient.engine.loop import Loop, Timer
from caclient.engine.poller import READ
from caclient.engine.repeater import Repeater, is_local
from caclient.engine.searches import Searches
from caclient.engine.sockets import Address
from caclient.protocol.commands import RepeaterRegisterRequest
from caclient.protocol.fanout import is_loopback

_PATIENCE: Final = 0.3
"""Seconds that a repeater has to confirm."""
_AGAIN: Final = 30.0
"""Seconds after which a confirmed registration is renewed; also the most between two that nobody confirms."""
_DATAGRAMS: Final = 256
"""Datagrams served in one turn."""


class Registration:
    """A registration with the host's repeater, or that repeater itself."""

    def __init__(self, loop: Loop, searches: Searches, port: int) -> None:
        self.confirmed = False
        self._loop = loop
        self._searches = searches
        self._port = port
        self._repeater: Repeater | None = None
        self._timer: Timer | None = None
        self._delay = _PATIENCE
        self._asking = False
        searches.on_confirm = self._on_confirm

    @property
    def serving(self) -> bool:
        """Whether we are the repeater."""
        return self._repeater is not None

    def start(self) -> None:
        """Register; a port of 0 means that beacons are not wanted."""
        if self._port:
            self._register()

    def stop(self) -> None:
        """Let the port go, so that another client may take it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._repeater is not None:
            self._loop.poller.remove(self._repeater.fileno())
            self.abandon()

    def abandon(self) -> None:
        """Close the descriptors; in a forked child the parent goes on serving. *The only thread.*"""
        if self._repeater is not None:
            self._repeater.close()
            self._repeater = None

    def _register(self) -> None:
        # not the empty datagram that libca sends: some repeaters do not confirm that
        self._searches.send(RepeaterRegisterRequest().to_bytes(), ("127.0.0.1", self._port))
        self._asking = True
        self._timer = self._loop.call_at(time.monotonic() + _PATIENCE, self._no_answer)

    def _on_confirm(self, source: Address) -> None:
        """Believe it after a registration only, and from this host: who else could keep us from serving?

        The port that it comes from tells nothing: repeaters confirm from a socket made for each client.
        """
        if self._asking and self._timer is not None and (is_loopback(source[0]) or is_local(source[0])):
            self._asking = False
            self.confirmed = True
            self._delay = _PATIENCE
            self._timer.cancel()
            self._timer = self._loop.call_at(time.monotonic() + _AGAIN, self._register)

    def _no_answer(self) -> None:
        self._asking = False
        self.confirmed = False
        try:
            self._repeater = Repeater(self._port, blocking=False)
        except OSError:  # somebody has the port: he may have taken it just now, or does not answer
            self._timer = self._loop.call_at(time.monotonic() + self._delay, self._register)
            self._delay = min(2 * self._delay, _AGAIN)
        else:
            self._loop.poller.add(self._repeater.fileno(), READ, self._readable)

    def _readable(self, _bits: int) -> None:
        for _ in range(_DATAGRAMS):
            received = None if self._repeater is None else self._repeater.receive()
            if received is None:
                return
            datagram, source = received
            if datagram:
                self._searches.received(datagram, source)
