"""Ctrl-C at every place in turn where Python looks for it: what was interrupted is over, nothing else has changed."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from caclient import Config, Context, ReentrantError
from caclient.client.bulk import get_values
from caclient.engine.circuit import State
from caclient.engine.poller import EpollPoller
from caclient.ioc import IOC, Record
from tests.resilience.watching import eventually
from tests.striking import PLACES, each_strike

PATIENCE = 20.0
MANY = 20


@pytest.fixture(autouse=True)
def python_handles_signals() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler), signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGINT, before[0])
    signal.signal(signal.SIGUSR1, before[1])


class Stage:
    """An IOC that remembers what it was put, and a user whose main thread is struck."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.puts: list[float] = []
        self.told: list[bool] = []
        self.walk = Record("walk", 0.0)
        written = Record("x", 0.0, on_put=lambda _, value: self.puts.append(value))
        self.stopped: list[float] = []
        many = [Record(f"many:{i}", float(i)) for i in range(MANY)]
        many[0].on_put = lambda _, value: self.stopped.append(value)
        ioc = stack.enter_context(IOC([self.walk, written, *many], Config.isolated()))
        self.context = stack.enter_context(Context(ioc.client_config()))
        self.pv = self.context.pv("x", auto_monitor=False)
        self.pv.wait_for_connection(PATIENCE)
        self.watched = self.context.pv("walk", auto_monitor=True)
        self.watched.get(timeout=PATIENCE)
        self.updates = stack.enter_context(self.watched.updates())
        self.many = [self.context.pv(f"many:{i}", auto_monitor=False) for i in range(MANY)]
        for pv in self.many:
            pv.wait_for_connection(PATIENCE)
        self.pv.add_connection_callback(lambda conn, **_: self.told.append(conn))
        self.circuit = self.pv.channel.circuit
        self.next = 0.0
        self.accepted: list[float] = []
        self.put(wait=True, timeout=PATIENCE)

    def put(self, **how: Any) -> None:
        self.next += 1.0
        self.pv.put(self.next, **how)
        self.accepted.append(self.next)

    def check(self, where: str) -> None:
        """Nothing is left of an interrupt, and what was accepted has arrived once and in order."""
        circuit = self.circuit
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, where
        assert not circuit.reader.seat._is_owned(), where
        assert not circuit.lock._is_owned(), where
        assert circuit.reader.relay._followers == set(), where
        assert not circuit.reader.relay._lock._is_owned(), where
        assert circuit.reader.relay.threads == {}, where
        runtime = self.context._home.runtime
        for lock in (runtime.lock, runtime.lanes._lock):
            assert lock.acquire(timeout=PATIENCE), where
            lock.release()
        self.put(wait=True, timeout=PATIENCE)
        assert self.pv.get(timeout=PATIENCE) == self.next, where
        assert self.pv.channel.circuit is circuit, where
        assert circuit.state is State.OPEN, where
        assert circuit.core.ioids == {}, where
        assert circuit.pending == 0, where
        assert circuit.reader._leading == {}, where
        assert self.puts == sorted(set(self.puts)), where
        assert set(self.accepted) <= set(self.puts), where
        assert False not in self.told, where


@pytest.fixture
def stage() -> Iterator[Stage]:
    """No garbage is collected meanwhile: Python lets Ctrl-C in a ``__del__`` go by with no more than a message."""
    gc.collect()
    gc.disable()
    try:
        with contextlib.ExitStack() as stack:
            yield Stage(stack)
    finally:
        gc.enable()


def sweep(stage: Stage, operation: Callable[[], None]) -> int:
    """Strike an operation at each place in turn; how many there were."""
    number = 0
    monitor = stage.watched._monitor
    for strike in each_strike():
        stage.walk.post(stage.walk.value + 1.0)
        monitor.sinks = monitor.sinks[:1]  # a subscription that was just being made or closed may be left over
        try:
            with strike:
                operation()
        except KeyboardInterrupt:
            assert strike.struck
        stage.check(strike.where)
        number += 1
    return number


def get(stage: Stage) -> None:
    assert stage.pv.get(timeout=PATIENCE) == stage.puts[-1]


def puts(stage: Stage) -> None:
    for _ in range(4):
        stage.put()


def put_wait(stage: Stage) -> None:
    stage.put(wait=True, timeout=PATIENCE)


def get_many(stage: Stage) -> None:
    assert get_values([pv.channel for pv in stage.many], time.monotonic() + PATIENCE) == list(range(MANY))


def next_update(stage: Stage) -> None:
    while (reading := stage.updates.next(PATIENCE)) is not None and reading.value < stage.walk.value:
        pass
    assert reading is not None


def wait_for(stage: Stage) -> None:
    stage.watched.wait_for(lambda _: True, timeout=PATIENCE)


LEADING = pytest.mark.parametrize("leads", [True, False], ids=["leading", "following"])


@LEADING
@pytest.mark.parametrize("operation", [get, puts, put_wait, get_many])
def test_ctrl_c_at_every_place(stage: Stage, operation: Callable[[Stage], None], leads: bool) -> None:
    stage.circuit.reader.can_lead = leads
    assert sweep(stage, lambda: operation(stage)) > PLACES


@pytest.mark.parametrize("operation", [next_update, wait_for])
def test_ctrl_c_at_every_place_of_a_wait_for_updates(stage: Stage, operation: Callable[[Stage], None]) -> None:
    assert sweep(stage, lambda: operation(stage)) > 5
    stage.walk.post(-1.0)
    assert stage.watched.wait_for(lambda value: value == -1.0, timeout=PATIENCE).value == -1.0


def test_ctrl_c_in_one_thread_is_no_matter_of_the_others(stage: Stage) -> None:
    """They lead it, follow it, and wake it in turn."""
    over = threading.Event()
    failed: list[BaseException] = []

    def others(number: int) -> None:
        pv = stage.many[number]
        try:
            while not over.is_set():
                assert pv.get(timeout=PATIENCE) == number
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=others, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for operation in (get, put_wait):
            for strike in each_strike():
                with contextlib.suppress(KeyboardInterrupt), strike:
                    operation(stage)
                assert not failed, strike.where
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert not failed
    stage.check("the end")


@LEADING
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize("operation", [get, puts, put_wait, get_many])
def test_a_handler_that_puts_has_it_sent(
    stage: Stage, operation: Callable[[Stage], None], signum: signal.Signals, leads: bool
) -> None:
    """The motor stops, whatever was interrupted; and that goes on."""
    stage.circuit.reader.can_lead = leads
    stops: list[float] = []
    ioc_stops = stage.many[0]
    stage.stopped.clear()

    def handler(*_: object) -> None:
        stops.append(float(len(stops)))
        ioc_stops.put(stops[-1])

    signal.signal(signum, handler)
    for strike in each_strike(signum=signum):
        try:
            with strike:
                operation(stage)
        except AssertionError:
            assert operation is get_many  # a value has changed meanwhile
        stage.put(wait=True)
        assert stage.stopped == stops, strike.where
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stage.check("the end")


@LEADING
@pytest.mark.parametrize("operation", [get, puts, put_wait, get_many])
def test_a_handler_that_waits_gets_its_answer_or_is_told_why_not(
    stage: Stage, operation: Callable[[Stage], None], leads: bool
) -> None:
    """It never waits for what it has interrupted itself."""
    stage.circuit.reader.can_lead = leads
    told: list[str] = []

    def handler(*_: object) -> None:
        try:
            assert stage.many[1].get(timeout=PATIENCE) == 1.0
            told.append("answer")
        except ReentrantError:
            told.append("error")

    started = time.monotonic()
    signal.signal(signal.SIGUSR1, handler)
    for strike in each_strike(signum=signal.SIGUSR1):
        with strike:
            operation(stage)
        stage.check(strike.where)
    assert "answer" in told
    assert "error" in told or sys.version_info >= (3, 12)  # which tell a tracer of fewer places
    assert time.monotonic() - started < PATIENCE


def test_a_handler_that_leads_where_its_thread_was_about_to_leaves_the_socket_watched(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It strikes between what the selector thread is to look for, as was just found out, and saying so."""
    reader, modify = stage.circuit.reader, EpollPoller.modify
    struck: list[float] = []

    def strike(poller: EpollPoller, descriptor: int, interest: int) -> None:
        if not struck and threading.current_thread() is threading.main_thread():
            struck.append(0.0)
            struck[0] = stage.many[1].get(timeout=PATIENCE)
        modify(poller, descriptor, interest)

    eventually(lambda: not reader._led)
    monkeypatch.setattr(EpollPoller, "modify", strike)
    stage.put(wait=True, timeout=PATIENCE)
    assert struck == [1.0]
    stage.check("modify")


def test_the_selector_thread_says_what_it_looks_for_though_a_handler_has_come_between(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not wait for the thread that was interrupted: the handler may wait for an answer that it is to read."""
    reader, modify = stage.circuit.reader, EpollPoller.modify
    said: list[threading.Event] = []

    def strike(poller: EpollPoller, descriptor: int, interest: int) -> None:
        if not said and threading.current_thread() is threading.main_thread():
            said.append(threading.Event())
            stage.context._home.runtime.loop.call_soon(lambda: (reader.watch(), said[0].set()))
            assert said[0].wait(PATIENCE)
        modify(poller, descriptor, interest)

    eventually(lambda: not reader._led)
    monkeypatch.setattr(EpollPoller, "modify", strike)
    stage.put(wait=True, timeout=PATIENCE)
    assert said[0].is_set()
    stage.check("modify")


def test_an_interrupted_put_that_was_sent_is_seen_by_the_next_get(stage: Stage) -> None:
    """The value in memory is older: the server has to be asked."""
    for number, strike in enumerate(each_strike()):
        with contextlib.suppress(KeyboardInterrupt), strike:
            stage.watched.put(100.0 + number)
        value = stage.watched.get(timeout=PATIENCE)
        assert value == stage.watched.get(timeout=PATIENCE, use_monitor=False), strike.where
