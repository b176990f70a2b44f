"""Numbers, names and small conversions of Channel Access, as ``epics.dbr`` has them."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import Any

import numpy as np

HAS_NUMPY = True

STRING = 0
INT = 1
SHORT = 1
FLOAT = 2
ENUM = 3
CHAR = 4
LONG = 5
DOUBLE = 6
TIME_STRING = 14
TIME_INT = 15
TIME_SHORT = 15
TIME_FLOAT = 16
TIME_ENUM = 17
TIME_CHAR = 18
TIME_LONG = 19
TIME_DOUBLE = 20
CTRL_STRING = 28
CTRL_INT = 29
CTRL_SHORT = 29
CTRL_FLOAT = 30
CTRL_ENUM = 31
CTRL_CHAR = 32
CTRL_LONG = 33
CTRL_DOUBLE = 34
PUT_ACKT = 35
PUT_ACKS = 36
STSACK_STRING = 37
CLASS_NAME = 38

DBE_VALUE = 1
DBE_LOG = 2
DBE_ALARM = 4
DBE_PROPERTY = 8

ECA_NORMAL = 1
ECA_TIMEOUT = 80
ECA_IODONE = 339
ECA_ISATTACHED = 424
ECA_BADCHID = 410

CS_CONN = 2
CS_NEVER_SEARCH = 4
OP_CONN_UP = 6
OP_CONN_DOWN = 7

MAX_STRING_SIZE = 40
MAX_UNITS_SIZE = 8
MAX_ENUM_STRING_SIZE = 26
MAX_ENUMS = 16
EPICS2UNIX_EPOCH = 631152000.0

ctrl_limits = (
    "upper_disp_limit",
    "lower_disp_limit",
    "upper_alarm_limit",
    "upper_warning_limit",
    "lower_warning_limit",
    "lower_alarm_limit",
    "upper_ctrl_limit",
    "lower_ctrl_limit",
)

chid_t = ctypes.c_long
"""What a channel id is: an object with the number as ``value``."""

NP_Map: dict[int, Any] = {
    INT: np.int16,
    FLOAT: np.float32,
    ENUM: np.uint16,
    CHAR: np.uint8,
    LONG: np.int32,
    DOUBLE: np.float64,
}
"""Element types of arrays."""

CTYPES: dict[int, Any] = {
    INT: ctypes.c_short,
    FLOAT: ctypes.c_float,
    ENUM: ctypes.c_ushort,
    CHAR: ctypes.c_ubyte,
    LONG: ctypes.c_int,
    DOUBLE: ctypes.c_double,
}
"""The same for those who do without numpy."""


class DefaultIntEnum(IntEnum):
    """An IntEnum that has a member ``UNKNOWN`` for whatever number it does not know, and whose repr is the name."""

    @classmethod
    def _missing_(cls, value: object) -> DefaultIntEnum:
        unknown = int.__new__(cls, 0)
        unknown._name_ = "UNKNOWN"
        unknown._value_ = value  # type: ignore[assignment]
        return unknown

    def __repr__(self) -> str:
        return self.name


class AlarmSeverity(DefaultIntEnum):
    """How bad it is."""

    NO_ALARM = 0
    MINOR = 1
    MAJOR = 2
    INVALID = 3


class AlarmStatus(DefaultIntEnum):
    """What it is about."""

    NO_ALARM = 0
    READ = 1
    WRITE = 2
    HIHI = 3
    HIGH = 4
    LOLO = 5
    LOW = 6
    STATE = 7
    COS = 8
    COMM = 9
    TIMEOUT = 10
    HW_LIMIT = 11
    CALC = 12
    SCAN = 13
    LINK = 14
    SOFT = 15
    BAD_SUB = 16
    UDF = 17
    DISABLE = 18
    SIMM = 19
    READ_ACCESS = 20
    WRITE_ACCESS = 21


NATIVE_NAMES = ("STRING", "INT", "FLOAT", "ENUM", "CHAR", "LONG", "DOUBLE")
NAMES: dict[int, str] = dict(enumerate(NATIVE_NAMES))
for _base, _prefix in ((14, "TIME_"), (28, "CTRL_")):
    for _number, _name in enumerate(NATIVE_NAMES):
        NAMES[_base + _number] = _prefix + ("SHORT" if _name == "INT" else _name)
_NUMBERS = {_name: _number for _number, _name in NAMES.items()}


def Name(ftype: Any, reverse: bool = False) -> Any:
    """The name of a type number; *reverse*: the number of a name in any case. ``'unknown'`` for others."""
    if reverse:
        return _NUMBERS.get(ftype.upper(), "unknown")
    return NAMES.get(ftype, "unknown")


def native_type(ftype: Any) -> Any:
    """The native type that a time or control type is about; other numbers as they are."""
    if ftype > CTRL_STRING:
        return ftype - CTRL_STRING
    if ftype == CTRL_STRING:
        return STRING
    return ftype - TIME_STRING if ftype >= TIME_STRING else ftype


def make_unixtime(stamp: Any) -> float:
    """Seconds since 1970, cut to microseconds, of something with ``secs`` and ``nsec``."""
    return unixtime(stamp.secs, stamp.nsec)


def unixtime(seconds: int, nanoseconds: int) -> float:
    """Seconds since 1970, cut to microseconds, of a time stamp as the wire has it."""
    return float(EPICS2UNIX_EPOCH + seconds + 1.0e-6 * (nanoseconds // 1000))
