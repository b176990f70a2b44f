"""Channels made by the thousand: requests as one buffer, and the answers as rows instead of commands.

A server answers each request with the access rights and the creation, 32 bytes, and thousands of these pairs come one
behind the other. The law looks at each channel all the same; what is saved is to build, file and hand on two commands
for each. A property test holds this way and the general one equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any, NamedTuple

from caclient.dbr.text import to_bytes
from caclient.errors import LocalProtocolError
from caclient.protocol.command import MAX_TEXT, Command
from caclient.protocol.commands import (
    MINOR_VERSION,
    AccessRightsResponse,
    CreateChanRequest,
    CreateChanResponse,
)
from caclient.protocol.header import ALIGNMENT, SHORT

MIN_PAIRS = 4
"""Pairs from which rows are worth it."""
RIGHTS_ID = AccessRightsResponse.ID
CREATION = Struct(">HH").pack(CreateChanResponse.ID, 0)
"""How a creation begins."""
_PAIR = Struct(f"{SHORT.format}{SHORT.format[1:]}")
PAIR_SIZE = _PAIR.size

Pair = tuple[int, int, int, int, int, int, int, int, int, int, int, int]


class Pairs:
    """Rights and creation, of one channel after the other, as they lay in a buffer."""

    __slots__ = ("rows",)

    def __init__(self, rows: list[Pair]) -> None:
        self.rows = rows

    def commands(self, start: int = 0) -> Iterator[Command]:
        """The same as single commands, from a pair on."""
        for _, _, type1, count1, cid1, rights, _, _, type2, count2, cid2, sid in self.rows[start:]:
            yield _command(AccessRightsResponse, type1, count1, cid1, rights)
            yield _command(CreateChanResponse, type2, count2, cid2, sid)


class Made(NamedTuple):
    """A channel that the server has made; `owner` asked for it."""

    owner: Any
    sid: int
    data_type: int
    data_count: int
    access_rights: int


class CreatedRun:
    """Channels that were made, in order. Nobody in particular owns it: each of `made` has an owner."""

    __slots__ = ("made", "owner")

    def __init__(self, made: list[Made]) -> None:
        self.made = made
        self.owner: Any = None

    def __len__(self) -> int:
        return len(self.made)


def find_pairs(data: bytes, offset: int) -> Pairs | None:
    """The pairs that begin at `offset`; None if they are too few."""
    whole = (len(data) - offset) // PAIR_SIZE * PAIR_SIZE
    rows: list[Pair] = []
    for row in _PAIR.iter_unpack(memoryview(data)[offset : offset + whole]):
        if (row[0], row[1], row[6], row[7]) != _HEADS or row[4] != row[10]:
            break
        rows.append(row)
    return Pairs(rows) if len(rows) >= MIN_PAIRS else None


def create_requests(names: Sequence[str], cids: Sequence[int]) -> bytes:
    """CREATE_CHAN requests as one buffer; LocalProtocolError if a name cannot be sent."""
    pieces = []
    for name, cid in zip(names, cids, strict=True):
        raw = to_bytes(name)
        size = len(raw) + ALIGNMENT & -ALIGNMENT
        if not raw or b"\0" in raw or size > MAX_TEXT:
            raise LocalProtocolError(f"{name[:80]!r} is no name that can be sent")
        pieces.append(SHORT.pack(CreateChanRequest.ID, size, 0, 0, cid, MINOR_VERSION) + raw.ljust(size, b"\0"))
    return b"".join(pieces)


_HEADS = (RIGHTS_ID, 0, CreateChanResponse.ID, 0)


def _command(kind: type[Command], type_field: int, count: int, parameter1: int, parameter2: int) -> Command:
    command = kind.__new__(kind)
    command.type_field = type_field
    command.count_field = count
    command.parameter1 = parameter1
    command.parameter2 = parameter2
    command.payload = b""
    command.extended = False
    command.owner = None
    return command


__all__ = [
    "CREATION",
    "MIN_PAIRS",
    "PAIR_SIZE",
    "RIGHTS_ID",
    "CreatedRun",
    "Made",
    "Pairs",
    "create_requests",
    "find_pairs",
]
