"""Many PVs at once: connected, read, written, kept and put back; one deadline for all, a reason for each that failed.

`pvs` is a name, a PV, or any iterable of both; names are made PVs of `context`, PVs keep their own.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeAlias

from typing_extensions import Never

from caclient.client import get, put
from caclient.client.arguments import by_name, surplus, unknown
from caclient.client.bulk import get_all, get_values, in_turn, wait_all
from caclient.client.context import Context, default_context, pv_of
from caclient.client.progress import Progress, checked
from caclient.client.properties import fetch, want
from caclient.client.pv import PV
from caclient.client.results import Results, summary
from caclient.client.snapshot import Snapshot, differ
from caclient.client.timeout import DEFAULT, Timeout, seconds
from caclient.dbr import ChannelType, Reading
from caclient.dbr.put import may_be_one_value
from caclient.errors import BadValueError, CAError, ManyFailedError, WrongTypeError
from caclient.settings import flag, shown

log = logging.getLogger("caclient")

PVs: TypeAlias = "str | PV | Iterable[str | PV]"
"""One name, one PV, or an iterable of both."""

_A_LIST: Final = "give the names as one list"
_GIVEN: Final = object()
"""Values that were not given apart from the names."""


@by_name
def connect_all(
    pvs: PVs,
    *more: Never,
    timeout: Timeout = DEFAULT,
    progress: bool | None = None,
    context: Context | None = None,
) -> Results[PV]:
    """Connect many PVs with one deadline for all: those that are, by name. Those that are not are in ``failed``."""
    if more:
        raise surplus("connect_all", 1, more, "progress", hint=_A_LIST)
    checked(progress)
    all_pvs = _pvs(pvs, context)
    started, limit = time.monotonic(), _limit(all_pvs, timeout)
    channels = [pv.channel for pv in all_pvs]
    with Progress(_counting("connect_all", "connected", channels, lambda channel: channel.connected), progress):
        wait_all(channels, started + limit)
    waited = time.monotonic() - started
    connected = {pv.pvname: pv for pv in all_pvs if pv.connected}
    missing = {pv.pvname: pv.channel for pv in all_pvs if pv.pvname not in connected}
    return Results(connected, {name: channel.unready(waited) for name, channel in missing.items()})


@by_name
def caget_many(
    pvs: PVs,
    *more: Never,
    timeout: Timeout = DEFAULT,
    as_string: bool = False,
    count: int | None = None,
    use_monitor: bool = False,
    raises: bool = True,
    progress: bool | None = None,
    context: Context | None = None,
    **others: Never,
) -> list[Any]:
    """The values of many PVs, in order, asked for at once and with one deadline for all.

    :param as_string: text, as ``PV.get`` has it; *count*: at most so many elements.
    :param use_monitor: take what is in memory.
    :param raises: false puts the error in the place of each value that could not be had.
    :raises ManyFailedError: with ``results`` and ``failed``, unless *raises* is false.
    """
    if more:
        raise surplus("caget_many", 1, more, "as_string", "use_monitor", count=True, hint=_A_LIST)
    if others:
        raise unknown("caget_many", caget_many, others)
    checked(progress)
    flag("as_string", as_string)
    flag("use_monitor", use_monitor)
    flag("raises", raises)
    all_pvs = _pvs(pvs, context)
    started, limit = time.monotonic(), _limit(all_pvs, timeout)
    channels = [pv.channel for pv in all_pvs]
    with Progress(_counting("caget_many", "connected", channels, lambda channel: channel.connected), progress):
        if as_string or count is not None or use_monitor:
            values = _values(all_pvs, started + limit, as_string, count, use_monitor)
        else:
            values = get_values(channels, started + limit)
    return _all_or_raise(all_pvs, values, raises)


@by_name
def caput_many(
    pvs: PVs | Mapping[str, Any],
    values: Any = _GIVEN,
    *more: Never,
    wait: bool = False,
    timeout: Timeout = DEFAULT,
    raises: bool = True,
    progress: bool | None = None,
    context: Context | None = None,
    **others: Never,
) -> list[CAError | None]:
    """Write many PVs with one deadline for all; with *wait*, until all records have finished.

    :param values: one for each, in order, or a single one for all; or give a mapping of names to values alone.
    :param timeout: seconds for the connections and, if given, for the completion too.
    :param raises: false returns, for each PV, None or what went wrong.
    :raises ManyFailedError: with ``failed``, unless *raises* is false.
    """
    if more:
        raise surplus("caput_many", 2, more, "wait")
    if others:
        raise unknown("caput_many", caput_many, others)
    checked(progress)
    flag("wait", wait)
    flag("raises", raises)
    all_pvs, each = _pairs(pvs, values, context)
    return _all_or_raise(all_pvs, _put_all(all_pvs, each, wait, timeout, progress), raises)


@by_name
def snapshot(pvs: PVs, *more: Never, timeout: Timeout = DEFAULT, context: Context | None = None) -> Snapshot:
    """Read many PVs at once, with their metadata: a ``Snapshot``, to be compared, kept in a file, and put back."""
    if more:
        raise surplus("snapshot", 1, more, hint=_A_LIST)
    all_pvs = list({pv.pvname: pv for pv in _pvs(pvs, context)}.values())
    deadline = time.monotonic() + _limit(all_pvs, timeout)
    readings = _readings(all_pvs, deadline)
    well = {pv.pvname: each for pv, each in zip(all_pvs, readings, strict=True) if isinstance(each, Reading)}
    failed = {pv.pvname: each for pv, each in zip(all_pvs, readings, strict=True) if not isinstance(each, Reading)}
    return Snapshot(well, failed)


def restore(
    snap: Mapping[str, Any],
    *,
    wait: bool = True,
    timeout: Timeout = DEFAULT,
    only_changed: bool = True,
    context: Context | None = None,
) -> Results[Reading]:
    """Put back what a snapshot says, in its order: the readings afterwards; what could not be done is in ``failed``.

    All are read first, and those that differ are put, begun together.

    :param snap: a ``Snapshot``, or any mapping of names to readings or values; states go by name.
    :param only_changed: false puts all.
    """
    flag("wait", wait)
    flag("only_changed", only_changed)
    if not isinstance(snap, Mapping):
        raise WrongTypeError(
            f"snap={shown(snap)}: give a Snapshot, as Snapshot.load() reads it from a file, "
            "or a mapping of names to values"
        )
    all_pvs = _pvs(list(snap), context)
    limit = _limit(all_pvs, timeout)
    wanted = dict(zip((pv.pvname for pv in all_pvs), snap.values(), strict=True))
    before = _readings(all_pvs, time.monotonic() + limit) if only_changed else [None] * len(all_pvs)
    now = {pv.pvname: each for pv, each in zip(all_pvs, before, strict=True)}
    changed = [pv for pv in all_pvs if _is_to_be_put(now[pv.pvname], wanted[pv.pvname])]
    errors = _put_all(changed, [wanted[pv.pvname] for pv in changed], wait, timeout, None)
    failed = {pv.pvname: error for pv, error in zip(changed, errors, strict=True) if error is not None}
    after = _readings(all_pvs, time.monotonic() + limit)
    well: dict[str, Reading] = {}
    for pv, each in zip(all_pvs, after, strict=True):
        if pv.pvname in failed:
            continue
        if isinstance(each, Reading):
            well[pv.pvname] = each
        else:
            failed[pv.pvname] = each
    return Results(well, failed)


@contextmanager
def restore_on_exit(
    pvs: PVs, *, wait: bool = True, timeout: Timeout = DEFAULT, context: Context | None = None
) -> Iterator[Snapshot]:
    """``with restore_on_exit(pvs): scan()``: read before the block, put back after it, whatever happens in it.

    An exception in the block goes through: what could not be put back is logged, and noted in it.

    :raises ManyFailedError: at the beginning, if not all can be read; at the end, if not all could be put back.
    """
    flag("wait", wait)
    before = snapshot(pvs, timeout=timeout, context=context)
    before.raise_for_failed()
    try:
        yield before
    except BaseException as error:
        _note(error, restore(before, wait=wait, timeout=timeout, context=context))
        raise
    restore(before, wait=wait, timeout=timeout, context=context).raise_for_failed()


# -- how ---------------------------------------------------------------------------------------------------------------


def _pvs(pvs: Any, context: Context | None) -> list[PV]:
    if isinstance(pvs, (str, PV)):
        return [pv_of(pvs, context)]
    if isinstance(pvs, (bytes, Mapping)) or not isinstance(pvs, Iterable):
        raise WrongTypeError(f"pvs={shown(pvs)}: give a name, a PV, or a list of them")
    each_pv = list(pvs)
    if context is None and any(isinstance(each, str) for each in each_pv):
        context = default_context()  # looked for once, not by each name
    return [pv_of(each, context) for each in each_pv]


def _limit(pvs: Sequence[PV], timeout: Timeout) -> float:
    """One limit for all: by default the longest that any of them has."""
    if timeout is not DEFAULT:
        return seconds(timeout)
    return max((pv.timeout for pv in pvs), default=0.0)


def _counting(verb: str, what: str, items: Sequence[Any], is_done: Callable[[Any], bool]) -> Callable[[], str]:
    return lambda: f"{verb}: {sum(map(is_done, items))} of {len(items)} {what}"


def _values(pvs: Sequence[PV], deadline: float, as_string: bool, count: int | None, use_monitor: bool) -> list[Any]:
    """The values as text, in part, or from memory; an error in the place of each that cannot be had."""
    if count is not None and (type(count) is not int or count < 1):
        raise BadValueError(f"count={shown(count)}: give how many elements at the most, from 1 on")
    known = [pv._cached() if use_monitor and count is None else None for pv in pvs]
    if count is None:
        missing = [place for place, reading in enumerate(known) if reading is None]
        asked = get_all([pvs[place].channel for place in missing], deadline)
        found: list[Any] = list(known)
        for place, answer in zip(missing, asked, strict=True):
            found[place] = answer
    else:
        wait_all([pv.channel for pv in pvs], deadline)
        found = [_attempt(partial(get.read_some, pv.channel, deadline, count)) for pv in pvs]
    if as_string:
        found = _with_metadata(pvs, found, deadline)
        return [each.text if isinstance(each, Reading) else each for each in found]
    return [each.value if isinstance(each, Reading) else each for each in found]


def _attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except CAError as error:
        return error


def _readings(pvs: Sequence[PV], deadline: float) -> list[Any]:
    """Readings with their metadata, or why there are none."""
    return _with_metadata(pvs, get_all([pv.channel for pv in pvs], deadline), deadline)


def _with_metadata(pvs: Sequence[PV], readings: Sequence[Any], deadline: float) -> list[Any]:
    """The same readings, knowing about their channels; metadata that nobody had are asked for together."""
    have = [(pv, reading) for pv, reading in zip(pvs, readings, strict=True) if isinstance(reading, Reading)]
    for pv, _ in have:
        if pv.channel.control is None:
            want(pv.channel, follow=True)
    control = {pv.channel: _attempt(partial(fetch, pv.channel, deadline)) for pv, _ in have}
    told = []
    for pv, reading in zip(pvs, readings, strict=True):
        known = control.get(pv.channel)
        told.append(known if isinstance(known, CAError) else reading.with_control(known) if known else reading)
    return told


def _all_or_raise(pvs: Sequence[PV], results: list[Any], raises: bool) -> list[Any]:
    failed = {pv.pvname: result for pv, result in zip(pvs, results, strict=True) if isinstance(result, CAError)}
    if failed and raises:
        well = {pv.pvname: result for pv, result in zip(pvs, results, strict=True) if pv.pvname not in failed}
        raise ManyFailedError(summary(failed, len(well) + len(failed)), Results(well, failed), failed)
    return results


def _pairs(pvs: Any, values: Any, context: Context | None) -> tuple[list[PV], list[Any]]:
    """Each PV with its value."""
    if isinstance(pvs, Mapping):
        if values is not _GIVEN:
            raise WrongTypeError("values: a mapping of names to values was given already")
        return _pvs(list(pvs), context), list(pvs.values())
    if values is _GIVEN:
        raise WrongTypeError("caput_many() takes names and values, or a mapping of names to values")
    if isinstance(values, Mapping):
        raise WrongTypeError(f"values={shown(values)}: give the mapping alone, instead of the names")
    all_pvs = _pvs(pvs, context)
    if may_be_one_value(values):
        return all_pvs, [values] * len(all_pvs)
    each = list(values)
    if len(each) != len(all_pvs):
        raise BadValueError(
            f"{len(all_pvs)} PVs, but {len(each)} values: give one for each, or a single one for all; "
            "to put one array to one PV, use caput()"
        )
    return all_pvs, each


def _put_all(
    pvs: Sequence[PV], values: Sequence[Any], wait: bool, timeout: Timeout, progress: bool | None
) -> list[CAError | None]:
    """Begin each put as its PV becomes connected, those of a circuit together; None or what went wrong."""
    started, limit = time.monotonic(), _limit(pvs, timeout)
    deadline = started + limit
    begun: dict[int, Any] = {}
    with Progress(lambda: f"caput_many: {sum(map(_is_done, list(begun.values())))} of {len(pvs)} done", progress):
        for places in in_turn([pv.channel for pv in pvs], deadline):
            try:
                for place in places:
                    begun[place] = _begin(pvs[place], values[place], wait, deadline)
            finally:  # one write for each circuit; the others find nothing left
                for place in places:
                    if isinstance(each := begun.get(place), put.Sent):
                        each.leave()
        waited = time.monotonic() - started
        over = math.inf if timeout is DEFAULT else deadline
        return [
            _finish(begun[place], over) if place in begun else pv.channel.unready(waited)
            for place, pv in enumerate(pvs)
        ]


def _is_done(begun: Any) -> bool:
    return begun.done if isinstance(begun, put.Sent) else True


def _begin(pv: PV, value: Any, wait: bool, deadline: float) -> Any:
    """A put on its way, None if there is nothing to wait for, or what went wrong."""
    try:
        channel = pv._writable_channel()
        form = pv._form(value, deadline)
        if wait:
            return put.begin(channel, *form, later=True)
        return put.send(channel, *form, 0.0)
    except CAError as error:
        return error


def _finish(begun: Any, deadline: float) -> CAError | None:
    if not isinstance(begun, put.Sent):
        return begun  # type: ignore[no-any-return]
    try:
        begun.finish(deadline)
    except CAError as error:
        return error
    return None


def _is_to_be_put(now: Any, wanted: Any) -> bool:
    """Whether a PV differs from what it is to be, as far as can be told."""
    if not isinstance(now, Reading):
        return True  # it cannot be read, or nobody asked
    if not isinstance(wanted, Reading):
        return not _equals(now, wanted)
    return differ(now, wanted)


def _equals(now: Reading, wanted: Any) -> bool:
    if now.native_type == ChannelType.ENUM and isinstance(wanted, str):
        return now.text == wanted
    return not differ(Reading(now.value), Reading(wanted))


def _note(error: BaseException, results: Results[Reading]) -> None:
    """Log, and write into an exception, what could not be put back."""
    for name, why in results.failed.items():
        log.error("'%s' could not be restored: %s", name, why)
    if results.failed:
        text = f"not restored: {summary(results.failed, len(results) + len(results.failed))}"
        notes = getattr(error, "__notes__", [])  # add_note() came with Python 3.11
        vars(error)["__notes__"] = [*notes, text]
