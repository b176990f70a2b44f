"""Functions for those who do not want to hold a PV: they keep shared ones by name (``shared``).

All take names or PVs; names are made PVs of `context`. Any thread may call them, callbacks included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal, overload

from typing_extensions import Never

from caclient.client import default
from caclient.client.arguments import by_name, surplus, unknown
from caclient.client.context import Context, pv_of
from caclient.client.description import Description
from caclient.client.listing import Subscriptions, subscriptions_of
from caclient.client.pv import PV
from caclient.client.subscription import Policy, Subscription
from caclient.client.timeout import DEFAULT, Timeout, seconds
from caclient.client.why import Diagnosis
from caclient.dbr import Reading
from caclient.dbr.mask import DEFAULT_MASK, MaskLike
from caclient.engine.lanes import ErrorCallback, listen_to_errors
from caclient.errors import CAError, shorten

ReadingCallback = Callable[[Reading], Any]


@overload
def caget(
    pvname: str | PV,
    *,
    as_string: Literal[True],
    timeout: Timeout = DEFAULT,
    count: int | None = None,
    use_monitor: bool = ...,
    context: Context | None = None,
) -> str: ...


@overload
def caget(
    pvname: str | PV,
    *,
    as_string: bool = ...,
    timeout: Timeout = DEFAULT,
    count: int | None = None,
    use_monitor: bool = ...,
    context: Context | None = None,
) -> Any: ...


@by_name
def caget(
    pvname: str | PV,
    *more: Never,
    as_string: bool = False,
    timeout: Timeout = DEFAULT,
    count: int | None = None,
    use_monitor: bool = True,
    context: Context | None = None,
    **others: Never,
) -> Any:
    """The value of a PV by name; arguments and exceptions are those of ``PV.get``."""
    if more:
        hint = "for many PVs give a list to caget_many()"
        raise surplus("caget", 1, more, "as_string", "use_monitor", count=True, hint=hint)
    if others:
        raise unknown("caget", caget, others)
    pv = pv_of(pvname, context)
    try:
        return pv.get(timeout=timeout, count=count, as_string=as_string, use_monitor=use_monitor)
    except CAError as error:
        shorten(error)
        raise


@by_name
def caput(
    pvname: str | PV,
    value: Any,
    *more: Never,
    wait: bool = False,
    timeout: Timeout = DEFAULT,
    context: Context | None = None,
    **others: Never,
) -> None:
    """Write a PV by name; arguments and exceptions are those of ``PV.put``."""
    if more:
        raise surplus("caput", 2, more, "wait")
    if others:
        raise unknown("caput", caput, others)
    pv = pv_of(pvname, context)
    try:
        pv.put(value, wait=wait, timeout=timeout)
    except CAError as error:
        shorten(error)
        raise


@overload
def camonitor(  # type: ignore[overload-overlap]
    pvs: str | PV,
    callback: ReadingCallback | None = None,
    *,
    policy: Policy = ...,
    limit: int | None = None,
    max_rate: float | None = None,
    mask: MaskLike = ...,
    count: int | None = None,
    skip_initial: bool = False,
    context: Context | None = None,
) -> Subscription: ...


@overload
def camonitor(
    pvs: Iterable[str | PV],
    callback: ReadingCallback | None = None,
    *,
    policy: Policy = ...,
    limit: int | None = None,
    max_rate: float | None = None,
    mask: MaskLike = ...,
    count: int | None = None,
    skip_initial: bool = False,
    context: Context | None = None,
) -> Subscriptions: ...


def camonitor(
    pvs: str | PV | Iterable[str | PV],
    callback: ReadingCallback | None = None,
    *,
    policy: Policy = "all",
    limit: int | None = None,
    max_rate: float | None = None,
    mask: MaskLike = DEFAULT_MASK,
    count: int | None = None,
    skip_initial: bool = False,
    context: Context | None = None,
) -> Subscription | Subscriptions:
    """Call ``callback(reading)`` for every update of one PV or of many; without a callback, print a line for each.

    Goes on until the result's ``close()``; arguments and exceptions are those of ``PV.subscribe``.
    """

    def subscribe(pv: PV) -> Subscription:
        return pv.subscribe(
            _print_line if callback is None else callback,
            policy=policy,
            limit=limit,
            max_rate=max_rate,
            mask=mask,
            count=count,
            skip_initial=skip_initial,
        )

    if isinstance(pvs, (str, PV)) or not isinstance(pvs, Iterable):
        return subscribe(pv_of(pvs, context))
    return Subscriptions([subscribe(pv) for pv in [pv_of(each, context) for each in pvs]])


@by_name
def cainfo(pvname: str | PV, *more: Never, timeout: Timeout = DEFAULT, context: Context | None = None) -> Description:
    """What there is to know about a PV, as a table, which is returned and not printed: ``PV.describe`` by name."""
    if more:
        raise surplus("cainfo", 1, more)
    pv = pv_of(pvname, context)
    try:
        return pv.describe(timeout=timeout)
    except CAError as error:
        shorten(error)
        raise


@by_name
def why(pvname: str | PV, *more: Never, timeout: float = 2.0, context: Context | None = None) -> Diagnosis:
    """Why a PV does not answer, or that all is well: waits for it, at most *timeout* seconds, and then says."""
    if more:
        raise surplus("why", 1, more)
    limit = seconds(timeout)
    if isinstance(pvname, PV):
        return pvname._examine(limit)
    held = pv_of(pvname, context)
    return held._examine(limit)


def subscriptions() -> Subscriptions:
    """All subscriptions and callbacks that live in this process: what earlier cells of a notebook left, say."""
    return subscriptions_of(default.homes())


def close_all() -> None:
    """End every subscription, callback and iterator of this process; PVs stay connected."""
    for closing in subscriptions_of(default.homes(), iterators=True):
        closing.close()


def on_callback_error(fn: ErrorCallback | None) -> None:
    """Have ``fn(pvname, callback, error)`` told of what callbacks raise, beside the log; None ends that."""
    listen_to_errors(fn)


def _print_line(reading: Reading) -> None:
    alarm = f" {reading.alarm_text}" if reading.alarm_text else ""
    sys.stdout.write(f"{reading.pvname} {reading.time_text} {reading.text}{alarm}\n")
    sys.stdout.flush()
