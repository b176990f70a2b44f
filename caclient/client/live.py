"""Tables and charts that follow PVs: in a notebook, in a terminal, or asked for as text.

Subscriptions bring what is shown; one thread for each display draws it, so often at the most. In a notebook
it updates one output by ``DisplayHandle.update``: any front end can do that. ``close_all()`` ends displays too.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final

from typing_extensions import Self

from caclient.client.context import Context
from caclient.client.many import PVs, _pvs
from caclient.client.picture import Line, chart, table, table_text
from caclient.client.progress import _in_notebook
from caclient.client.properties import want
from caclient.client.pv import PV
from caclient.dbr import Reading
from caclient.errors import BadValueError, CAError
from caclient.settings import shown

_KEPT: Final = 10_000
"""Values of one PV that a chart remembers: the oldest of more are let go."""
_FASTEST: Final = 50.0
"""Drawings a second."""


class _Followed:
    """One PV of a display."""

    def __init__(self, pv: PV, seconds: float) -> None:
        self.pv = pv
        self._seconds = seconds
        self._newest: Reading | None = None
        self._came = 0.0
        self._points: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self.subscription = pv.subscribe(self._note, policy="all" if seconds else "latest")

    def _note(self, reading: Reading) -> None:
        """*A lane's worker.*"""
        self._newest, self._came = reading, time.monotonic()
        if self._seconds and isinstance(reading.value, (int, float)):
            self._points.append((self._came, float(reading.value)))

    def line(self, now: float) -> Line:
        """How it stands."""
        channel, reading, connected = self.pv.channel, self._newest, self.pv.connected
        if connected and channel.control is None and channel.can_read:
            want(channel, follow=True)
        if reading is not None:
            reading = reading.with_control(channel.control or reading.control)
        points = [(now - came, value) for came, value in list(self._points) if now - came <= self._seconds]
        if points:
            points.append((0.0, points[-1][1]))  # it is so still
        return Line(self.pv.pvname, reading, now - self._came if reading is not None else None, connected, points)


class Display:
    """What ``live`` and ``plot`` show, until ``close()``; also a context manager. *Any thread.*

    Its ``repr`` and HTML are how it stands now, and after ``close()`` how it stood then.
    """

    def __init__(self, pvs: Sequence[PV], rate: float, seconds: float) -> None:
        self._rate = rate
        self._seconds = seconds
        self._over = threading.Event()
        self._last: list[Line] | None = None
        self._followed: list[_Followed] = []
        try:
            for pv in pvs:
                self._followed.append(_Followed(pv, seconds))
            self._show, self._end = _shown_where(self)
        except BaseException:
            self.close()
            raise
        self._thread = threading.Thread(target=self._run, name="caclient-live", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether it still follows: not after ``close()``, nor after ``close_all()``."""
        return not self._over.is_set() and any(each.subscription.active for each in self._followed)

    def lines(self) -> list[Line]:
        """How each PV stands."""
        if self._last is not None:
            return self._last
        now = time.monotonic()
        return [each.line(now) for each in self._followed]

    def close(self) -> None:
        """Follow no more; what is shown stays as it is."""
        if not self._over.is_set():
            self._last = self.lines()
            self._over.set()
            for each in self._followed:
                each.subscription.close()
        thread = getattr(self, "_thread", None)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        try:
            while self.active:
                self._show()
                self._over.wait(1 / self._rate)
            self._show()
        except (OSError, ValueError, CAError):
            pass  # nobody can look any more
        finally:
            self.close()
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return table_text(self.lines())

    def _repr_html_(self) -> str:
        return chart(self.lines(), self._seconds) if self._seconds else table(self.lines())


def live(*pvs: PVs, rate: float = 4.0, context: Context | None = None) -> Display:
    """A table that follows PVs: value, unit, alarm and age; goes on until the result's ``close()``. *Any thread.*

    In a notebook it is one output of the cell; in a terminal rich draws it (``pip install 'caclient[cli]'``). In a
    script that nobody looks at nothing is shown: ``print`` the result.

    :param rate: drawings a second, at most 50.
    :raises BadValueError: no PV, or a rate that cannot be.
    """
    return Display(_checked(pvs, context), _rate(rate), 0.0)


def plot(*pvs: PVs, seconds: float = 60.0, rate: float = 4.0, context: Context | None = None) -> Display:
    """A strip chart of the last *seconds*, now at the right; otherwise as ``live``. *Any thread.*

    :raises BadValueError: no PV, or seconds or a rate that cannot be.
    """
    return Display(_checked(pvs, context), _rate(rate), _window(seconds))


def _checked(pvs: Sequence[Any], context: Context | None) -> list[PV]:
    found = {pv.pvname: pv for each in pvs for pv in _pvs(each, context)}
    if not found:
        raise BadValueError("give at least one PV to look at")
    return list(found.values())


def _rate(rate: Any) -> float:
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate <= _FASTEST:
        raise BadValueError(f"rate={shown(rate)}: give drawings a second, more than 0 and at most {_FASTEST:g}")
    return float(rate)


def _window(seconds: Any) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
        raise BadValueError(f"seconds={shown(seconds)}: give seconds, more than 0")
    return float(seconds)


def _shown_where(display: Display) -> tuple[Callable[[], object], Callable[[], object]]:
    """How to show it where we are, and how to end that."""
    if _in_notebook():
        return _in_cell(display), _nothing
    if sys.stdout is not None and sys.stdout.isatty():
        return _in_terminal(display)
    return _nothing, _nothing


def _nothing() -> None:
    """Nobody looks."""


def _in_cell(display: Display) -> Callable[[], object]:
    from IPython.display import HTML, DisplayHandle

    handle = DisplayHandle()  # type: ignore[no-untyped-call]
    handle.display(HTML(display._repr_html_()))  # type: ignore[no-untyped-call]
    return lambda: handle.update(HTML(display._repr_html_()))  # type: ignore[no-untyped-call]


def _in_terminal(display: Display) -> tuple[Callable[[], object], Callable[[], object]]:
    try:
        from rich.live import Live
    except ImportError as error:
        raise ImportError("a display in a terminal needs rich: pip install 'caclient[cli]'") from error
    screen = Live(auto_refresh=False)
    screen.start()
    return lambda: screen.update(repr(display), refresh=True), screen.stop
