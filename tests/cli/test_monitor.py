"""``caclient monitor``, beside all that camonitor was recorded doing."""

from __future__ import annotations

import pytest

from tests.cli.commands import Commands
from tests.cli.stage import Stage
from tests.interop.softioc import SoftIoc

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]


def test_recorded_calls_agree(ioc: SoftIoc, commands: Commands) -> None:
    assert Stage(ioc, commands).differing("camonitor") == {}


def test_a_link_is_the_tool(ioc: SoftIoc, commands: Commands) -> None:
    assert Stage(ioc, commands).differing("camonitor", program=["/somewhere/camonitor"], every=12) == {}
