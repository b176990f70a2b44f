"""The contact with the client."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from caclient.cli.formats import Answer
from caclient.cli.session import (
    Event,
    Events,
    NoAnswer,
    Question,
    Session,
    deadline_of,
    filled,
    reading_of,
    zeros,
)
from caclient.config import Config
from caclient.dbr.metadata import Metadata
from caclient.dbr.reading import Origin
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import ChannelType
from tests.interop.softioc import SoftIoc


def test_zero_waits_without_end_and_less_not_at_all() -> None:
    assert deadline_of(0.0) == math.inf
    now = time.monotonic()
    assert now <= deadline_of(-1.0) <= now + 1.0
    assert now + 5.0 <= deadline_of(5.0) <= now + 6.0


def test_what_a_server_refuses_is_taken_for_zeros() -> None:
    numbers = zeros(ChannelType.CTRL_LONG, 3)
    assert numbers.values.tolist() == [0, 0, 0]  # type: ignore[union-attr]
    assert numbers.metadata == Metadata(
        0,
        0,
        units=b"",
        upper_disp_limit=0,
        lower_disp_limit=0,
        upper_alarm_limit=0,
        upper_warning_limit=0,
        lower_warning_limit=0,
        lower_alarm_limit=0,
        upper_ctrl_limit=0,
        lower_ctrl_limit=0,
    )
    texts = zeros(ChannelType.TIME_STRING, 2)
    assert texts.values == (b"", b"") and texts.metadata == Metadata(0, 0, TimeStamp(0, 0))


def test_missing_elements_are_zeros() -> None:
    assert filled(Answer(ChannelType.LONG, np.array([1, 2])), 4).values.tolist() == [1, 2, 0, 0]  # type: ignore[union-attr]
    assert filled(Answer(ChannelType.STRING, (b"a",)), 3).values == (b"a", b"", b"")
    answer = Answer(ChannelType.LONG, np.array([1, 2]))
    assert filled(answer, 1) is answer


def test_answers_as_readings() -> None:
    metadata = Metadata(3, 2, TimeStamp(5, 6))
    reading = reading_of(Answer(ChannelType.TIME_DOUBLE, np.array([1.5]), metadata), True, Origin("a"))
    assert (reading.pvname, reading.value, str(reading.severity), reading.stamp) == ("a", 1.5, "MAJOR", (5, 6))
    assert reading_of(Answer(ChannelType.STRING, (b"x",)), True, Origin("a")).value == "x"
    assert reading_of(Answer(ChannelType.STRING, (b"x", b"y")), False, Origin("a")).value.tolist() == ["x", "y"]
    assert reading_of(Answer(ChannelType.STRING, ()), False, Origin("a")).value.size == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (NoAnswer("disconnected"), "not connected"),
        (NoAnswer("access"), "no read access"),
        (NoAnswer("timeout"), "no answer in time"),
        (NoAnswer("refused", "Channel read request failed"), "Channel read request failed"),
    ],
)
def test_why_there_is_no_answer(answer: NoAnswer, words: str) -> None:
    assert answer.words == words


def test_events_that_nobody_takes_are_left_out_and_counted() -> None:
    def event(place: int) -> Event:
        return Event(place, Answer(ChannelType.DOUBLE, np.zeros(1000)), TimeStamp(0, 0))

    events = Events(limit=30_000)
    for place in range(10):
        events.add(event(place))
    assert events.left_out == 7
    assert [one.place for _ in range(3) if (one := events.next(0.0))] == [7, 8, 9]
    assert events.next(0.0) is None
    events.add(Event(10, None, TimeStamp(0, 0)))
    assert (events.left_out, events.next()) == (7, Event(10, None, TimeStamp(0, 0)))


@pytest.mark.interop
def test_a_server_that_hangs(ioc: SoftIoc) -> None:
    config = Config.from_env(ioc.client_environment())
    with Session(config) as session:
        channels = session.channels(["cli:ai0", "cli:noaccess"])
        assert session.connect(channels, 10.0)
        ioc.pause()
        try:
            answers = session.ask([Question(channel, ChannelType.DOUBLE, 1) for channel in channels], 0.3)
        finally:
            ioc.resume()
        assert answers == [NoAnswer("timeout"), NoAnswer("access")]
        assert not session.connect(session.channels(["cli:missing"]), 0.1)
