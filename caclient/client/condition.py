"""What somebody waits for: a value, a state's name, or a function of the value. Pure."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from caclient.dbr import ChannelType, Reading
from caclient.engine.lanes import named
from caclient.errors import BadValueError, WrongTypeError
from caclient.settings import shown

_RELATIVE: Final = 1e-9
"""How near two floats of a PV without a precision must be to be the same."""


class Condition:
    """Whether a reading is what is waited for; ``text`` says what that is."""

    __slots__ = ("_holds", "is_function", "text")

    def __init__(self, holds: Callable[[Any], bool], text: str, is_function: bool = False) -> None:
        self._holds = holds
        self.text = text
        self.is_function = is_function
        """It is a user's own: not for the thread that reads the circuit."""

    def holds(self, reading: Reading) -> bool:
        """Whether it does. What a user's function raises goes through."""
        return bool(self._holds(reading.value))


def condition(
    name: str,
    wanted: Any,
    tolerance: float = 0.0,
    native: ChannelType | None = None,
    states: tuple[str, ...] = (),
) -> Condition:
    """What *wanted* asks for, of a channel of that type with these states.

    :raises BadValueError: if no value ever could be that, so that nobody waits for it in vain.
    """
    tolerance = checked_tolerance(tolerance)
    if isinstance(wanted, Reading):
        wanted = wanted.value
    if isinstance(wanted, (bytes, bytearray)):
        wanted = bytes(wanted).decode("utf-8", "replace")
    if isinstance(wanted, str):
        return _of_text(name, wanted, native, states)
    if callable(wanted):
        return Condition(wanted, f"fits {named(wanted)}", is_function=True)
    return _of_numbers(name, wanted, tolerance, native)


def checked_tolerance(tolerance: Any) -> float:
    """How far a value may be from what is wanted."""
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float, np.number)) or not tolerance >= 0:
        raise BadValueError(f"tolerance={shown(tolerance)}: give a number of 0 or more")
    return float(tolerance)


def fitting_tolerance(wanted: Any, native: ChannelType | None, precision: int | None) -> float:
    """How near a read-back has to be: exact but for floats, where half of the last digit shown is near enough."""
    if native not in (ChannelType.FLOAT, ChannelType.DOUBLE):
        return 0.0
    if precision is not None and precision >= 0:
        return 0.5 * 10.0 ** -min(precision, 15) * (1 + 1e-6)  # 0.5 of the digit, not a hair less
    size = np.max(np.abs(np.asarray(wanted, float)), initial=0.0)
    return float(size) * _RELATIVE


def _of_text(name: str, wanted: str, native: ChannelType | None, states: tuple[str, ...]) -> Condition:
    text = f"== {wanted!r}"
    if native == ChannelType.ENUM and states:
        if wanted not in states:
            near = difflib.get_close_matches(wanted, states, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise BadValueError(f"{wanted!r} is no state of '{name}' ({', '.join(states)}){hint}", pvname=name)
        index = states.index(wanted)
        return Condition(lambda value: value == index, text)
    if native not in (None, ChannelType.STRING, ChannelType.ENUM, ChannelType.CHAR):
        raise BadValueError(
            f"'{name}' is a number, and will never be {shown(wanted)}: give a number, or a function", pvname=name
        )

    def is_text(value: Any) -> bool:
        if isinstance(value, np.ndarray) and value.dtype == np.uint8:
            return value.tobytes().partition(b"\0")[0].decode("utf-8", "replace") == wanted
        return isinstance(value, str) and value == wanted

    return Condition(is_text, text)


def _of_numbers(name: str, wanted: Any, tolerance: float, native: ChannelType | None) -> Condition:
    target = np.asarray(wanted) if wanted is not None else np.array(None)
    if target.dtype.kind not in "biufU":
        raise WrongTypeError(
            f"'{name}': {shown(wanted)}: give a value, a state's name, or a function of the value", pvname=name
        )
    if target.dtype.kind == "f" and np.isnan(target).any():
        raise BadValueError(f"'{name}': nothing equals NaN: give a function, such as math.isnan", pvname=name)
    if target.dtype.kind != "U" and native == ChannelType.STRING:
        raise BadValueError(
            f"'{name}' is text, and will never be {shown(wanted)}: give text, or a function", pvname=name
        )
    near = f" within {tolerance:g}" if tolerance else ""
    if target.ndim == 0:
        number = target.item()
        return Condition(lambda value: _is_near(value, number, tolerance), f"== {number!r}{near}")
    return Condition(lambda value: _are_near(value, target, tolerance), f"== {shown(wanted)}{near}")


def _is_near(value: Any, number: float, tolerance: float) -> bool:
    if isinstance(value, str):
        return False
    if isinstance(value, np.ndarray):
        return value.size == 1 and _is_near(value.item(), number, tolerance)
    return bool(value == number or abs(value - number) <= tolerance)  # equal: infinity is near itself only


def _are_near(value: Any, target: np.ndarray[Any, Any], tolerance: float) -> bool:
    found = np.asarray(value)
    if found.shape != target.shape or (found.dtype.kind == "U") != (target.dtype.kind == "U"):
        return False
    if target.dtype.kind == "U" or not tolerance:
        return bool(np.array_equal(found, target))
    with np.errstate(invalid="ignore"):
        distance = np.abs(found.astype(float) - target.astype(float))
    return bool(np.all((found == target) | (distance <= tolerance)))


def checked_settle(settle: Any) -> float:
    """Seconds for which a condition has to hold."""
    if isinstance(settle, bool) or not isinstance(settle, (int, float)) or not 0 <= settle < math.inf:
        raise BadValueError(f"settle={shown(settle)}: give seconds, 0 or more")
    return float(settle)
