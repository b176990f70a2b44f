"""Runs the cases: each client in a process of its own, interleaved, over several rounds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.cases import Case, Task, arguments
from tests.benchmarks.servers import ROOT, Servers


@dataclass(frozen=True)
class Outcome:
    """What one run gave: numbers (none: the client cannot do this), or why it failed."""

    case: Case
    client: str
    numbers: dict[str, float] = field(default_factory=dict)
    error: str | None = None


def run_all(
    servers: Servers,
    cases: tuple[Case, ...],
    clients: tuple[str, ...],
    rounds: int,
    quick: bool,
    tell: Callable[[str], None],
) -> list[Outcome]:
    """Every case for every client, `rounds` times. What a client cannot do is not tried again."""
    outcomes: list[Outcome] = []
    hopeless: set[tuple[str, str]] = set()
    for round_number in range(rounds):
        for case, client in _schedule(cases, clients, round_number):
            if (case.name, client) in hopeless:
                continue
            outcome = run(servers, case, client, case.quick if quick else case.task)
            outcomes.append(outcome)
            tell(f"{round_number + 1}/{rounds} {case.name:18} {client:10} {_summary(outcome)}")
            if not outcome.numbers:
                hopeless.add((case.name, client))
    return outcomes


def _schedule(cases: tuple[Case, ...], clients: tuple[str, ...], round_number: int) -> Iterator[tuple[Case, str]]:
    """All clients of a case follow each other closely; each round begins with another client."""
    shift = round_number % len(clients)
    for case in cases:
        for client in clients[shift:] + clients[:shift]:
            yield case, client


def run(servers: Servers, case: Case, client: str, task: Task) -> Outcome:
    with tempfile.TemporaryDirectory() as folder, servers.ticking(case.ticking):
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", "tests.benchmarks.worker", client, case.work]
        command += [json.dumps(arguments(task)), str(result)]
        failure = _execute(command, servers.environment(case.servers), case.timeout)
        if failure:
            return Outcome(case, client, error=failure)
        return Outcome(case, client, **json.loads(result.read_text()))


def _execute(command: list[str], environment: dict[str, str], timeout: float) -> str | None:
    """Run a worker in a session of its own, so that nothing it starts outlives it; returns what went wrong."""
    null = subprocess.DEVNULL
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdin=null, stdout=null, stderr=null, start_new_session=True
    )
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"not done in {timeout:g} s"
    finally:
        _end_session(process)
    return f"the process ended with status {status}" if status else None


def _end_session(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # the usual case: all has ended
    process.wait()


def _summary(outcome: Outcome) -> str:
    if outcome.error:
        return f"failed: {outcome.error}"
    return ", ".join(f"{name} {value:,.4g}" for name, value in outcome.numbers.items()) or "-"
