"""Answers handed on from one sleeping caller to the next."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from caclient.dbr import ChannelType
from caclient.engine.relay import Relay

PATIENCE = 20.0


class Caller:
    """Who asks; ``told`` lists those who were told, in order."""

    def __init__(self, told: list[Caller]) -> None:
        self.done = False
        self.told = told

    def receive(self, _item: Any) -> None:
        self.done = True
        self.told.append(self)


class Answer:
    def __init__(self, owner: Any) -> None:
        self.owner = owner


class Stage:
    """A relay, three callers, and what it has done."""

    def __init__(self) -> None:
        self.told: list[Caller] = []
        self.flushes = 0
        self.relay = Relay(self.deliver, self.flush)
        self.callers = [Caller(self.told) for _ in range(3)]

    def deliver(self, items: Any) -> None:
        for item in items:
            item.owner.receive(item)

    def flush(self) -> None:
        self.flushes += 1

    def answer(self, *owners: Any) -> list[Any]:
        return list(self.relay.take([Answer(owner) for owner in owners]))


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    for caller in stage.callers:
        stage.relay.follow(caller)
    return stage


def test_each_is_woken_by_the_one_before_and_the_last_flushes(stage: Stage) -> None:
    one, two, three = stage.callers
    assert stage.answer(one, two, three) == []
    stage.relay.start()
    assert (stage.told, stage.relay.runner) == ([one], one)
    stage.relay.leave(one)
    assert (stage.told, stage.relay.runner) == ([one, two], two)
    stage.relay.leave(two)
    assert stage.flushes == 0
    stage.relay.leave(three)
    assert (stage.told, stage.relay.runner, stage.flushes) == ([one, two, three], None, 1)


def test_the_reader_keeps_the_answers_of_those_who_do_not_follow(stage: Stage) -> None:
    stranger = Caller(stage.told)
    (rest,) = stage.answer(stranger, stage.callers[0])
    assert rest.owner is stranger


def test_without_followers_nothing_is_kept_nor_started() -> None:
    stage = Stage()
    items = [Answer(stage.callers[0])]
    assert stage.relay.take(items) is items
    stage.relay.start()
    assert (stage.told, stage.flushes) == ([], 0)


def test_a_running_relay_comes_to_what_a_later_read_brings(stage: Stage) -> None:
    one, two, _ = stage.callers
    stage.answer(one)
    stage.relay.start()
    stage.answer(two)
    stage.relay.start()
    assert stage.told == [one]
    stage.relay.leave(one)
    assert stage.told == [one, two]


def test_one_who_gave_up_does_not_break_the_chain(stage: Stage) -> None:
    one, two, three = stage.callers
    stage.answer(one, two, three)
    stage.relay.start()
    stage.relay.leave(two)
    stage.relay.leave(two)
    stage.relay.leave(one)
    assert (stage.told, stage.relay.runner) == ([one, two, three], three)


def test_an_interrupted_runner_leaves_nobody_asleep(stage: Stage) -> None:
    one, two, three = stage.callers
    stage.answer(one, two, three)
    stage.relay.start()

    def interrupted(_items: Any) -> None:
        raise KeyboardInterrupt

    stage.relay._deliver = interrupted
    with pytest.raises(KeyboardInterrupt):
        stage.relay.leave(one)
    stage.relay._deliver = stage.deliver
    stage.relay.rescue()
    assert (stage.told, stage.relay.runner, stage.flushes) == ([one, two, three], None, 1)


def test_threads_that_share_a_circuit_all_get_their_own_answers(serve: Any) -> None:
    from caclient.ioc import Record

    _, context = serve(*(Record(f"n{i}", float(i), data_type=ChannelType.DOUBLE) for i in range(8)))
    wrong: list[Any] = []

    def work(number: int) -> None:
        pv = context.pv(f"n{number}", auto_monitor=False)
        wrong.extend(value for value in (pv.get(timeout=PATIENCE) for _ in range(100)) if value != number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        assert not thread.is_alive()
    assert wrong == []


# ---- a signal's handler that asks while its own thread follows


def test_the_caller_beneath_a_handler_makes_way(stage: Stage) -> None:
    one, two, three = stage.callers  # all of this thread: it is the last that counts
    stage.answer(three, one, two)
    stage.relay.start()
    assert (stage.told, stage.relay.runner) == ([three], three)
    assert stage.relay.make_way()  # the handler has interrupted three, who cannot wake the others meanwhile
    assert (stage.told, stage.relay.runner, stage.flushes) == ([three, one, two], None, 1)
    assert stage.relay.make_way()
    stage.relay.leave(three)
    assert stage.told == [three, one, two]


def test_a_caller_interrupted_within_the_relay_cannot_make_way(stage: Stage) -> None:
    with stage.relay._lock:
        assert not stage.relay.make_way()


def test_an_answer_whose_delivery_was_finished_by_another_is_left_alone(stage: Stage) -> None:
    one, two, _ = stage.callers
    stage.answer(one, two)
    stage.relay.start()
    stage.relay._waiting[0].owner = None  # as a request leaves it
    stage.relay.rescue()
    assert stage.told == [one]


def test_a_later_hand_over_is_not_forgotten_by_an_earlier_one(stage: Stage) -> None:
    one, two, three = stage.callers
    stage.answer(one, two, three)
    stage.relay.start()
    deliver = stage.relay._deliver

    def quick(items: Any) -> None:
        deliver(items)
        stage.relay._deliver = lambda _items: None
        stage.relay._handing = later  # the one just woken has gone on to the next

    later = [Answer(three)]
    stage.relay._deliver = quick
    stage.relay.leave(one)
    assert stage.relay._handing is later
