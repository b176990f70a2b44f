"""Figures that only grow, though what they are summed over comes and goes: what monitoring wants to watch for months.

Who leaves is taken off the list first, and kept here then. Who sums looks here first, and at the list then. So nothing
is counted twice; what is missed by looking in between is made up for by what was told before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping


class Tally:
    """What those counted who have left."""

    __slots__ = ("_gone", "_told")

    def __init__(self) -> None:
        self._gone: Counter[str] = Counter()
        self._told: dict[str, int] = {}

    def keep(self, **figures: int) -> None:
        """Remember what one counted that has left. *Engine thread.*"""
        gone = self._gone.copy()
        gone.update(figures)
        self._gone = gone

    def totals(self, living: Callable[[], Mapping[str, int]]) -> dict[str, int]:
        """The sums over those who have left and those who have not; never less than at the last call. *Any thread.*"""
        gone = self._gone
        sums = {name: count + gone[name] for name, count in living().items()}
        told = {name: max(count, self._told.get(name, 0)) for name, count in sums.items()}
        self._told = told
        return told
