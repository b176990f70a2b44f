"""Functions for those who do not want to hold a PV. All use the default context and keep what they connect.

Any thread may call them, callbacks included.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from caclient.client.bulk import ConnectResult, get_values, in_turn, wait_all
from caclient.client.context import Context, default_context
from caclient.client.pv import DEFAULT_TIMEOUT, PV
from caclient.client.subscription import Subscription
from caclient.dbr import Reading
from caclient.errors import BadValueError, CAError, CATimeoutError


def caget(
    pvname: str,
    *,
    as_string: bool = False,
    count: int | None = None,
    use_monitor: bool = True,
    timeout: float = DEFAULT_TIMEOUT,
) -> Any:
    """The value of a PV by name; arguments and exceptions are those of ``PV.get``."""
    pv = default_context().shared_pv(pvname)
    return pv.get(timeout, count=count, as_string=as_string, use_monitor=use_monitor)


def caput(pvname: str, value: Any, *, wait: bool = False, timeout: float | None = None) -> None:
    """Write a PV by name; arguments and exceptions are those of ``PV.put``."""
    default_context().shared_pv(pvname).put(value, wait=wait, timeout=timeout)


def camonitor(
    pvname: str,
    callback: Callable[[Reading], Any] | None = None,
    *,
    writer: Callable[[str], Any] | None = None,
    policy: str = "all",
) -> Subscription:
    """Call ``callback(reading)`` for every update, or write a line for each to *writer* (by default standard output).

    Goes on until the result's ``close()``.
    """
    pv = default_context().shared_pv(pvname)
    return pv.subscribe(callback or _line_writer(pvname, writer or _write_line), policy=policy)


def cainfo(pvname: str, *, timeout: float = DEFAULT_TIMEOUT) -> str:
    """What is known about a PV, as text of several lines."""
    pv = default_context().shared_pv(pvname)
    reading = pv.read(timeout)
    rows = {
        "name": pvname,
        "value": reading.text,
        "type": f"{pv.type}, {pv.count} element{'s' if pv.count != 1 else ''}",
        "host": pv.host,
        "access": pv.access,
        "time stamp": reading.time_text,
        "alarm": f"{reading.severity}, {reading.status}",
        "units": reading.units,
        "precision": reading.precision,
        "states": ", ".join(reading.enum_strs) or None,
        **{f"{kind} limits": _range(*limits) for kind, limits in reading.limits._asdict().items()},
    }
    return "\n".join(f"{key:>14}: {value}" for key, value in rows.items() if value is not None)


def caget_many(pvnames: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT, raises: bool = True) -> list[Any]:
    """The values of many PVs, asked for at once and with one deadline for all.

    :param raises: false puts the exception in the place of each value that could not be had.
    """
    context = default_context()
    pvs = [context.shared_pv(name) for name in pvnames]
    results = get_values(pvs, time.monotonic() + timeout)
    failed = [result for result in results if isinstance(result, Exception)]
    if failed and raises:
        raise _summary(failed, len(pvnames))
    return results


def caput_many(
    pvnames: Sequence[str],
    values: Sequence[Any],
    *,
    wait: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    raises: bool = True,
) -> list[Exception | None]:
    """Write many PVs with one deadline for all; with *wait*, until all records have finished.

    :param raises: false returns, for each PV, None or what went wrong.
    """
    if len(pvnames) != len(values):
        raise BadValueError(f"{len(pvnames)} names but {len(values)} values")
    context = default_context()
    deadline = time.monotonic() + timeout
    pvs = [context.shared_pv(name) for name in pvnames]
    started = time.monotonic()
    begun: dict[int, Any] = {}
    for places in in_turn([pv.channel for pv in pvs], deadline):
        begun.update((place, _begin(pvs[place], values[place], wait)) for place in places)
    waited = time.monotonic() - started
    results = [
        _finish(begun[place], deadline) if place in begun else pv.channel.unready(waited)
        for place, pv in enumerate(pvs)
    ]
    failed = [result for result in results if result is not None]
    if failed and raises:
        raise _summary(failed, len(pvnames))
    return results


def connect_all(
    pvs: Iterable[str | PV], timeout: float = DEFAULT_TIMEOUT, *, context: Context | None = None
) -> ConnectResult:
    """Connect many PVs with one deadline for all; never raises for those that do not connect, but says why."""
    started = time.monotonic()
    context = context or default_context()
    all_pvs = [pv if isinstance(pv, PV) else context.shared_pv(pv) for pv in pvs]
    wait_all([pv.channel for pv in all_pvs], started + timeout)
    waited = time.monotonic() - started
    connected = {pv.pvname: pv for pv in all_pvs if pv.connected}
    failed: dict[str, Exception] = {
        pv.pvname: CATimeoutError(pv.channel.progress(waited)) for pv in all_pvs if pv.pvname not in connected
    }
    return ConnectResult(connected, failed)


def _begin(pv: PV, value: Any, wait: bool) -> Any:
    try:
        return pv.begin_put(value) if wait else pv.put(value, timeout=0.0)
    except CAError as error:
        return error


def _finish(begun: Any, deadline: float) -> Exception | None:
    if begun is None or isinstance(begun, Exception):
        return begun
    try:
        begun(deadline)
    except CAError as error:
        return error
    return None


def _summary(failed: list[Exception], total: int) -> Exception:
    """One exception for many: of the first's kind, naming the first few."""
    first = failed[0]
    shown = "; ".join(str(error) for error in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    kind = type(first) if isinstance(first, CAError) else CAError
    return kind(f"{len(failed)} of {total} failed: {shown}{more}")


def _line_writer(pvname: str, write: Callable[[str], Any]) -> Callable[[Reading], None]:
    def show(reading: Reading) -> None:
        alarm = f" {reading.alarm_text}" if reading.severity else ""
        write(f"{pvname} {reading.time_text} {reading.text}{alarm}\n")

    return show


def _write_line(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _range(lower: float | None, upper: float | None) -> str | None:
    """Two limits as text; None if neither is set."""
    known = [limit for limit in (lower, upper) if limit is not None and not math.isnan(limit)]
    return f"{lower} to {upper}" if known else None
