"""Python values as the arrays that a record keeps, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caclient.dbr.decode import Values
from caclient.dbr.text import to_bytes, to_text
from caclient.dbr.types import LAYOUTS, STRING_SIZE, ChannelType
from caclient.errors import BadValueError

_BY_KIND = {
    "b": ChannelType.LONG, "U": ChannelType.STRING, "S": ChannelType.STRING,
    "i1": ChannelType.CHAR, "u1": ChannelType.CHAR, "i2": ChannelType.INT, "u2": ChannelType.LONG,
    "i4": ChannelType.LONG, "f4": ChannelType.FLOAT,
}  # fmt: skip


def native_type_of(value: Any, enum_strings: Sequence[str] = ()) -> ChannelType:
    """The native type for a Python value: float DOUBLE, int LONG, str STRING, bytes CHAR, arrays by their dtype."""
    if enum_strings:
        return ChannelType.ENUM
    if isinstance(value, (bytes, bytearray)):
        return ChannelType.CHAR
    if isinstance(value, int):
        return ChannelType.LONG
    dtype = np.asarray(value).dtype
    if not isinstance(value, np.ndarray) and dtype.kind == "i":
        return ChannelType.LONG
    return _BY_KIND.get(dtype.kind, _BY_KIND.get(f"{dtype.kind}{dtype.itemsize}", ChannelType.DOUBLE))


def to_values(value: Any, native: ChannelType, enum_strings: Sequence[str] = ()) -> Values:
    """A flat array of its own memory, a tuple of bytes for STRING; BadValueError if the value is of no such type."""
    if native == ChannelType.STRING:
        return _text_values(value)
    if isinstance(value, str):
        return _from_text(value, native, enum_strings)
    if isinstance(value, (bytes, bytearray)):
        value = np.frombuffer(value, np.uint8)
    try:
        values: NDArray[Any] = np.array(value, LAYOUTS[native].value_dtype)
        return np.ravel(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadValueError(f"{value!r} is no {native.name} value: {error}") from None


def to_python(values: Values, is_array: bool) -> Any:
    """A number or a str; for an array record a numpy array or a tuple of str."""
    if isinstance(values, tuple):
        texts = tuple(map(to_text, values))
        return texts if is_array else texts[0]
    return values if is_array else values[0].item()


def _text_values(value: Any) -> Values:
    items = [value] if isinstance(value, (str, bytes)) else list(value)
    cells = [to_bytes(item) if isinstance(item, str) else bytes(item) for item in items]
    for index, cell in enumerate(cells):
        if len(cell) >= STRING_SIZE:
            raise BadValueError(f"item {index} is {len(cell)} bytes long, more than the {STRING_SIZE - 1} of a string")
    return tuple(cells)


def _from_text(value: str, native: ChannelType, enum_strings: Sequence[str]) -> Values:
    if native == ChannelType.CHAR:
        return np.array(list(to_bytes(value) + b"\0"), np.uint8)
    if native == ChannelType.ENUM and value in enum_strings:
        return np.array([enum_strings.index(value)], np.uint16)
    raise BadValueError(f"{value!r} is no {native.name} value")
