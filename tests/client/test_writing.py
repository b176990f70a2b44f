"""Writing to a PV: what is converted, what is refused, completion."""

from __future__ import annotations

import threading

import pytest

from caclient import (
    BadValueError,
    CATimeoutError,
    ChannelAccessError,
)
from caclient.ioc import Completion, Record
from tests.recorder import PATIENCE, Recorder
from tests.using import engine_idle, fresh


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("double", "2.25", 2.25),
        ("long", "12", 12),
        ("char", "7", 7),
        ("enum", "Done", 2),
        ("enum", b"Done", 2),
        ("double", b"2.5", 2.5),
        ("string", b"bytes", "bytes"),
        ("string", 5, "5"),
    ],
)
def test_the_ioc_converts_text(pv_of, name, text, value):
    pv = pv_of(name)
    pv.put(text, wait=True)
    assert fresh(pv) == value


def test_the_ioc_converts_lists_of_text(pv_of):
    pv = pv_of("doubles")
    pv.put(["1.5", "2.5"], wait=True)
    assert fresh(pv).tolist() == [1.5, 2.5]


def test_text_in_a_char_array(pv_of):
    pv = pv_of("chars")
    for text in ("hello", "", "\u00b5", "8 bytes."):
        pv.put(text, wait=True)
        assert pv.get(as_string=True) == text
    with pytest.raises(BadValueError, match=r"'chars': text of 9 bytes for 8 characters"):
        pv.put("9 is more")


@pytest.mark.parametrize(
    "name, value, why",
    [
        ("double", None, "'double': None is no value"),
        ("double", 1 + 2j, "is no value"),
        ("double", object(), "is no value"),
        ("double", [1.0, 2.0], "'double': 2 elements given, but it holds one"),
        ("double", [], "'double': no element given, but it holds one"),
        ("long", float("nan"), "'long': nan is no whole number, as LONG holds"),
        ("long", 2**31, "2147483648 is out of the range of LONG, -2147483648 to 2147483647"),
        ("long", 2.5, "2.5 is no whole number, as LONG holds"),
        ("long", None, "None is no value"),
        ("enum", None, "None is no value"),
        ("enum", -1, "-1 is no state of 'enum': give one of 0 Idle, 1 Moving, 2 Done"),
        ("string", None, "'string': None is no value"),
        ("string", "x" * 40, r"text of 40 bytes, but a string holds 39: put it to 'string\.VAL\$'"),
        ("string", "a\0b", "NUL"),
        ("double", "x" * 40, "is no number, but this is a double"),
        ("doubles", [1.0] * 5, "5 elements given, but it holds 4 of them"),
        ("doubles", [1.0, None], "None is no DOUBLE value .item 1."),
        ("doubles", [1.0, "2"], "is no DOUBLE value"),
        ("ints", [1, 2**15], "32768 is out of the range of INT, -32768 to 32767 .item 1."),
        ("strings", ["a", "x" * 40], "text of 40 bytes, but a string holds 39"),
    ],
)
@pytest.mark.parametrize("wait", [False, True])
def test_what_cannot_be_said_is_refused_before_a_byte_leaves(pv_of, name, value, why, wait):
    pv = pv_of(name)
    before = pv_of.ioc[name].snapshot
    with pytest.raises(BadValueError, match=why):
        pv.put(value, wait=wait)
    fresh(pv)
    assert pv_of.ioc[name].snapshot is before


def refusing(record, value):
    raise ValueError(f"{record} takes no {value}")


def test_a_value_that_the_record_refuses(serve):
    _, context = serve(Record("x", 1.0, on_put=refusing))
    with pytest.raises(ChannelAccessError, match="'x': ECA_PUTFAIL") as caught:
        context.pv("x").put(7, wait=True)
    assert caught.value.status.name == "ECA_PUTFAIL"


def test_a_refusal_that_nobody_waits_for_is_logged(serve, caplog):
    _, context = serve(Record("x", 1.0, on_put=refusing))
    pv = context.pv("x")
    pv.put(7)
    fresh(pv)
    engine_idle(context)
    logged = Recorder()
    context._home.runtime.log.push(logged, None)
    logged.wait(1)
    assert "'x': a put was refused by the server: ECA_PUTFAIL" in caplog.text


def test_put_waits_for_the_record(serve):
    completion = Completion()
    _, context = serve(Record("x", 1.0, on_put=lambda record, value: completion))
    pv, done = context.pv("x"), Recorder()
    thread = threading.Thread(target=lambda: done(pv.put(2.0, wait=True)))
    thread.start()
    pv.wait_for(lambda value: value == 2.0, timeout=PATIENCE)
    assert done.items == []
    completion.finish()
    done.wait(1)
    thread.join(PATIENCE)


def test_a_put_that_does_not_complete_in_time(serve):
    _, context = serve(Record("x", 1.0, on_put=lambda record, value: Completion()))
    pv = context.pv("x")
    with pytest.raises(CATimeoutError, match=r"not completed: 'x' after .* s: the put was sent to 127.0.0.1"):
        pv.put(2.0, wait=True, timeout=0.1)
    assert pv.channel.circuit.core.ioids == {}


def test_two_completions_of_one_pv_are_told_apart(serve):
    completions = {2.0: Completion(), 3.0: Completion()}
    _, context = serve(Record("x", 1.0, on_put=lambda record, value: completions[value]))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    done = Recorder()
    threads = [threading.Thread(target=lambda v=v: done((pv.put(v, wait=True), v))) for v in completions]
    for thread in threads:
        thread.start()
    pv.wait_for(lambda value: value in (2.0, 3.0), timeout=PATIENCE)
    completions[3.0].finish()
    assert done.wait(1) == [(None, 3.0)]
    completions[2.0].finish()
    assert done.wait(2)[1] == (None, 2.0)
    for thread in threads:
        thread.join(PATIENCE)
