"""``caclient put``, beside all that caput was recorded doing."""

from __future__ import annotations

import pytest

from tests.cli.commands import Commands
from tests.cli.recorded_calls import put
from tests.cli.stage import Stage
from tests.interop.softioc import SoftIoc

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

# a completion that was not seen in time is a failure
MEANT = {"put-179": {"exit": 1}}


def test_recorded_calls_agree(ioc: SoftIoc, commands: Commands) -> None:
    assert Stage(ioc, commands).differing("caput", MEANT) == {}


def test_a_link_is_the_tool(ioc: SoftIoc, commands: Commands) -> None:
    assert Stage(ioc, commands).differing("caput", MEANT, ["/somewhere/caput"], every=12) == {}


def test_nothing_is_written_where_that_is_forbidden(ioc: SoftIoc, commands: Commands) -> None:
    put(ioc, "cli:w_long", "7")
    run = commands.run("caclient", "put", "cli:w_long", "8", environment={"CACLIENT_READ_ONLY": "1"})
    assert (run.code, run.stdout) == (1, "Old : cli:w_long                     7\n")
    assert run.stderr == "ERROR from put operation: nothing is written while CACLIENT_READ_ONLY is set\n"
    assert commands.run("caclient", "get", "-t", "cli:w_long").stdout == "7\n"


def test_a_refusal_is_told_without_asking_for_completion(commands: Commands) -> None:
    run = commands.run("caclient", "put", "cli:disp", "3")
    assert run.code == 0
    assert "cli:disp" in run.stderr and "refused" in run.stderr


def test_no_elements_leave_a_scalar_alone(ioc: SoftIoc, commands: Commands) -> None:
    put(ioc, "cli:w_long", "7")
    run = commands.run("caclient", "put", "-a", "cli:w_long", "0")
    assert (run.code, run.stdout) == (
        0,
        "Old : cli:w_long                     7\nNew : cli:w_long                     7\n",
    )
