"""The ``caclient`` command itself: how it finds its subcommands and what it says without one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from caclient import cli


def test_without_a_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "demo" in capsys.readouterr().out


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["no-such-command"])
    assert "no-such-command" in capsys.readouterr().err


def test_every_command_has_its_module() -> None:
    for name in cli.COMMANDS:
        _, chosen = cli.build_parser([name])
        assert chosen is not None
        assert chosen.run


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, 130), (BrokenPipeError, 141)])
def test_interrupted_ends_quietly(monkeypatch: pytest.MonkeyPatch, error: type[BaseException], status: int) -> None:
    _, demo = cli.build_parser(["demo"])

    def interrupted(options: object) -> int:
        raise error

    monkeypatch.setattr(demo, "run", interrupted)
    assert cli.main(["demo"]) == status


def test_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "caclient", "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert "demo" in done.stdout
