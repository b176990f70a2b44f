"""``caclient find``: who has a PV."""

from __future__ import annotations

import json

import pytest

from tests.cli.commands import Commands
from tests.cli.recorded_calls import soft_ioc
from tests.interop.softioc import SoftIoc

pytestmark = pytest.mark.interop


def test_who_answers(ioc: SoftIoc, commands: Commands) -> None:
    run = commands.run("caclient", "find", "-w", "0.5", "cli:ai0", "cli:str")
    assert (run.code, run.stderr) == (0, "")
    assert run.stdout == f"cli:ai0: 127.0.0.1:{ioc.tcp_port}\ncli:str: 127.0.0.1:{ioc.tcp_port}\n"


def test_nobody_answers(commands: Commands) -> None:
    run = commands.run("caclient", "find", "-w", "0.3", "cli:missing")
    assert (run.code, run.stdout) == (1, "cli:missing: nobody answers\n")


def test_two_answer(ioc: SoftIoc, commands: Commands) -> None:
    with soft_ioc() as other:
        both = {"EPICS_CA_ADDR_LIST": f"{ioc.address} {other.address}"}
        run = commands.run("caclient", "find", "-w", "0.5", "--json", "cli:ai0", environment=both)
        assert run.code == 0
        assert set(json.loads(run.stdout)["servers"]) == {f"127.0.0.1:{one.tcp_port}" for one in (ioc, other)}
        run = commands.run("caclient", "find", "-w", "0.5", "cli:ai0", environment=both)
        assert "(2 servers: it is not certain which one a client takes)" in run.stdout


@pytest.mark.long
def test_servers_are_heard(ioc: SoftIoc, commands: Commands) -> None:
    running = commands.start("caclient", ["find"])
    with soft_ioc_beaconing_to(ioc) as other:
        running.finish()
    assert f"127.0.0.1:{other.tcp_port}\n" in running.stdout
    assert running.code == 0


def soft_ioc_beaconing_to(ioc: SoftIoc) -> SoftIoc:
    other = soft_ioc()
    other.repeater_port = ioc.repeater_port
    return other


def test_no_server_is_heard(commands: Commands) -> None:
    run = commands.run("caclient", "find", "-w", "0.2", environment={"EPICS_CA_REPEATER_PORT": "5099"})
    assert (run.code, run.stdout, run.stderr) == (1, "", "no server heard in 0.2 s\n")


def test_a_mistake_is_told_in_a_line(commands: Commands) -> None:
    run = commands.run("caclient", "find", "-w", "x", "cli:ai0")
    assert run.code == 2
    assert "'x' is no positive number" in run.stderr and "Traceback" not in run.stderr
