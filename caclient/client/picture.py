"""Readings as people look at them: HTML and SVG that stand on a light page and on a dark one. Pure.

Nothing but inline styles and ``currentColor``: JupyterLab, VS Code and saved pages show the same, without an extension.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from caclient.dbr import AlarmSeverity, Reading
from caclient.dbr.reading import array_text

_COLOURS: Final = {
    AlarmSeverity.NO_ALARM: "#2e9e4f",
    AlarmSeverity.MINOR: "#d98e00",
    AlarmSeverity.MAJOR: "#d64045",
    AlarmSeverity.INVALID: "#a259c4",
}
_GREY: Final = "#8a8a8a"
_LINES: Final = ("#3b82d6", "#d9730d", "#2e9e4f", "#d64045", "#a259c4", "#0f9aa8", "#b0892b", "#d6569b")
_SMALL: Final = "font-size:80%;opacity:.75"
_POINTS: Final = 400
"""Columns of a line: more could not be told apart."""
_BLOCKS: Final = "▁▂▃▄▅▆▇█"


class Line(NamedTuple):
    """One line of a table or of a chart: a PV with its newest reading, how old that is, and what came before."""

    name: str
    reading: Reading | None
    age: float | None = None
    connected: bool = True
    points: Sequence[tuple[float, float]] = ()
    """(seconds ago, value), the oldest first."""


def colour(reading: Reading | None, connected: bool = True) -> str:
    """The colour of its alarm; grey if nobody knows."""
    if reading is None or not connected:
        return _GREY
    return _COLOURS.get(reading.severity, _GREY)


def age_text(age: float | None) -> str:
    """How long ago, in one unit."""
    if age is None:
        return ""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if age >= size:
            return f"{age / size:.0f} {unit}"
    return f"{age:.1f} s"


def value_text(reading: Reading | None) -> str:
    """The value in one line, however long the array is, with its unit."""
    if reading is None:
        return "no value"
    value = reading.value
    text = array_text(reading) or reading.text
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
        shown = [f"{number:.4g}" for number in (value if value.size <= 4 else (value[0], value[1], value[-1]))]
        text = f"[{', '.join(shown)}]" if value.size <= 4 else f"[{shown[0]}, {shown[1]}, ..., {shown[2]}]"
    return f"{text} {reading.units or ''}".strip()


def card(line: Line, state: str, host: str | None) -> str:
    """A PV by itself: the value large, its alarm as a dot, all else small."""
    reading = line.reading
    small = [line.name, "" if line.connected else state, "" if reading is None else reading.alarm_text]
    small += [f"{age_text(line.age)} ago" if line.age is not None else "", host or ""]
    rows = [f'<div style="font-size:160%">{_dot(line)} {html.escape(value_text(reading))}</div>']
    value = None if reading is None else reading.value
    if isinstance(value, np.ndarray) and value.size and value.dtype.kind in "biuf":
        ends = f"{np.nanmin(value):g} to {np.nanmax(value):g}" if np.isfinite(value).any() else "no finite value"
        rows.append(f'<div>{sparkline(value)} <span style="{_SMALL}">{value.size} elements, {ends}</span></div>')
    elif reading is not None and reading.enum_strs:
        rows.append(f"<div>{_states(reading)}</div>")
    said = " &middot; ".join(html.escape(part) for part in small if part)
    return f'<div style="line-height:1.4">{"".join(rows)}<div style="{_SMALL}">{said}</div></div>'


def _dot(line: Line) -> str:
    return f'<span style="color:{colour(line.reading, line.connected)}">&#9679;</span>'


def _states(reading: Reading) -> str:
    """The names of the states, the present one framed."""
    names = []
    for index, name in enumerate(reading.enum_strs):
        frame = "border:1px solid currentColor;font-weight:bold" if index == reading.value else "opacity:.6"
        names.append(f'<span style="padding:0 .4em;border-radius:.4em;{frame}">{html.escape(name)}</span>')
    return " ".join(names)


def table(lines: Iterable[Line]) -> str:
    """PVs one below the other."""
    rows = "".join(
        f'<tr><td style="text-align:left;white-space:nowrap">{_dot(line)} {html.escape(line.name)}</td>'
        f'<td style="text-align:right">{html.escape(value_text(line.reading))}</td>'
        f"<td>{html.escape('' if line.reading is None else line.reading.alarm_text)}</td>"
        f'<td style="{_SMALL}">{age_text(line.age) if line.connected else "disconnected"}</td></tr>'
        for line in lines
    )
    return f"<table><tr><th>PV</th><th>value</th><th>alarm</th><th>age</th></tr>{rows}</table>"


def table_text(lines: Iterable[Line]) -> str:
    """The same for a terminal."""
    rows = [
        (
            line.name,
            value_text(line.reading),
            "" if line.reading is None else line.reading.alarm_text,
            age_text(line.age) if line.connected else "disconnected",
            blocks([value for _, value in line.points]),
        )
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def blocks(values: Sequence[float], width: int = 40) -> str:
    """The last values as a line of blocks, the lowest and the highest as far apart as can be."""
    last = [value for value in values if math.isfinite(value)][-width:]
    if not last:
        return ""
    low, span = min(last), max(last) - min(last)
    return "".join(_BLOCKS[int((value - low) / span * 7) if span else 0] for value in last)


def sparkline(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]], width: int = 160, height: int = 24) -> str:
    """An array as one small line."""
    numbers = _thinned(np.asarray(values, float).ravel())
    xs = np.linspace(1, width - 1, numbers.size)
    drawn = _polyline(xs, numbers, height, *_range(numbers), "currentColor")
    return f'<svg width="{width}" height="{height}" style="vertical-align:middle">{drawn}</svg>'


def chart(lines: Sequence[Line], seconds: float, width: int = 640, height: int = 200) -> str:
    """The values of the last *seconds*, now at the right; what the colours mean stands below."""
    shown = [[value for _, value in line.points] for line in lines]
    low, high = _range(np.array([value for values in shown for value in values], float))
    drawn = []
    for place, line in enumerate(lines):
        if line.points:
            ago, values = np.array(line.points, float).T
            xs = (1 - np.clip(ago / seconds, 0, 1)) * (width - 2) + 1
            drawn.append(_polyline(xs, values, height, low, high, _LINES[place % len(_LINES)]))
    frame = f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" fill="none" stroke="{_GREY}"/>'
    small = 'fill="currentColor" font-size="11"'
    ends = f'<text x="4" y="13" {small}>{high:g}</text><text x="4" y="{height - 5}" {small}>{low:g}</text>'
    keys = " &nbsp; ".join(
        f'<span style="color:{_LINES[place % len(_LINES)]}">&#9644;</span> '
        f"{html.escape(line.name)}: {html.escape(value_text(line.reading))}"
        for place, line in enumerate(lines)
    )
    svg = f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}">{frame}{"".join(drawn)}{ends}</svg>'
    return f'<div>{svg}<div>{keys} <span style="{_SMALL}">last {seconds:g} s</span></div></div>'


def _range(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    """The lowest and the highest; around a single value, room."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _thinned(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Of each column the lowest and the highest: a peak of one element is seen."""
    if values.size <= 2 * _POINTS:
        return values
    pieces = np.array_split(values, _POINTS)
    return np.array([extreme for piece in pieces for extreme in (piece.min(), piece.max())])


def _polyline(
    xs: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    height: int,
    low: float,
    high: float,
    stroke: str,
) -> str:
    """A line; values that are no number leave it out."""
    scaled = np.clip((values - low) / (high - low), 0, 1)
    points = " ".join(
        f"{x:.1f},{(1 - y) * (height - 4) + 2:.1f}" for x, y in zip(xs, scaled, strict=True) if math.isfinite(y)
    )
    return f'<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="1.3"/>'
