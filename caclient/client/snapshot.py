"""Snapshots: readings of many PVs at one moment, that can be compared, kept in a file, and put back."""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from caclient.client.results import Results
from caclient.dbr import AlarmSeverity, AlarmStatus, ChannelType, ControlInfo, Origin, Reading, TimeStamp
from caclient.dbr.types import LIMITS
from caclient.errors import BadValueError, CAError, WrongTypeError
from caclient.settings import shown

_FORMAT: Final = 1
"""Of the file: goes up when an older caclient could not read it any more."""
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Change = tuple["Reading | None", "Reading | None"]


class Diff(Mapping[str, Change]):
    """What differs between two snapshots: name -> (old, new), None on the side that has no reading of it."""

    __slots__ = ("_changes",)

    def __init__(self, changes: Mapping[str, Change]) -> None:
        self._changes = dict(changes)

    def __getitem__(self, name: str) -> Change:
        return self._changes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)

    def _rows(self) -> list[tuple[str, str, str]]:
        return [(name, _text(old), _text(new)) for name, (old, new) in self.items()]

    def __repr__(self) -> str:
        lines = [f"  {name}: {old} -> {new}" for name, old, new in self._rows()]
        return "\n".join([f"<Diff: {len(self)} changed>", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(old)}</td><td>{html.escape(new)}</td></tr>"
            for name, old, new in self._rows()
        )
        return f"<table><caption>{len(self)} changed</caption>{rows}</table>"

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can say: name -> [old, new]."""
        return {name: [None if each is None else each.to_dict() for each in change] for name, change in self.items()}


class Snapshot(Results[Reading]):
    """Readings by name, in the order asked, with the ``time`` at which they were taken; ``failed`` has the others."""

    __slots__ = ("time",)

    def __init__(
        self,
        readings: Mapping[str, Reading] | None = None,
        failed: Mapping[str, CAError] | None = None,
        time: datetime | None = None,
    ) -> None:
        super().__init__(readings, failed)
        self.time: datetime = datetime.now().astimezone() if time is None else time

    def diff(self, other: Mapping[str, Reading]) -> Diff:
        """What differs in value from this to the *other*, which is the newer one."""
        if not isinstance(other, Mapping):
            raise WrongTypeError(f"other={shown(other)}: give another Snapshot")
        names = dict.fromkeys((*self, *other))
        pairs = ((name, (self.get(name), other.get(name))) for name in names)
        return Diff({name: pair for name, pair in pairs if differ(*pair)})

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can say; a state by its name."""
        return {
            "format": _FORMAT,
            "time": self.time.isoformat(),
            "readings": {name: _facts(reading) for name, reading in self.items()},
            "failed": {name: str(error) for name, error in self.failed.items()},
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, which is complete or as it was before."""
        target = Path(path)
        draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)
        try:
            draft.write_text(text, encoding="utf-8", errors="surrogatepass")
            draft.replace(target)
        except OSError as error:
            error.filename = str(target)  # the draft is nobody's business
            raise
        finally:
            draft.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Snapshot:
        """What ``save`` has written.

        :raises BadValueError: if the file is no snapshot, or one of a later version.
        """
        try:
            said = json.loads(Path(path).read_text(encoding="utf-8", errors="surrogatepass"))
            if said["format"] > _FORMAT:
                raise BadValueError(f"{path}: was written by a later caclient (format {said['format']})")
            readings = {name: _reading(facts) for name, facts in said["readings"].items()}
            failed = {name: CAError(text, pvname=name) for name, text in said["failed"].items()}
            return cls(readings, failed, datetime.fromisoformat(said["time"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, CAError):
                raise
            raise BadValueError(f"{path}: is no snapshot: {type(error).__name__}: {error}") from None

    def to_dataframe(self) -> Any:
        """A table with one row for each name: value, units, severity, status, time. Needs pandas."""
        import pandas as pd  # type: ignore[import-untyped, unused-ignore]

        rows = {
            name: {
                "value": reading.text if reading.enum_strs else reading.value,
                "units": reading.units,
                "severity": str(reading.severity),
                "status": str(reading.status),
                "time": None if reading.timestamp_ns is None else pd.Timestamp(reading.timestamp_ns, tz="UTC"),
            }
            for name, reading in self.items()
        }
        columns = ["value", "units", "severity", "status", "time"]
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        frame.index.name = "pvname"
        return frame

    @property
    def _head(self) -> str:
        return f"{self.time:%Y-%m-%d %H:%M:%S}, {super()._head}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Snapshot, (dict(self), self.failed, self.time)


def _text(reading: Reading | None) -> str:
    return "(none)" if reading is None else reading.text


def differ(old: Reading | None, new: Reading | None) -> bool:
    """Whether two values are not the same; a state is told by its name."""
    if old is None or new is None:
        return old is not new
    if old.enum_strs and new.enum_strs:
        return old.text != new.text
    return not _bare(old).repeats(_bare(new))


def _bare(reading: Reading) -> Reading:
    return Reading(reading.value)


def _facts(reading: Reading) -> dict[str, Any]:
    facts = reading.to_dict()
    value, stamp = reading.value, reading.stamp
    if reading.enum_strs and isinstance(value, int):
        facts["value"] = reading.text
    facts["dtype"] = value.dtype.str if isinstance(value, np.ndarray) else type(value).__name__
    facts["native_type"] = None if reading.native_type is None else reading.native_type.name
    facts["stamp"] = None if stamp is None else list(stamp)
    facts["alarm"] = [int(reading.severity), int(reading.status)]
    facts["control"] = reading.control is not None
    return facts


def _reading(facts: Mapping[str, Any]) -> Reading:
    native = None if facts["native_type"] is None else ChannelType[facts["native_type"]]
    control = _control(facts, native) if facts["control"] else None
    severity, status = AlarmSeverity(facts["alarm"][0]), AlarmStatus(facts["alarm"][1])
    seconds, nanoseconds = (None, None) if facts["stamp"] is None else TimeStamp(*facts["stamp"])
    origin = Origin(facts["pvname"], native, control, facts["reason"])
    return Reading(_value(facts), int(status), int(severity), seconds, nanoseconds, origin)


def _control(facts: Mapping[str, Any], native: ChannelType | None) -> ControlInfo:
    has_limits = native not in (ChannelType.ENUM, ChannelType.STRING)
    unset = math.nan if has_limits else None
    kinds = {"disp": "display", "alarm": "alarm", "warning": "warning", "ctrl": "control"}
    limits = {}
    for name in LIMITS:
        side, kind, _ = name.split("_")
        found = facts["limits"][kinds[kind]][side == "upper"]
        limits[name] = unset if found is None else found
    return ControlInfo(facts["units"], facts["precision"], enum_strs=tuple(facts["enum_strs"]), **limits)


def _value(facts: Mapping[str, Any]) -> Any:
    value, dtype = facts["value"], facts["dtype"]
    if dtype == "str":
        return value
    if dtype == "int":
        states = facts["enum_strs"]
        return states.index(value) if value in states else int(value)
    if dtype == "float":
        return _SPECIAL[value] if isinstance(value, str) else float(value)
    if "U" not in dtype:
        value = [_SPECIAL.get(item, item) if isinstance(item, str) else item for item in value]
    return np.array(value, dtype)
