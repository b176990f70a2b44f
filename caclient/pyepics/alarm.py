"""Call back when a PV gets past a point."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from typing import Any, ClassVar

from . import ca, pv

__all__ = ["Alarm", "pv"]


class Alarm:
    """Calls back when the comparison of a PV with a value turns true, at most once in *alert_delay* seconds."""

    ops: ClassVar[dict[str, Callable[[Any, Any], Any]]] = {
        "eq": operator.eq,
        "==": operator.eq,
        "ne": operator.ne,
        "!=": operator.ne,
        "le": operator.le,
        "<=": operator.le,
        "lt": operator.lt,
        "<": operator.lt,
        "ge": operator.ge,
        ">=": operator.ge,
        "gt": operator.gt,
        ">": operator.gt,
    }

    def __init__(
        self,
        pvname: Any,
        comparison: Any = None,
        trip_point: Any = None,
        callback: Callable[..., Any] | None = None,
        alert_delay: float = 10,
    ) -> None:
        if isinstance(pvname, pv.PV):
            self.pv = pvname
        elif isinstance(pvname, str):
            self.pv = pv.get_pv(pvname)
            self.pv.connect()
        if comparison is None or trip_point is None or getattr(self, "pv", None) is None:
            if getattr(self, "pv", None) is None:
                raise AttributeError("'Alarm' object has no attribute 'pv'")
            raise UserWarning("alarm requires valid PV, comparison, and trip_point")
        self.trip_point = trip_point
        self.last_alert = 0.0
        self.alert_delay = alert_delay
        self.user_callback = callback
        self.cmp: Callable[[Any, Any], Any] | None = None
        self.comp_name = "Not Defined"
        if callable(comparison):
            self.comp_name = getattr(comparison, "__name__", str(comparison))
            self.cmp = comparison
        else:
            name = str(comparison).replace("_", "")
            self.cmp = self.ops.get(name)
            if self.cmp is not None:
                self.comp_name = comparison
        self.alarm_state = False
        self.pv.add_callback(self.check_alarm)

    def __repr__(self) -> str:
        return f"<Alarm pvname='{self.pv.pvname}',comp='{self.comp_name}','trip_point={self.trip_point}>"

    def reset(self) -> None:
        """As if it had never been true."""
        self.last_alert = 0.0
        self.alarm_state = False

    def check_alarm(self, pvname: Any = None, value: Any = None, char_value: Any = None, **kw: Any) -> None:
        """What is called at each update."""
        if self.cmp is None:
            return
        before = self.alarm_state
        self.alarm_state = self.cmp(value, self.trip_point)
        now = time.time()
        if self.alarm_state and not before and now - self.last_alert > self.alert_delay:
            self.last_alert = now
            if callable(self.user_callback):
                self.user_callback(
                    pvname=pvname,
                    value=value,
                    char_value=char_value,
                    trip_point=self.trip_point,
                    comparison=self.comp_name,
                    **kw,
                )
            else:
                ca.write(f"Alarm: {pvname}={char_value} ({time.ctime()})")
