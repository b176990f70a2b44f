"""What the dbr_* structs carry beside the values, as one class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import LIMITS

_FIELDS = (
    "status",
    "severity",
    "stamp",
    "precision",
    "units",
    *LIMITS,
    "no_str",
    "enum_strings",
    "ackt",
    "acks",
)


class Metadata:
    """Alarm, time stamp, units, limits and names as they stand on the wire; what a type does not carry is None.

    `units` and `enum_strings` are bytes: text is a matter for whoever shows them. `no_str` may exceed the number of
    `enum_strings`, as a peer may send any number.
    """

    __slots__ = _FIELDS

    def __init__(
        self,
        status: int | None = None,
        severity: int | None = None,
        stamp: TimeStamp | None = None,
        precision: int | None = None,
        units: bytes | None = None,
        upper_disp_limit: float | None = None,
        lower_disp_limit: float | None = None,
        upper_alarm_limit: float | None = None,
        upper_warning_limit: float | None = None,
        lower_warning_limit: float | None = None,
        lower_alarm_limit: float | None = None,
        upper_ctrl_limit: float | None = None,
        lower_ctrl_limit: float | None = None,
        no_str: int | None = None,
        enum_strings: Sequence[bytes] | None = None,
        ackt: int | None = None,
        acks: int | None = None,
    ) -> None:
        self.status = status
        self.severity = severity
        self.stamp = stamp
        self.precision = precision
        self.units = units
        self.upper_disp_limit = upper_disp_limit
        self.lower_disp_limit = lower_disp_limit
        self.upper_alarm_limit = upper_alarm_limit
        self.upper_warning_limit = upper_warning_limit
        self.lower_warning_limit = lower_warning_limit
        self.lower_alarm_limit = lower_alarm_limit
        self.upper_ctrl_limit = upper_ctrl_limit
        self.lower_ctrl_limit = lower_ctrl_limit
        self.no_str = no_str
        self.enum_strings = None if enum_strings is None else tuple(enum_strings)
        self.ackt = ackt
        self.acks = acks

    def present(self) -> dict[str, Any]:
        """The fields that are there, by name."""
        return {name: value for name in _FIELDS if (value := getattr(self, name)) is not None}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Metadata):
            return NotImplemented
        return self.present() == other.present()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Metadata({', '.join(f'{name}={value!r}' for name, value in self.present().items())})"
