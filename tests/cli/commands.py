"""Runs of the command as processes of their own, watched line by line."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from typing_extensions import Self

ZYGOTE = Path(__file__).with_name("zygote.py")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


class Commands:
    """Starts the command as often as wanted; a context manager that leaves nothing behind."""

    def __init__(self, environment: Mapping[str, str], folder: Path | None = None) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("EPICS_", "CACLIENT_"))}
        self.environment = clean | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **environment}
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, str(ZYGOTE), str(other.fileno())],
                env=self.environment,
                pass_fds=[other.fileno()],
                cwd=folder,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()

    def start(self, program: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Running:
        """Start it under a name (``caclient``, or a link's) with arguments."""
        call = {"program": program, "arguments": list(arguments), "environment": dict(environment or {})}
        pipes = [os.pipe() for _ in range(3)]
        try:
            socket.send_fds(self._control, [json.dumps(call).encode()], [write for _, write in pipes])
        finally:
            for _, write in pipes:
                os.close(write)
        return Running(*(read for read, _ in pipes))

    def run(self, *words: str, environment: Mapping[str, str] | None = None) -> Running:
        """Run a command line, the program's name first, to its end."""
        running = self.start(words[0], words[1:], environment)
        running.finish()
        return running


class Running:
    """A process of the command: what it has said so far, and its exit code in the end."""

    def __init__(self, out: int, err: int, status: int) -> None:
        self._open = {out: bytearray(), err: bytearray(), status: bytearray()}
        self._out, self._err, self._status = self._open.values()

    @property
    def stdout(self) -> str:
        """What it has written to standard output."""
        return self._out.decode("utf-8", "surrogateescape")

    @property
    def stderr(self) -> str:
        """What it has written to standard error."""
        return self._err.decode("utf-8", "surrogateescape")

    @property
    def code(self) -> int:
        """How it ended."""
        return int(self._status.split()[1])

    def wait_for_lines(self, count: int, timeout: float = PATIENCE) -> bool:
        """Whether that many lines of standard output came in time."""
        deadline = time.monotonic() + timeout
        while self._out.count(b"\n") < count:
            if not self._read(deadline):
                return False
        return True

    def listen(self, seconds: float) -> None:
        """Take what comes for so long."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        while b"\n" not in self._status:
            assert self._read(time.monotonic() + PATIENCE)
        os.kill(int(self._status.split()[0]), number)

    def finish(self, timeout: float = PATIENCE) -> None:
        """Read all until it has ended; what does not end is killed."""
        deadline = time.monotonic() + timeout
        while self._open:
            if not self._read(deadline) and self._open:
                self.send_signal(signal.SIGKILL)
                deadline = time.monotonic() + timeout

    def close_stdout(self) -> None:
        """Read no more of standard output."""
        for descriptor, data in list(self._open.items()):
            if data is self._out:
                os.close(descriptor)
                del self._open[descriptor]

    def _read(self, deadline: float) -> bool:
        """Take what there is, or wait for some; false at the monotonic *deadline*, or if nothing is left to come."""
        if not self._open:
            return False
        ready = select.select(list(self._open), [], [], max(deadline - time.monotonic(), 0.0))[0]
        for descriptor in ready:
            data = os.read(descriptor, 65536)
            self._open[descriptor] += data
            if not data:
                os.close(descriptor)
                del self._open[descriptor]
        return bool(ready)
