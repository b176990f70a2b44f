"""The command itself: how it finds its verbs, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from caclient import cli
from caclient.cli import demo
from caclient.cli.verbs import ALL
from caclient.errors import CATimeoutError

ROOT = Path(__file__).parents[1]


def test_without_a_verb_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    said = capsys.readouterr().out
    assert all(f"  {verb} " in said for verb in ALL)


def test_unknown_verb_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["no-such-verb"])
    assert ended.value.code == 2
    assert "no-such-verb" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt, 130, ""),
        (BrokenPipeError, 141, ""),
        (CATimeoutError("'x\a' not connected"), 1, "caclient: 'x\\a' not connected\n"),
    ],
)
def test_how_it_ends(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    said: str,
) -> None:
    def failing(options: object) -> int:
        raise error

    monkeypatch.setattr(demo, "run", failing)
    monkeypatch.setattr("caclient.cli.output.silence", lambda: None)
    assert cli.main(["demo"]) == status
    assert capsys.readouterr().err == said


def test_a_mistake_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["get"]) == 1
    assert capsys.readouterr().err == "No pv name specified. ('caclient get -h' for help.)\n"


def test_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "caclient", "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert "demo" in done.stdout


def test_what_is_not_used_is_not_imported() -> None:
    program = "import sys; from caclient.cli import get, put, monitor, info; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert not {"rich", "argcomplete", "argparse", "caclient.cli.watch"} & set(done.stdout.split())


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child alone")
@pytest.mark.parametrize("verb", ["get", "why"])
def test_ctrl_c_while_modules_load_ends_without_a_word(verb: str, tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(30)\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "caclient", verb, "some:pv"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == -signal.SIGINT
