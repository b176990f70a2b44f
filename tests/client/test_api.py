"""The functions for those who do not want to hold a PV."""

from __future__ import annotations

import threading

import pytest

from caclient import (
    PV,
    AccessRights,
    AlarmSeverity,
    AlarmStatus,
    BadValueError,
    CATimeoutError,
    Cause,
    Config,
    Context,
    WrongTypeError,
    caget,
    caget_many,
    cainfo,
    camonitor,
    caput,
    caput_many,
    close_all,
    connect_all,
    default_context,
    live,
    on_callback_error,
    restore,
    set_default_context,
    snapshot,
    subscriptions,
    using,
    why,
)
from caclient.ioc import IOC, Completion, Record
from tests.recorder import PATIENCE, Recorder
from tests.resilience.watching import eventually


@pytest.fixture
def ioc(serve, monkeypatch) -> IOC:
    """An IOC that the default context sees."""
    ioc, context = serve(
        Record("x", 1.5, precision=2, units="mm", display=(-10.0, 10.0)),
        Record("state", 1, enum_strings=("Idle", "Moving")),
        Record("text", "words"),
        Record("array", [1.0, 2.0, 3.0]),
        Record("fixed", 1.0, access=AccessRights.READ),
        Record("slow", 1.0, on_put=lambda record, value: Completion()),
    )
    context.close()
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"127.0.0.1:{ioc.port}")
    return ioc


def test_get_and_put_by_name(ioc):
    assert caget("x") == 1.5
    assert caget(" x\n", as_string=True) == "1.50"
    assert caget("array", count=2).tolist() == [1.0, 2.0]
    caput("x", 2.5)
    assert caget("x") == 2.5
    caput("state", "Idle", wait=True)
    assert caget("state", use_monitor=False) == 0
    with pytest.raises(CATimeoutError, match=r"searching: 'nowhere' not connected after 0.0.* sent to 127.0.0.1:"):
        caget("nowhere", timeout=0.05)
    with pytest.raises(CATimeoutError, match=r"not completed: 'slow' after 0.0.*: the put was sent to 127.0.0.1:"):
        caput("slow", 2.0, wait=True, timeout=0.05)


def test_many_calls_make_one_context_and_one_channel_each(ioc):
    for _ in range(20):
        caget("x"), caget("text"), caput("x", 1.0)
    assert ioc.connection_count() == 1
    assert ioc.channel_count() == 2


def test_a_context_for_names_but_pvs_keep_their_own(ioc, serve):
    _, other = serve(Record("x", 7.0))
    mine = PV("x")
    assert caget("x", context=other) == 7.0
    assert caget(mine, context=other) == 1.5
    caput("x", 8.0, context=other)
    assert caget("x", context=other) == 8.0
    with using(other):
        assert caget("x") == 8.0
        assert PV("x").get() == 8.0
        assert mine.get() == 1.5
    assert caget("x") == 1.5
    try:
        set_default_context(other)
        assert caget("x") == 8.0
    finally:
        set_default_context(None)


def test_monitor_with_a_callback_or_as_lines(ioc, capsys):
    heard, printed = Recorder(), Recorder()
    with camonitor("x", heard), camonitor(["x", "text"], printed) as both:
        heard.wait(1)
        assert len(both) == 2
        ioc["x"].post(2.0)
        assert [reading.value for reading in heard.wait(2)] == [1.5, 2.0]
        assert {reading.pvname for reading in printed.wait(3)} == {"x", "text"}


def test_monitor_prints_a_line_for_each_update(ioc, monkeypatch):
    printed = Recorder()

    class Terminal:
        write = printed

        def flush(self) -> None:
            printed("flushed")

    monkeypatch.setattr("sys.stdout", Terminal())
    with camonitor("x", policy="latest"):
        line, flushed = printed.wait(2)
        assert line.startswith("x 2")
        assert line.endswith(" 1.5\n")
        assert flushed == "flushed"
        ioc["x"].post(status=AlarmStatus.READ, severity=AlarmSeverity.INVALID)
        assert printed.wait(4)[2].endswith(" 1.5 INVALID READ\n")


def test_what_is_known_as_a_table(ioc):
    info = cainfo("x")
    rows = info.rows()
    assert (rows["name"], rows["value"], rows["type"]) == ("x", "1.50 mm", "double, 1 element")
    assert (rows["host"], rows["access"]) == (f"127.0.0.1:{ioc.tcp_port}", "read/write")
    assert (rows["precision"], rows["display limits"], rows["alarm"]) == ("2", "-10 to 10", "NO_ALARM")
    assert "nan" not in repr(info)
    assert cainfo("state").rows()["states"] == "Idle, Moving"
    assert cainfo("array").rows()["type"] == "double, 3 elements"


def test_why_by_name(ioc):
    assert why("x").cause is Cause.HEALTHY
    assert why(PV("x")).cause is Cause.HEALTHY
    assert why("fixed").cause is Cause.NO_WRITE_ACCESS
    assert why("nowhere", timeout=0.7).cause is Cause.NO_REPLY
    assert why("nowhere-else", timeout=0).cause is Cause.SEARCHING


@pytest.mark.parametrize("way", ["subscribe", "add_callback"])
def test_why_by_name_sees_whoevers_callback_is_stuck(ioc, way):
    begun, go_on = threading.Event(), threading.Event()

    def stuck(*_, **__):
        begun.set()
        go_on.wait(PATIENCE)

    with PV("x") as pv:
        getattr(pv, way)(stuck)
        if way == "add_callback":
            pv.put(7.0)
        assert begun.wait(PATIENCE)
        pv.put(2.0, wait=True)
        try:
            eventually(lambda: why("x").cause is Cause.CALLBACK_BUSY)
            assert "stuck (test_api.py:" in why("x").says
            assert PV("x").why().cause is Cause.HEALTHY  # nothing is in the way of that one
        finally:
            go_on.set()


def test_what_lives_is_listed_and_ended(ioc):
    heard = Recorder()

    def slow(reading):
        heard(reading)

    subscription = camonitor("x", slow)
    PV("text").add_callback(heard)
    iterator = PV("array").updates(timeout=PATIENCE)
    heard.wait(1)
    next(iterator)
    listed = {each.pvname: each for each in subscriptions()}
    assert set(listed) == {"x", "text"}
    assert listed["x"] is subscription
    assert "slow (test_api.py:" in repr(subscriptions())
    close_all()
    assert len(subscriptions()) == 0
    assert repr(subscriptions()) == "<no subscriptions>"
    assert subscription.closed
    assert list(iterator) == []


def test_errors_of_callbacks_are_told(ioc, caplog):
    told = Recorder()

    def breaks(reading):
        raise ZeroDivisionError("oh")

    on_callback_error(lambda pvname, callback, error: told((pvname, callback, error)))
    try:
        with camonitor("x", breaks):
            [(pvname, callback, error)] = told.wait(1)
    finally:
        on_callback_error(None)
    assert (pvname, callback) == ("x", breaks)
    assert isinstance(error, ZeroDivisionError)
    assert "breaks (test_api.py:" in caplog.text
    with pytest.raises(WrongTypeError, match="give a function"):
        on_callback_error(7)


MISTAKES = {
    "a list to caget": (lambda: caget(["x", "y"]), "for many use caget_many()"),
    "no name at all": (lambda: caget(None), "None is no PV and no name"),
    "a number as name": (lambda: caget(7), "7 is no PV and no name"),
    "an empty name": (lambda: PV("  "), "it is empty"),
    "a blank in a name": (lambda: PV("m1 RBV"), "there is a blank or a control character in it"),
    "a name with a tab": (lambda: PV("m1\tRBV"), "there is a blank or a control character in it"),
    "two names in one": (lambda: caget("x\ny"), "there is a blank or a control character in it"),
    "PV Access": (lambda: PV("pva://m1"), "PV Access is not spoken here: give 'm1'"),
    "a scheme": (lambda: PV("ca://m1"), "names have no scheme: give 'm1'"),
    "a list as name": (lambda: PV(["x"]), "give text"),
    "a priority": (lambda: PV("x", priority=100), "priority=100: give a number from 0 to 99"),
    "timeout as text": (lambda: caget("x", timeout="5"), "timeout='5': give seconds, as in timeout=2.5"),
    "no timeout": (lambda: caget("x", timeout=None), "timeout=None: leave it out for the default"),
    "a negative timeout": (lambda: caget("x", timeout=-1), "timeout=-1: give seconds"),
    "NaN as timeout": (lambda: caget("x", timeout=float("nan")), "timeout=nan: give seconds"),
    "a timeout of a PV": (lambda: PV("x", timeout="5"), "timeout='5': give seconds"),
    "count 0": (lambda: caget("array", count=0), "count=0: give how many elements"),
    "count as text": (lambda: caget("array", count="2"), "count='2': give how many elements"),
    "wait as text": (lambda: caput("x", 1, wait="all"), "wait='all': give True or False"),
    "None as value": (lambda: caput("x", None), "None is no value"),
    "text to a number": (lambda: caput("x", "fast"), "'fast' is no number, but this is a double"),
    "text to an array": (lambda: caput("array", "1,2,3"), "'1,2,3' is text, but this is an array of numbers"),
    "a list to a scalar": (lambda: caput("x", [1, 2]), "2 elements given, but it holds one"),
    "too many elements": (lambda: caput("array", [1] * 9), "9 elements given, but it holds 3 of them"),
    "a state that is none": (lambda: caput("state", "moving"), "did you mean 'Moving'?"),
    "too long a text": (lambda: caput("text", "y" * 50), "put it to 'text.VAL$'"),
    "a callback's result": (lambda: PV("x").subscribe(None), "the function itself, not what it returns"),
    "no callback": (lambda: PV("x").subscribe(7), "7 is not callable"),
    "a policy": (lambda: PV("x").subscribe(print, policy="newest"), "policy='newest': give 'all' or 'latest'"),
    "a limit": (lambda: PV("x").subscribe(print, limit=0), "limit=0: give how many updates may wait"),
    "a rate": (lambda: PV("x").subscribe(print, max_rate=-1), "max_rate=-1: give how many calls a second"),
    "a mask": (lambda: PV("x").subscribe(print, mask="x"), "mask='x': give Mask.VALUE | Mask.ALARM"),
    "pyepics' callback": (lambda: PV("x").subscribe(lambda pvname, value, **kw: None), "add_callback()"),
    "a tolerance": (lambda: PV("x").wait_for(1, timeout=1, tolerance=-1), "tolerance=-1: give a number of 0 or more"),
    "a condition": (lambda: PV("x").wait_for("on", timeout=1), "is a number, and will never be 'on'"),
    "addresses with a comma": (lambda: Context(addr_list="a,b"), "separate addresses by blanks"),
    "addresses as config": (lambda: Context("10.0.0.1"), "addresses go to addr_list="),
    "a context": (lambda: caget("x", context=Config()), "give a Context, or leave it out"),
    "a list of names as text": (lambda: connect_all("x array"), "for many PVs give a list of names"),
    "names with a comma between": (lambda: caget_many("x, array"), "for many PVs give a list of names"),
    "a blank behind the dot": (lambda: PV("x.VAL VAL"), "there is a blank"),
    "numbers as names": (lambda: connect_all([1]), "1 is no PV and no name"),
    "a number of names": (lambda: connect_all(5), "pvs=5: give a name, a PV, or a list of them"),
    "None as names": (lambda: caget_many(None), "pvs=None: give a name, a PV, or a list of them"),
    "bytes as name": (lambda: PV(b"x"), "b'x' is no PV name: give text"),
    "too few values": (lambda: caput_many(["x", "array"], [1]), "2 PVs, but 1 values: give one for each"),
    "wait as in pyepics": (lambda: caput_many(["x"], 1, wait="all"), "wait='all': give True or False"),
    "no values": (lambda: caput_many(["x"]), "takes names and values, or a mapping of names to values"),
    "wait as a number": (lambda: PV("x").put(1, wait=1), "wait=1: give True or False"),
    "add_callback of a result": (lambda: PV("x").add_callback(None), "the function itself, not what it returns"),
    "add_callback of a number": (lambda: PV("x").add_callback(5), "5 is not callable: give a function"),
    "a callback as index": (lambda: PV("x").remove_callback(print), "give what add_callback() has returned"),
    "an expectation without a block": (lambda: PV("x").expect(1, timeout=1).reading, "write with pv.expect(...) as"),
    "a timeout of a completion": (lambda: PV("x").begin_put(1).result("5"), "timeout='5': give seconds"),
    "a negative timeout of a completion": (lambda: PV("x").begin_put(1).result(-1), "timeout=-1: give seconds"),
    "a callback as text": (lambda: PV("x", callback="f"), "'f' is not callable: give a function"),
    "a connection callback": (lambda: PV("x", connection_callback=5), "5 is not callable: give a function"),
    "auto_monitor as text": (lambda: PV("x", auto_monitor="yes"), "auto_monitor='yes': give Mask.VALUE | Mask.ALARM"),
    "no mask": (lambda: PV("x").subscribe(print, mask=None), "give Mask.VALUE | Mask.ALARM"),
    "a rate as text": (lambda: PV("x").subscribe(print, max_rate="10"), "give how many calls a second"),
    "a truth value as timeout": (lambda: caget("x", timeout=True), "timeout=True: give seconds"),
    "no timeout where one is needed": (lambda: PV("x").wait_for(1, timeout=None), "timeout=None: give seconds"),
    "a negative count": (lambda: caget("array", count=-1), "count=-1: give how many elements"),
    "nothing to wait for": (lambda: PV("x").wait_for(None, timeout=1), "give a value, a state's name, or a function"),
    "a negative settling": (lambda: PV("x").wait_for(1, timeout=1, settle=-1), "settle=-1: give seconds, 0 or more"),
    "a state waited for": (lambda: PV("state").wait_for("moving", timeout=1), "did you mean 'Moving'?"),
    "expect with text": (lambda: PV("x").expect(1, timeout="1"), "timeout='1': give seconds"),
    "a name as readback": (lambda: PV("x").put_and_wait(1, timeout=1, readback="x"), "readback='x': give a PV"),
    "a state of two": (lambda: caput("state", 7), "7 is no state of 'state': give one of 0 Idle, 1 Moving"),
    "a state of two, waiting": (lambda: caput("state", 7, wait=True), "give one of 0 Idle, 1 Moving"),
    "half a state": (lambda: caput("state", 1.5), "1.5 is no whole number"),
    "a PV as value": (lambda: caput("x", PV("array")), "is no value: give a number, text, or a list"),
    "a mapping as value": (lambda: caput("x", {"y": 1}), "to put many PVs, give it to caput_many()"),
    "a set as value": (lambda: caput("array", {1, 2}), "give list(...) of it"),
    "a file to restore": (lambda: restore("snap.json"), "give a Snapshot, as Snapshot.load() reads it"),
    "names to restore": (lambda: restore(["x"]), "or a mapping of names to values"),
    "a difference to a number": (lambda: snapshot("x").diff(5), "other=5: give another Snapshot"),
    "a port as text": (lambda: Context(server_port="5064"), "server_port='5064': give a port number"),
    "a truth value as text": (lambda: Context(auto_addr_list="NO"), "auto_addr_list='NO': give True or False"),
    "bytes of a queue": (lambda: Context(queue_bytes="lots"), "give a positive number of bytes"),
    "closing by text": (lambda: default_context().close(timeout="1"), "timeout='1': give seconds"),
    "why of a list": (lambda: why(["x"]), "for many use caget_many()"),
    "no PV to look at": (lambda: live(), "give at least one PV to look at"),
    "no rate of drawing": (lambda: live("x", rate=0), "rate=0: give drawings a second"),
    "nothing to use": (lambda: set_default_context(7), "give a Context, or None"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_meant_wrong_is_told_what_to_give(ioc, mistake):
    """One sentence, that says what to do; and none of the machinery's words."""
    call, advice = MISTAKES[mistake]
    with pytest.raises(BadValueError) as raised:
        call()
    close_all()
    text = str(raised.value)
    assert advice in text
    assert "\n" not in text
    assert not {"lane", "kernel", "ioid", "cannot be said"} & set(text.split())


UNFIT = {
    "PV.get() takes no as_numpy=: leave it out: an array is a numpy array": lambda: PV("x").get(as_numpy=True),
    "caget() takes no with_ctrlvars=: take PV.read(), which": lambda: caget("x", with_ctrlvars=True),
    "PV.get() takes no tiemout=: did you mean timeout=?": lambda: PV("x").get(tiemout=1),
    "PV.put() takes no use_complete=: take PV.begin_put(value), whose": lambda: PV("x").put(1, use_complete=True),
    "caput() takes no zzz=: it takes wait, timeout, context": lambda: caput("x", 1, zzz=1),
    "caget_many() takes no conn_timeout=: write timeout=, seconds": lambda: caget_many(["x"], conn_timeout=1),
    "caput_many() takes no put_timeout=: write timeout=, seconds": lambda: caput_many(["x"], [1], put_timeout=1),
    "PV() takes no form=: leave it out": lambda: PV("x", form="time"),
    "PV() takes no count=: it is for PV.get(), caget()": lambda: PV("x", count=1),
    "PV.wait_for() missing 1 required keyword-only argument: 'timeout'": lambda: PV("x").wait_for(1),
    "PV.expect() missing 1 required keyword-only argument: 'timeout'": lambda: PV("x").expect(1),
    "PV.put_and_wait() missing 1 required keyword-only argument: 'timeout'": lambda: PV("x").put_and_wait(1),
    "PV.subscribe() missing 1 required positional argument: 'callback'": lambda: PV("x").subscribe(),
}


@pytest.mark.parametrize("text", UNFIT)
def test_calls_that_do_not_fit_are_named_as_users_name_them(ioc, text):
    with pytest.raises(TypeError) as raised:
        UNFIT[text]()
    assert text in str(raised.value)
