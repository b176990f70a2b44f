"""``caclient snapshot``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caclient import Snapshot
from tests.cli.commands import Commands

pytestmark = pytest.mark.interop


def test_values_are_kept(tmp_path: Path, commands: Commands) -> None:
    file = tmp_path / "a.json"
    run = commands.run("caclient", "snapshot", "cli:ai3", "cli:mbbi", "-o", str(file))
    assert (run.code, run.stderr) == (0, "")
    assert run.stdout == f"2 of 2 saved to {file}\n"
    kept = Snapshot.load(file)
    assert (kept["cli:ai3"].value, kept["cli:mbbi"].text) == (3.14159265358979, "Running now")


def test_what_is_missing_is_told_and_the_rest_kept(tmp_path: Path, commands: Commands) -> None:
    file = tmp_path / "a.json"
    run = commands.run("caclient", "snapshot", "-w", "3", "cli:ai3", "cli:missing", "-o", str(file))
    assert (run.code, run.stdout) == (1, f"1 of 2 saved to {file}\n")
    assert "cli:missing" in run.stderr
    assert list(Snapshot.load(file)) == ["cli:ai3"]


def test_printed(commands: Commands) -> None:
    run = commands.run("caclient", "snapshot", "--json", "cli:ai3", "cli:ao0")
    assert [json.loads(line)["pvname"] for line in run.stdout.splitlines()] == ["cli:ai3", "cli:ao0"]
    run = commands.run("caclient", "snapshot", "cli:ai3")
    assert list(json.loads(run.stdout)["readings"]) == ["cli:ai3"]


def test_a_file_that_cannot_be_written(commands: Commands) -> None:
    run = commands.run("caclient", "snapshot", "cli:ai3", "-o", "/nowhere/a.json")
    assert (run.code, run.stderr) == (1, "cannot write '/nowhere/a.json': No such file or directory\n")
