"""The lines of ``PV.info`` and ``cainfo``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import dbr
from .formats import fmt_time

if TYPE_CHECKING:
    from .pv import PV

_KEYS = (
    "type",
    "units",
    "precision",
    "host",
    "access",
    "status",
    "char_status",
    "severity",
    "char_severity",
    "timestamp",
    "posixseconds",
    "nanoseconds",
    "upper_ctrl_limit",
    "lower_ctrl_limit",
    "upper_disp_limit",
    "lower_disp_limit",
    "upper_alarm_limit",
    "lower_alarm_limit",
    "upper_warning_limit",
    "lower_warning_limit",
)
_FEW = 5
_MANY = 10


def describe(pv: PV) -> str:
    """All that is known of a connected PV."""
    args = pv._args
    name = dbr.Name(pv.ftype).lower()
    native = dbr.NATIVE_NAMES[dbr.native_type(pv.ftype)].lower()
    title = f"native_{native}" if pv.form not in ("time", "ctrl") else name
    lines = [f"== {pv.pvname}  ({title}) =="]
    lines.extend(_value_lines(pv, native))
    lines.append(_line("nelm", args["nelm"]))
    lines.extend(_line(key, shown) for key in _KEYS if (shown := _shown(pv, key)) is not None)
    if args["enum_strs"]:
        lines.append("   enum strings: ")
        lines.extend(f"       {number} = {state}" for number, state in enumerate(args["enum_strs"]))
    lines.extend(_monitor_lines(pv))
    lines.append("=============================")
    return "\n".join(lines)


def _line(key: str, text: Any) -> str:
    return f"   {key.ljust(20 if len(key) > 14 else 15)} = {text}"


def _shown(pv: PV, key: str) -> Any:
    if key in ("char_status", "char_severity"):
        return getattr(pv, key)
    value = pv._args.get(key)
    if key == "timestamp" and value is not None:
        return f"{value:.3f} ({fmt_time(value)})"
    return value


def _value_lines(pv: PV, native: str) -> list[str]:
    args = pv._args
    value = args["value"]
    count = args["count"] or 0
    if count != 1 or (hasattr(value, "__len__") and not isinstance(value, str)):
        shown = "   value           =  array  " + _elements(value, count, native)
    else:
        shown = _line("value", _element(value, native))
    return [shown, _line("char_value", f"'{pv.char_value}'"), _line("count", count)]


def _element(value: Any, native: str) -> str:
    if native in ("float", "double") and value is not None:
        return f"{value:g}"
    return repr(value) if native == "char" else str(value)


def _elements(value: Any, count: int, native: str) -> str:
    if value is None:
        return "[unknown,....]"
    values = value[: min(_FEW, count)] if hasattr(value, "__len__") else [value]
    return f"[{','.join(_element(one, native) for one in values)}{',....' if count > _MANY else ''}]"


def _monitor_lines(pv: PV) -> list[str]:
    if pv._monref is None:
        return ["   PV is NOT internally monitored"]
    lines = [f"   PV is internally monitored, with {len(pv.callbacks)} user-defined callbacks"]
    for function, _keywords in pv.callbacks.values():
        code = getattr(function, "__code__", None)
        if code is not None:
            lines.append(f"      {getattr(function, '__name__', '')} in file '{code.co_filename}'")
    return lines
