"""``caclient restore``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import Commands
from tests.cli.recorded_calls import put
from tests.interop.softioc import SoftIoc

pytestmark = pytest.mark.interop


@pytest.fixture
def saved(tmp_path: Path, ioc: SoftIoc, commands: Commands) -> str:
    """Where ``cli:w_long`` was 7 and ``cli:w_mbbo`` Low; they are 8 and High now."""
    put(ioc, "cli:w_long", "7")
    put(ioc, "cli:w_mbbo", "Low")
    file = str(tmp_path / "a.json")
    assert commands.run("caclient", "snapshot", "cli:w_long", "cli:w_mbbo", "cli:ai3", "-o", file).code == 0
    put(ioc, "cli:w_long", "8")
    put(ioc, "cli:w_mbbo", "High")
    return file


def test_a_dry_run_writes_nothing(saved: str, commands: Commands) -> None:
    run = commands.run("caclient", "restore", "--dry-run", saved)
    assert (run.code, run.stderr) == (0, "")
    assert run.stdout == "cli:w_long: 8 -> 7\ncli:w_mbbo: High -> Low\n2 of 3 differ\n"
    assert commands.run("caclient", "get", "-t", "cli:w_long").stdout == "8\n"


def test_what_differs_is_put_back(saved: str, commands: Commands) -> None:
    run = commands.run("caclient", "restore", saved)
    assert (run.code, run.stderr) == (0, "")
    assert run.stdout.endswith("2 of 2 put back\n")
    assert commands.run("caclient", "get", "-t", "cli:w_long", "cli:w_mbbo").stdout == "7\nLow\n"
    assert commands.run("caclient", "restore", saved).stdout == "0 of 3 differ\n"


def test_objects(saved: str, commands: Commands) -> None:
    run = commands.run("caclient", "restore", "--dry-run", "--json", saved)
    assert json.loads(run.stdout.splitlines()[0]) == {"pvname": "cli:w_long", "now": 8, "saved": 7}


def test_nothing_is_written_where_that_is_forbidden(saved: str, commands: Commands) -> None:
    run = commands.run("caclient", "restore", saved, environment={"CACLIENT_READ_ONLY": "1"})
    assert run.code == 1 and "0 of 2 put back" in run.stdout and "cli:w_long" in run.stderr
    assert commands.run("caclient", "get", "-t", "cli:w_long").stdout == "8\n"


def test_files_that_are_no_snapshots(tmp_path: Path, commands: Commands) -> None:
    run = commands.run("caclient", "restore", "/nowhere/a.json")
    assert (run.code, run.stderr) == (2, "cannot read '/nowhere/a.json': No such file or directory\n")
    file = tmp_path / "a.json"
    file.write_text("[]")
    run = commands.run("caclient", "restore", str(file))
    assert run.code == 1 and "is no snapshot" in run.stderr and "Traceback" not in run.stderr
