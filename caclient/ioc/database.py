"""The records of a server by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from caclient.dbr.types import STRING_SIZE

from .record import Record

_LEAST_PUT = 1 << 14
"""Bytes that any client may send, as with EPICS servers."""
_VALUE_FIELD = ".VAL"


class Database:
    """Finds records by channel name and hands out server ids. Read by one server thread; `add` from any."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records: dict[str, Record] = {}
        self._sids = itertools.count()
        self._largest = 0
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Serve one more record; a record of that name is replaced for channels made from now on."""
        self._records[record.name] = record
        self._largest = max(self._largest, record.capacity)

    @property
    def largest_put(self) -> int:
        """Bytes that suffice to write the largest record in whatever type; a client that claims more means no good."""
        return _LEAST_PUT + self._largest * STRING_SIZE

    def remove(self, name: str) -> Record:
        """Serve a record no more to new channels; KeyError if there is none."""
        return self._records.pop(name)

    def find(self, name: str) -> Record | None:
        """The record that a channel of this name is on: its own name, or that with `.VAL` behind it."""
        return self._records.get(name) or self._records.get(name.removesuffix(_VALUE_FIELD))

    def new_sid(self) -> int:
        """A server id that no channel has."""
        return next(self._sids) & 0xFFFFFFFF

    def __iter__(self) -> Iterator[Record]:
        return iter(tuple(self._records.values()))

    def __getitem__(self, name: str) -> Record:
        return self._records[name]

    def __len__(self) -> int:
        return len(self._records)
