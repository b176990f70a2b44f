"""Lanes: order, no lost push, and no callback that can keep the others waiting."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from caclient.engine import batches as module, lanes as lanes_module
from caclient.engine.lanes import Lanes
from caclient.errors import ContextClosedError
from tests.engine.peers import PATIENCE, settle, until


@pytest.fixture
def lanes(loop):
    made = Lanes(loop)
    yield made
    made.close()
    assert made.join(PATIENCE)


@pytest.fixture
def stuck():
    """An event that is set at the end: callbacks wait on it."""
    event = threading.Event()
    yield event
    event.set()


def finish(lane):
    """Wait until a lane has done all that was pushed so far."""
    done = threading.Event()
    lane.push(lambda _: done.set(), None)
    assert done.wait(PATIENCE)


def test_jobs_of_a_lane_are_done_in_order(lanes):
    lane, done = lanes.lane("one"), []
    for number in range(1000):
        lane.push(done.append, number)
    finish(lane)
    assert done == list(range(1000))


def test_pushes_from_many_threads_are_all_done_one_at_a_time(lanes):
    """12,500 from each of 8 threads; a lane that two workers served at once would show in the guard."""
    names = [lanes.lane(str(number)) for number in range(4)]
    done = {lane: [] for lane in names}
    guards = {lane: threading.Lock() for lane in names}
    collisions = []

    def job(what):
        lane, item = what
        if not guards[lane].acquire(blocking=False):
            collisions.append(item)
            return
        done[lane].append(item)
        guards[lane].release()

    def push(who):
        for number in range(12_500):
            lane = names[number % 4]
            lane.push(job, (lane, (who, number)))

    threads = [threading.Thread(target=push, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lane in names:
        finish(lane)
    assert collisions == []
    assert sum(map(len, done.values())) == 100_000
    for items in done.values():
        assert all([n for w, n in items if w == who] == sorted(n for w, n in items if w == who) for who in range(8))


def test_each_push_after_an_idle_moment_is_done(lanes):
    """The lane runs empty each time: a wake-up lost between the last look and the falling flag would end this."""
    lane = lanes.lane("one")
    turn = threading.Semaphore(0)
    for _ in range(3000):
        lane.push(lambda _: turn.release(), None)
        assert turn.acquire(timeout=PATIENCE)


def test_one_worker_serves_what_returns(lanes):
    for number in range(50):
        finish(lanes.lane(str(number)))
    assert lanes.depth() == (0, 1)


def test_a_callback_that_blocks_does_not_keep_others_waiting(lanes, stuck):
    blocked = threading.Event()
    lanes.lane("blocked").push(lambda _: (blocked.set(), stuck.wait(PATIENCE)), None)
    assert blocked.wait(PATIENCE)
    started = time.monotonic()
    for number in range(100):
        lanes.lane(str(number)).push(lambda _: None, None)
    finish(lanes.lane("last"))
    assert time.monotonic() - started < 1.0  # 0.05 s is what it takes; the rest is for a busy machine


def test_more_callbacks_may_block_than_there_are_workers(lanes, stuck):
    begun = []
    for number in range(40):
        lanes.lane(str(number)).push(lambda _: (begun.append(1), stuck.wait(PATIENCE)), None)
    finish(lanes.lane("other"))
    assert not stuck.is_set()
    until(lanes.loop, lambda: len(begun) == 40)


def test_waits_inside_caclient_give_their_place_at_once(lanes, stuck, monkeypatch):
    """No suspicion is needed for them."""
    monkeypatch.setattr(module, "_SUSPICION", 1e6)

    def wait(_):
        assert lanes.on_worker()
        with lanes.blocking():
            assert stuck.wait(PATIENCE)

    for number in range(20):
        lanes.lane(str(number)).push(wait, None)
    finish(lanes.lane("other"))
    assert not stuck.is_set()
    assert not lanes.on_worker()


def test_blocking_elsewhere_than_on_a_worker_changes_nothing(lanes):
    with lanes.blocking():
        pass
    assert lanes.depth() == (0, 0)


def test_a_wait_while_nothing_else_waits_hires_nobody(lanes):
    lane, depths = lanes.lane("one"), []

    def wait(_):
        with lanes.blocking():
            depths.append(lanes.depth())

    lane.push(wait, None)
    finish(lane)
    assert depths == [(0, 1)]


def test_a_wait_hands_over_what_waits_already(lanes, monkeypatch):
    monkeypatch.setattr(module, "_SUSPICION", 1e6)
    inside, go, other = threading.Event(), threading.Event(), threading.Event()

    def wait(_):
        inside.set()
        assert go.wait(PATIENCE)
        with lanes.blocking():
            assert other.wait(PATIENCE)

    lanes.lane("waits").push(wait, None)
    assert inside.wait(PATIENCE)
    lanes.lane("other").push(lambda _: other.set(), None)
    go.set()
    assert other.wait(PATIENCE)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_a_callback_raises_is_logged_and_ends_nothing(lanes, caplog, error):
    lane = lanes.lane("'x:y'")

    def fail(_):
        raise error("of the callback")

    with caplog.at_level(logging.ERROR, "caclient.callbacks"):
        lane.push(fail, None)
        lane.push(fail, None)
        finish(lane)
    assert lane.errors == 2
    (record,) = caplog.records  # at most one in a second
    assert record.getMessage() == "'x:y': callback raised (1 so far)"
    assert record.exc_info[0] is error
    assert lanes.depth()[1] == 1


def test_a_callback_whose_context_closes_is_no_news(lanes, caplog):
    lane = lanes.lane("one")

    def fail(error):
        raise error

    lanes.ending = True
    lane.push(fail, ContextClosedError("the context has been closed"))
    finish(lane)
    assert (lane.errors, caplog.records) == (1, [])
    lane.push(fail, ValueError("of the callback"))
    finish(lane)
    assert "of the callback" in caplog.text


def test_a_logging_handler_that_raises_ends_nothing(lanes):
    class Broken(logging.Handler):
        def emit(self, record):
            raise RuntimeError("of the handler")

    handler = Broken()
    lanes_module.log.addHandler(handler)
    try:
        lane = lanes.lane("one")
        lane.push(lambda _: 1 / 0, None)
        finish(lane)
    finally:
        lanes_module.log.removeHandler(handler)
    assert lane.errors == 2


def test_a_lane_gives_way_after_its_slice(lanes, monkeypatch):
    monkeypatch.setattr(module, "SLICE", 0.0)
    monkeypatch.setattr(module, "_SUSPICION", 1e6)
    one, other, order = lanes.lane("one"), lanes.lane("other"), []
    go = threading.Event()
    one.push(lambda _: go.wait(PATIENCE), None)
    for number in range(3):
        one.push(order.append, f"one {number}")
        other.push(order.append, f"other {number}")
    go.set()
    finish(one)
    finish(other)
    assert order[:4] == ["other 0", "one 0", "other 1", "one 1"]


def test_what_is_left_of_a_job_comes_before_the_others(lanes):
    lane, order = lanes.lane("one"), []
    go = threading.Event()

    def first(what):
        assert go.wait(PATIENCE)
        order.append(what)
        lane.push_front(order.append, "rest")

    lane.push(first, "first")
    lane.push(order.append, "second")
    go.set()
    finish(lane)
    assert order == ["first", "rest", "second"]


def test_a_lane_may_be_cleared_while_it_is_served(lanes):
    lane, done = lanes.lane("one"), []
    lane.push(lambda _: lane.clear(), None)
    lane.push(done.append, 1)
    finish(lanes.lane("other"))
    settle(lanes.loop)
    assert set(done) <= {1}
    finish(lane)


def test_a_producer_that_drops_the_last_job_is_no_error(lanes):
    class Vanishing(list):
        def popleft(self):
            raise IndexError

    lane = lanes.lane("one")
    lane.jobs = Vanishing([1])
    lane.serve(0.0)
    assert lane.errors == 0


def test_workers_that_idle_end_but_for_one(lanes, loop, stuck, monkeypatch):
    monkeypatch.setattr(module, "_IDLE", 0.01)
    for number in range(8):
        lanes.lane(str(number)).push(lambda _: stuck.wait(PATIENCE), None)
    finish(lanes.lane("other"))
    stuck.set()
    until(loop, lambda: lanes.depth()[1] <= 1)
    finish(lanes.lane("again"))


def test_a_worker_called_back_while_it_ends_stays(lanes, loop):
    finish(lanes.lane("one"))
    worker = module._Worker()
    with lanes._lock:  # as _engage does
        worker.door.release()
    assert not lanes._retire(worker)
    lanes._idle.append(worker)
    active = lanes._active
    assert lanes._retire(worker)
    lanes._active = active


def test_closing_while_callbacks_run(loop, stuck):
    lanes = Lanes(loop)
    started, done = threading.Event(), []
    lane = lanes.lane("one")
    lane.push(lambda _: (started.set(), stuck.wait(PATIENCE)), None)
    lane.push(done.append, "never")
    assert started.wait(PATIENCE)
    finish(lanes.lane("idles"))
    lanes.lane("waits").push(done.append, "perhaps")
    lanes.close()
    assert not lanes.join(0.01)
    stuck.set()
    assert lanes.join(PATIENCE)
    lane.push(done.append, "never")
    lanes.lane("late").push(done.append, "never")
    settle(loop)
    assert "never" not in done
    assert lanes.depth() == (0, 0)


def test_a_callback_may_close_the_lanes(loop):
    lanes = Lanes(loop)
    joined = []
    lanes.lane("one").push(lambda _: (lanes.close(), joined.append(lanes.join(0.0))), None)
    until(loop, lambda: joined and lanes.depth()[1] == 0)
    assert joined == [False]


def test_no_suspicion_of_closed_lanes_or_where_nothing_waits(loop):
    lanes = Lanes(loop)
    lanes._look()
    lanes._engage_again()
    lanes.close()
    lanes._look()
    lanes._engage_again()
    assert lanes.depth() == (0, 0)


def test_progress_calls_for_no_more_workers(lanes, loop):
    """Work waits, but callbacks do return: the watch goes on and hires nobody."""
    looks, turns = [], threading.Event()
    look = lanes._look
    lanes._look = lambda: (looks.append(lanes.depth()[1]), look())
    many = [lanes.lane(str(number)) for number in range(3)]

    def again(lane):
        if not turns.is_set():
            lane.push(again, lane)

    for lane in many:
        lane.push(again, lane)
    until(loop, lambda: len(looks) >= 4)
    turns.set()
    assert set(looks) == {1}


def test_an_interrupt_while_a_lane_is_filed_loses_nothing(lanes, monkeypatch):
    """A user's thread that reads its circuit files too, and the handler of a signal may raise there."""
    engage = Lanes._engage
    strikes = [1]

    def strike(self):
        if strikes:
            strikes.pop()
            raise KeyboardInterrupt
        engage(self)

    monkeypatch.setattr(Lanes, "_engage", strike)
    done = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        lanes.lane("one").push(lambda _: done.set(), None)
    assert done.wait(PATIENCE)


def test_a_worker_lost_to_an_interrupt_is_found_again(lanes, loop):
    finish(lanes.lane("one"))
    until(loop, lambda: lanes._idle)
    lanes._idle.pop()  # taken, and interrupted before its door was opened
    lanes._active += 1
    loop.call_soon(lanes._engage_again)
    finish(lanes.lane("two"))
    assert lanes.depth() == (0, 1)


def test_no_thread_to_be_had_for_a_moment_is_asked_for_again_and_told(lanes, monkeypatch, caplog):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    lane, done = lanes.lane("one"), []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        lane.push(done.append, 1)
        assert lanes.depth() == (1, 0)
    finish(lane)  # nobody files anything else: the watch sees to it
    assert done == [1]
    assert lanes.refused >= 1
    assert "no thread for callbacks was to be had" in caplog.text
