"""Many PVs: connected, read, written, kept and put back, and a reason for each that failed."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from caclient import (
    PV,
    AccessDeniedError,
    AccessRights,
    BadValueError,
    CATimeoutError,
    ManyFailedError,
    Reading,
    Snapshot,
    WrongTypeError,
    caget_many,
    caput_many,
    connect_all,
    restore,
    restore_on_exit,
    snapshot,
)
from caclient.client import progress as progress_module
from caclient.ioc import Completion, Record
from tests.recorder import PATIENCE

NAMES = ["x", "state", "text", "array"]


@pytest.fixture
def pair(serve):
    return serve(
        Record("x", 1.5, precision=2, units="mm"),
        Record("state", 1, enum_strings=("Idle", "Moving", "Fault")),
        Record("text", "words"),
        Record("array", [1.0, 2.0, 3.0]),
        Record("fixed", 1.0, access=AccessRights.READ),
        Record("slow", 1.0, on_put=lambda record, value: Completion()),
    )


@pytest.fixture
def context(pair):
    return pair[1]


# ---------------------------------------------------------------- connect


def test_connecting_many(context):
    mine = context.pv("x")
    results = connect_all([mine, " text ", "nowhere", "text"], timeout=0.3, context=context)
    assert (list(results), len(results), results.ok) == (["x", "text"], 2, False)
    assert results["x"] is mine
    assert isinstance(results.failed["nowhere"], CATimeoutError)
    assert str(results.failed["nowhere"]).startswith("searching: 'nowhere' not connected after 0.3")
    assert results.failed["nowhere"].pvname == "nowhere"
    assert connect_all("x", context=context).ok
    assert connect_all((name for name in NAMES), context=context).ok
    with pytest.raises(ManyFailedError, match="1 of 3 failed: searching: 'nowhere'"):
        results.raise_for_failed()


def test_connecting_many_waits_for_one_that_is_lost_while_others_are_waited_for(serve):
    """One name is there, then gone when the last comes; all of them are to be ready at once."""
    first, context = serve(Record("x", 1.0))
    second, other = serve()
    lost = threading.Event()
    x = context.pv("x", auto_monitor=False, connection_callback=lambda conn, **_: conn or lost.set())
    y = other.pv("y", auto_monitor=False)

    def outage():
        assert x.wait_for_connection(PATIENCE)
        first.stop()
        assert lost.wait(PATIENCE)
        second.add(Record("y", 2.0))
        assert y.wait_for_connection(PATIENCE)
        first.start()

    with ThreadPoolExecutor(1) as helper:
        done = helper.submit(outage)
        assert list(connect_all([x, y], timeout=PATIENCE)) == ["x", "y"]
        done.result(PATIENCE)


# ---------------------------------------------------------------- get


def test_values_in_order(context):
    values = caget_many(["x", "text", "array", "x"], context=context)
    assert (values[0], values[1], values[2].tolist(), values[3]) == (1.5, "words", [1.0, 2.0, 3.0], 1.5)
    assert caget_many([], context=context) == []
    assert caget_many("x", context=context) == [1.5]
    assert caget_many([context.pv("x"), "text"], context=context) == [1.5, "words"]


def test_values_as_text_in_part_or_from_memory(context):
    assert caget_many(["x", "state", "text"], as_string=True, context=context) == ["1.50", "Moving", "words"]
    assert [each.tolist() for each in caget_many(["array"], count=2, context=context)] == [[1.0, 2.0]]
    pv = context.pv("x")
    assert pv.get() == 1.5
    assert caget_many([pv, "text"], use_monitor=True, context=context) == [1.5, "words"]


def test_some_cannot_be_read(context):
    good, bad = caget_many(["x", "nowhere"], timeout=0.2, raises=False, context=context)
    assert good == 1.5
    assert isinstance(bad, CATimeoutError)
    with pytest.raises(ManyFailedError, match="1 of 2 failed: searching: 'nowhere' not connected after") as raised:
        caget_many(["x", "nowhere"], timeout=0.1, context=context)
    assert dict(raised.value.results) == {"x": 1.5}
    assert set(raised.value.failed) == {"nowhere"}
    for options in ({"as_string": True}, {"count": 1}, {"use_monitor": True}):
        good, bad = caget_many(["x", "nowhere"], timeout=0.2, raises=False, context=context, **options)
        assert isinstance(bad, CATimeoutError)


# ---------------------------------------------------------------- put


def test_values_for_each_or_one_for_all(context):
    assert caput_many(["x", "text"], [3.5, "new"], wait=True, context=context) == [None, None]
    assert caput_many(["x"], [4.5], context=context) == [None]
    assert caget_many(["x", "text"], context=context) == [4.5, "new"]
    assert caput_many({"x": 5.5, "state": "Idle"}, wait=True, context=context) == [None, None]
    assert caget_many(["x", "state"], context=context) == [5.5, 0]
    for one in (7.0, "7", Reading(7.0), np.float64(7.0), np.array(7.0)):
        caput_many(["x", "array"], 0.0, wait=True, context=context)
        caput_many(["x"], one, wait=True, context=context)
        assert caget_many("x", context=context) == [7.0]


def test_some_cannot_be_put(context):
    names = ["x", "fixed", "state", "slow", "nowhere"]
    for wait in (False, True):
        values = [1.0, 1.0, "Nonsense", 1.0, 1.0]
        results = caput_many(names, values, wait=wait, timeout=1.0, raises=False, context=context)
        kinds = [None if error is None else type(error).__name__ for error in results]
        late = "CATimeoutError" if wait else None
        assert kinds == [None, "AccessDeniedError", "BadValueError", late, "CATimeoutError"]
    with pytest.raises(ManyFailedError, match=r"1 of 1 failed: 'fixed': no write access") as raised:
        caput_many(["fixed"], [1.0], wait=True, context=context)
    assert isinstance(raised.value.failed["fixed"], AccessDeniedError)


@pytest.mark.parametrize(
    "call, told",
    [
        (lambda c: caput_many(["x", "text"], [1.0], context=c), "2 PVs, but 1 values: give one for each, or a single"),
        (lambda c: caput_many("x", [1.0, 2.0], context=c), "to put one array to one PV, use caput()"),
        (lambda c: caput_many({"x": 1.0}, [1.0], context=c), "a mapping of names to values was given already"),
        (lambda c: caput_many(["x"], {"x": 1.0}, context=c), "give the mapping alone, instead of the names"),
        (lambda c: caput_many(["x"], context=c), "takes names and values, or a mapping"),
        (lambda c: caput_many(["x"], [1.0], wait="all", context=c), "wait='all': give True or False"),
        (lambda c: caget_many(["x"], raises=None, context=c), "raises=None: give True or False"),
        (lambda c: caget_many(b"x", context=c), "give a name, a PV, or a list of them"),
        (lambda c: caget_many(["x"], timeout="5", context=c), "timeout='5': give seconds"),
        (lambda c: caget_many(["x"], count=0, context=c), "count=0: give how many elements"),
        (lambda c: caget_many(["x"], progress="yes", context=c), "progress='yes': give True, False"),
        (lambda c: connect_all(7, context=c), "pvs=7: give a name, a PV, or a list of them"),
        (lambda c: connect_all([7], context=c), "7 is no PV and no name"),
        (lambda c: restore(["x"], context=c), "or a mapping of names to values"),
    ],
)
def test_wrong_calls_are_told_what_to_give(context, call, told):
    with pytest.raises(BadValueError) as raised:
        call(context)
    assert told in str(raised.value)


# ---------------------------------------------------------------- snapshots


def test_a_snapshot_has_readings_with_their_metadata(context, tmp_path):
    snap = snapshot([*NAMES, "x"], context=context)
    assert list(snap) == NAMES
    assert (snap["x"].units, snap["x"].text, snap["state"].text) == ("mm", "1.50", "Moving")
    assert snap.ok
    snap.save(tmp_path / "snap.json")
    assert len(snap.diff(Snapshot.load(tmp_path / "snap.json"))) == 0
    some = snapshot(["x", "nowhere"], timeout=0.2, context=context)
    assert (list(some), list(some.failed)) == (["x"], ["nowhere"])


def test_restore_puts_back_what_differs(pair):
    ioc, context = pair
    snap = snapshot(NAMES, context=context)
    caput_many({"x": 9.0, "state": "Fault", "text": "other"}, wait=True, context=context)
    before = ioc["array"].snapshot
    results = restore(snap, context=context)
    assert results.ok
    assert list(results) == NAMES
    assert len(snap.diff(results)) == 0
    assert ioc["array"].snapshot is before  # it did not differ
    assert restore(snap, only_changed=False, context=context).ok
    assert ioc["array"].snapshot is not before


def test_restore_says_what_could_not_be_done(context):
    results = restore({"x": 2.0, "fixed": 7.0, "nowhere": 1.0, "state": "Idle"}, timeout=0.3, context=context)
    assert results["x"] == 2.0
    assert results["state"] == "Idle"
    assert isinstance(results.failed["fixed"], AccessDeniedError)
    assert isinstance(results.failed["nowhere"], CATimeoutError)


def test_restore_on_exit(context):
    with restore_on_exit(["x", "state"], context=context) as before:
        assert before["x"] == 1.5
        caput_many({"x": 9.0, "state": "Fault"}, wait=True, context=context)
    assert caget_many(["x", "state"], context=context) == [1.5, 1]


def test_the_blocks_own_exception_wins(context, caplog):
    pv = PV("fixed", context=context)

    def scan() -> None:
        with restore_on_exit(["x", pv], context=context) as before:
            caput_many("x", 9.0, wait=True, context=context)
            before._values["fixed"] = Reading(7.0)  # as if it had been moved by somebody else
            raise ZeroDivisionError("in the scan")

    with caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError) as raised:
        scan()
    assert caget_many("x", context=context) == [1.5]
    assert "'fixed' could not be restored: 'fixed': no write access" in caplog.text
    assert "not restored: 1 of 2 failed: 'fixed'" in raised.value.__notes__[0]


def test_nothing_begins_if_not_all_can_be_read(context):
    guard = restore_on_exit(["x", "nowhere"], timeout=0.2, context=context)
    with pytest.raises(ManyFailedError, match="'nowhere'"), guard:
        pytest.fail("the block must not begin")


def test_progress_is_told_where_it_is_asked_for(context, monkeypatch, capsys):
    monkeypatch.setattr(progress_module, "AFTER", 0.02)
    monkeypatch.setattr(progress_module, "EVERY", 0.01)
    connect_all(["x", "nowhere"], timeout=0.4, progress=True, context=context)
    assert "connect_all: 1 of 2 connected (0 s)" in capsys.readouterr().err
    connect_all(["x", "nowhere"], timeout=0.1, context=context)
    assert capsys.readouterr().err == ""


def test_wrong_is_a_type_error_where_it_is_one(context):
    with pytest.raises(WrongTypeError):
        caget_many(7, context=context)
