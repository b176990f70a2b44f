"""How a value is put: in which type, how many, and as what; or why it cannot be, before a byte leaves.

Text goes to a number or a state as text, which the IOC converts; here it is only looked whether it can. To an array of
CHAR it goes as characters.
"""

from __future__ import annotations

import array
import difflib
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any, Final, TypeAlias

import numpy as np

from caclient.dbr.reading import Reading
from caclient.dbr.text import to_bytes, to_text
from caclient.dbr.types import STRING_SIZE, ChannelType
from caclient.errors import BadValueError, WrongTypeError

Form: TypeAlias = "tuple[ChannelType, int, Any]"
"""What is sent: type, number of elements, and the data as ``encode`` takes them."""

_LONGEST: Final = STRING_SIZE - 1
_MOST_STATES: Final = 16
"""Names of states that Channel Access can tell."""
_KINDS: Final = {
    ChannelType.STRING: "text",
    ChannelType.INT: "an int",
    ChannelType.FLOAT: "a float",
    ChannelType.ENUM: "an enum",
    ChannelType.CHAR: "a char",
    ChannelType.LONG: "a long",
    ChannelType.DOUBLE: "a double",
}


def put_form(name: str, native: ChannelType, count: int, states: tuple[str, ...], value: Any) -> Form:
    """How *value* is put to a channel of that type and count; *states*: the names of an enum's, as far as known.

    :raises BadValueError: if it cannot be: the text names the channel, what was given and what can be.
    """
    kind = type(value)
    if kind is float or kind is int:
        if native == ChannelType.ENUM:
            _check_index(name, states, value)
        return native, 1, value
    value = _plain(name, value)
    if isinstance(value, (bytes, bytearray)) and (native != ChannelType.CHAR or count == 1):
        value = to_text(bytes(value))
    if isinstance(value, str):
        return _text_form(name, native, count, states, value)
    if isinstance(value, Real):
        if native == ChannelType.ENUM:
            _check_index(name, states, value)
        return native, 1, value
    return _array_form(name, native, count, states, value)


def may_be_one_value(value: Any) -> bool:
    """Whether it is one value for all, rather than one for each: a number, text, bytes, a reading."""
    if isinstance(value, (str, bytes, bytearray, Reading)) or not isinstance(value, Iterable):
        return True
    return isinstance(value, np.ndarray) and value.ndim == 0


def _plain(name: str, value: Any) -> Any:
    """What may be put, out of what people have in their hands; a state by its name."""
    if isinstance(value, Reading):
        value = value.text if value.enum_strs and isinstance(value.value, int) else value.value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, (str, bytes, bytearray, np.ndarray, list, tuple, range)):
        return value
    if isinstance(value, (memoryview, array.array)):
        return np.asarray(value)
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, Integral):
        return int(value)
    if hasattr(value, "__array__"):
        return np.asarray(value)
    if isinstance(value, Real) or (hasattr(value, "__float__") and not isinstance(value, complex)):
        return float(value)
    raise WrongTypeError(f"'{name}': {_odd(value)}", pvname=name)


def _odd(value: Any) -> str:
    """What is wrong with something that is no value at all."""
    if value is None:
        return "None is no value: give a number, text, or a list of them"
    if isinstance(value, Mapping):
        return "a mapping is no value: to put many PVs, give it to caput_many()"
    if isinstance(value, Iterable):
        return f"a {type(value).__name__} has no order or no length: give list(...) of it"
    return f"{_short(value)} is no value: give a number, text, or a list of them"


def _text_form(name: str, native: ChannelType, count: int, states: tuple[str, ...], text: str) -> Form:
    if native == ChannelType.CHAR and count > 1:
        return _characters(name, count, text)
    if native == ChannelType.STRING:
        long = f"{name}$" if "." in name else f"{name}.VAL$"
        _check_length(name, text, f": put it to '{long}', if that has room")
    elif native == ChannelType.ENUM:
        _check_state(name, states, text)
    else:
        if count > 1:
            wrong = f"'{name}': {_short(text)} is text, but this is an array of numbers: give a list of them"
            raise BadValueError(wrong, pvname=name)
        _check_number(name, native, text)
    return ChannelType.STRING, 1, text


def _characters(name: str, count: int, text: str) -> Form:
    """Characters for an array of them, with a NUL if there is room."""
    characters = to_bytes(text)
    if len(characters) > count:
        raise BadValueError(f"'{name}': text of {len(characters)} bytes for {count} characters", pvname=name)
    if len(characters) < count:
        characters += b"\0"
    return ChannelType.CHAR, len(characters), characters


def _check_length(name: str, text: str, advice: str) -> None:
    length = len(to_bytes(text))
    if length > _LONGEST:
        raise BadValueError(f"'{name}': text of {length} bytes, but a string holds {_LONGEST}{advice}", pvname=name)


def _check_state(name: str, states: tuple[str, ...], text: str) -> None:
    if not states or text in states:
        return
    if text.isdecimal() and text.isascii() and (int(text) < len(states) or len(states) >= _MOST_STATES):
        return  # the IOC takes a number in a text
    near = difflib.get_close_matches(text.lower(), [state.lower() for state in states], 1, 0.5)
    meant = next((state for state in states if near and state.lower() == near[0]), None)
    hint = "" if meant is None else f"; did you mean {meant!r}?"
    raise BadValueError(f"{_short(text)} is no state of '{name}' ({', '.join(states)}){hint}", pvname=name)


def may_be_no_state(value: Any) -> bool:
    """Whether the names of the states are needed to tell: every enum has a state 0 and a state 1."""
    return not (type(value) is int and 0 <= value <= 1)


def _check_index(name: str, states: tuple[str, ...], number: Any) -> None:
    """Refuse the number of a state that there cannot be.

    An IOC takes any 16 bits: a bi or bo then says "Illegal_Value" without an alarm. Records have two states or sixteen,
    of which the last ones may have no name. More than sixteen are a menu's, of which no more names can be had.
    """
    most = 2 if len(states) <= 2 else _MOST_STATES
    if states and len(states) < _MOST_STATES and not 0 <= number < most:
        named = ", ".join(f"{index} {state}" for index, state in enumerate(states))
        raise BadValueError(f"{number!r} is no state of '{name}': give one of {named}", pvname=name)


def _check_number(name: str, native: ChannelType, text: str) -> None:
    """Refuse what no IOC would take for a number."""
    word = text.strip()
    try:
        if "_" in word or not word.isascii():
            raise ValueError(word)
        float(int(word, 16)) if word.lower().lstrip("+-").startswith("0x") else float(word or 0)
    except (ValueError, OverflowError):
        raise BadValueError(
            f"'{name}': {_short(text)} is no number, but this is {_KINDS[native]}", pvname=name
        ) from None


def _array_form(name: str, native: ChannelType, count: int, states: tuple[str, ...], value: Any) -> Form:
    if isinstance(value, (list, tuple)) and any(isinstance(item, (list, tuple, np.ndarray)) for item in value):
        value = _flat(name, value)
    length = value.size if isinstance(value, np.ndarray) else len(value)
    if length > count:
        holds = "one" if count == 1 else f"{count} of them"
        raise BadValueError(f"'{name}': {length} elements given, but it holds {holds}", pvname=name)
    if length == 0 and count == 1:
        raise BadValueError(f"'{name}': no element given, but it holds one", pvname=name)
    texts = _texts(value)
    if texts is None:
        if native == ChannelType.STRING:
            value = [str(item) for item in (value.ravel().tolist() if isinstance(value, np.ndarray) else value)]
        return native, length, value
    for text in texts:
        if native == ChannelType.STRING:
            _check_length(name, text, "")
        elif native == ChannelType.ENUM:
            _check_state(name, states, text)
        else:
            _check_number(name, native, text)
    return ChannelType.STRING, length, value


def _flat(name: str, value: Any) -> Any:
    """Rows of equal length, one behind the other."""
    try:
        return np.asarray(value).ravel()
    except ValueError:
        raise BadValueError(f"'{name}': a list of lists of different length is no array", pvname=name) from None


def _texts(value: Any) -> list[str] | None:
    """The items if all are text; None if not."""
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype.kind == "U" else None
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        return list(value)
    return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"
