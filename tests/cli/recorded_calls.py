"""The calls recorded from EPICS Base's tools: what was done, what came, and whether ours is the same.

``recorded/calls.jsonl`` has one call a line; ``<TIME>`` and its like stand for what differs from run to run.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.commands import Commands, Running
from tests.interop.softioc import SoftIoc

RECORDED = Path(__file__).with_name("recorded")
NEAR = 0.3
"""Seconds by which a time that is printed may differ, if all that is done comes in time."""
_shell = threading.Lock()
_PATTERNS = {
    "TIME": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}",
    "DELTA": r"(?=.{12})( *[+-]\d+\.\d{6})",
    "HOST:PORT": r"[^\s:]+:\d+",
    "HELP": r"\('[^']+ -h' for help\.\)",
    "ERROR": "ERROR",
    "ANY": ".*",
}
_PLACEHOLDER = re.compile(r"<(TIME|DELTA(?::[\d.]+)?|HOST:PORT|HELP|ERROR|ANY)>")


@dataclass(slots=True)
class Call:
    """One recorded call."""

    id: str
    tool: str
    args: list[str]
    stdout: str
    stderr: str
    exit: int | str
    env: dict[str, str] = field(default_factory=dict)
    before: list[tuple[str, str]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    own_ioc: bool = False
    more_lines: bool = False
    compare: str = "exact"
    stderr_compare: str = "exact"
    stdin: str = ""

    @property
    def records(self) -> set[str]:
        """The records that are written, by which calls must not run side by side."""
        written = {name for name, _ in self.before}
        written |= {name for step in self.steps for name, _ in step.get("put", ())}
        written |= set(self.args) if self.tool == "caput" else set()
        return {re.split(r"[.\[]", name)[0] for name in written if name.startswith("cli:")}


def load() -> list[Call]:
    """All calls."""
    return [Call(**json.loads(line)) for line in (RECORDED / "calls.jsonl").read_text("utf-8").splitlines()]


def soft_ioc() -> SoftIoc:
    """The IOC that the calls were made on."""
    return SoftIoc("", records=(RECORDED / "cli.db",), access=RECORDED / "cli.acf", ready_name="cli:ai0")


def put(ioc: SoftIoc, name: str, value: str) -> None:
    """Write a record from inside the IOC."""
    quote = "'" if '"' in value else '"'
    with _shell:
        ioc.iocsh(f"dbpf {quote}{name}{quote} {quote}{value}{quote}")


def replay(call: Call, commands: Commands, ioc: SoftIoc, program: Sequence[str] = ()) -> list[str]:
    """Make a call; what differs from what was recorded."""
    for name, value in call.before:
        put(ioc, name, value)
    name, *first = program or ["caclient", call.tool.removeprefix("ca")]
    running = commands.start(name, [*first, *call.args], call.env)
    begun, waited = time.monotonic(), 0.0
    for number, step in enumerate(call.steps):
        _take(step, running, ioc)
        if number == 0:
            begun = time.monotonic()  # what the program needs to start is not seen in its output
        else:
            waited += step.get("then_wait", 0.0)
    late = time.monotonic() - begun - waited
    running.finish(20.0)
    return differences(call, running, NEAR + late)


def _take(step: dict[str, Any], running: Running, ioc: SoftIoc) -> None:
    running.wait_for_lines(step.get("lines", 0), step.get("timeout", 10.0))
    running.listen(step.get("then_wait", 0.0))
    for name, value in step.get("put", ()):
        put(ioc, name, value)
    if step.get("ioc") == "stop":
        ioc.stop()
    elif step.get("ioc") == "start":
        ioc.start()
    if "signal" in step:
        running.send_signal(signal.Signals[f"SIG{step['signal']}"])


def differences(call: Call, running: Running, near: float = NEAR) -> list[str]:
    """What differs, one text each; none if all is as recorded, and times differ by *near* seconds at most."""
    found = []
    stdout, wanted = running.stdout, call.stdout
    if call.more_lines:
        stdout = "".join(stdout.splitlines(keepends=True)[: wanted.count("\n")])
    if not _same(wanted, stdout, call.compare, near):
        found.append(f"stdout: {stdout!r} instead of {wanted!r}")
    if not _same(call.stderr, running.stderr, call.compare if call.compare != "exact" else call.stderr_compare, near):
        found.append(f"stderr: {running.stderr!r} instead of {call.stderr!r}")
    if running.code not in _exits(call.exit):
        found.append(f"exit: {running.code} instead of {call.exit}")
    return found


def _exits(exit: int | str) -> tuple[int, ...]:
    if isinstance(exit, int):
        return (exit,)
    number = signal.Signals[f"SIG{exit}"]
    return -number, 128 + number


def _same(wanted: str, got: str, how: str, near: float) -> bool:
    if how == "presence":
        return bool(wanted) == bool(got)
    match = re.fullmatch(_pattern(wanted), got)
    if match is None:
        return False
    deltas = [
        float(name.partition(":")[2] or "nan") for name in _PLACEHOLDER.findall(wanted) if name.startswith("DELTA")
    ]
    return all(
        value != value or abs(float(text) - value) <= near for value, text in zip(deltas, match.groups(), strict=True)
    )


def _pattern(wanted: str) -> str:
    parts = _PLACEHOLDER.split(wanted)
    return "".join(
        _PATTERNS[part.partition(":0")[0].partition(":1")[0]] if place % 2 else re.escape(part)
        for place, part in enumerate(parts)
    )
