"""The same script on pyepics and on the drop-in, each beside a real IOC of its own, compared line by line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.interop.softioc import SoftIoc

HERE = Path(__file__).parent
DATABASE = HERE / "golden.db"
_TIMES = (
    (re.compile(r"((?:timestamp|posixseconds|nanoseconds)'?: (?:float|int)) [0-9.e+]+"), r"\1 T"),
    (re.compile(r"\b17[6-9]\d{7}(?:\.\d+)?\b"), "T"),
    (re.compile(r"(T, (?:float|int)) \d+\.?\d*(, int) \d+"), r"\1 T\2 T"),
    (re.compile(r"nanoseconds     = \d+"), "nanoseconds     = T"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+"), "DATE"),
    (re.compile(r"localhost:\d+"), "localhost:PORT"),
    (re.compile(r"\(float T, int \d+\)|float T, int \d+"), "float T, int T"),
    (re.compile(r"c_u?long\(\d+\)"), "c_long(N)"),
    (re.compile(r" at 0x[0-9a-f]+"), ""),
)


def normal(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, replacement in _TIMES:
        line = pattern.sub(replacement, line)
    return line.rstrip()


class Run:
    """A script under way; lines that begin with ASK are answered."""

    def __init__(self, implementation: str, script: str, *arguments: str) -> None:
        self.ioc = SoftIoc("X:", records=(DATABASE,), ready_name="a")
        self.implementation = implementation
        self.command = [sys.executable, "-W", "ignore", str(HERE / "golden" / script), *arguments]

    def lines(self) -> Iterator[str]:
        """What it prints."""
        with self.ioc, tempfile.TemporaryDirectory() as folder:
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith("EPICS_")},
                **self.ioc.client_environment(),
                "IMPLEMENTATION": self.implementation,
                "PYTHONPATH": str(HERE.parents[1]),
                "PYTHONUNBUFFERED": "1",
            }
            process = subprocess.Popen(
                self.command,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            try:
                for line in process.stdout:
                    if line.startswith("ASK "):
                        self._do(line.split()[1])
                        process.stdin.write("done\n")
                        process.stdin.flush()
                    elif not line.startswith("****"):
                        yield normal(line)
                errors = process.stderr.read()
                if process.wait(30):
                    yield f"ended with {process.returncode}: {errors[-2000:]}"
            finally:
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout, process.stderr):
                    stream.close()

    def _do(self, what: str) -> None:
        if what == "stop":
            self.ioc.stop()
        else:
            self.ioc.start()


def differences(script: str, *arguments: str) -> list[str]:
    """Lines that pyepics and the drop-in do not have in common, with what the other says in their place."""
    theirs = list(Run("pyepics", script, *arguments).lines())
    ours = list(Run("caclient", script, *arguments).lines())
    found = [f"pyepics:  {a}\ncaclient: {b}" for a, b in zip(theirs, ours, strict=False) if a != b]
    if len(theirs) != len(ours):
        found.append(f"pyepics says {len(theirs)} lines, caclient {len(ours)}: {theirs[-1:]} {ours[-1:]}")
    return found
