"""``--json``: one object a line, with the keys of ``Reading.to_dict()``."""

from __future__ import annotations

import json
import signal

import pytest

from caclient import Reading
from tests.cli.commands import Commands

pytestmark = pytest.mark.interop

KEYS = set(Reading(1.0).to_dict())


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_get(commands: Commands) -> None:
    run = commands.run("caclient", "get", "--json", "cli:ai3", "cli:mbbi", "cli:str_utf8", "cli:wf_part", "cli:nan")
    assert (run.code, run.stderr) == (0, "")
    found = objects(run.stdout)
    assert all(set(one) == KEYS for one in found)
    assert [one["pvname"] for one in found] == ["cli:ai3", "cli:mbbi", "cli:str_utf8", "cli:wf_part", "cli:nan"]
    assert [one["value"] for one in found] == [3.14159265358979, 1, "µm und °C", [1.0, 2.0, 3.0], "NaN"]
    assert [one["text"] for one in found][:3] == ["3.142", "Running now", "µm und °C"]
    assert found[0]["units"] == "mm" and found[1]["enum_strs"] == ["Idle", "Running now", "Error, hot", "7"]
    assert found[4]["timestamp"] is None


def test_what_cannot_be_read_is_told_beside_it(commands: Commands) -> None:
    run = commands.run("caclient", "get", "--json", "-w", "0.5", "cli:missing", "cli:ai3", "cli:noaccess")
    assert run.code == 1
    assert [one["pvname"] for one in objects(run.stdout)] == ["cli:ai3"]
    assert "cli:missing: not connected\n" in run.stderr and "cli:noaccess: no read access\n" in run.stderr


def test_monitor(commands: Commands) -> None:
    running = commands.start("caclient", ["monitor", "--json", "cli:tick"])
    assert running.wait_for_lines(2)
    running.send_signal(signal.SIGINT)
    running.finish()
    found = objects(running.stdout)
    assert all(set(one) == KEYS for one in found)
    assert [one["reason"] for one in found[:2]] == ["initial", "update"]
    assert (running.code, running.stderr) == (130, "")


def test_info(commands: Commands) -> None:
    run = commands.run("caclient", "info", "--json", "cli:ro")
    (found,) = objects(run.stdout)
    assert found["pvname"] == "cli:ro" and found["connected"] is True
    assert (found["read_access"], found["write_access"]) == (True, False)
    assert (found["type"], found["count"]) == ("double", 1)
