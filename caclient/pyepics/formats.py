"""Values and times as text, the way pyepics writes them."""

from __future__ import annotations

import time
from math import log10
from typing import Any

import numpy as np

_FIXED = tuple(f"%.{precision}f" for precision in range(16))


def number(value: Any, precision: Any) -> str:
    """A float with so many digits: fixed within five decades of 1, else the shorter form; ``str`` if that fails."""
    if precision is None:
        return str(value)
    try:
        if 1.1e-5 < abs(value + 1.0e-9) < 9.9e4 and 0 <= precision < 16:  # no need to look closer
            return str(_FIXED[precision] % value)
        decades = int(log10(abs(value + 1.0e-9)))
        return str(f"%.{precision:d}{'f' if -5 < decades < 5 else 'g'}" % value)
    except (TypeError, ValueError, OverflowError):
        return str(value)


def characters(value: Any) -> str:
    """Character codes up to the first 0, without blanks at the end."""
    codes = value.tobytes() if isinstance(value, np.ndarray) and value.dtype == np.uint8 else None
    if codes is None:
        codes = bytes(int(code) & 0xFF for code in (value if hasattr(value, "__len__") else (value,)))
    return codes.split(b"\0", 1)[0].decode("latin-1").rstrip()


def state(value: Any, names: Any) -> str:
    """The name of a state; the number if it has none."""
    if names and not hasattr(value, "__len__") and 0 <= value < len(names):
        return str(names[value])
    return str(value)


def fmt_time(tstamp: float | None = None) -> str:
    """Local time with five decimals; now, by default."""
    tstamp = time.time() if tstamp is None else tstamp
    seconds, fraction = divmod(tstamp, 1)
    hundred_thousandths = round(1.0e5 * fraction)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{hundred_thousandths:05d}"
