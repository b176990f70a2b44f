"""A callback that keeps what it is given, and lets a test wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

PATIENCE = 10.0


class Recorder:
    """Call it with anything: positional arguments, or what `pick` makes of keywords, end up in `items`."""

    def __init__(self, pick: Callable[..., Any] | None = None) -> None:
        self.items: list[Any] = []
        self._pick = pick
        self._news = threading.Condition()

    def __call__(self, *args: Any, **keywords: Any) -> None:
        item = self._pick(**keywords) if self._pick is not None else args[0] if len(args) == 1 else args
        with self._news:
            self.items.append(item)
            self._news.notify_all()

    def wait(self, count: int, patience: float = PATIENCE) -> list[Any]:
        """The first `count` items."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.items) >= count, patience), self._last()
            return self.items[:count]

    def wait_for(self, condition: Callable[[list[Any]], bool], patience: float = PATIENCE) -> list[Any]:
        """All items, once they satisfy the condition."""
        with self._news:
            assert self._news.wait_for(lambda: condition(self.items), patience), self._last()
            return list(self.items)

    def _last(self) -> str:
        return f"{len(self.items)} came, the last: {self.items[-20:]}"
