"""Whether the server of a circuit still lives: the clock for ``protocol.liveness``, and what follows from its verdicts.

A silent server is asked with an echo. One that does not answer makes the circuit unresponsive; so does one that takes
nothing for a whole connection timeout. One that answers searches meanwhile, but not on its circuit, has little time
left. All methods run on the engine thread, but ``heard``.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Protocol

from caclient.engine.loop import Loop, Timer
from caclient.engine.outbox import Outbox
from caclient.protocol.liveness import Action, Liveness


class Watched(Protocol):
    """The circuit."""

    def echo(self) -> None:
        """Ask the server for a sign of life."""

    def set_unresponsive(self) -> None:
        """It gives none."""

    def set_responsive(self) -> None:
        """It does again."""

    def close(self, reason: str, reset: bool = False) -> None:
        """It never will."""


class Watch:
    """The watch over one circuit, whose outbox shows whether the server takes anything."""

    def __init__(self, loop: Loop, circuit: Watched, outbox: Outbox, conn_timeout: float, echo_timeout: float) -> None:
        self.round_trip = 0.0
        """Seconds that the last echo took."""
        self.liveness = Liveness(conn_timeout, echo_timeout)
        self.heard = self.liveness.heard
        """Bytes came at a moment. *Any thread.*"""
        self._loop = loop
        self._circuit = circuit
        self._outbox = outbox
        self._conn_timeout = conn_timeout
        self._timer: Timer | None = None
        self._progress = Timer(0.0, lambda: None)
        self._running = False
        self._doubted = False
        self._echo_at = 0.0

    def start(self, now: float) -> None:
        """TCP is up."""
        self._running = True
        self.heard(now)
        self._rearm()

    def stop(self) -> None:
        """It is over; stopping twice is no error."""
        self._running = False
        self._progress.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def beacon(self, now: float, vouches: bool) -> None:
        """A beacon of this server came, in time or not."""
        if vouches:
            self.liveness.beacon(now)
        else:
            self.liveness.doubt(now)

    def echo_answered(self) -> None:
        """An answer to an echo came."""
        now = time.monotonic()
        self.round_trip = now - self._echo_at
        action = self.liveness.echo_answered(now)
        if action is Action.ECHO:
            self._echo()
        elif action is Action.RESPONSIVE:
            self._circuit.set_responsive()
        self._rearm()

    def probe(self) -> None:
        """Ask for a sign of life now, whatever was heard before."""
        if self._running:
            self._act(self.liveness.probe_now(time.monotonic()))

    def doubt_for(self, seconds: float) -> None:
        """The server answers elsewhere: end an unresponsive circuit unless the echo comes within *seconds*."""
        if self.liveness.unresponsive and not self._doubted:
            self._doubted = True
            self._loop.call_at(time.monotonic() + seconds, self._give_up)

    def _give_up(self) -> None:
        self._doubted = False
        if self._running and self.liveness.unresponsive:
            self._circuit.close("the server answers searches, but not on its circuit", reset=True)

    # -- writing -------------------------------------------------------------------------------------------------------

    def blocked(self) -> None:
        """The kernel takes no more: look after the connection timeout whether it has taken anything since."""
        self._progress.cancel()
        if self._running:
            check = partial(self._check_progress, self._outbox.sent)
            self._progress = self._loop.call_at(time.monotonic() + self._conn_timeout, check)

    def sent_much(self) -> None:
        """The kernel has taken more."""
        self.liveness.sent_much(time.monotonic())

    def _check_progress(self, sent: int) -> None:
        if not self._running or not self._outbox.blocked or self.liveness.unresponsive:
            return
        if self._outbox.sent > sent:
            self.blocked()
        else:
            self._act(self.liveness.send_blocked(time.monotonic()))

    # -- the clock -----------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._running:
            self._act(self.liveness.due(time.monotonic()))

    def _act(self, action: Action) -> None:
        if action is not Action.NONE:
            self._echo()
        if action is Action.UNRESPONSIVE:
            self._circuit.set_unresponsive()
        self._rearm()

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._running:
            self._timer = self._loop.call_at(self.liveness.next_due(), self._check)

    def _echo(self) -> None:
        self._echo_at = time.monotonic()
        self._circuit.echo()


__all__ = ["Watch"]
