"""The value of a PV: from memory if it is monitored, else from the server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from caclient.pyepics import answers, ca
from caclient.pyepics.channels import _CacheItem
from caclient.pyepics.values import unpacked
from caclient.pyepics.variable.connected import ConnectedPV
from caclient.pyepics.wire import metadata

_TIMES = frozenset(("status", "severity", "timestamp", "posixseconds", "nanoseconds"))


class ReadPV(ConnectedPV):
    """A PV that is read."""

    def get(
        self,
        count: int | None = None,
        as_string: bool = False,
        as_numpy: bool = True,
        timeout: float | None = None,
        with_ctrlvars: bool = False,
        use_monitor: bool = True,
    ) -> Any:
        """The value: from memory if it is monitored, else from the server; None if there is none in time."""
        found = self.get_with_metadata(
            count=count,
            as_string=as_string,
            as_numpy=as_numpy,
            timeout=timeout,
            with_ctrlvars=with_ctrlvars,
            use_monitor=use_monitor,
        )
        return None if found is None else found["value"]

    def get_with_metadata(
        self,
        count: int | None = None,
        as_string: bool = False,
        as_numpy: bool = True,
        timeout: float | None = None,
        with_ctrlvars: bool = False,
        form: str | None = None,
        use_monitor: bool = True,
        as_namespace: bool = False,
    ) -> Any:
        """The value and what comes with it, as a dict or namespace; None if there is none in time."""
        item = self._channel()
        if not (self.connected and item.conn) and not self.wait_for_connection(timeout=timeout):
            return None
        if form is None:
            form, ftype = self.form, self.ftype
        else:
            ftype = ca.promote_fieldtype(item.wire.native_type, use_time=form == "time", use_ctrl=form == "ctrl")
        if with_ctrlvars:
            self._getarg("units")  # has value and control information fetched, in the form of the PV
        args = self._args
        cached = args["value"]
        explicit = (
            not use_monitor
            or self._monref is None
            or ftype != self.ftype
            or cached is None
            or (count is not None and _longer(count, cached))
        )
        if explicit:
            found = self._ask(item, ftype, count, timeout, as_numpy)
            if found is None:
                return None
            if with_ctrlvars and form != "ctrl":
                found = args.copy()
        else:
            found = args.copy()
        if as_string:
            found["value"] = self._set_charval(found["value"], force_long_string=True)
        else:
            found["value"] = self._shaped(found["value"], args["nelm"], count, as_numpy, explicit)
        return SimpleNamespace(**found) if as_namespace else found

    def _ask(
        self, item: _CacheItem, ftype: int, count: int | None, timeout: float | None, as_numpy: bool
    ) -> dict[str, Any] | None:
        """What the server answers; it becomes what is known."""
        args = self._args
        wanted = count
        if wanted is None and args["count"] != args["nelm"]:
            wanted = args["count"]
        seconds = answers.default_timeout(count) if timeout is None else timeout
        reading = answers.read(item, ftype, answers.wanted_count(item, wanted), seconds)
        if reading is None:
            answers.timed_out(self.pvname, seconds)
            return None
        found = {**metadata(reading, ftype), "value": unpacked(reading.value, as_numpy and ca.HAS_NUMPY)}
        args = self._args
        if self._monref is None or ftype != self.ftype or _moment(args) <= _moment(found):
            args.update(found)  # or else a newer update has come meanwhile
        return found

    def _shaped(self, value: Any, nelm: int, count: int | None, as_numpy: bool, explicit: bool) -> Any:
        """Arrays as arrays, also of one element, and cut to what was asked for."""
        if nelm == 1 or value is None:
            return value
        if not hasattr(value, "__len__") or isinstance(value, str):
            value = [value]
        if as_numpy and ca.HAS_NUMPY:
            value = value if isinstance(value, np.ndarray) else np.array(value)
        elif isinstance(value, np.ndarray) and not explicit:
            value = value.tolist()
        if count is not None and len(value) > count:
            value = value[:count]
        return value

    def _getarg(self, arg: str) -> Any:
        """What is known under a name; asked for if it is not."""
        if self._args.get("value") is None:
            self.get()
        if self._args.get(arg) is None:
            if arg in _TIMES:
                self.get_timevars(timeout=1, warn=False)
            else:
                self.get_ctrlvars(timeout=1, warn=False)
        return self._args.get(arg)


def _moment(known: dict[str, Any]) -> tuple[float, int]:
    """The time stamp, if it has one of the server's."""
    return known.get("posixseconds") or 0.0, known.get("nanoseconds") or 0


def _longer(count: int, value: Any) -> bool:
    """Whether more is wanted than there are elements, or letters."""
    return count > (len(value) if hasattr(value, "__len__") else 1)
