"""What lies between two channels of a spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np


def between(data: Any, low: int, high: int, width: int, net: bool) -> float:
    """The sum of a spectrum from *low* to *high*; *net*: less the background, from *width* channels at either side."""
    data = np.asarray(data)
    total = float(data[low : high + 1].sum())
    if not net:
        return total
    left = data[max(0, low - width) : low]
    right = data[high + 1 : high + 1 + width]
    beside = np.concatenate([left, right])
    background = float(beside.mean()) * (high + 1 - low) if beside.size else 0.0
    return total - background
