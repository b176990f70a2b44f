"""What is known about a record besides its value: units, precision, limits, state names."""

from __future__ import annotations

import math
from dataclasses import dataclass

from caclient.dbr.text import to_bytes
from caclient.dbr.types import ENUM_STRING_SIZE, LIMITS, MAX_ENUM_STRINGS, UNITS_SIZE

NO_LIMITS = (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Properties:
    """A record's metadata; each pair of limits is (lower, upper) and NaN stands for "not configured"."""

    units: str = ""
    precision: int = 0
    display: tuple[float, float] = (0.0, 0.0)
    control: tuple[float, float] = (0.0, 0.0)
    warning: tuple[float, float] = NO_LIMITS
    alarm: tuple[float, float] = NO_LIMITS
    enum_strings: tuple[str, ...] = ()

    @property
    def wire_units(self) -> bytes:
        """The units cut to seven bytes, as a record's field holds them."""
        return to_bytes(self.units)[: UNITS_SIZE - 1]

    @property
    def wire_enum_strings(self) -> tuple[bytes, ...]:
        """At most 16 state names of at most 26 bytes each."""
        return tuple(to_bytes(name)[:ENUM_STRING_SIZE] for name in self.enum_strings[:MAX_ENUM_STRINGS])

    def wire_limits(self) -> dict[str, float]:
        """The eight limits by the names of the dbr_* structs."""
        (low, high), (lolo, hihi) = self.warning, self.alarm
        ordered = (*reversed(self.display), hihi, high, low, lolo, *reversed(self.control))
        return dict(zip(LIMITS, ordered, strict=True))
