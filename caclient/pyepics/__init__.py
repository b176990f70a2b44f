"""The package ``epics`` (pyepics 3.5.10) on caclient: existing scripts run without libca, and without a change.

Three ways: ``import caclient.pyepics as epics``; ``caclient.pyepics.install()`` before the first ``import epics``;
``python -m caclient.pyepics script.py args...``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import alarm, ca, dbr, device, motor, multiproc, pv, utils
from .alarm import Alarm
from .ca import poll
from .device import Device
from .failures import failed as _failed, from_environment as _from_environment
from .formats import fmt_time
from .importing import install as install, uninstall as uninstall
from .motor import Motor
from .multiproc import CAPool, CAProcess
from .pv import PV, get_pv

__version__ = "3.5.10"

strict: bool = _from_environment()
"""Raise where pyepics gives None, -1 or False for a failure."""

NO_ALARM = 0
MINOR_ALARM = 1
MAJOR_ALARM = 2
INVALID_ALARM = 3

_PVmonitors_: dict[str, PV] = {}
"""What ``camonitor`` watches, by name."""
_FIRST = -999

__all__ = [
    "Alarm",
    "CAPool",
    "CAProcess",
    "Device",
    "INVALID_ALARM",
    "MAJOR_ALARM",
    "MINOR_ALARM",
    "Motor",
    "NO_ALARM",
    "PV",
    "alarm",
    "ca",
    "caget",
    "caget_many",
    "cainfo",
    "camonitor",
    "camonitor_clear",
    "caput",
    "caput_many",
    "dbr",
    "device",
    "get_pv",
    "motor",
    "multiproc",
    "poll",
    "pv",
    "time",
    "utils",
]

_ = install, uninstall


def _named(pvname: Any, timeout: float) -> PV:
    """The PV of the cache for a name, or for the name of a PV, connected if that can be had."""
    if pvname is None:
        raise AttributeError("'NoneType' object has no attribute 'strip'")
    return get_pv(getattr(pvname, "pvname", pvname), connect=True, timeout=timeout)


def caput(pvname: Any, value: Any, wait: bool = False, timeout: float = 60.0, connection_timeout: float = 5.0) -> Any:
    """Write to a PV by name: 1; -1 if *wait* has run out of time; None if it is not connected."""
    started = time.monotonic()
    found = _named(pvname, connection_timeout)
    if not found.connected:
        return None
    return found.put(value, wait=wait, timeout=timeout - (time.monotonic() - started))


def caget(
    pvname: Any,
    as_string: bool = False,
    count: int | None = None,
    as_numpy: bool = True,
    use_monitor: bool = True,
    timeout: float = 5.0,
    connection_timeout: float = 5.0,
) -> Any:
    """The value of a PV by name; None if there is none in time."""
    started = time.monotonic()
    found = _named(pvname, connection_timeout)
    if not found.connected:
        return None
    if as_string:
        found.get_ctrlvars()
    left = timeout - (time.monotonic() - started)
    return found.get(count=count, timeout=left, use_monitor=use_monitor, as_string=as_string, as_numpy=as_numpy)


def cainfo(pvname: Any, print_out: bool = True, timeout: float = 5.0, connection_timeout: float = 5.0) -> str | None:
    """All that is known of a PV, printed or returned."""
    started = time.monotonic()
    found = _named(pvname, connection_timeout)
    if not found.connected:
        return None
    found.get(timeout=timeout - (time.monotonic() - started))
    found.get_ctrlvars()
    if not print_out:
        return found.info
    ca.write(str(found.info))
    return None


def camonitor_clear(pvname: str) -> None:
    """Watch a name no more."""
    watched = _PVmonitors_.pop(pvname, None)
    if watched is not None:
        watched.remove_callback(index=_FIRST)


def camonitor(
    pvname: str,
    writer: Callable[[str], Any] | None = None,
    callback: Callable[..., Any] | None = None,
    connection_timeout: float = 5.0,
    monitor_delta: Any = None,
) -> None:
    """Write a line, or call back, at each change from now on."""
    write = ca.write if writer is None else writer

    def show(pvname: Any = None, value: Any = None, char_value: Any = None, **_kwds: Any) -> None:
        write(f"{pvname:.32s} {fmt_time()} {repr(value) if char_value is None else char_value}")

    found = _named(pvname, connection_timeout)
    if found.connected:
        found.get()
        found._await_update()
        found.add_callback(show if callback is None else callback, index=_FIRST)
        _PVmonitors_[pvname] = found


def caget_many(
    pvlist: Iterable[str],
    as_string: bool = False,
    as_numpy: bool = True,
    count: int | None = None,
    timeout: float = 1.0,
    connection_timeout: float = 5.0,
    conn_timeout: float | None = None,
) -> list[Any]:
    """The values of many channels, in order; None for what is not connected, or late."""
    chids = [ca.create_channel(name, auto_cb=False, connect=False) for name in pvlist]
    over = time.monotonic() + (connection_timeout if conn_timeout is None else conn_timeout)
    for chid in chids:
        _connected(chid, over)
    asked = [ca.isConnected(chid) for chid in chids]
    for chid, connected in zip(chids, asked, strict=True):
        if connected:
            ca.get(chid, count=count, as_string=as_string, as_numpy=as_numpy, wait=False)
    return [
        ca.get_complete(chid, count=count, as_string=as_string, as_numpy=as_numpy, timeout=timeout)
        if connected
        else _failed(None, ca.name(chid), "not connected")
        for chid, connected in zip(chids, asked, strict=True)
    ]


def _connected(chid: Any, over: float) -> bool:
    return ca.item_of(chid).connect(max(0.0, over - time.monotonic()))


def caput_many(
    pvlist: Sequence[str],
    values: Sequence[Any],
    wait: Any = False,
    connection_timeout: float = 5.0,
    put_timeout: float = 60,
) -> list[int]:
    """Write to many PVs, in order: 1 for each written, else -1. *wait* is ``'each'`` or ``'all'``, or of no effect."""
    if len(pvlist) != len(values):
        raise ValueError("List of PV names must be equal to list of values.")
    pvs = [get_pv(name, auto_monitor=False, timeout=connection_timeout) for name in pvlist]
    each, together = wait == "each", wait == "all"
    done: list[int] = []
    for found, value in zip(pvs, values, strict=True):
        answer = found.put(value, wait=each, timeout=put_timeout, use_complete=together)
        done.append(answer if answer is not None else -1)
    if together:
        over = time.monotonic() + put_timeout
        waiting = [found for found, answer in zip(pvs, done, strict=True) if answer == 1]
        for found in waiting:
            found._await_put(max(0.0, over - time.monotonic()))
        done = [1 if found.put_complete else -1 for found in pvs]
    return done
