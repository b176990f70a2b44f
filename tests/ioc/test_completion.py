"""Puts that end later."""

from __future__ import annotations

from caclient.ioc import Completion
from caclient.protocol.status import ECA_NORMAL, ECA_PUTFAIL, CAStatusCode


def test_those_who_wait_are_told_once() -> None:
    told: list[CAStatusCode] = []
    completion = Completion()
    completion.then(told.append)
    assert (told, completion.finished) == ([], False)
    completion.finish(ECA_PUTFAIL)
    completion.finish()
    assert (told, completion.finished) == ([ECA_PUTFAIL], True)


def test_who_comes_late_is_told_at_once() -> None:
    told: list[CAStatusCode] = []
    completion = Completion()
    completion.finish()
    completion.then(told.append)
    assert told == [ECA_NORMAL]
