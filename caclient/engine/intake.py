"""How much came in since somebody last looked at what of it still waits."""

from __future__ import annotations

from collections.abc import Callable


class Intake:
    """Of all circuits of a home. *The threads that read them*: what two add at the same moment may count once."""

    __slots__ = ("_due", "_since", "look")

    def __init__(self) -> None:
        self._since = 0
        self._due = 0
        self.look: Callable[[], int] | None = None
        """Called when it is time to look; returns how many bytes may come until the next time."""

    def received(self, count: int) -> None:
        """So many bytes came, and what they brought is queued."""
        self._since += count
        if self._since > self._due and self.look is not None:
            self._since = 0
            self._due = self.look()
