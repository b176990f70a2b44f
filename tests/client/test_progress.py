"""The line that says how far a wait has got: late, only where somebody looks, and gone at the end."""

from __future__ import annotations

import io
import threading
import time
from types import SimpleNamespace

import pytest

from caclient.client import progress
from caclient.client.progress import Progress, checked, is_watched
from caclient.errors import BadValueError


class Screen(io.StringIO):
    """A terminal that tells when something has been written."""

    def __init__(self) -> None:
        super().__init__()
        self.news = threading.Semaphore(0)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        written = super().write(text)
        self.news.release()
        return written


@pytest.fixture
def screen(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=screen, stdout=None, modules={}))  # not pytest's
    monkeypatch.setattr(progress, "AFTER", 0.02)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    yield screen
    deadline = time.monotonic() + 5
    for thread in threading.enumerate():
        if thread.name == "caclient-progress":
            thread.join(deadline - time.monotonic())


def test_replaces_itself_and_goes(screen):
    seen = iter(["1 of 20 connected", "12 of 20 connected"])
    last = ["19 of 20"]
    with Progress(lambda: next(seen, last[0])):
        for _ in range(3):
            assert screen.news.acquire(timeout=5)
    lines = screen.getvalue().split("\r")
    assert lines[1] == "1 of 20 connected (0 s)"
    assert lines[2].rstrip() == "12 of 20 connected (0 s)"
    assert lines[3].rstrip() == "19 of 20 (0 s)"
    assert len(lines[3]) == len(lines[2])  # what was longer is written over
    assert lines[-2].strip() == lines[-1] == ""


def test_short_waits_show_nothing(screen, monkeypatch):
    monkeypatch.setattr(progress, "AFTER", 60.0)
    for _ in range(100):
        with Progress(lambda: "waiting"):
            pass
    assert screen.getvalue() == ""


def test_the_thread_ends_when_there_is_nothing_to_wait_for(screen):
    with Progress(lambda: "waiting"):
        assert screen.news.acquire(timeout=5)
        (thread,) = (each for each in threading.enumerate() if each.name == "caclient-progress")
    thread.join(5)
    assert not thread.is_alive()
    with Progress(lambda: "again"):
        assert screen.news.acquire(timeout=5)


def test_nobody_looks_at_a_script(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert not is_watched()
    with Progress(lambda: "waiting"):
        assert "caclient-progress" not in {thread.name for thread in threading.enumerate()}
    monkeypatch.setattr("sys.stderr", None)
    assert not is_watched()


def test_a_screen_that_is_closed_hurts_nobody(screen):
    with Progress(lambda: "waiting"):
        assert screen.news.acquire(timeout=5)
        screen.close()


@pytest.mark.parametrize("given", [True, False, None])
def test_checked(given):
    assert checked(given) is given


@pytest.mark.parametrize("given", [1, "yes", 0])
def test_what_is_no_choice(given):
    with pytest.raises(BadValueError, match="progress="):
        checked(given)
