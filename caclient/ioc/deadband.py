"""When a new value is worth telling: the deadband rule of an EPICS record."""

from __future__ import annotations

import math


def has_moved(old: float, new: float, deadband: float) -> bool:
    """Whether `new` differs enough from the value told last.

    A deadband of 0 tells every change, a negative one everything. NaN and infinity are told when they come or go.
    """
    if deadband < 0:
        return True
    if math.isfinite(old) and math.isfinite(new):
        return abs(new - old) > deadband
    if math.isnan(old) or math.isnan(new):
        return math.isnan(old) != math.isnan(new)
    return old != new
