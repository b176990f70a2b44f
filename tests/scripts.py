"""Programs of a few lines in a process of their own: how they end, what they say, how long ending takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass

PATIENCE = 30.0
_FRAME = """\
import os, signal, sys, threading, time
from caclient import *
names = sys.argv[1:]

def say(text):
    os.write(1, (text + "\\n").encode())

"""

_PYTHON = ("-W", "ignore:This process:DeprecationWarning")
"""Python 3.12 and newer warn of every fork of a process with threads; what else is said is a complaint."""


@dataclass(frozen=True)
class Ended:
    """What came of a program; `ending` are the seconds from its line ``end`` (if it said one) to its end."""

    code: int
    said: list[str]
    complaints: str
    ending: float


def run(
    program: str,
    *names: str,
    address: tuple[str, int],
    after: tuple[str, Callable[[subprocess.Popen[str]], object]] | None = None,
    patience: float = PATIENCE,
) -> Ended:
    """Run a program that sees the server at `address` only; when it says the first of `after`, do the second."""
    process = subprocess.Popen(
        [sys.executable, *_PYTHON, "-c", _FRAME + textwrap.dedent(program), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(address),
    )
    assert process.stdout is not None and process.stderr is not None
    said: list[str] = []
    ended_at = time.monotonic()
    try:
        while line := process.stdout.readline():
            said.append(line.rstrip("\n"))
            ended_at = time.monotonic()
            if after is not None and said[-1] == after[0]:
                after[1](process)
        complaints = process.stderr.read()
        code = process.wait(patience)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    return Ended(code, said, complaints, time.monotonic() - ended_at)


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)


def _environment(address: tuple[str, int]) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("EPICS_")}
    return clean | {
        "EPICS_CA_ADDR_LIST": f"{address[0]}:{address[1]}",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_REPEATER_PORT": os.environ.get("EPICS_CA_REPEATER_PORT", "5065"),
        "PYTHONPATH": os.getcwd(),
    }
