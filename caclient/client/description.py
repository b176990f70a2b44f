"""Descriptions: what there is to know about a PV, as a table: its record, value, metadata, and where it comes from."""

from __future__ import annotations

import html
from typing import Any, Final

from caclient.dbr import Reading

FIELDS: Final = ("DESC", "RTYP", "HHSV", "HSV", "LSV", "LLSV")
"""Fields of the record that are asked for beside the PV's own metadata: what it is, and how bad each limit."""

_SEVERITIES: Final = {"upper_alarm_limit": "HHSV", "upper_warning_limit": "HSV"} | {
    "lower_warning_limit": "LSV",
    "lower_alarm_limit": "LLSV",
}
_LIMITS: Final = ("display", "control")


class Description:
    """What a PV is, as a table; each fact an attribute too. None is "not known". Immutable."""

    __slots__ = ("access", "count", "fields", "host", "native_type", "reading")

    def __init__(
        self,
        reading: Reading,
        native_type: str,
        count: int,
        access: str,
        host: str | None,
        fields: dict[str, str],
    ) -> None:
        self.reading = reading
        """The value with its alarm, time stamp and metadata."""
        self.native_type = native_type
        self.count = count
        self.access = access
        self.host = host
        self.fields = fields
        """What the record's fields say, by their names: DESC, RTYP..."""

    @property
    def pvname(self) -> str:
        """The name of the PV."""
        return self.reading.pvname or ""

    @property
    def description(self) -> str | None:
        """The record's DESC."""
        return self.fields.get("DESC")

    @property
    def record_type(self) -> str | None:
        """The record's RTYP: ``ai``, ``motor``..."""
        return self.fields.get("RTYP")

    @property
    def units(self) -> str | None:
        """Engineering units."""
        return self.reading.units

    @property
    def enum_strs(self) -> tuple[str, ...]:
        """Names of the states."""
        return self.reading.enum_strs

    def rows(self) -> dict[str, str]:
        """The table: what is known, in the order in which it is shown."""
        reading = self.reading
        elements = "element" if self.count == 1 else "elements"
        rows = {
            "name": self.pvname,
            "description": self.description or "",
            "record": self.record_type or "",
            "value": f"{reading.text} {reading.units or ''}".strip() or "''",
            "type": f"{self.native_type}, {self.count} {elements}",
            "states": ", ".join(reading.enum_strs),
            "precision": "" if reading.precision is None else str(reading.precision),
            **{f"{kind} limits": _range(getattr(reading.limits, kind)) for kind in _LIMITS},
            "alarm limits": self._alarms(),
            "alarm": reading.alarm_text or "NO_ALARM",
            "time stamp": reading.time_text,
            "access": self.access,
            "host": self.host or "",
        }
        return {name: text for name, text in rows.items() if text}

    def _alarms(self) -> str:
        """The limits that are set, from the lowest on, each with its severity; "" if all are the 0 of integers."""
        found, set_somewhere = [], False
        for name in ("lower_alarm_limit", "lower_warning_limit", "upper_warning_limit", "upper_alarm_limit"):
            limit = getattr(self.reading, name)
            severity = self.fields.get(_SEVERITIES[name], "")
            if limit is not None and limit == limit and severity != "NO_ALARM":
                found.append(f"{'<=' if name.startswith('lower') else '>='} {limit:g} {severity}".rstrip())
                set_somewhere = set_somewhere or limit != 0 or bool(severity)
        return ", ".join(found) if set_somewhere else ""

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can say."""
        return {
            **self.reading.to_dict(),
            "type": self.native_type,
            "count": self.count,
            "access": self.access,
            "host": self.host,
            "fields": dict(self.fields),
        }

    def __repr__(self) -> str:
        return "\n".join(f"{name:>14}: {text}" for name, text in self.rows().items())

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in self.rows().items()
        )
        return f"<table>{cells}</table>"


def _range(pair: tuple[float | None, float | None]) -> str:
    """Two limits as text; "" if neither says anything."""
    lower, upper = pair
    if lower is None or upper is None or (lower != lower and upper != upper) or lower == upper == 0:
        return ""
    return f"{lower:g} to {upper:g}"


def record_of(name: str) -> str:
    """The name without its field."""
    return name.partition(".")[0]
