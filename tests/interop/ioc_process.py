"""An IOC in a process of its own: started on a private loopback port, killed, stopped, continued, started again.

It is ready when it answers a search, which is asked of it with bytes written out here, so that no fault of the
package under test can make it look ready or dead.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from typing_extensions import Self

from tests.ports import free_port

START_TIMEOUT = 20.0
_HEADER = struct.Struct(">HHHHII")
_VERSION, _SEARCH = 0, 6
_DO_NOT_REPLY, _MINOR = 5, 13


class IocProcess:
    """A subprocess that serves Channel Access on ``127.0.0.1:port``; a context manager that leaves nothing behind."""

    def __init__(self, command: list[str], *, ready_name: str, port: int | None = None, **environment: str) -> None:
        self.command = command
        self.ready_name = ready_name
        self.port = port or free_port()
        self.repeater_port = free_port()
        self.extra_environment = environment
        self.process: subprocess.Popen[str] | None = None
        self.tcp_port = 0
        self._log = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed by close()
        self._reply_read = self._reply_write = -1

    @property
    def address(self) -> str:
        """What goes into an address list."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that the process has written so far."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def client_environment(self) -> dict[str, str]:
        """EPICS_CA_* for a client process that sees this IOC and nothing else."""
        return {
            "EPICS_CA_ADDR_LIST": self.address,
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_SERVER_PORT": str(self.port),
            "EPICS_CA_REPEATER_PORT": str(self.repeater_port),
        }

    def start(self, timeout: float = START_TIMEOUT) -> Self:
        """Start the process and return when it answers a search."""
        assert self.process is None, "already running"
        self._reply_read, self._reply_write = os.pipe()
        self.process = subprocess.Popen(
            [*self.command, *self.reply_arguments()],
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            pass_fds=[self._reply_write],
            text=True,
            bufsize=1,
        )
        try:
            self._wait_until_ready(timeout)
        except BaseException:
            self.kill()
            raise
        return self

    def reply_arguments(self) -> list[str]:
        """Command-line arguments that tell the process where to acknowledge shell lines; none here."""
        return []

    def stop(self, timeout: float = 5.0) -> None:
        """End it as an operator would: SIGTERM, or the end of its input; SIGKILL when that does not help in time."""
        if self.process is None:
            return
        self.resume()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._reap()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self._reap()

    def restart(self, *, port: int | None = None) -> None:
        """Kill it and start it again, on the same port unless another is given."""
        self.kill()
        self.port = port or self.port
        self.start()

    def pause(self) -> None:
        """Freeze it: its sockets stay open, its kernel acknowledges, nothing answers."""
        self._signal(signal.SIGSTOP)
        assert self.process is not None
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)  # the signal takes effect in its own time

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it and let go of its log."""
        self.stop()
        self._log.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("EPICS_")}
        root = str(Path(__file__).resolve().parents[2])
        return kept | {
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
            "PYTHONUNBUFFERED": "1",
            "EPICS_CA_SERVER_PORT": str(self.port),
            "EPICS_CAS_SERVER_PORT": str(self.port),
            "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
            "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
            "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
            "EPICS_CAS_BEACON_PORT": str(self.repeater_port),
            "EPICS_CA_REPEATER_PORT": str(self.repeater_port),
            "EPICS_CA_ADDR_LIST": "127.0.0.1",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            **self.extra_environment,
        }

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def _reap(self) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.process = None
        os.close(self._reply_read)
        os.close(self._reply_write)

    def _wait_until_ready(self, timeout: float) -> None:
        assert self.process is not None
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the IOC ended with {self.process.returncode}:\n{self.log}")
            tcp_port = ask_for(self.ready_name, self.port, timeout=0.05)
            if tcp_port:
                self.tcp_port = tcp_port
                return
        raise TimeoutError(f"the IOC answered no search for {self.ready_name!r} in {timeout} s:\n{self.log}")


def ask_for(name: str, port: int, timeout: float) -> int:
    """Search ``127.0.0.1:port`` once for `name`; the TCP port that answers, or 0 after `timeout` seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.bind(("127.0.0.1", 0))
        asking.sendto(_search_datagram(name), ("127.0.0.1", port))
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([asking], [], [], left)[0]:
                break
            tcp_port = _answered(asking)
            if tcp_port:
                return tcp_port
    return 0


def _answered(asking: socket.socket) -> int:
    try:
        data = asking.recv(2048)
    except ConnectionError:  # some systems report here that nobody has bound the port yet
        return 0
    for offset in range(0, len(data) - 15, 8):
        command, size, port, *_ = _HEADER.unpack_from(data, offset)
        if (command, size) == (_SEARCH, 8):
            return int(port)
    return 0


def _search_datagram(name: str) -> bytes:
    payload = name.encode() + b"\0"
    payload += bytes(-len(payload) % 8)
    version = _HEADER.pack(_VERSION, 0, 0, _MINOR, 0, 0)
    return version + _HEADER.pack(_SEARCH, len(payload), _DO_NOT_REPLY, _MINOR, 1, 1) + payload
