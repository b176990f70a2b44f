"""``caclient ioc``: the examples."""

from __future__ import annotations

import signal

import pytest

from caclient.cli import ioc
from tests.cli.commands import Commands
from tests.ports import free_port

pytestmark = pytest.mark.interop


def test_every_example_can_be_run() -> None:
    assert "random_walk" in ioc.examples()


def test_an_example_on_loopback(commands: Commands) -> None:
    port = str(free_port())
    running = commands.start("caclient", ["ioc", "random_walk", "--port", port, "--prefix", "w:"])
    assert running.wait_for_lines(1)
    assert "w:x" in running.stdout
    seen = {"EPICS_CA_ADDR_LIST": f"127.0.0.1:{port}"}
    assert commands.run("caclient", "get", "-t", "w:dt", environment=seen).stdout == "3\n"
    running.send_signal(signal.SIGINT)
    running.finish()
    assert (running.code, running.stderr) == (0, "")


def test_an_unknown_one_is_a_mistake(commands: Commands) -> None:
    run = commands.run("caclient", "ioc", "nonsense")
    assert run.code == 2 and "random_walk" in run.stderr and "Traceback" not in run.stderr


def test_an_address_of_another_host_is_a_mistake(commands: Commands) -> None:
    run = commands.run("caclient", "ioc", "random_walk", "--interface", "192.0.2.1")
    assert run.code == 1 and run.stderr.startswith("caclient ioc: cannot listen: ") and "Traceback" not in run.stderr
