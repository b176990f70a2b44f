"""The log as the engine writes to it: off its own thread, and never a flood.

A user's logging handler may take its time, so lines are written on a lane. What goes wrong ten thousand times a second
is told once: the first line of a cause at once, then one a second at the most, each with the number left out before it;
the rest is told when a second has passed without.

Names, addresses and messages come from the network. A terminal would obey what is in them, so whatever a logger of this
package says is shown with its control characters as escapes; in a traceback lines stay lines.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any, Final

from caclient.engine.lanes import Lanes
from caclient.engine.loop import Loop
from caclient.engine.throttle import PERIOD, Throttle

_log = logging.getLogger("caclient")

_LINES: Final = 1000
"""Lines that wait for a slow handler at the most."""
_CAUSES: Final = 256
"""Causes whose lines are counted at a time."""
LOGGERS: Final = (
    "caclient",
    "caclient.callbacks",
    "caclient.channel",
    "caclient.ioc",
    "caclient.search",
    "caclient.subscription",
)
"""All loggers of the package."""
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What moves a cursor, ends a line or turns the direction of text."""


class Log:
    """``push`` is called from any thread; all else happens on the lane."""

    def __init__(self, loop: Loop, lanes: Lanes) -> None:
        self._loop = loop
        self.lane = lanes.lane("caclient log", _LINES)
        self._throttle = Throttle(PERIOD, _CAUSES)
        self._left_out: dict[str, int] = {}

    def push(self, write: Callable[[Any], object], argument: Any, cause: str = "") -> None:
        """Have ``write(argument)`` log a line about *cause*; by default that is what the function's name says.

        What has neither is always written. *Any thread.*
        """
        self.lane.push(self._admit, (write, argument, cause or _kind(write)))

    def _admit(self, line: tuple[Callable[[Any], object], Any, str]) -> None:
        write, argument, cause = line
        if cause and self._throttle.admit(cause, time.monotonic()) is None:
            self._leave_out(cause)
            return
        left_out = self._left_out.pop(cause, 0)
        write(argument)
        if left_out:
            _tell(cause, left_out)

    def _leave_out(self, cause: str) -> None:
        if not self._left_out:
            self._loop.call_at(time.monotonic() + PERIOD, self._settle_soon)
        if cause in self._left_out or len(self._left_out) < _CAUSES:
            self._left_out[cause] = self._left_out.get(cause, 0) + 1

    def _settle_soon(self) -> None:
        self.lane.push(self._settle, None)

    def _settle(self, _: None) -> None:
        left_out, self._left_out = self._left_out, {}
        for cause, number in left_out.items():
            _tell(cause, number)


class _Escaping(logging.Filter):
    """Has nothing reach a handler that a terminal would obey."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        text = record.getMessage()
        if _CONTROLS.search(text):
            record.msg, record.args = printable(text), ()
        if record.exc_info and not record.exc_text:
            lines = _FORMATTER.formatException(record.exc_info).split("\n")
            record.exc_text = "\n".join(map(printable, lines))
        return True


def printable(text: str) -> str:
    """A text with its control characters as escapes."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


_FORMATTER: Final = logging.Formatter()
for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_Escaping())


def _kind(write: Callable[[Any], object]) -> str:
    return getattr(write, "__name__", "").removeprefix("_log_").replace("_", " ")


def _tell(cause: str, number: int) -> None:
    _log.warning("%s: %d more in the last second", cause, number)


__all__ = ["LOGGERS", "Log", "printable"]
