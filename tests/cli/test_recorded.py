"""All calls recorded from EPICS Base's tools, made with ours on a real IOC: the same to the blank.

But for what is meant to differ (docs: "From EPICS Base's tools").
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.cli.commands import Commands
from tests.cli.recorded_calls import Call, load, replay, soft_ioc
from tests.interop.softioc import SoftIoc

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

ABREAST = 6
CALLS = load()
INFO_AI0 = """\
cli:ai0
    State:            connected
    Host:             <HOST:PORT>
    Access:           read, write
    Native data type: DBF_DOUBLE
    Request type:     DBR_DOUBLE
    Element count:    1
"""
DIFFERENCES = {
    # PVs that are there are shown, though others are missing
    "get-245": {"stdout": "cli:wf_double[1:2]             *** not connected\ncli:wf_double.[2:3] 2 1e+10 0.1\n"},
    "get-251": {"stdout": "*** not connected\n3.14159\n"},
    "get-253": {"stdout": "cli:missing                    *** not connected\ncli:ai0                        3.14159\n"},
    "get-283": {"stdout": "cli:ai0                        3.14159\n-t                             *** not connected\n"},
    "info-013": {"stdout": INFO_AI0 + "cli:missing\n    State:            never connected\n"},
    # a completion that was not seen in time is a failure
    "put-179": {"exit": 1},
}


@pytest.fixture(scope="module")
def ioc() -> Iterator[SoftIoc]:
    with soft_ioc() as ioc:
        yield ioc


@pytest.fixture(scope="module")
def commands(ioc: SoftIoc) -> Iterator[Commands]:
    with Commands(ioc.client_environment()) as commands:
        yield commands


class Stage:
    """Makes calls side by side, but never two that write the same record."""

    def __init__(self, ioc: SoftIoc, commands: Commands) -> None:
        self._ioc = ioc
        self._commands = commands
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def differing(self, calls: list[Call], program: list[str] | None = None) -> dict[str, list[str]]:
        """What differs from what is expected, by call."""
        with ThreadPoolExecutor(ABREAST) as pool:
            results = pool.map(lambda call: self._make(call, program), calls)
            return {
                f"{call.id} {call.tool} {call.args}": found for call, found in zip(calls, results, strict=True) if found
            }

    def _make(self, call: Call, program: list[str] | None) -> list[str]:
        if call.own_ioc:
            with soft_ioc() as own:
                return replay(replace(call, env=call.env | own.client_environment()), self._commands, own, program)
        with ExitStack() as held:
            for record in sorted(call.records):
                held.enter_context(self._locks[record])
            return replay(call, self._commands, self._ioc, program)


def test_there_are_all_the_calls() -> None:
    assert len(CALLS) == 339


@pytest.mark.parametrize("tool", ["caget", "caput", "camonitor", "cainfo"])
def test_recorded_calls_agree(tool: str, ioc: SoftIoc, commands: Commands) -> None:
    calls = [replace(call, **DIFFERENCES.get(call.id, {})) for call in CALLS if call.tool == tool]
    assert Stage(ioc, commands).differing(calls) == {}


def test_a_link_is_the_tool(ioc: SoftIoc, commands: Commands) -> None:
    for tool in ("caget", "caput", "camonitor", "cainfo"):
        calls = [call for call in CALLS if call.tool == tool and call.id not in DIFFERENCES and not call.own_ioc]
        assert Stage(ioc, commands).differing(calls[::12], [f"/somewhere/{tool}"]) == {}
