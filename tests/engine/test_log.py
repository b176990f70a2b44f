"""What goes wrong over and over is told once a second, with its number, and never on the engine thread."""

from __future__ import annotations

import logging
import pathlib
import re
import threading
import time

import pytest

from caclient.engine import log as module
from caclient.engine.lanes import Lanes
from caclient.engine.log import LOGGERS, Log
from tests.engine.peers import PATIENCE, on_engine, until

logger = logging.getLogger("caclient.test")


@pytest.fixture
def lanes(loop):
    made = Lanes(loop)
    yield made
    made.close()
    assert made.join(PATIENCE)


def _log_refused_put(name):
    logger.warning("'%s' refused", name)


def said(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_flood_is_told_once_a_second_with_its_number(loop, lanes, caplog, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module, "PERIOD", 0.01)
    monkeypatch.setattr(module, "time", type("Clock", (), {"monotonic": staticmethod(lambda: clock[0])}))
    log = Log(loop, lanes)
    loop.call_at = lambda due, call: settled.append(call)
    settled = []
    for number in range(900):
        log.push(_log_refused_put, f"x{number}")
    until(loop, lambda: log._left_out == {"refused put": 899})
    assert said(caplog) == ["'x0' refused"]
    assert len(settled) == 1
    clock[0] += 1.0
    log.push(_log_refused_put, "y")
    until(loop, lambda: len(caplog.records) == 3)
    assert said(caplog)[1:] == ["'y' refused", "refused put: 899 more in the last second"]
    settled.pop()()
    until(loop, lambda: not log.lane.jobs)
    assert len(caplog.records) == 3


def test_the_number_is_told_when_the_flood_is_over(loop, lanes, caplog, monkeypatch):
    monkeypatch.setattr(module, "PERIOD", 0.05)
    log = Log(loop, lanes)
    for _ in range(5):
        log.push(_log_refused_put, "x", "puts of 'x'")
    until(loop, lambda: len(caplog.records) == 2)
    assert said(caplog) == ["'x' refused", "puts of 'x': 4 more in the last second"]


def test_causes_are_told_apart_and_bounded(loop, lanes, caplog, monkeypatch):
    monkeypatch.setattr(module, "_CAUSES", 3)
    log = Log(loop, lanes)
    for number in range(6):
        for _ in range(2):
            log.push(_log_refused_put, number, f"cause {number}")
    until(loop, lambda: len(caplog.records) == 6)
    until(loop, lambda: not log.lane.jobs)
    assert len(log._left_out) == 3


def test_a_slow_handler_keeps_nobody_waiting(loop, lanes):
    going, written = threading.Event(), []

    def slow(argument):
        assert threading.current_thread() is not loop.thread
        assert going.wait(PATIENCE)
        written.append(argument)

    log = Log(loop, lanes)
    on_engine(loop, log.push, slow, 1)
    began = time.monotonic()
    on_engine(loop, lambda: None)
    assert time.monotonic() - began < 5.0
    going.set()
    until(loop, lambda: written == [1])


def test_lines_for_a_slow_handler_are_bounded(loop, lanes, monkeypatch):
    monkeypatch.setattr(module, "_LINES", 5)
    busy, going = threading.Event(), threading.Event()

    def slow(_argument):
        busy.set()
        assert going.wait(PATIENCE)

    log = Log(loop, lanes)
    log.push(slow, None)
    assert busy.wait(PATIENCE)
    for number in range(20):
        log.push(_log_refused_put, number, f"cause {number}")
    waiting = len(log.lane.jobs)
    going.set()
    assert waiting == 5


def test_texts_from_the_network_reach_no_terminal(caplog):
    """Neither in a message nor in a traceback, whatever object brought them."""

    class Error(Exception):
        def __str__(self):
            return "\x1b]0;owned\x07"

    for name in LOGGERS:
        caplog.clear()
        logging.getLogger(name).warning("%s reports %s", "\x1b[2Jhost\r\n", Error(), exc_info=Error("\u202ex"))
        (record,) = caplog.records
        assert record.getMessage() == "\\x1b[2Jhost\\r\\n reports \\x1b]0;owned\\x07"
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", caplog.text)


def test_what_is_harmless_is_left_as_it_is(caplog):
    logging.getLogger("caclient").warning("%s: 20 \u00b5m", "x")
    assert caplog.records[0].args == ("x",)


def test_all_loggers_are_known():
    found = set()
    for path in pathlib.Path(module.__file__).parents[1].rglob("*.py"):
        found.update(re.findall(r"getLogger\(\"([^\"]+)", path.read_text("utf-8")))
    assert found <= set(LOGGERS)
