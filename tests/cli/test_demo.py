"""``caclient demo``: all of it, as a user runs it, and the parts that a run does not reach."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from caclient import CATimeoutError
from caclient.cli import demo
from caclient.cli.sparkline import ASCII_BARS, BARS


def test_shows_the_main_job_and_leaves_no_process_behind() -> None:
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "caclient", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        start_new_session=True,
    )
    output, errors = process.communicate(timeout=40)
    assert (process.returncode, errors) == (0, "")
    assert time.monotonic() - started < 20
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert_scenes(output)


def assert_scenes(output: str) -> None:
    """Every scene is there, in order."""
    position = 0
    for expected in (
        "serves PVs: ['random_walk:dt', 'random_walk:x']",
        "random_walk:x: connected",
        "random_walk:dt is now 0.05 s",
        "\n 1  ",
        "NO_ALARM  NO_ALARM",
        "\n10  ",
        "the walk, live",
        "random_walk:x: disconnected (the IOC was stopped)",
        "last value, still readable",
        "random_walk:x: connected (the IOC was started again)",
        "a fresh value",
        "done",
    ):
        found = output.find(expected, position)
        assert found >= 0, f"{expected!r} is missing or out of order in:\n{output}"
        position = found


def test_plain_characters_where_the_terminal_has_no_others() -> None:
    assert demo.bars_for("utf-8") == BARS
    assert demo.bars_for("ascii") == demo.bars_for(None) == ASCII_BARS


def test_a_state_that_does_not_come_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "TIMEOUT", 0.01)
    with pytest.raises(CATimeoutError, match="after the IOC was stopped"):
        demo.Connections().show_next("the IOC was stopped")
