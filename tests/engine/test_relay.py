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
