"""``caclient repeater``."""

from __future__ import annotations

import signal

import pytest

from tests.cli.commands import Commands
from tests.ports import free_port

pytestmark = pytest.mark.interop


def test_it_listens_until_interrupted(commands: Commands) -> None:
    port = str(free_port())
    running = commands.start("caclient", ["repeater"], {"EPICS_CA_REPEATER_PORT": port})
    assert running.wait_for_lines(1)
    assert running.stdout.endswith(f":{port}\n")
    running.send_signal(signal.SIGINT)
    running.finish()
    assert running.code == 0
