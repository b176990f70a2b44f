"""Values as text, the way EPICS Base's tools print them: byte for byte, for scripts parse it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from caclient.dbr.decode import Values
from caclient.dbr.metadata import Metadata
from caclient.dbr.text import cut
from caclient.dbr.types import LAYOUTS, MAX_ENUM_STRINGS, ChannelType

from .escapes import escaped, from_raw, visible

MAX_DIGITS = 18
_LONG_MIN, _LONG_MAX, _LONG_MASK = -(1 << 31), (1 << 31) - 1, (1 << 32) - 1
_BASES = {"x": "0x{:X}", "o": "0o{:o}", "b": "{:b}"}


@dataclass(slots=True)
class Style:
    """How values are to be printed; what the options of the tools choose."""

    float_format: str = "%g"
    float_base: str = ""
    """``x``, ``o`` or ``b``: floating-point numbers rounded to integers of that base."""
    integer_base: str = ""
    states_as_numbers: bool = False
    floats_as_strings: bool = False
    """The server makes the text, with the record's precision."""
    characters_as_text: bool = False
    separator: str = " "

    def set_digits(self, letter: str, digits: int) -> None:
        """``e``, ``f`` or ``g`` with so many digits."""
        self.float_format = f"%.{digits}{letter}"


@dataclass(slots=True)
class Answer:
    """What a server has said: values of a type, and what that type carries beside them."""

    data_type: ChannelType
    values: Values
    metadata: Metadata | None = None

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.values)


def value_texts(answer: Answer, style: Style) -> list[str]:
    """Each value as text."""
    layout = LAYOUTS[answer.data_type]
    values: Iterable[Any] = answer.values if isinstance(answer.values, tuple) else answer.values.tolist()
    return list(map(_formatter(layout.native, answer, style), values))


def as_characters(answer: Answer, style: Style, counted: bool) -> str | None:
    """The values as one text if they are characters and that is wanted; else None."""
    if not style.characters_as_text or LAYOUTS[answer.data_type].native != ChannelType.CHAR:
        return None
    if isinstance(answer.values, tuple) or not (counted or answer.count > 1):
        return None
    return escaped(cut(answer.values.tobytes()))


def float_text(value: float, style: str = "%g") -> str:
    """A floating-point number as C prints it, which shows the sign of what is no number."""
    if math.isnan(value):
        return "-nan" if math.copysign(1.0, value) < 0 else "nan"
    return style % value


def base_text(value: int, base: str) -> str:
    """A 32-bit integer in another base, negative ones as two's complement; in decimal if *base* is empty."""
    return _BASES[base].format(value & _LONG_MASK) if base else str(value)


def rounded(value: float) -> int:
    """A floating-point number as a 32-bit integer, half away from zero; what does not fit is the smallest one."""
    shifted = value + 0.5 if value > 0.0 else value - 0.5
    if not math.isfinite(shifted):
        return _LONG_MIN
    whole = math.trunc(shifted)
    return whole if _LONG_MIN <= whole <= _LONG_MAX else _LONG_MIN


def state_text(index: int, metadata: Metadata) -> str:
    """The name of a state by what came with it, or what is wrong with its number."""
    if index >= MAX_ENUM_STRINGS:
        return f"Illegal Value ({index})"
    names = metadata.enum_strings or ()
    if index >= len(names):
        return f"Enum Index Overflow ({index})"
    return visible(from_raw(names[index]))


def _formatter(native: ChannelType, answer: Answer, style: Style) -> Callable[[Any], str]:
    if native == ChannelType.STRING:
        return escaped
    if native in (ChannelType.FLOAT, ChannelType.DOUBLE):
        if style.float_base:
            return lambda value: base_text(rounded(value), style.float_base)
        return lambda value: float_text(value, style.float_format)
    if native == ChannelType.CHAR:
        return lambda value: str(value - 256 if value > 127 else value)
    if native == ChannelType.ENUM:
        metadata = answer.metadata
        if metadata is None or metadata.enum_strings is None or style.states_as_numbers:
            return str
        return lambda value: state_text(value, metadata)
    return lambda value: base_text(value, style.integer_base)
