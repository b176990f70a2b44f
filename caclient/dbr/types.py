"""The 39 DBR types: numbers, families, and how each lies in a payload."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any

import numpy as np

from caclient.errors import DecodeError


class ChannelType(IntEnum):
    """DBR type numbers 0..38. A channel's native type is one of the first seven; INT and SHORT are one type."""

    STRING = 0
    INT = 1
    FLOAT = 2
    ENUM = 3
    CHAR = 4
    LONG = 5
    DOUBLE = 6
    STS_STRING = 7
    STS_INT = 8
    STS_FLOAT = 9
    STS_ENUM = 10
    STS_CHAR = 11
    STS_LONG = 12
    STS_DOUBLE = 13
    TIME_STRING = 14
    TIME_INT = 15
    TIME_FLOAT = 16
    TIME_ENUM = 17
    TIME_CHAR = 18
    TIME_LONG = 19
    TIME_DOUBLE = 20
    GR_STRING = 21
    GR_INT = 22
    GR_FLOAT = 23
    GR_ENUM = 24
    GR_CHAR = 25
    GR_LONG = 26
    GR_DOUBLE = 27
    CTRL_STRING = 28
    CTRL_INT = 29
    CTRL_FLOAT = 30
    CTRL_ENUM = 31
    CTRL_CHAR = 32
    CTRL_LONG = 33
    CTRL_DOUBLE = 34
    PUT_ACKT = 35
    PUT_ACKS = 36
    STSACK_STRING = 37
    CLASS_NAME = 38
    SHORT = INT
    STS_SHORT = STS_INT
    TIME_SHORT = TIME_INT
    GR_SHORT = GR_INT
    CTRL_SHORT = CTRL_INT


STRING_SIZE = 40
UNITS_SIZE = 8
ENUM_STRING_SIZE = 26
MAX_ENUM_STRINGS = 16

LIMITS = (
    "upper_disp_limit",
    "lower_disp_limit",
    "upper_alarm_limit",
    "upper_warning_limit",
    "lower_warning_limit",
    "lower_alarm_limit",
    "upper_ctrl_limit",
    "lower_ctrl_limit",
)


class Layout:
    """How one DBR type lies in a payload: `fields` packed by `metadata`, then the values from `value_offset` on.

    `fields` names the members that `metadata` packs, in order; pad bytes belong to `metadata`, which therefore is
    exactly `value_offset` bytes long. `wire_dtype` is big-endian, `value_dtype` the same in this machine's byte order;
    both are S40 for text. `native` is the type of the values alone (PUT_ACKT and PUT_ACKS are their own).
    """

    __slots__ = (
        "data_type",
        "fields",
        "is_string",
        "metadata",
        "native",
        "padded_scalar_size",
        "value_code",
        "value_dtype",
        "value_offset",
        "value_size",
        "wire_dtype",
    )

    def __init__(self, data_type: ChannelType, native: ChannelType, code: str, metadata: str, fields: str) -> None:
        self.data_type = data_type
        self.native = native
        self.metadata = struct.Struct(">" + metadata)
        self.fields = tuple(fields.split())
        self.value_code = code
        self.value_offset = self.metadata.size
        self.value_size = struct.calcsize(">" + code)
        self.is_string = code == "40s"
        self.wire_dtype: np.dtype[Any] = np.dtype("S40" if self.is_string else ">" + _NUMPY_CODES[code])
        self.value_dtype: np.dtype[Any] = self.wire_dtype.newbyteorder("=")
        self.padded_scalar_size = padded(self.value_offset + self.value_size)

    def __repr__(self) -> str:
        return f"<Layout {self.data_type.name}: {self.metadata.format} {self.value_code}>"


def padded(size: int) -> int:
    """`size` rounded up to the next multiple of 8, as every payload is on the wire."""
    return (size + 7) & ~7


_NUMPY_CODES = {"h": "i2", "f": "f4", "H": "u2", "B": "u1", "i": "i4", "d": "f8"}
_VALUE_CODES = ("40s", "h", "f", "H", "B", "i", "d")
_STS_PADS = ("", "", "", "", "x", "", "4x")
_TIME_PADS = ("", "2x", "", "2x", "3x", "", "4x")
_FAMILY_SIZE = 7
_FIRST_SPECIAL = ChannelType.PUT_ACKT


def _limits_layout(native: ChannelType, limits: int) -> tuple[str, str]:
    """Metadata format and field names of GR (6 limits) and CTRL (8 limits)."""
    code = _VALUE_CODES[native]
    names = " ".join(LIMITS[:limits])
    if native == ChannelType.STRING:
        return "2h", "status severity"
    if native == ChannelType.ENUM:
        return f"3h{MAX_ENUM_STRINGS * ENUM_STRING_SIZE}s", "status severity no_str enum_strings"
    if native in (ChannelType.FLOAT, ChannelType.DOUBLE):
        return f"3h2x8s{limits}{code}", f"status severity precision units {names}"
    pad = "x" if native == ChannelType.CHAR else ""
    return f"2h8s{limits}{code}{pad}", f"status severity units {names}"


def _family_layout(family: int, native: ChannelType) -> tuple[str, str]:
    """Metadata format and field names of plain, STS, TIME, GR and CTRL (0..4)."""
    if family == 0:
        return "", ""
    if family == 1:
        return "2h" + _STS_PADS[native], "status severity"
    if family == 2:
        return "2h2I" + _TIME_PADS[native], "status severity seconds nanoseconds"
    return _limits_layout(native, 6 if family == 3 else 8)


def _layouts() -> tuple[Layout, ...]:
    layouts: list[Layout] = []
    for number in range(_FIRST_SPECIAL):
        family, base = divmod(number, _FAMILY_SIZE)
        native = ChannelType(base)
        layouts.append(Layout(ChannelType(number), native, _VALUE_CODES[base], *_family_layout(family, native)))
    return (
        *layouts,
        Layout(ChannelType.PUT_ACKT, ChannelType.PUT_ACKT, "H", "", ""),
        Layout(ChannelType.PUT_ACKS, ChannelType.PUT_ACKS, "H", "", ""),
        Layout(ChannelType.STSACK_STRING, ChannelType.STRING, "40s", "4H", "status severity ackt acks"),
        Layout(ChannelType.CLASS_NAME, ChannelType.STRING, "40s", "", ""),
    )


LAYOUTS: tuple[Layout, ...] = _layouts()
"""One Layout for each DBR type, indexed by its number."""


def layout_of(data_type: int) -> Layout:
    """The Layout of a type number from the wire; DecodeError if there is no such type."""
    if 0 <= data_type < len(LAYOUTS):
        return LAYOUTS[data_type]
    raise DecodeError(f"no such DBR type: {data_type}")


def native_type(data_type: int) -> ChannelType:
    """The type of the values alone: 0..6, or PUT_ACKT and PUT_ACKS themselves."""
    return layout_of(data_type).native


def _in_family(data_type: int, family: int) -> ChannelType:
    native = native_type(data_type)
    return native if native >= _FIRST_SPECIAL else LAYOUTS[native + family * _FAMILY_SIZE].data_type


def sts_type(data_type: int) -> ChannelType:
    """The type that carries the same values with alarm status and severity."""
    return _in_family(data_type, 1)


def time_type(data_type: int) -> ChannelType:
    """The type that carries the same values with alarm and time stamp."""
    return _in_family(data_type, 2)


def gr_type(data_type: int) -> ChannelType:
    """The type that carries the same values with alarm, units and display limits, or enum strings."""
    return _in_family(data_type, 3)


def ctrl_type(data_type: int) -> ChannelType:
    """The type that carries the same values with everything of GR and the control limits."""
    return _in_family(data_type, 4)


def payload_size(data_type: int, count: int) -> int:
    """Bytes of `count` values of this type with their metadata, before padding."""
    layout = layout_of(data_type)
    return layout.value_offset + count * layout.value_size
