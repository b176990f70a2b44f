"""The public API walked through on a real IOC: what each call gives, and what it raises, with what it knows."""

from __future__ import annotations

import concurrent.futures
import copy
import inspect
import json
import math
import pickle
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from caclient import (
    PV,
    AlarmSeverity,
    AlarmStatus,
    Context,
    Description,
    Diagnosis,
    Limits,
    Reading,
    Report,
    Results,
    Snapshot,
    Subscription,
    Updates,
    caget,
    caget_many,
    cainfo,
    camonitor,
    caput,
    caput_many,
    connect_all,
    errors,
    restore,
    restore_on_exit,
    snapshot,
    subscriptions,
    using,
    why,
)
from tests.interop.softioc import SoftIoc

pytestmark = pytest.mark.interop
SOON = 0.05


@pytest.fixture(scope="module")
def ioc() -> Iterator[SoftIoc]:
    """An IOC of this module's own: it is written to."""
    with SoftIoc() as ioc:
        yield ioc


@pytest.fixture(autouse=True)
def here(ioc: SoftIoc, make_context: Callable[..., Context]) -> Iterator[Context]:
    """A context on it, used where none is given."""
    with using(make_context(ioc)) as context:
        yield context


def expect(pv: PV, value: Any, put: Any = None) -> Reading | None:
    with pv.expect(value, timeout=SOON if put is None else 5.0) as seen:
        if put is not None:
            pv.put(put)
    return seen.reading


def put_back() -> Snapshot:
    with restore_on_exit("t:ao") as before:
        caput("t:ao", 9.0, wait=True)
    return before


GIVEN: dict[str, tuple[Callable[[], Any], type]] = {
    "wait_for_connection": (lambda: PV("t:ai").wait_for_connection(), bool),
    "get": (lambda: PV("t:ai").get(), float),
    "get of an enum": (lambda: PV("t:mbbi").get(), int),
    "get of text": (lambda: PV("t:stringin").get(), str),
    "get of an array": (lambda: PV("t:wf:double").get(), np.ndarray),
    "get as text": (lambda: PV("t:ai").get(as_string=True), str),
    "read": (lambda: PV("t:ai").read(), Reading),
    "put": (lambda: PV("t:ao").put(1.0), type(None)),
    "put and wait": (lambda: PV("t:ao").put(PV("t:ai").read(), wait=True), type(None)),
    "begin_put": (lambda: PV("t:ao").begin_put(1.0), concurrent.futures.Future),
    "its result": (lambda: PV("t:ao").begin_put(1.0).result(5.0), type(None)),
    "subscribe": (lambda: PV("t:ai").subscribe(lambda reading: None), Subscription),
    "add_callback": (lambda: PV("t:ai").add_callback(lambda **keywords: None), int),
    "updates": (lambda: PV("t:ai").updates(timeout=5.0), Updates),
    "an update": (lambda: next(PV("t:ai").updates(timeout=5.0)), Reading),
    "wait_for": (lambda: PV("t:ai").wait_for(1.5, timeout=5.0), Reading),
    "expect": (lambda: expect(PV("t:ao"), 7.0, put=7.0), Reading),
    "put_and_wait": (lambda: PV("t:ao").put_and_wait(8.0, timeout=5.0), Reading),
    "why of a PV": (lambda: PV("t:ai").why(), Diagnosis),
    "describe": (lambda: PV("t:ai").describe(), Description),
    "age": (lambda: (lambda pv: (pv.read(), pv.age)[1])(PV("t:ai")), float),
    "limits": (lambda: (lambda pv: (pv.read(), pv.limits)[1])(PV("t:ai")), Limits),
    "close": (lambda: PV("t:ai").close(), type(None)),
    "caget": (lambda: caget("t:ai"), float),
    "caput": (lambda: caput("t:ao", "2.5", wait=True), type(None)),
    "cainfo": (lambda: cainfo("t:ai"), Description),
    "why": (lambda: why("t:ai"), Diagnosis),
    "camonitor": (lambda: camonitor("t:ai", lambda reading: None), Subscription),
    "connect_all": (lambda: connect_all(["t:ai", "t:ao"]), Results),
    "caget_many": (lambda: caget_many(["t:ai", "t:ao"]), list),
    "caput_many": (lambda: caput_many(["t:ao"], 3.0, wait=True), list),
    "snapshot": (lambda: snapshot(["t:ai", "t:mbbi"]), Snapshot),
    "restore": (lambda: restore(snapshot("t:ao")), Results),
    "restore_on_exit": (put_back, Snapshot),
    "subscriptions": (lambda: list(subscriptions()), list),
}


def test_each_call_gives_what_was_agreed(here: Context) -> None:
    given = {name: call() for name, (call, _) in GIVEN.items()}
    assert {name: value for name, value in given.items() if not isinstance(value, GIVEN[name][1])} == {}
    assert (here.servers() != (), isinstance(here.report(), Report)) == (True, True)


def test_a_reading() -> None:
    reading = PV("t:ai").read()
    assert (reading.pvname, reading.value, reading.units, reading.precision) == ("t:ai", 1.5, "mm", 3)
    assert (reading.severity, reading.status) == (AlarmSeverity.NO_ALARM, AlarmStatus.NO_ALARM)
    assert f"{reading.severity} {reading.status}" == "NO_ALARM NO_ALARM"
    assert isinstance(reading.datetime, datetime)
    assert reading.timestamp_ns is not None
    assert abs(reading.timestamp - reading.timestamp_ns / 1e9) < 1e-6
    assert (float(reading), f"{reading:.2f}", format(reading, ".1f"), str(reading)) == (
        1.5,
        "1.50",
        "1.5",
        reading.text,
    )
    assert reading > 1
    assert reading == 1.5
    assert np.asarray([reading, reading]).tolist() == [1.5, 1.5]
    assert pickle.loads(pickle.dumps(reading)) == copy.deepcopy(reading) == reading
    assert reading.reason == "read"
    json.dumps(reading.to_dict(), allow_nan=False)
    with pytest.raises(TypeError):
        bool(reading)
    for sequence_like in (len, iter, lambda r: r[0], lambda r: r + 1, lambda r: r * 2):
        with pytest.raises(TypeError):
            sequence_like(reading)


def test_a_record_that_was_never_processed_has_no_time() -> None:
    reading = PV("t:alarm:udf").read()
    assert (math.isnan(reading.timestamp), reading.timestamp_ns, reading.datetime) == (True, None, None)
    assert "<undefined>" in repr(reading)
    assert (str(reading.severity), str(reading.status)) == ("INVALID", "UDF")
    assert not reading.is_valid


def test_a_pv_that_nobody_has_can_be_looked_at_from_all_sides() -> None:
    nowhere = PV("t:nowhere", timeout=SOON)
    with pytest.raises(errors.CATimeoutError):
        nowhere.get()
    assert not hasattr(nowhere, "value")
    assert dict(inspect.getmembers(nowhere))["units"] is None


def closed() -> PV:
    pv = PV("t:ai")
    pv.close()
    return pv


NOBODY = {
    "get": lambda pv: pv.get(),
    "get from memory": lambda pv: pv.get(timeout=0),
    "read": lambda pv: pv.read(),
    "value": lambda pv: pv.value,
    "put": lambda pv: pv.put(1),
    "put and wait": lambda pv: pv.put(1, wait=True),
    "begin_put": lambda pv: pv.begin_put(1).result(5.0),
    "updates": lambda pv: next(pv.updates(timeout=SOON)),
    "wait_for": lambda pv: pv.wait_for(1, timeout=SOON),
    "expect": lambda pv: expect(pv, 1),
    "put_and_wait": lambda pv: pv.put_and_wait(1, timeout=SOON),
    "describe": lambda pv: pv.describe(),
    "snapshot": lambda pv: snapshot(pv, timeout=SOON).failed["t:nowhere"],
    "connect_all": lambda pv: connect_all(pv, timeout=SOON).failed["t:nowhere"],
    "caget_many": lambda pv: caget_many(pv, timeout=SOON, raises=False)[0],
    "caput_many": lambda pv: caput_many(pv, 1, timeout=SOON, raises=False)[0],
}

RAISED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    **{
        f"{name} of nobody": (
            lambda call=call: call(PV("t:nowhere", timeout=SOON)),
            errors.NoValueError if name == "value" else errors.CATimeoutError,
            "search",
        )
        for name, call in NOBODY.items()
    },
    "get, closed": (lambda: closed().get(), errors.DisconnectedError, ""),
    "put, closed": (lambda: closed().put(1), errors.DisconnectedError, ""),
    "no read access": (lambda: PV("t:noaccess").get(), errors.AccessDeniedError, "request"),
    "no write access": (lambda: PV("t:readonly").put(1), errors.AccessDeniedError, "request"),
    "refused by the record": (
        lambda: PV("t:ai.RTYP").put("ao", wait=True),
        (errors.ChannelAccessError, errors.AccessDeniedError),  # type: ignore[dict-item]
        "request",
    ),
    "not completed": (lambda: PV("t:slow").put(1.0, wait=True, timeout=0.3), errors.CATimeoutError, "processing"),
    "condition not met": (lambda: PV("t:ai").wait_for(7, timeout=1.0), errors.CATimeoutError, "processing"),
    "not seen": (lambda: expect(PV("t:ai"), 7), errors.CATimeoutError, "processing"),
    "no state": (lambda: PV("t:mbbo").put("moving"), errors.BadValueError, ""),
    "no such index": (lambda: PV("t:bo").put(7, wait=True), errors.BadValueError, ""),
    "too long": (lambda: PV("t:stringout").put("x" * 40), errors.BadValueError, ""),
    "too many": (lambda: PV("t:wf:double").put([1.0] * 99), errors.BadValueError, ""),
    "out of range": (lambda: PV("t:longout").put(2**40), errors.BadValueError, ""),
    "never this": (lambda: PV("t:ai").wait_for("on", timeout=1), errors.BadValueError, ""),
}


@pytest.mark.parametrize("name", RAISED)
def test_each_error_knows_what_it_is_about(name: str) -> None:
    """The PV, how long, how far, why; and it pickles with all of that."""
    call, kind, phase = RAISED[name]
    try:
        error = call()
    except errors.CAError as raised:
        error = raised
    assert isinstance(error, kind), error
    assert error.pvname and error.pvname.startswith("t:")
    assert (error.phase or "") == phase
    if isinstance(error, (errors.CATimeoutError, errors.AccessDeniedError, errors.DisconnectedError)):
        assert isinstance(error.why, Diagnosis)
    if isinstance(error, errors.CATimeoutError):
        assert error.elapsed is not None
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.pvname, again.phase) == (type(error), str(error), error.pvname, error.phase)
    assert type(again.why) is type(error.why)


def test_an_index_that_there_is_not_is_never_sent() -> None:
    """An IOC takes any number for a bo, and says "Illegal_Value" without an alarm."""
    before = caget("t:bo", use_monitor=False)
    for number in (2, 7, -1, 70_000):
        with pytest.raises(errors.BadValueError, match=f"{number} is no state of 't:bo': give one of 0 Off, 1 On"):
            caput("t:bo", number, wait=True)
    assert caget("t:bo", use_monitor=False) == before
    caput("t:mbbo", 7, wait=True)  # one of its sixteen, without a name
    assert caget("t:mbbo", use_monitor=False) == 7


def test_a_context_that_does_not_put(here: Context) -> None:
    with Context(here.config, read_only=True) as looking:
        assert looking.pv("t:ao").get() is not None
        with pytest.raises(errors.ReadOnlyError, match="nothing was sent"):
            caput("t:ao", 1.0, context=looking)
