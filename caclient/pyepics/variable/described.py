"""What is known of a PV, as properties."""

from __future__ import annotations

from typing import Any

from caclient.pyepics import ca, dbr
from caclient.pyepics.variable.read import ReadPV


class DescribedPV(ReadPV):
    """A PV whose metadata are properties; what is not known yet is asked for."""

    @property
    def status(self) -> Any:
        """The alarm status."""
        return self._getarg("status")

    @property
    def severity(self) -> Any:
        """The alarm severity."""
        return self._getarg("severity")

    @property
    def char_status(self) -> str:
        """The alarm status in words."""
        return dbr.AlarmStatus(self.status).name

    @property
    def char_severity(self) -> str:
        """The alarm severity in words."""
        return dbr.AlarmSeverity(self.severity).name

    @property
    def timestamp(self) -> Any:
        """Seconds since 1970."""
        return self._getarg("timestamp")

    @property
    def posixseconds(self) -> Any:
        """Whole seconds since 1970."""
        return self._getarg("posixseconds")

    @property
    def nanoseconds(self) -> Any:
        """Nanoseconds within the second."""
        return self._getarg("nanoseconds")

    @property
    def type(self) -> Any:
        """The name of the type that is asked for."""
        return self._args.get("type", "unknown")

    @property
    def typefull(self) -> Any:
        """The name of the type that is asked for."""
        return self._args.get("typefull", "unknown")

    @property
    def host(self) -> Any:
        """``host:port`` of the server."""
        return self._getarg("host")

    @property
    def count(self) -> Any:
        """Elements of the last update."""
        count = self._args.get("count")
        return self._getarg("count") if count is None else count

    @property
    def nelm(self) -> int:
        """The most elements that it can have; 0 if it is not connected."""
        return int(ca.element_count(self.chid))

    @property
    def access(self) -> Any:
        """What the server lets us do, in words."""
        return self._getarg("access")

    @property
    def read_access(self) -> Any:
        """Whether the server lets us read."""
        return self._getarg("read_access")

    @property
    def write_access(self) -> Any:
        """Whether the server lets us write."""
        return self._getarg("write_access")

    @property
    def units(self) -> Any:
        """Engineering units."""
        return self._getarg("units")

    @property
    def precision(self) -> Any:
        """Digits after the point."""
        return self._getarg("precision")

    @property
    def enum_strs(self) -> Any:
        """Names of the states."""
        return self._getarg("enum_strs")

    @property
    def monitor_delta(self) -> Any:
        """What was given for it; it has no effect."""
        return self._getarg("monitor_delta")

    @property
    def upper_disp_limit(self) -> Any:
        """The upper display limit."""
        return self._getarg("upper_disp_limit")

    @property
    def lower_disp_limit(self) -> Any:
        """The lower display limit."""
        return self._getarg("lower_disp_limit")

    @property
    def upper_alarm_limit(self) -> Any:
        """The upper alarm limit."""
        return self._getarg("upper_alarm_limit")

    @property
    def lower_alarm_limit(self) -> Any:
        """The lower alarm limit."""
        return self._getarg("lower_alarm_limit")

    @property
    def upper_warning_limit(self) -> Any:
        """The upper warning limit."""
        return self._getarg("upper_warning_limit")

    @property
    def lower_warning_limit(self) -> Any:
        """The lower warning limit."""
        return self._getarg("lower_warning_limit")

    @property
    def upper_ctrl_limit(self) -> Any:
        """The upper control limit."""
        return self._getarg("upper_ctrl_limit")

    @property
    def lower_ctrl_limit(self) -> Any:
        """The lower control limit."""
        return self._getarg("lower_ctrl_limit")
