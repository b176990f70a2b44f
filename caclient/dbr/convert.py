"""Values of one native type as another, as an IOC does it when a client asks for (or writes) a type of its own choice.

Nothing wraps around: what is out of range becomes the nearest value that the type can say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from caclient.dbr.decode import Values
from caclient.dbr.text import to_text
from caclient.dbr.types import ChannelType, Layout, layout_of
from caclient.errors import BadValueError

_MAX_DIGITS = 17
_FIXED_BELOW = 1e16
_MAX_FIXED_DIGITS = 8


def convert(
    values: Values,
    source: int,
    target: int,
    enum_strings: Sequence[bytes] = (),
    precision: int | None = None,
) -> Values:
    """`values` (as `decode` gives them) of type `source` as type `target`; BadValueError if text is no number.

    `enum_strings` are the names of the ENUM at either side; `precision` the digits after the point of floats in text.
    """
    from_layout, to_layout = layout_of(source), layout_of(target)
    if isinstance(values, tuple):
        return values if to_layout.is_string else _parsed(values, to_layout, enum_strings)
    if not to_layout.is_string:
        return _cast(values, to_layout)
    if from_layout.native == ChannelType.ENUM:
        return tuple(_state_name(index, enum_strings) for index in values.tolist())
    return tuple(_number_text(number, precision) for number in values.tolist())


def _cast(values: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """Numbers as another type of number: fractions are cut off, NaN as an integer is 0."""
    target = layout.value_dtype
    if values.dtype == target:
        return values
    if target.kind == "f":
        return _as_float(values, target)
    info = np.iinfo(target)
    if values.dtype.kind == "f":
        # as doubles, which can say the ends of every integer type; floats cannot
        values = np.trunc(np.nan_to_num(values.astype(np.float64), posinf=np.inf, neginf=-np.inf))
    clipped: npt.NDArray[Any] = np.clip(values, int(info.min), int(info.max))
    return clipped.astype(target)


def _as_float(values: npt.NDArray[Any], target: np.dtype[Any]) -> npt.NDArray[Any]:
    """Infinity stays, what is merely too large becomes the largest finite number."""
    largest = np.finfo(target).max
    finite = np.isfinite(values)
    clipped: npt.NDArray[Any] = np.where(finite, np.clip(values, -largest, largest), values)
    return clipped.astype(target)


def _state_name(index: int, enum_strings: Sequence[bytes]) -> bytes:
    """The name of a state; the number as text if it has none."""
    return enum_strings[index] if index < len(enum_strings) else str(index).encode()


def _number_text(number: float, precision: int | None) -> bytes:
    """An integer in full, a float with the record's precision; never longer than a string holds."""
    if isinstance(number, int) or precision is None:
        return str(number).encode()
    digits = min(max(precision, 0), _MAX_DIGITS)
    style = "f" if digits <= _MAX_FIXED_DIGITS and abs(number) < _FIXED_BELOW else "e"
    return f"{number:.{digits}{style}}".encode()


def _parsed(values: tuple[bytes, ...], layout: Layout, enum_strings: Sequence[bytes]) -> npt.NDArray[Any]:
    if layout.native == ChannelType.ENUM:
        return np.array([_state_index(text, enum_strings) for text in values], layout.value_dtype)
    return _cast(np.array([_number(text) for text in values], np.float64), layout)


def _state_index(text: bytes, enum_strings: Sequence[bytes]) -> int:
    """The state of that name, else the number that the text is: it must be one of the states, where they have names."""
    if text in enum_strings:
        return list(enum_strings).index(text)
    states = len(enum_strings) or 1 << 16
    if not text.isdigit() or int(text) >= states:
        raise BadValueError(f"{to_text(text)!r} is no state: {', '.join(map(to_text, enum_strings)) or '0 to 65535'}")
    return int(text)


def _number(text: bytes) -> float:
    """A decimal, floating or 0x number; nothing at all is 0, as for an IOC."""
    word = to_text(text).strip()
    try:
        return float(int(word, 16)) if word.lower().startswith(("0x", "-0x")) else float(word or 0)
    except ValueError:
        raise BadValueError(f"{word!r} is no number") from None
