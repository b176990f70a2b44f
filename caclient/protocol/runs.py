"""Many equal messages taken as one: rows of a numpy array instead of commands.

A receive buffer usually holds a run of updates or replies that differ only in their id and their value. Decoding such
a run costs a twentieth of decoding its messages one by one. The law still sees it: a run is legal if its first message
is, for nothing in it changes a state.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from caclient.dbr.decode import run_dtype
from caclient.dbr.types import LAYOUTS, ChannelType
from caclient.protocol.command import Command
from caclient.protocol.commands import EventAddResponse, ReadNotifyRequest, ReadNotifyResponse
from caclient.protocol.header import MARK, SHORT, SHORT_SIZE

MIN_RUN = 8
"""Messages from which a run is worth the constant cost of numpy."""
FIRST_LOOK = 64
"""Messages that are looked at first for where a run ends."""
NORMAL = 1
RUN_SIZES: dict[int, int] = {int(layout.data_type): layout.padded_scalar_size for layout in LAYOUTS[:21]}
"""Payload size of one value of the types that can make a run: plain, STS and TIME."""

Rows = npt.NDArray[Any]

_REQUEST_ROW = np.dtype(
    [("command", ">u2"), ("size", ">u2"), ("type", ">u2"), ("count", ">u2"), ("sid", ">u4"), ("ioid", ">u4")]
)


class UpdateRun:
    """Updates of one subscription, in order: `rows` is an array of `run_dtype(data_type)`, all of status normal."""

    __slots__ = ("data_type", "owner", "rows", "subscriptionid")

    def __init__(self, owner: Any, data_type: ChannelType, rows: Rows, subscriptionid: int) -> None:
        self.owner = owner
        self.data_type = data_type
        self.rows = rows
        self.subscriptionid = subscriptionid

    def __len__(self) -> int:
        return len(self.rows)

    def commands(self) -> list[Command]:
        """The same as single commands, each with the owner."""
        return _commands(EventAddResponse, self.rows, self.owner)


class ReplyRun:
    """Replies to reads of one owner, in order: `rows` is an array of `run_dtype(data_type)`, all of status normal."""

    __slots__ = ("data_type", "ioids", "owner", "rows")

    def __init__(self, owner: Any, data_type: ChannelType, rows: Rows, ioids: list[int]) -> None:
        self.owner = owner
        self.data_type = data_type
        self.rows = rows
        self.ioids = ioids

    def __len__(self) -> int:
        return len(self.rows)

    def commands(self) -> list[Command]:
        """The same as single commands, each with the owner."""
        return _commands(ReadNotifyResponse, self.rows, self.owner)


class MixedRun:
    """Updates of many subscriptions, in order: `owners[i]` is told of `rows[i]`, and may be there several times.

    `rows` is an array of `run_dtype(data_type)`, all of status normal.
    """

    __slots__ = ("data_type", "owners", "rows")

    owner = None
    """No one in particular."""

    def __init__(self, data_type: ChannelType, rows: Rows, owners: list[Any]) -> None:
        self.data_type = data_type
        self.rows = rows
        self.owners = owners

    def __len__(self) -> int:
        return len(self.rows)

    def commands(self) -> list[Command]:
        """The same as single commands, each with its owner."""
        commands = _commands(EventAddResponse, self.rows, None)
        for command, owner in zip(commands, self.owners, strict=True):
            command.owner = owner
        return commands


class ReadRows:
    """What is filed under each ioid of a bulk read: one object for all of them."""

    __slots__ = ("first", "owner", "sids")

    def __init__(self, first: int, sids: Sequence[int], owner: Any) -> None:
        self.first = first
        self.sids = sids
        self.owner = owner

    def sid_of(self, ioid: int) -> int:
        """The channel that the request with this number is for."""
        return int(self.sids[ioid - self.first])


class Run:
    """Messages of a buffer that have command, type, count 1, status normal and size in common; the ids may differ."""

    __slots__ = ("command", "data_type", "rows")

    def __init__(self, command: type[Command], data_type: ChannelType, rows: Rows) -> None:
        self.command = command
        self.data_type = data_type
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def commands(self) -> list[Command]:
        """The messages one by one."""
        return _commands(self.command, self.rows, None)


def find_run(command: type[Command], data: bytes, offset: int, type_field: int, size: int) -> Run | None:
    """The run that begins with the message at `offset`; None if fewer than MIN_RUN messages are equal."""
    stride = SHORT_SIZE + size
    number = (len(data) - offset) // stride
    if number < MIN_RUN or size != RUN_SIZES.get(type_field):
        return None
    length = _equal(data, offset, stride, number)
    if length < MIN_RUN:
        return None
    return Run(command, ChannelType(type_field), np.ndarray(length, run_dtype(type_field), data, offset))


def _equal(data: bytes, offset: int, stride: int, number: int) -> int:
    """How many of `number` messages are equal but for id and payload, from the first one on.

    Looked at in growing windows: what follows a short run may be long, and is not to be looked at for each of many.
    """
    window = FIRST_LOOK
    while True:
        look = min(window, number)
        # command, size, type and count as one number each, the status as another: compared without decoding
        heads = np.ndarray(look, np.uint64, data, offset, (stride,))
        states = np.ndarray(look, np.uint32, data, offset + 8, (stride,))
        same = (heads == heads[0]) & (states == states[0])
        if not same.all():
            return int(same.argmin())
        if look == number:
            return number
        window *= 8


def by_id(rows: Rows) -> list[tuple[int, Rows]] | None:
    """Rows parted by their id, each part in order; None if there are too many ids for that to be cheaper."""
    ids = rows["p2"]
    first = ids[0]
    if (ids == first).all():
        return [(int(first), rows)]
    if len(set(ids.tolist())) * MIN_RUN > len(
        rows
    ):  # half the time that sorting takes, which also yields the interpreter
        return None
    _, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(chosen(rows, order), np.cumsum(counts)[:-1])
    return [(int(part["p2"][0]), part) for part in parts]


def chosen(rows: Rows, which: Any) -> Rows:
    """Some of the rows, as whole messages: a copy by fields would leave out what no field names."""
    messages = rows.view(np.dtype((np.void, rows.dtype.itemsize)))
    parts: Rows = messages[which].view(rows.dtype)
    return parts


def by_request(requests: list[Any]) -> list[tuple[Any, slice]] | None:
    """Stretches of the same request, which only bulk reads have; None if there are too many for that to be cheaper."""
    first = requests[0]
    if first.__class__ is ReadRows and requests.count(first) == len(requests):
        return [(first, slice(None))]
    stretches: list[tuple[Any, slice]] = []
    start = 0
    for _, members in groupby(requests, key=id):
        length = len(list(members))
        stretches.append((requests[start], slice(start, start + length)))
        start += length
        if len(stretches) * MIN_RUN > len(requests):
            return None
    return stretches


def read_requests(sids: Sequence[int], types: Sequence[int], counts: Sequence[int], first: int) -> bytes:
    """READ_NOTIFY requests with consecutive ioids as one buffer; ValueError if a number does not fit."""
    number = len(sids)
    if max(counts, default=0) >= MARK:
        return b"".join(
            ReadNotifyRequest(int(t), int(c), int(s), first + i).to_bytes()
            for i, (s, t, c) in enumerate(zip(sids, types, counts, strict=True))
        )
    rows = np.zeros(number, _REQUEST_ROW)
    rows["command"] = ReadNotifyRequest.ID
    rows["type"] = types
    rows["count"] = counts
    rows["sid"] = sids
    rows["ioid"] = np.arange(first, first + number)
    return rows.tobytes()


def _commands(kind: type[Command], rows: Rows, owner: Any) -> list[Command]:
    return list(_single(kind, rows.tobytes(), rows.dtype.itemsize, owner))


def _single(kind: type[Command], data: bytes, stride: int, owner: Any) -> Iterator[Command]:
    message = struct.Struct(f"{SHORT.format}{stride - SHORT_SIZE}s")
    for _, _, type_field, count, parameter1, parameter2, payload in message.iter_unpack(data):
        command = kind.__new__(kind)
        command.type_field = type_field
        command.count_field = count
        command.parameter1 = parameter1
        command.parameter2 = parameter2
        command.payload = payload
        command.extended = False
        command.owner = owner
        yield command
