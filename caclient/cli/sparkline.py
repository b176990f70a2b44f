"""Numbers as a picture one line high."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-~=+*#"
MISSING = " "


def sparkline(values: Sequence[float], *, bars: str = BARS) -> str:
    """One character for each value, scaled from the lowest to the highest; what is not a number is left blank."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return MISSING * len(values)
    low, span = min(finite), max(finite) - min(finite)
    return "".join(_bar(value, low, span, bars) for value in values)


def _bar(value: float, low: float, span: float, bars: str) -> str:
    if not math.isfinite(value):
        return MISSING
    share = (value - low) / span if span else 0.5
    return bars[min(int(share * len(bars)), len(bars) - 1)]
