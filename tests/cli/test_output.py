"""The door to standard output and standard error."""

from __future__ import annotations

import errno
import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from caclient.cli import output
from tests.cli.commands import Commands


def test_bytes_come_out_as_they_came_in() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    output.write(stream, ["°C", "\udcb0C"])
    assert raw.getvalue() == "°C\n".encode() + b"\xb0C\n"


def test_a_stream_without_bytes_is_no_trouble() -> None:
    stream = io.StringIO()
    output.write(stream, ["°C", "\udcb0C"])
    assert stream.getvalue() == "°C\n?C\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.colourful(Terminal()) and not output.colourful(io.StringIO())
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert output.error_word() == "\x1b[31;1mERROR\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.colourful(Terminal())
    assert output.error_word() == "ERROR"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not output.colourful(Terminal())


@pytest.mark.interop
def test_ctrl_c_while_it_waits(commands: Commands) -> None:
    running = commands.start("caclient", ["monitor", "cli:ai0"])
    assert running.wait_for_lines(1)
    running.send_signal(signal.SIGINT)
    running.finish()
    assert (running.code, running.stderr) == (130, "")


@pytest.mark.interop
def test_a_closed_pipe_is_met_with_silence(commands: Commands) -> None:
    running = commands.start("caclient", ["monitor", "cli:tick"])
    assert running.wait_for_lines(1)
    running.close_stdout()
    running.finish()
    assert (running.code, running.stderr) == (141, "")


def test_a_closed_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="standard output is closed") as told:
        output.write(None, ["1.5"])
    assert told.value.errno == errno.EBADF
    monkeypatch.setattr(sys, "stderr", None)
    output.complain("nobody listens")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_told_in_a_line() -> None:
    command = [sys.executable, "-m", "caclient", "audit", __file__]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (1, "caclient: No space left on device\n")
