"""``caclient demo``: all of it, as a user runs it, and the parts that a run does not reach."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

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


def test_nothing_of_the_current_folder_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A numpy.py in the folder of somebody's analysis was once imported by the IOC of the demo."""
    for name in ("numpy", "argparse", "runpy", "random", "caclient"):
        (tmp_path / f"{name}.py").write_text("import sys; print('executed', __name__, file=sys.stderr); sys.exit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    ioc = demo.DemoIoc(demo.free_port(), demo.free_port())
    try:
        ioc.start()
    finally:
        ioc.stop()
    output, errors = capfd.readouterr()
    assert "serves PVs: ['random_walk:dt', 'random_walk:x']" in output
    assert errors == ""


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
