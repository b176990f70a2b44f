"""The clock for ``protocol.creations``: channels that a server was asked for and has not made.

One timer for a circuit, however many channels it is asked for. A server that never said a word is no server: its
circuit is closed. One that answers others is asked for a sign of life, and each channel that it left waiting is told.
All methods run on the engine thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

from caclient.engine.loop import Loop, Timer
from caclient.protocol.creations import PATIENCE, Creations


class Asking(Protocol):
    """Who asked for a channel."""

    def creation_overdue(self) -> None:
        """It was neither made nor refused in time."""


class Asked(Protocol):
    """The circuit."""

    @property
    def bytes_in(self) -> int:
        """Bytes received."""

    def close(self, reason: str, reset: bool = False) -> None:
        """Give it up."""

    def probe(self) -> None:
        """Find out now whether the server lives."""


class CreationWatch:
    """What is asked for on one circuit."""

    def __init__(self, loop: Loop, circuit: Asked) -> None:
        self._loop = loop
        self._circuit = circuit
        self._creations: Creations[Asking] = Creations()
        self._timer: Timer | None = None
        self._running = True

    def __len__(self) -> int:
        return len(self._creations)

    def ask_all(self, riders: Iterable[Asking]) -> None:
        """Their channels are asked for now."""
        now = time.monotonic()
        for rider in riders:
            self._creations.ask(rider, now)
        if self._timer is None and self._running:
            self._timer = self._loop.call_at(now + PATIENCE, self._check)

    def answered(self, rider: Asking) -> None:
        """It is made, or refused."""
        self._creations.answered(rider, time.monotonic())

    def answered_all(self, riders: Iterable[Asking]) -> None:
        """The same of many."""
        now = time.monotonic()
        for rider in riders:
            self._creations.answered(rider, now)

    def forget(self, rider: Asking) -> None:
        """Nobody waits for it any more; one that is not waited for is no error."""
        self._creations.forget(rider)

    def stop(self) -> None:
        """The circuit is over; stopping twice is no error."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        self._timer = None
        if not self._running:
            return
        overdue = self._creations.due(time.monotonic())
        due = self._creations.next_due()
        if due is not None:
            self._timer = self._loop.call_at(due, self._check)
        if overdue and not self._circuit.bytes_in:
            self._circuit.close(f"the server accepts connections, but said nothing for {PATIENCE:g} s", reset=True)
            return
        if overdue:
            self._circuit.probe()
        for rider in overdue:
            rider.creation_overdue()


__all__ = ["CreationWatch"]
