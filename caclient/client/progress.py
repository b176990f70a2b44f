"""A line that says how far a long wait has got, where somebody is looking.

It appears after two seconds, on a terminal or in a notebook, and replaces itself; in a script whose output goes to a
file there is none. One thread writes it for all waits of the process; it ends when there is nothing to wait for.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, TextIO

from typing_extensions import Self

from caclient.errors import WrongTypeError
from caclient.settings import shown

AFTER: Final = 2.0
"""Seconds before anything is shown."""
EVERY: Final = 0.25
"""Seconds between two looks."""


class Progress:
    """``with Progress(describe, show):`` around a wait; ``describe()`` is the line. *Any thread.*

    :param show: None decides by whether somebody is looking.
    """

    __slots__ = ("_describe", "_show", "_started")

    def __init__(self, describe: Callable[[], str], show: bool | None = None) -> None:
        self._describe = describe
        self._show = is_watched() if show is None else show
        self._started = 0.0

    def __enter__(self) -> Self:
        if self._show:
            self._started = time.monotonic()
            _WRITER.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._show:
            _WRITER.remove(self)

    def line(self, now: float) -> str:
        """What is shown now; "" if it is too early."""
        waited = now - self._started
        return f"{self._describe()} ({waited:.0f} s)" if waited >= AFTER else ""


def checked(progress: Any) -> bool | None:
    """Whether a line is shown: yes, no, or if somebody is looking."""
    if progress is None or type(progress) is bool:
        return progress
    raise WrongTypeError(f"progress={shown(progress)}: give True, False, or None for where somebody is looking")


def is_watched() -> bool:
    """Whether there is somebody to look: a terminal, or a notebook."""
    return _in_notebook() or bool(sys.stderr is not None and sys.stderr.isatty())


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    if shell is None:
        return False
    running = shell.get_ipython()
    return type(running).__name__ == "ZMQInteractiveShell"


class _Writer:
    """The thread that writes the line of the oldest wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: list[Progress] = []
        self._thread: threading.Thread | None = None
        self._news = threading.Event()
        self._width = 0

    def add(self, wait: Progress) -> None:
        with self._lock:
            self._waits.append(wait)
            if self._thread is None or not self._thread.is_alive():
                self._news = threading.Event()
                self._thread = threading.Thread(target=self._run, name="caclient-progress", daemon=True)
                self._thread.start()

    def remove(self, wait: Progress) -> None:
        with self._lock:
            self._waits.remove(wait)
            last = not self._waits
            if last and self._width:
                self._write("")
        if last:
            self._news.set()

    def _run(self) -> None:
        idle = 0
        while idle < 4:
            self._news.wait(EVERY)
            self._news.clear()
            with self._lock:
                idle = 0 if self._waits else idle + 1
                line = self._waits[0].line(time.monotonic()) if self._waits else ""
                if line:
                    self._write(line)
                if idle == 4:
                    self._thread = None

    def _write(self, line: str) -> None:
        """Write over the line before. *Caller holds the lock.*"""
        stream: TextIO | None = sys.stdout if _in_notebook() else sys.stderr
        try:
            if stream is not None:
                stream.write(f"\r{line.ljust(self._width)}" + ("" if line else "\r"))
                stream.flush()
        except (OSError, ValueError):  # closed meanwhile
            pass
        self._width = len(line)


_WRITER = _Writer()


def reset() -> None:
    """In a forked child: the waits are the parent's. *The only thread.*"""
    global _WRITER
    _WRITER = _Writer()
