"""Fields that nobody has: is it the field, or the whole record?

A name with a field that has been silent for half a second has its record searched too: once, and then once a minute.
Who answers is remembered, for ``why()``: the name is misspelt behind the dot.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, Final

from caclient.engine.runtime import Runtime
from caclient.engine.sockets import Address

SILENT: Final = 0.5
"""Seconds before the record is searched."""
AGAIN: Final = 60.0
"""Seconds before it is searched again."""
MOST: Final = 100
"""Names whose record is searched at a time."""
_ASK: Final = 0.4
"""Seconds for which a record is searched."""
_CIDS: Final = 1 << 31
"""Where the numbers of these searches begin: above those of channels."""


class Fields:
    """The names with a field that are searched. *Engine thread*, unless a method says otherwise."""

    def __init__(self, runtime: Runtime, names: Any) -> None:
        self._runtime = runtime
        self._names = names
        self._watched: dict[int, tuple[str, float]] = {}
        """cid -> (name, when its record is to be searched)."""
        self._asked: dict[int, int] = {}
        """The number of a search for a record -> the cid of the field."""
        self._found: dict[int, Address] = {}
        self._numbers = itertools.count(_CIDS)
        self._ticking = False

    def record_at(self, cid: int) -> Address | None:
        """Who has the record of that channel's name. *Any thread.*"""
        return self._found.get(cid)

    def watch(self, cid: int, name: str) -> None:
        """A name with a field is searched."""
        if cid not in self._watched:
            self._watched[cid] = name, time.monotonic() + SILENT
        if not self._ticking:
            self._ticking = True
            self._runtime.loop.call_at(time.monotonic() + SILENT, self._tick)

    def forget(self, cid: int) -> None:
        """It is searched no more."""
        self._watched.pop(cid, None)
        self._found.pop(cid, None)

    def found(self, number: int, address: Address) -> None:
        """A server has answered for a record; another number is no error."""
        cid = self._asked.get(number)
        if cid is not None and cid in self._watched:
            self._found[cid] = address

    def _tick(self) -> None:
        self._ticking = False
        if self._runtime.closed:
            return
        now, room = time.monotonic(), MOST - len(self._asked)
        for cid, (name, due) in list(self._watched.items()):
            if due > now or room <= 0:
                continue
            room -= 1
            self._watched[cid] = name, now + AGAIN
            self._found.pop(cid, None)
            self._ask(cid, name.partition(".")[0])
        if self._watched:
            self._ticking = True
            self._runtime.loop.call_at(now + SILENT, self._tick)

    def _ask(self, cid: int, record: str) -> None:
        searches, number = self._names.searches, next(self._numbers)
        self._asked[number] = cid
        searches.add(number, record)

        def end() -> None:
            self._asked.pop(number, None)
            searches.remove(number)

        self._runtime.loop.call_at(time.monotonic() + _ASK, end)
