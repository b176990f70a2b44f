"""Shell completion, as far as the shells are concerned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from caclient.cli.verbs import ALL
from tests.cli.commands import Commands

pytestmark = pytest.mark.interop
pytest.importorskip("argcomplete")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str, commands: Commands) -> None:
    run = commands.run("caclient", "completion", shell)
    assert (run.code, run.stderr) == (0, "")
    assert "_ARGCOMPLETE" in run.stdout and "caget" in run.stdout


def completions(tmp_path: Path, line: str, program: str = "caclient", shell: str = "bash") -> list[str]:
    answers = tmp_path / "answers"
    environment = os.environ | {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": shell,
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answers),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    code = f"import sys; sys.argv[0] = {program!r}; from caclient.cli import main; sys.exit(main())"
    subprocess.run([sys.executable, "-c", code], env=environment, timeout=30, check=False)
    return [line.strip() for line in answers.read_text().splitlines()] if answers.exists() else []


def test_verbs_and_options_are_completed(tmp_path: Path) -> None:
    assert {"watch", "why"} >= set(completions(tmp_path, "caclient w")) >= {"watch"}
    assert completions(tmp_path, "caclient get --j") == ["--json"]
    assert completions(tmp_path, "caclient watch --r") == ["--rate"]
    assert completions(tmp_path, "caget --from", "caget") == ["--from-file"]


def test_names_are_not_taken_for_files(tmp_path: Path) -> None:
    assert completions(tmp_path, "caclient get ") == []


def test_verbs_are_described_where_the_shell_shows_that(tmp_path: Path) -> None:
    described = dict(line.split(":", 1) for line in completions(tmp_path, "caclient w", shell="zsh"))
    assert described == {verb: ALL[verb].summary for verb in ("watch", "why")}
