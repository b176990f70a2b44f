"""Numbers as C reads them out of text: a leading integer, a whole or a leading floating-point number.

Python reads more (`1_0`, other scripts' digits) and less (`0x1p3`, a number with words behind it).
"""

from __future__ import annotations

import math
import re

_SPACE = r"[ \t\n\v\f\r]*"
_INTEGER = re.compile(_SPACE + r"([+-]?[0-9]+)")
_FLOAT = re.compile(
    _SPACE
    + r"(?:(?P<hex>[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?)"
    + r"|(?P<word>[+-]?(?:infinity|inf|nan)(?:(?<=nan)\([0-9a-z_]*\))?)"
    + r"|(?P<dec>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?))",
    re.IGNORECASE,
)
_SMALLEST_NORMAL = 2.2250738585072014e-308
_LONG = 1 << 63


def leading_integer(text: str) -> int | None:
    """What ``%d`` makes of a text: its leading digits as 32 bits, whatever follows; None if there are none."""
    match = _INTEGER.match(text)
    if match is None:
        return None
    number = min(max(int(match[1]), -_LONG), _LONG - 1)
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def leading_unsigned(text: str) -> int | None:
    """What ``%u`` makes of a text: as ``leading_integer``, a negative number counted down from 2**32."""
    number = leading_integer(text)
    return None if number is None else number % (1 << 32)


def leading_float(text: str) -> float | None:
    """The number that a text begins with, whatever follows; None if there is none."""
    match = _FLOAT.match(text)
    return None if match is None else _value(match)


def whole_float(text: str) -> float | None:
    """The number that a text is, blanks around it allowed; None if it is none, or too large or small for a double."""
    match = _FLOAT.match(text)
    if match is None or text[match.end() :].strip(" \t\n\v\f\r"):
        return None
    value = _value(match)
    if match["word"] is None and (math.isinf(value) or _too_small(value, match)):
        return None
    return value


def _value(match: re.Match[str]) -> float:
    if match["hex"] is not None:
        try:
            return float.fromhex(match["hex"])
        except OverflowError:
            return -math.inf if match["hex"].startswith("-") else math.inf
    if match["word"] is not None:
        return float(match["word"].partition("(")[0])
    return float(match["dec"])


def _too_small(value: float, match: re.Match[str]) -> bool:
    """Whether digits were lost below the smallest normal number: 0 is fine if it says 0."""
    mantissa = re.split("[pP]" if match["hex"] else "[eE]", match[0].strip().lower().replace("0x", ""))[0]
    return abs(value) < _SMALLEST_NORMAL and any(digit not in "+-.0" for digit in mantissa)
