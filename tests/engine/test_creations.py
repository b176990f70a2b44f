"""What becomes of channels that a server was asked for and did not make; time is the test's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from caclient.engine import creations as module
from caclient.engine.creations import CreationWatch
from caclient.engine.loop import Timer
from caclient.protocol.creations import PATIENCE


class Circuit:
    def __init__(self):
        self.bytes_in = 0
        self.told = []

    def close(self, reason, reset=False):
        self.told.append((reason, reset))

    def probe(self):
        self.told.append("probe")


class Rider:
    overdue = 0

    def creation_overdue(self):
        self.overdue += 1


class Clockwork:
    """A loop whose time is moved by hand."""

    def __init__(self):
        self.now = 100.0
        self.timers = []

    def call_at(self, due, call):
        timer = Timer(due, call)
        self.timers.append(timer)
        return timer

    def go_to(self, moment):
        self.now = moment
        due = [timer for timer in self.timers if timer.due <= moment and timer.call is not None]
        self.timers = [timer for timer in self.timers if timer not in due]
        for timer in due:
            timer.call()


@pytest.fixture
def loop(monkeypatch):
    made = Clockwork()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def circuit():
    return Circuit()


@pytest.fixture
def watch(loop, circuit):
    return CreationWatch(loop, circuit)


def test_a_server_that_never_said_a_word_is_no_server(loop, circuit, watch):
    rider = Rider()
    watch.ask_all([rider])
    loop.go_to(100.0 + PATIENCE)
    assert circuit.told == [("the server accepts connections, but said nothing for 5 s", True)]
    assert not rider.overdue  # it hears of the end of the circuit


def test_one_that_answers_others_is_asked_for_a_sign_of_life_and_the_channel_told(loop, circuit, watch):
    circuit.bytes_in = 16
    slow, quick = Rider(), Rider()
    watch.ask_all([slow])
    watch.ask_all([quick])
    watch.answered(quick)
    loop.go_to(100.0 + PATIENCE)
    assert (slow.overdue, quick.overdue) == (1, 0)
    assert circuit.told == ["probe"]
    assert len(watch) == 0
    assert loop.timers == []


def test_thousands_of_requests_have_one_timer(loop, watch):
    riders = [Rider() for _ in range(1000)]
    for rider in riders:
        watch.ask_all([rider])
    assert len(loop.timers) == 1
    for rider in riders:
        watch.answered(rider)
    loop.go_to(100.0 + PATIENCE)
    assert loop.timers == []
    watch.ask_all([riders[0]])
    assert len(loop.timers) == 1


def test_who_has_left_is_not_told(loop, circuit, watch):
    rider = Rider()
    watch.ask_all([rider])
    watch.forget(rider)
    watch.forget(rider)
    loop.go_to(100.0 + PATIENCE)
    assert circuit.told == []


def test_it_looks_again_when_the_next_is_due(loop, circuit, watch):
    circuit.bytes_in = 16
    first, second = Rider(), Rider()
    watch.ask_all([first])
    loop.now = 102.0
    watch.ask_all([second])
    loop.go_to(100.0 + PATIENCE)
    assert (first.overdue, second.overdue) == (1, 0)
    loop.go_to(102.0 + PATIENCE)
    assert second.overdue == 1


def test_after_the_end_nobody_is_told(loop, circuit, watch):
    watch.stop()
    watch.ask_all([Rider()])
    loop.go_to(1e6)
    watch.stop()
    assert circuit.told == []
