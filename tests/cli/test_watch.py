"""``caclient watch``: the table."""

from __future__ import annotations

import os
import pty
import signal
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from caclient import Reading
from caclient.cli.watch import Row, cells, value_text, widths
from tests.cli.commands import Commands

pytest.importorskip("rich")


def row(**channel: Any) -> Row:
    known = {"name": "a\x1b[1m", "connected": True, "can_read": True} | channel
    return Row(SimpleNamespace(**known))  # type: ignore[arg-type]


def test_a_line_of_the_table() -> None:
    one = row()
    for moment in (100.0, 101.0, 102.0):
        one.take(Reading(1.5, 3, 2), moment)
    assert cells(one, 102.5) == ["a\\x1b[1m", "1.5", "", "MAJOR HIHI", "0.5 s", "0.6/s"]
    assert cells(one, 300.0)[4:] == ["3 min", "0.0/s"]
    one.connected = False
    assert cells(one, 102.5)[3] == "disconnected"


def test_what_is_not_there() -> None:
    assert cells(row(connected=False), 0.0)[3] == "not connected"
    assert cells(row(can_read=False), 0.0)[3] == "no read access"
    assert cells(row(connected=False), 0.0, narrow=True)[:2] == ["a\\x1b[1m", "not connected"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([1, 2]), "[1, 2] (2)"),
        (np.arange(1000), "[0, 1, 2, 3, …] (1000)"),
        (np.array([72, 105, 0, 5], "u1"), "Hi"),
        (np.array([]), "[] (0)"),
        (2.5, "2.5"),
    ],
)
def test_values_are_short(value: Any, text: str) -> None:
    assert value_text(Reading(value)) == text


def test_what_is_too_wide_is_cut() -> None:
    columns, lines = ("PV", "value", "units"), [["n" * 40, "v" * 40, "mm"]]
    assert widths(columns, lines, 200) == [40, 40, 5]
    assert widths(columns, lines, 80) == [40, 26, 5]
    assert widths(columns, lines, 70) == [32, 24, 5]
    assert widths(columns, lines, 20) == [14, 10, 5]


@pytest.mark.interop
def test_into_a_pipe_it_is_printed_once(commands: Commands) -> None:
    run = commands.run("caclient", "watch", "cli:ai_major", "cli:missing")
    assert run.code == 1 and run.stderr == ""
    lines = run.stdout.splitlines()
    assert any(line.split()[:5] == ["cli:ai_major", "95.00", "mm", "MAJOR", "HIHI"] for line in lines)
    assert any(line.split() == ["cli:missing", "not", "connected"] for line in lines)
    assert "\x1b" not in run.stdout


@pytest.mark.interop
@pytest.mark.parametrize("no_colour", [False, True])
def test_on_a_terminal_it_lives_until_ctrl_c(commands: Commands, no_colour: bool) -> None:
    environment = commands.environment | {"TERM": "xterm", "COLUMNS": "100", "LINES": "20"}
    environment.pop("NO_COLOR", None)
    if no_colour:
        environment["NO_COLOR"] = "1"
    child, terminal = pty.fork()
    if child == 0:
        program = "import sys; from caclient.cli import main; sys.exit(main())"
        arguments = [os.sys.executable, "-c", program, "watch", "cli:ai_major", "cli:tick"]  # type: ignore[attr-defined]
        os.execve(arguments[0], arguments, environment)
    seen = b""
    deadline = time.monotonic() + 30
    while seen.count(b"cli:tick") < 3 and time.monotonic() < deadline:
        seen += os.read(terminal, 65536)
    os.kill(child, signal.SIGINT)
    try:
        while chunk := os.read(terminal, 65536):
            seen += chunk
    except OSError:
        pass  # the other side has closed
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"MAJOR HIHI" in seen and b"Traceback" not in seen
    assert (b"\x1b[31m" in seen) is not no_colour


@pytest.mark.interop
def test_a_name_that_can_be_none_is_a_mistake(commands: Commands) -> None:
    run = commands.run("caclient", "watch", "")
    assert run.code == 1 and run.stderr.startswith("CA error Invalid string") and "Traceback" not in run.stderr
