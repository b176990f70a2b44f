"""Values both ways, with the types and quirks that scripts written for pyepics rely on.

What comes from the server has been decoded already: a number, a string, an array or a tuple of strings. ``unpacked``
makes of it what ``ca.get`` gives. What goes to the server is converted by ``packed``; its refusals are those of ctypes,
``int()`` and ``float()``, since scripts look at their texts.
"""

from __future__ import annotations

import ctypes
import operator
from typing import Any

import numpy as np

from . import dbr
from .errors import CASeverityException
from .utils import IOENCODING, str2bytes

_NUMBERS = (int, float)


def unpacked(value: Any, as_numpy: bool) -> Any:
    """What ``ca.get`` gives for a decoded value: arrays of one number are numbers, text ends without blanks."""
    kind = type(value)
    if kind is np.ndarray:
        if value.dtype.kind == "U":
            return [text.rstrip() for text in value.tolist()]
        if value.size == 1 and value.dtype != np.uint8:
            return value.item()
        return own(value) if as_numpy else as_ctypes(value)
    return value.rstrip() if kind is str else value


def own(array: Any) -> Any:
    """The array, or a copy if it is shared with others: users may write to what they get."""
    return array if array.flags.writeable else array.copy()


def as_ctypes(array: Any) -> Any:
    """An array for those who do without numpy."""
    kind = _KINDS[array.dtype]
    result = (kind * array.size)()
    if array.size:
        ctypes.memmove(result, np.ascontiguousarray(array).ctypes.data, array.nbytes)
    return result


_KINDS: dict[Any, Any] = {np.dtype(kind): dbr.CTYPES[ftype] for ftype, kind in dbr.NP_Map.items()}


def cut_texts(value: Any, as_numpy: bool) -> Any:
    """Texts as an array where numpy is wanted."""
    return np.array(value) if as_numpy else value


# -- to the server -----------------------------------------------------------------------------------------------------


def packed(ftype: int, nelm: int, value: Any) -> tuple[int, Any]:
    """How many elements of which data are sent for a value, to a channel of that native type and size.

    :raises TypeError, ValueError, OverflowError: as ctypes, int() and float() do.
    """
    if ftype == dbr.STRING:
        return _packed_texts(nelm, value)
    if nelm != 1:
        return _packed_array(ftype, nelm, value)
    if type(value) in _NUMBERS and ftype == dbr.DOUBLE:
        return 1, float(value)
    return 1, _packed_number(ftype, value)


def _packed_number(ftype: int, value: Any) -> Any:
    if ftype == dbr.CHAR:
        if isinstance(value, (str, bytes)):
            return 0  # so it is: the text ends where it would begin
        return operator.index(value) & 0xFF
    if isinstance(value, str):
        value = str2bytes(value)
    if ftype in (dbr.FLOAT, dbr.DOUBLE):
        number = float(value)
        return number if ftype == dbr.DOUBLE else np.float32(_quiet(number))
    number = int(value, 0) if isinstance(value, bytes) else int(value)
    return dbr.CTYPES[ftype](number).value


def _quiet(number: float) -> float:
    """A double as a float can have it: ctypes makes infinity of what is too large."""
    return ctypes.c_float(number).value


def _packed_texts(nelm: int, value: Any) -> tuple[int, list[bytes]]:
    if nelm == 1:
        text = value if isinstance(value, (str, bytes)) else (str(value[0]) if _length(value) else "")
        return 1, [_cell(text)]
    if isinstance(value, (str, bytes)):
        return 1, [_cell(value)]
    count = min(_array_length(value), nelm)
    if count == 0:
        return nelm, [b""] * nelm
    return count, [_cell(str(value[index])) for index in range(count)]


def _cell(text: str | bytes) -> bytes:
    data = str2bytes(text)
    if len(data) > dbr.MAX_STRING_SIZE:
        raise ValueError("byte string too long")
    if len(data) == dbr.MAX_STRING_SIZE:
        raise CASeverityException("put", "Invalid string")
    return data.split(b"\0", 1)[0]


def _length(value: Any) -> int:
    return len(value)


def _array_length(value: Any) -> int:
    try:
        return len(value)
    except TypeError:
        from .ca import write

        write("PyEpics Warning:\n     value put() to array PV must be an array or sequence")
        raise


def _packed_array(ftype: int, nelm: int, value: Any) -> tuple[int, Any]:
    kind = dbr.NP_Map[ftype]
    length = _array_length(value)
    count = min(length, nelm)
    if count == 0:
        return nelm, np.zeros(nelm, kind)
    if isinstance(value, (str, bytes)):
        return _packed_characters(ftype, nelm, value)
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in _FAST[ftype]:
        with np.errstate(over="ignore"):
            return count, value[:count].astype(kind)
    data = (dbr.CTYPES[ftype] * count)()
    items = list(value)
    data[:] = items[:count]
    return count, np.frombuffer(data, kind)


_FAST = {dbr.FLOAT: "iufb", dbr.DOUBLE: "iufb", dbr.INT: "iu", dbr.ENUM: "iu", dbr.CHAR: "iu", dbr.LONG: "iu"}
"""Kinds of numpy arrays that are converted as a whole."""


def _packed_characters(ftype: int, nelm: int, text: str | bytes) -> tuple[int, Any]:
    """Text into an array: the codes of its characters; an array of characters gets a NUL if there is room."""
    data = text.encode(IOENCODING) if isinstance(text, str) else bytes(text)
    count = min(len(text), nelm)
    if ftype == dbr.CHAR:
        count = min(len(text) + 1, nelm)
        data = bytes(code if code < 128 else 253 for code in data) + b"\0"
    return count, np.frombuffer(data[:count], np.uint8).astype(dbr.NP_Map[ftype])
