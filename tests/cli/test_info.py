"""``caclient info``, beside all that cainfo was recorded doing."""

from __future__ import annotations

import pytest

from tests.cli.commands import Commands
from tests.cli.stage import Stage
from tests.interop.softioc import SoftIoc

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

AI0 = """\
cli:ai0
    State:            connected
    Host:             <HOST:PORT>
    Access:           read, write
    Native data type: DBF_DOUBLE
    Request type:     DBR_DOUBLE
    Element count:    1
"""
# PVs that are there are shown, though others are missing
MEANT = {"info-013": {"stdout": AI0 + "cli:missing\n    State:            never connected\n"}}


def test_recorded_calls_agree(ioc: SoftIoc, commands: Commands) -> None:
    assert Stage(ioc, commands).differing("cainfo", MEANT) == {}


def test_a_link_is_the_tool(ioc: SoftIoc, commands: Commands) -> None:
    assert Stage(ioc, commands).differing("cainfo", MEANT, ["/somewhere/cainfo"], every=4) == {}


def test_the_clients_own_view(commands: Commands) -> None:
    run = commands.run("caclient", "info", "-s", "1", "cli:ai0")
    assert (run.code, run.stderr) == (0, "")
    assert "circuit" in run.stdout
