"""One run of one case in a process of its own: `python -m tests.benchmarks.worker CLIENT WORK TASK RESULT`.

TASK is JSON; RESULT is the file to which the numbers go, as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from types import ModuleType

from tests.benchmarks.cases import Task
from tests.benchmarks.measure import Numbers

MEMORY_LIMIT = 4 << 30
UNSUPPORTED: Numbers = {}
TIMED_IMPORT = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def import_time(client: ModuleType, task: Task) -> Numbers:
    """Milliseconds to import the client in a fresh interpreter."""
    if not hasattr(client, "IMPORT"):
        return UNSUPPORTED
    program = TIMED_IMPORT.format(client.IMPORT)
    return {"ms": 1e3 * median(float(_output(program)) for _ in range(task.calls))}


def cold_get(client: ModuleType, task: Task) -> Numbers:
    """Milliseconds from starting the interpreter to the end of a process that prints one value."""
    if not hasattr(client, "COLD_GET"):
        return UNSUPPORTED
    return {"ms": 1e3 * median(_cold_seconds(client.COLD_GET) for _ in range(task.calls))}


def _cold_seconds(program: str) -> float:
    start = time.perf_counter()
    output = _output(program)
    spent = time.perf_counter() - start
    if float(output) != 1.0:
        raise AssertionError(f"read {output!r} instead of 1.0")
    return spent


def _output(program: str) -> str:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return run.stdout.split()[-1]


OF_ALL_CLIENTS = {"import_time": import_time, "cold_get": cold_get}


def numbers(client_name: str, work: str, task: Task) -> Numbers:
    """What the client's function for this work measures; nothing if it has none."""
    client = importlib.import_module(f"tests.benchmarks.clients.{client_name}")
    if work in OF_ALL_CLIENTS:
        return OF_ALL_CLIENTS[work](client, task)
    function = getattr(client, work, None)
    measured: Numbers = function(task) if function else UNSUPPORTED
    return measured


def main() -> None:
    client, work, task, result = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    try:
        answer = {"numbers": numbers(client, work, Task(**json.loads(task)))}
    except BaseException as error:
        answer = {"error": f"{type(error).__name__}: {error}"[:300]}  # type: ignore[dict-item]
    Path(result).write_text(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # how a client ends is not measured, nor waited for


if __name__ == "__main__":
    main()
