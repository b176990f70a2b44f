"""What callbacks were told, in order, for tests that wait for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 10.0
"""Seconds that anything may take that is to happen."""


class Told:
    """A callback that keeps what it is told: a reading, or the keyword or positional arguments of pyepics' forms."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._news = threading.Condition()

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        with self._news:
            self.items.append(keywords.get("conn", arguments[0] if len(arguments) == 1 else arguments or keywords))
            self._news.notify_all()

    def wait_until(self, condition: Callable[[list[Any]], Any], timeout: float = PATIENCE) -> None:
        """Wait until what was told satisfies *condition*; AssertionError if it does not in time."""
        with self._news:
            met = self._news.wait_for(lambda: condition(self.items), timeout)
        assert met, f"not so after {timeout} s: {self.items[-20:]}"

    def wait_for(self, *items: Any, timeout: float = PATIENCE) -> None:
        """Wait until exactly these have been told, in this order."""
        self.wait_until(lambda told: told == list(items), timeout)

    @property
    def values(self) -> list[Any]:
        """The values of the readings told."""
        return [reading.value for reading in self.items]


def eventually(condition: Callable[[], Any], timeout: float = PATIENCE) -> Any:
    """What *condition* gives when it is true for the first time; AssertionError if that is not in time."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not so after {timeout} s"
        pause.wait(0.005)
    return result


@contextmanager
def logged(name: str = "caclient") -> Iterator[list[str]]:
    """The messages that the package logs meanwhile, from WARNING on."""
    messages: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    handler, logger = Keep(logging.WARNING), logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if the block takes longer."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"took {took:.3f} s, not {seconds} s"


def resident() -> int:
    """Bytes of memory that this process has in use."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096
