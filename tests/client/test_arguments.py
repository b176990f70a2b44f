"""Arguments that were given by position, and flags that are none: one sentence that says what to write."""

from __future__ import annotations

import inspect

import pytest

from caclient import (
    PV,
    Context,
    WrongTypeError,
    caget,
    caget_many,
    cainfo,
    camonitor,
    caput,
    caput_many,
    connect_all,
    restore,
    restore_on_exit,
    snapshot,
    why,
)
from caclient.ioc import Record


@pytest.fixture
def context(serve) -> Context:
    _, context = serve(Record("x", 1.5, precision=2), Record("text", "words"))
    return context


BY_POSITION = {
    "a timeout to get": (
        lambda x, **_: x.get(5),
        "PV.get() takes nothing by position, and 5 is one more: write timeout=5 for seconds, count=5 for elements",
    ),
    "a flag to get": (lambda x, **_: x.get(True), "write as_string=True or use_monitor=True"),
    "a timeout to read": (lambda x, **_: x.read(2.5), "PV.read() takes nothing by position, and 2.5 is one more"),
    "a flag to put": (
        lambda x, **_: x.put(1, True),
        "PV.put() takes one argument by position, and True is one more: write wait=True",
    ),
    "a timeout to put": (lambda x, **_: x.put(1, 5), "write timeout=5 for seconds"),
    "what pyepics takes": (lambda x, **_: x.put(1, False, 30.0), "and False is one more: write wait=False"),
    "a timeout to wait_for": (lambda x, **_: x.wait_for(1, 5, timeout=1), "PV.wait_for() takes one argument by"),
    "a timeout to expect": (lambda x, **_: x.expect(1, 5, timeout=1), "write timeout=5 for seconds"),
    "a timeout to put_and_wait": (lambda x, **_: x.put_and_wait(1, 5, timeout=1), "write timeout=5 for seconds"),
    "a timeout to updates": (lambda x, **_: x.updates(5), "write timeout=5 for seconds"),
    "a timeout to describe": (lambda x, **_: x.describe(5), "write timeout=5 for seconds"),
    "what pyepics' PV takes": (
        lambda context, **_: PV("x", print),
        "is one more: the others go by name, as in callback=..., timeout=5",
    ),
    "a timeout to caget": (
        lambda context, **_: caget("x", 5, context=context),
        "caget() takes one argument by position, and 5 is one more: write timeout=5 for seconds, count=5 for elements",
    ),
    "a flag to caget": (lambda context, **_: caget("x", True, context=context), "write as_string=True or"),
    "two names to caget": (
        lambda context, **_: caget("x", "text", context=context),
        "and 'text' is one more: for many PVs give a list to caget_many()",
    ),
    "a flag to caput": (lambda context, **_: caput("x", 1, True, 60), "takes two arguments by position, and True is"),
    "a timeout to cainfo": (lambda context, **_: cainfo("x", 5), "write timeout=5 for seconds"),
    "a timeout to why": (lambda context, **_: why("x", 5), "write timeout=5 for seconds"),
    "a timeout to connect_all": (lambda context, **_: connect_all(["x"], 5), "write timeout=5 for seconds"),
    "names one by one": (lambda context, **_: connect_all("x", "text"), "give the names as one list"),
    "names one by one, read": (lambda context, **_: caget_many("x", "text"), "give the names as one list"),
    "a timeout to caput_many": (lambda context, **_: caput_many(["x"], [1], 5), "write timeout=5 for seconds"),
    "a timeout to snapshot": (lambda context, **_: snapshot(["x"], 5), "write timeout=5 for seconds"),
}


@pytest.mark.parametrize("call", BY_POSITION)
def test_what_goes_by_name_and_was_given_by_position(context, call):
    made, advice = BY_POSITION[call]
    with pytest.raises(WrongTypeError) as raised, context.pv("x") as x:
        made(x=x, context=context)
    assert advice in str(raised.value)


@pytest.mark.parametrize("call", ["wait_for", "expect", "put_and_wait"])
def test_a_timeout_that_is_needed_is_asked_for_by_name(context, call):
    with context.pv("x") as x, pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'timeout'"):
        getattr(x, call)(1, 5)


def test_a_timeout_by_position_where_pyepics_takes_one(context):
    with context.pv("x") as x:
        assert x.wait_for_connection(5)


def test_the_surplus_is_not_shown():
    for call in (PV.get, PV.put, caget, caget_many, snapshot):
        assert "more" not in inspect.signature(call).parameters


FLAGS = {
    "as_string": lambda x, flag, **_: x.get(as_string=flag),
    "use_monitor": lambda x, flag, **_: x.get(use_monitor=flag),
    "use_monitor of read": lambda x, flag, **_: x.read(use_monitor=flag),
    "wait": lambda x, flag, **_: x.put(1, wait=flag),
    "skip_initial": lambda x, flag, **_: x.subscribe(print, skip_initial=flag),
    "run_now": lambda x, flag, **_: x.add_callback(lambda **_: None, run_now=flag),
    "with_ctrlvars": lambda x, flag, **_: x.add_callback(lambda **_: None, with_ctrlvars=flag),
    "as_string of caget": lambda context, flag, **_: caget("x", as_string=flag, context=context),
    "use_monitor of caget": lambda context, flag, **_: caget("x", use_monitor=flag, context=context),
    "wait of caput": lambda context, flag, **_: caput("x", 1, wait=flag, context=context),
    "skip_initial of camonitor": lambda context, flag, **_: camonitor("x", skip_initial=flag, context=context),
    "as_string of caget_many": lambda context, flag, **_: caget_many(["x"], as_string=flag, context=context),
    "use_monitor of caget_many": lambda context, flag, **_: caget_many(["x"], use_monitor=flag, context=context),
    "raises": lambda context, flag, **_: caget_many(["x"], raises=flag, context=context),
    "wait of caput_many": lambda context, flag, **_: caput_many(["x"], 1, wait=flag, context=context),
    "progress": lambda context, flag, **_: connect_all(["x"], progress=flag, context=context),
    "wait of restore": lambda context, flag, **_: restore({"x": 1}, wait=flag, context=context),
    "only_changed": lambda context, flag, **_: restore({"x": 1}, only_changed=flag, context=context),
    "wait of restore_on_exit": lambda context, flag, **_: restore_on_exit("x", wait=flag, context=context).__enter__(),
    "read_only": lambda flag, **_: Context(read_only=flag),
    "auto_addr_list": lambda flag, **_: Context(auto_addr_list=flag),
}


@pytest.mark.parametrize("name", FLAGS)
def test_text_is_no_flag(context, name):
    """``wait="false"`` is a true value to Python."""
    parameter = name.partition(" ")[0]
    with pytest.raises(WrongTypeError) as raised, context.pv("x") as x:
        FLAGS[name](x=x, context=context, flag="no")
    assert f"{parameter}='no': give True" in str(raised.value)
