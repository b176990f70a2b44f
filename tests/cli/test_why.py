"""``caclient why``."""

from __future__ import annotations

import json

import pytest

from tests.cli.commands import Commands

pytestmark = pytest.mark.interop


@pytest.mark.parametrize(
    ("name", "cause", "status"),
    [("cli:ai0", "healthy", 0), ("cli:ro", "no-write-access", 0), ("cli:noaccess", "no-read-access", 1)],
)
def test_what_is_wrong(name: str, cause: str, status: int, commands: Commands) -> None:
    run = commands.run("caclient", "why", name)
    assert (run.code, run.stderr) == (status, "")
    assert run.stdout.startswith(f"{name}: {cause}\n")


def test_one_that_is_not_there_fails_all(commands: Commands) -> None:
    run = commands.run("caclient", "why", "-w", "1", "--json", "cli:ai0", "cli:missing")
    assert run.code == 1
    assert [json.loads(line)["cause"] for line in run.stdout.splitlines()] == ["healthy", "no-reply"]


def test_a_mistake_is_told_in_a_line(commands: Commands) -> None:
    run = commands.run("caclient", "why")
    assert (run.code, run.stderr) == (2, "caclient why: no PV name given\n")
