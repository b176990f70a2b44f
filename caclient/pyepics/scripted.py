"""What scripts may set in ``epics.ca``, for those who stand below it: it lies in that module alone."""

from __future__ import annotations

from typing import Any, Protocol


class Settings(Protocol):
    """The module ``epics.ca``."""

    AUTOMONITOR_MAXLENGTH: int
    """Elements from which on a PV is not monitored unasked."""
    DEFAULT_CONNECTION_TIMEOUT: float
    """Seconds that a connection may take."""
    DEFAULT_SUBSCRIPTION_MASK: int
    HAS_NUMPY: Any

    def _started(self) -> bool:
        """Whether there is something to talk to; starts it unless it has been ended."""

    def working_context(self) -> int:
        """The context that calls of this thread work in."""


ca: Settings
"""Handed in by ``epics.ca`` as it is imported."""
