"""Channels that were asked for and are not made yet: for how long a server may leave a request unanswered.

A busy server makes ten thousand channels one after the other, so what counts is that it goes on: a request is overdue
when for `PATIENCE` seconds neither it nor any other was answered. One that is passed over while others are answered is
overdue after `LONGEST`. And one that came to nothing is not made again at once, over and over: `pause`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

PATIENCE = 5.0
LONGEST = 30.0
LASTING = 5.0  # seconds that a channel has to last for what went wrong before it to be forgiven
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

_K = TypeVar("_K")


class Creations(Generic[_K]):
    """What one circuit was asked to make, in the order of asking."""

    __slots__ = ("_asked", "_progress_at")

    def __init__(self) -> None:
        self._asked: dict[_K, float] = {}
        self._progress_at = float("-inf")

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, channel: _K, now: float) -> None:
        """It is asked for."""
        self._asked[channel] = now

    def answered(self, channel: _K, now: float) -> None:
        """The server has made it, or refused; an answer that comes too late is a sign of life all the same."""
        self._progress_at = now
        self._asked.pop(channel, None)

    def forget(self, channel: _K) -> None:
        """Nobody waits for it any more."""
        self._asked.pop(channel, None)

    def next_due(self) -> float | None:
        """When `due` is to be called; it may move to later at any time. None: nothing is waited for."""
        if not self._asked:
            return None
        first = next(iter(self._asked.values()))
        return self._due(first)

    def due(self, now: float) -> list[_K]:
        """Those that are overdue; they are waited for no more."""
        overdue: list[_K] = []
        for channel, asked in self._asked.items():
            if self._due(asked) > now:
                break
            overdue.append(channel)
        for channel in overdue:
            del self._asked[channel]
        return overdue

    def _due(self, asked: float) -> float:
        return min(max(asked, self._progress_at) + PATIENCE, asked + LONGEST)


def pause(setbacks: int) -> float:
    """Seconds before a channel is searched again that was lost, refused or not answered so often in a row before."""
    return min(FIRST_PAUSE * 2.0 ** min(setbacks - 1, 30), LONGEST_PAUSE) if setbacks else 0.0


__all__ = ["LASTING", "LONGEST", "PATIENCE", "Creations", "pause"]
