"""``caclient watch``: PVs as a table that keeps itself up to date. rich draws it, and is imported only here."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from caclient.client.channel import Channel
from caclient.dbr.reading import Reading
from caclient.dbr.types import time_type

from .escapes import visible
from .options import ALARM, VALUE, UsageError
from .output import is_terminal
from .parsers import add_names, names_of, positive
from .session import Event, Events, Readings, Session
from .tool import create

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

RATE: Final = 4.0
"""Times a second that the table is drawn anew."""
_WINDOW: Final = 5.0
"""Seconds over which updates are counted."""
_FIRST_LOOK: Final = 1.0
"""Seconds until the table is printed where it is printed once."""
_ELEMENTS: Final = 4
_COLOURS: Final = {1: "yellow", 2: "red", 3: "magenta"}
_WIDE, _MIDDLE = 72, 48
"""Columns of a terminal from which on all is shown, or all but age and rate."""
_COLUMNS: Final = ("PV", "value", "units", "alarm", "age", "rate")
_GAP: Final = 3
_CUTS: Final = ((1, 24), (0, 24), (1, 10), (0, 14))
"""Which column is cut to what, one after the other, until all fits."""
_FRAME: Final = 5
"""Lines of the table beside its rows, and one for the prompt."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Names, and how often to draw."""
    add_names(parser)
    parser.add_argument(
        "--rate", type=positive, default=RATE, metavar="HZ", help="times a second to draw (default: %(default)g)"
    )
    parser.add_argument(
        "--seconds", type=positive, default=math.inf, metavar="SECONDS", help="end after so long (default: Ctrl-C)"
    )


def run(options: argparse.Namespace) -> int:
    """Show the table until interrupted; into a pipe, print it once. 1 if a PV is not there in the end."""
    names = names_of(options)
    try:
        from rich.console import Console
    except ImportError:
        raise UsageError("caclient watch: needs rich: pip install 'caclient[cli]'", status=2) from None
    console = Console(highlight=False)
    with Session() as session:
        channels = create(session, names, 0)
        events = session.subscribe(channels, lambda channel: (time_type(channel.native_type or 0), 0), VALUE | ALARM)
        board = Board(session, channels)
        if is_terminal(sys.stdout):
            _show(console, board, events, options)
        else:
            board.follow(events, time.monotonic() + min(options.seconds, _FIRST_LOOK))
            console.print(table(board, 0, console.width))
    return 0 if all(row.connected for row in board.rows) else 1


def _show(console: Console, board: Board, events: Events, options: argparse.Namespace) -> None:
    from rich.live import Live

    end = time.monotonic() + options.seconds
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while (now := time.monotonic()) < end:
            board.follow(events, min(now + 1.0 / options.rate, end))
            live.update(table(board, console.height, console.width), refresh=True)


class Row:
    """One PV: its newest reading, when it came, and how often it changes."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.reading: Reading | None = None
        self.connected = False
        self._came: deque[float] = deque()

    def take(self, reading: Reading, now: float) -> None:
        """A new reading."""
        self.reading = reading
        self.connected = True
        self._came.append(now)
        self._forget(now)

    def age(self, now: float) -> float | None:
        """Seconds since the newest reading came."""
        return now - self._came[-1] if self._came else None

    def rate(self, now: float) -> float:
        """Updates a second, of late."""
        self._forget(now)
        return sum(moment > now - _WINDOW for moment in self._came) / _WINDOW

    def _forget(self, now: float) -> None:
        """Keep what counts, and the newest in any case."""
        while len(self._came) > 1 and self._came[0] <= now - _WINDOW:
            self._came.popleft()


class Board:
    """All rows, fed by events."""

    def __init__(self, session: Session, channels: Sequence[Channel]) -> None:
        self._readings = Readings(session, channels, _FIRST_LOOK)
        self.rows = [Row(channel) for channel in channels]

    def follow(self, events: Events, deadline: float) -> None:
        """Take what comes until the monotonic *deadline*."""
        while (event := events.next(deadline)) is not None:
            self._take(event)
            if time.monotonic() >= deadline:
                return

    def _take(self, event: Event) -> None:
        row, reading = self.rows[event.place], self._readings.take(event)
        if reading is None:
            row.connected = False
        else:
            row.take(reading, time.monotonic())


def table(board: Board, height: int, width: int) -> Table:
    """The rows as a table, in a terminal no higher than it is; a narrow one has fewer columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    now = time.monotonic()
    shown = board.rows if not height else board.rows[: max(height - _FRAME, 1)]
    left_out = len(board.rows) - len(shown)
    drawn = Table(box=box.SIMPLE_HEAD, caption=f"and {left_out} more" if left_out else None, pad_edge=False)
    columns = _COLUMNS if width >= _WIDE else _COLUMNS[:4] if width >= _MIDDLE else _COLUMNS[:2]
    lines = [(_style(row), cells(row, now, narrow=len(columns) < 4)[: len(columns)]) for row in shown]
    rooms = widths(columns, [texts for _, texts in lines], width)
    for column, room in zip(columns, rooms, strict=True):
        justify: Literal["left", "right"] = "right" if column in ("value", "age", "rate") else "left"
        drawn.add_column(column, no_wrap=True, overflow="ellipsis", justify=justify, max_width=room)
    for style, texts in lines:
        drawn.add_row(*(Text(text, style=style) for text in texts))
    return drawn


def widths(columns: Sequence[str], lines: Sequence[Sequence[str]], width: int) -> list[int]:
    """Room for each column, values and names cut where all together are too wide."""
    wanted = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
    for place, least in _CUTS:
        excess = sum(wanted) + _GAP * len(wanted) - width
        wanted[place] -= min(max(excess, 0), max(wanted[place] - least, 0))
    return wanted


def cells(row: Row, now: float, *, narrow: bool = False) -> list[str]:
    """Name, value, units, alarm, age and rate as text; if only the first two are seen, what is missing is the value."""
    name, reading, age = visible(row.channel.name), row.reading, row.age(now)
    if reading is None:
        return [name, _absence(row) if narrow else "", "", _absence(row), "", ""]
    alarm = reading.alarm_text if row.connected else "disconnected"
    units = visible(reading.units or "")
    return [name, visible(value_text(reading)), units, alarm, _age_text(age), f"{row.rate(now):.1f}/s"]


def value_text(reading: Reading) -> str:
    """A value as one short text: of an array its first elements and how many there are."""
    value = reading.value
    if not isinstance(value, np.ndarray) or value.dtype == np.uint8:
        return reading.text
    first = ", ".join(str(item) for item in value[:_ELEMENTS].tolist())
    more = ", …" if value.size > _ELEMENTS else ""
    return f"[{first}{more}] ({value.size})"


def _absence(row: Row) -> str:
    return "no read access" if row.channel.connected and not row.channel.can_read else "not connected"


def _style(row: Row) -> str:
    if not row.connected or row.reading is None:
        return "dim"
    return _COLOURS.get(int(row.reading.severity), "")


def _age_text(age: float | None) -> str:
    if age is None:
        return ""
    if age < 60:
        return f"{age:.1f} s"
    minutes = int(age // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
