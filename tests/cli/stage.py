"""Where recorded calls are made side by side: the same to the blank, but for what is meant to differ."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from tests.cli.commands import Commands
from tests.cli.recorded_calls import Call, load, replay, soft_ioc
from tests.interop.softioc import SoftIoc

ABREAST = 6
NO_DIFFERENCES: Mapping[str, Mapping[str, Any]] = {}


class Stage:
    """Makes calls side by side, but never two that write the same record."""

    def __init__(self, ioc: SoftIoc, commands: Commands) -> None:
        self._ioc = ioc
        self._commands = commands
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def differing(
        self,
        tool: str,
        meant: Mapping[str, Mapping[str, Any]] = NO_DIFFERENCES,
        program: Sequence[str] = (),
        every: int = 1,
    ) -> dict[str, list[str]]:
        """What differs in the calls of a tool from what is expected; *meant* replaces what was recorded."""
        calls = [replace(call, **meant.get(call.id, {})) for call in load() if call.tool == tool][::every]
        with ThreadPoolExecutor(ABREAST) as pool:
            results = pool.map(lambda call: self._make(call, program), calls)
            return {f"{call.id} {call.args}": found for call, found in zip(calls, results, strict=True) if found}

    def _make(self, call: Call, program: Sequence[str]) -> list[str]:
        call = _patient(call)
        if call.own_ioc:
            with soft_ioc() as own:
                return replay(replace(call, env=call.env | own.client_environment()), self._commands, own, program)
        with ExitStack() as held:
            for record in sorted(call.records):
                held.enter_context(self._locks[record])
            return replay(call, self._commands, self._ioc, program)


def _patient(call: Call) -> Call:
    """A call that succeeds does so on a busy machine too, where a second may pass before anybody answers."""
    waits = call.stderr or call.exit != 0 or call.steps or any(word.startswith("-w") for word in call.args)
    return call if waits else replace(call, env={"EPICS_CLI_TIMEOUT": "20"} | call.env)
