"""Words of the command line as values to be put, as EPICS Base's ``caput`` understands them.

Nearly all goes out as text, and the server converts it. Only states are looked up here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from caclient.dbr.types import ChannelType

from .escapes import as_string, from_raw, to_raw, unescaped, visible
from .numbers import leading_float


class Value(NamedTuple):
    """What is to be written, ready to be sent."""

    data_type: ChannelType
    data: Sequence[Any]
    warnings: tuple[str, ...] = ()


class BadState(Exception):
    """A word that is no state of the PV; the text says so.

    :param warnings: what was to be said of the words before it.
    """

    def __init__(self, text: str, warnings: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.warnings = tuple(warnings)


def elements(words: Sequence[str], as_array: bool) -> list[str]:
    """The elements that the words make: one each after the number that comes first, or all of them as one text."""
    return list(words[1:]) if as_array else [" ".join(words)]


def strings(words: Sequence[str]) -> Value:
    """Each word as a string."""
    return Value(ChannelType.STRING, [as_string(word) for word in words])


def characters(text: str) -> Value:
    """A text as characters, with the NUL at its end."""
    return Value(ChannelType.CHAR, unescaped(to_raw(text)) + b"\0")


def states(words: Sequence[str], names: Sequence[bytes], *, as_numbers: bool, by_name: bool) -> Value:
    """Each word as a state's name or number; the last one decides what all are sent as.

    :raises BadState: for the first that is neither.
    """
    if as_numbers:
        return _numbers(words, len(names))
    texts = [as_string(word) for word in words]
    numbers: list[float] = []
    warnings: list[str] = []
    data_type = ChannelType.STRING
    for text in texts:
        data_type = ChannelType.STRING
        number = 0.0
        if text not in names:
            number = _number(text, by_name, warnings)
            warnings += _doubts(number, from_raw(text), len(names))
            data_type = ChannelType.DOUBLE
        numbers.append(number)
    return Value(data_type, texts if data_type == ChannelType.STRING else numbers, tuple(warnings))


def _number(text: bytes, by_name: bool, warnings: Sequence[str]) -> float:
    number = None if by_name else leading_float(text.decode("latin-1"))
    if number is None:
        raise BadState(f"Enum string value '{visible(from_raw(text))}' invalid.", warnings)
    return number


def _numbers(words: Sequence[str], count: int) -> Value:
    numbers: list[float] = []
    warnings: list[str] = []
    for word in words:
        number = leading_float(word)
        if number is None:
            raise BadState(f"Enum index value '{visible(word)}' is not a number.", warnings)
        warnings += _doubts(number, word, count)
        numbers.append(number)
    return Value(ChannelType.DOUBLE, numbers, tuple(warnings))


def _doubts(number: float, text: str, count: int) -> list[str]:
    return [f"Warning: enum index value '{visible(text)}' may be too large."] if number >= count else []
