"""How often something is said: a cause is told at once, then at most once in a period, with the number left unsaid.

The table is bounded, since what the network says makes causes. Not thread-safe: its owner has one thread or a lock.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

PERIOD: Final = 1.0
CAPACITY: Final = 256
"""Causes that are remembered; the one told longest ago is forgotten first."""


class Throttle:
    """Decides whether a line about a cause is to be written now."""

    __slots__ = ("_capacity", "_period", "_told")

    def __init__(self, period: float = PERIOD, capacity: int = CAPACITY) -> None:
        self._period = period
        self._capacity = capacity
        self._told: dict[Hashable, list[float]] = {}  # when told last, how many were left unsaid since; oldest first

    def admit(self, cause: Hashable, now: float) -> int | None:
        """How many lines about this cause were left unsaid since the last; None if this one is to be left unsaid."""
        known = self._told.get(cause)
        if known is not None and now - known[0] < self._period:
            known[1] += 1
            return None
        self._told.pop(cause, None)
        if len(self._told) >= self._capacity:
            del self._told[next(iter(self._told))]
        self._told[cause] = [now, 0]
        return 0 if known is None else int(known[1])


__all__ = ["Throttle"]
