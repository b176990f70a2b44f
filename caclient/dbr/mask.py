"""Which events a subscription is for."""

from __future__ import annotations

from enum import IntFlag
from typing import Any, Final, TypeAlias

from caclient.errors import BadValueError, WrongTypeError


class Mask(IntFlag):
    """What a server tells a subscriber: add them up with ``|``."""

    VALUE = 1
    """The value has changed by more than the record's deadband (MDEL)."""
    LOG = 2
    """The value has changed by more than the archive's deadband (ADEL)."""
    ALARM = 4
    """The alarm has changed."""
    PROPERTY = 8
    """Units, limits or names of states have changed."""


DEFAULT_MASK: Final = Mask.VALUE | Mask.ALARM
MaskLike: TypeAlias = "Mask | int | str"
"""A mask, its number, or camonitor's letters: ``"va"``."""

_LETTERS: Final = {"v": Mask.VALUE, "a": Mask.ALARM, "l": Mask.LOG, "p": Mask.PROPERTY}


def event_mask(given: Any, name: str = "mask") -> Mask:
    """A mask as it was given; BadValueError if it is none, or asks for nothing."""
    if type(given) is Mask and 0 < given < 1 << 16:
        return given  # as each subscription has it that was told nothing
    advice = f'{name}={given!r}: give Mask.VALUE | Mask.ALARM, or its letters "va" (v, a, l, p)'
    if isinstance(given, str):
        mask = Mask(0)
        for letter in given:
            if letter not in _LETTERS:
                raise BadValueError(advice)
            mask |= _LETTERS[letter]
    elif isinstance(given, int) and not isinstance(given, bool):
        mask = Mask(given) if 0 <= given < 1 << 16 else Mask(0)
    else:
        raise WrongTypeError(advice)
    if not mask:
        raise BadValueError(advice)
    return mask
