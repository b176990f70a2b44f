"""The runtime: what everything of one home needs, through a fork and to the end."""

from __future__ import annotations

import threading

import pytest

from caclient import ContextClosedError
from caclient.engine import runtime as module
from caclient.engine.runtime import Runtime
from caclient.errors import ReentrantError
from tests.engine.peers import PATIENCE, on_engine
from tests.recorder import Recorder


@pytest.fixture
def runtime():
    made = Runtime(("operator", "console"), lambda: None)
    made.loop.start()
    yield made
    made.loop.stop(PATIENCE)
    made.lanes.close()
    assert made.lanes.join(PATIENCE)


def test_calls_that_can_wait_are_made_together(runtime):
    seen = []
    heard = Recorder()

    def fails() -> None:
        raise ZeroDivisionError

    def file() -> None:
        for call in (lambda: seen.append(1), fails, lambda: heard(seen)):
            runtime.later(call)
        seen.append(0)

    runtime.on_engine(file)
    assert heard.wait(1) == [[0, 1]]


def test_what_goes_wrong_on_the_engine_thread_is_logged(runtime, caplog):
    done = Recorder()
    runtime.on_engine(lambda: 1 / 0)
    runtime.on_engine(runtime.log.push, done, None)
    done.wait(1)
    assert "internal error on the engine thread" in caplog.text


def test_nobody_waits_on_the_engine_thread(runtime):
    runtime.require_other_thread()
    with pytest.raises(ReentrantError, match="engine thread"):
        on_engine(runtime.loop, runtime.require_other_thread)


def test_in_a_forked_child_all_is_new_and_starts_at_the_first_use():
    woken = []
    runtime = Runtime(("operator", "console"), lambda: woken.append(1))
    loop, lanes, lock = runtime.loop, runtime.lanes, runtime.lock
    runtime.wake()
    assert not woken
    runtime.fall_asleep()
    assert runtime.loop is not loop and runtime.lanes is not lanes and runtime.lock is not lock
    assert runtime.log.lane.lanes is runtime.lanes
    runtime.wake()
    assert woken
    runtime.loop.abandon()


def test_a_closed_one_stays_as_it_is_in_a_forked_child():
    runtime = Runtime(("operator", "console"), lambda: None)
    runtime.loop.abandon()
    runtime.closed = True
    loop = runtime.loop
    runtime.fall_asleep()
    assert runtime.loop is loop and not runtime.asleep


def test_daemon_threads_are_held_while_the_interpreter_ends(runtime, monkeypatch):
    monkeypatch.setattr(Runtime, "exiting", True)
    held = Recorder()
    monkeypatch.setattr(module.time, "sleep", held)
    answers = Recorder()
    thread = threading.Thread(target=lambda: answers(runtime.closed_error("x")), daemon=True)
    thread.start()
    (error,) = answers.wait(1)
    thread.join(PATIENCE)
    assert isinstance(error, ContextClosedError)
    assert str(error) == "'x': the context has been closed; make a new one, and its PVs anew"
    assert held.items
    runtime.closed_error("x")
    assert len(held.items) == 1
