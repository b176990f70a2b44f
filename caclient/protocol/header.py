"""The 16 or 24 bytes before every payload.

The extended form is not a sign of big numbers: servers choose the form by a channel's maximum size and may then send a
small message in it. We send it only where the short one cannot carry the numbers.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from caclient.errors import RemoteProtocolError

SHORT = struct.Struct(">HHHHII")
EXTENDED = struct.Struct(">HHHHIIII")
EXTENSION = struct.Struct(">II")
SHORT_SIZE = 16
EXTENDED_SIZE = 24
MARK = 0xFFFF
"""In the payload size field: the extended header follows. Sizes and counts from here on need it."""
EXTENDED_SINCE = 9
"""The minor version from which a peer understands the extended form."""
ALIGNMENT = 8
MAX_UDP_SEND = 65507
"""Bytes that one IPv4 datagram can carry."""


class Header(NamedTuple):
    """What a header says; of an extended one `payload_size` and `data_count` are the 32-bit fields."""

    command: int
    payload_size: int
    data_type: int
    data_count: int
    parameter1: int
    parameter2: int
    extended: bool = False

    @property
    def size(self) -> int:
        """Bytes of the header itself."""
        return EXTENDED_SIZE if self.extended else SHORT_SIZE

    def to_bytes(self) -> bytes:
        """The wire form, extended if `extended` says so or the numbers need it."""
        command, size, data_type, count, p1, p2, extended = self
        if extended or size >= MARK or count >= MARK:
            return EXTENDED.pack(command, MARK, data_type, 0, p1, p2, size, count)
        return SHORT.pack(command, size, data_type, count, p1, p2)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, offset: int = 0) -> Header:
        """Parse the header at `offset`; RemoteProtocolError if the bytes end before it does."""
        if len(data) - offset < SHORT_SIZE:
            raise RemoteProtocolError(f"header needs {SHORT_SIZE} bytes, got {len(data) - offset}")
        command, size, data_type, count, p1, p2 = SHORT.unpack_from(data, offset)
        if size != MARK:
            return cls(command, size, data_type, count, p1, p2)
        if len(data) - offset < EXTENDED_SIZE:
            raise RemoteProtocolError(f"extended header needs {EXTENDED_SIZE} bytes, got {len(data) - offset}")
        size, count = EXTENSION.unpack_from(data, offset + SHORT_SIZE)
        return cls(command, size, data_type, count, p1, p2, True)
