"""The shape of a channel's answers: native type, count and metadata. What turns answers into readings.

Immutable: a server that comes back with another type, or metadata that change, make another shape, and who reads it in
any thread takes it once and has what belongs together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from caclient.dbr import (
    LAYOUTS,
    ChannelType,
    ControlInfo,
    Origin,
    Reading,
    Reason,
    decode_reading,
    decode_run,
    scalar_decoder,
    time_type,
)
from caclient.errors import DecodeError

_ARRAY: Final = 65_536
"""Bytes of an answer above which it is kept as it came until somebody looks at it."""


class Shape(Origin):
    """(native type, count, metadata) of a channel, and its name: what readings of its updates share. *Any thread.*"""

    __slots__ = ("_decode", "_read", "count", "time_type")

    def __init__(
        self, native_type: ChannelType, count: int, control: ControlInfo | None = None, name: str | None = None
    ) -> None:
        super().__init__(name, native_type, control, "update")
        self.native_type: ChannelType = native_type
        self.count = count
        self.time_type = time_type(native_type)
        self._read: Origin | None = None
        self._decode: Callable[..., Reading] | None = scalar_decoder(self.time_type) if count == 1 else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.native_type, self.count, self.control, self.name

    def __repr__(self) -> str:
        return f"Shape({self.native_type.name}[{self.count}], {self.control})"

    def knowing(self, control: ControlInfo | None) -> Shape:
        """The same with other metadata."""
        return Shape(self.native_type, self.count, control, self.name)

    def origin(self, reason: Reason) -> Origin:
        """What the readings of this shape share that there are for that reason."""
        if reason == "update":
            return self
        if reason != "read":
            return Origin(self.name, self.native_type, self.control, reason)  # seldom, and not worth keeping
        if self._read is None:
            self._read = Origin(self.name, self.native_type, self.control, reason)
        return self._read

    def reading(self, reply: Any, reason: Reason = "read") -> Reading:
        """An answer as a user holds it; arrays are read-only if they are shared.

        :raises DecodeError: if the server has not sent what it said.
        """
        if self._decode is not None and reply.data_type == self.time_type and reply.data_count == 1:
            return self._decode(reply.payload, 0, self.origin(reason))
        payload = reply.payload
        own = (
            isinstance(payload, (bytearray, memoryview)) and len(payload) > _ARRAY and not memoryview(payload).readonly
        )
        scalar = self.count == 1 and reply.data_count != 0  # a real IOC serves a long string without text as nothing
        return decode_reading(reply.data_type, reply.data_count, payload, scalar, self.origin(reason), own)

    def readings(self, data_type: int, rows: Any, reason: Reason = "update") -> list[Reading]:
        """A run as readings; an array channel that answered with one element each has arrays of one."""
        readings = decode_run(data_type, rows, self.origin(reason))
        return readings if self.count == 1 else [self.own(reading, data_type) for reading in readings]

    def own(self, reading: Reading, data_type: int) -> Reading:
        """A reading out of a run as one of this channel: its value is an array if it is an array channel."""
        if self.count == 1:
            return reading
        layout = LAYOUTS[data_type]
        return reading.with_value(np.array([reading.value], np.str_ if layout.is_string else layout.value_dtype))

    def require(self, data_type: int, data_count: int, wanted_type: int, wanted_count: int) -> None:
        """Refuse an answer of another type than asked for, or with more elements than asked for or than there are.

        Fewer are legal: an array may be shorter at the moment.

        :raises DecodeError: naming both.
        """
        most = min(wanted_count, self.count) if wanted_count else self.count
        if data_type != wanted_type or data_count > most:
            raise DecodeError(f"{_name(data_type)}[{data_count}] for {_name(wanted_type)}[{most}]")


def _name(data_type: int) -> str:
    """The type's name, also of what is none."""
    return ChannelType(data_type).name if 0 <= data_type < len(LAYOUTS) else f"type {data_type}"
