"""The processes that the clients are measured against, and the environment that leads a client to them alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.database import CLOCK, database

ROOT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Servers:
    """The running servers and their ports."""

    ioc: subprocess.Popen[str]
    ports: Mapping[str, int]
    repeater_port: int

    def environment(self, names: tuple[str, ...]) -> dict[str, str]:
        """The environment of a client that shall find the servers of these names and nothing else."""
        return {
            **clean_environment(),
            "EPICS_CA_ADDR_LIST": " ".join(f"{LOOPBACK}:{self.ports[name]}" for name in names),
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_REPEATER_PORT": str(self.repeater_port),
            "EPICS_CA_MAX_ARRAY_BYTES": "100000000",
        }

    @contextmanager
    def ticking(self, wanted: bool) -> Iterator[None]:
        """While inside, the IOC's clock is on, if `wanted`."""
        if wanted:
            self._shell(f'dbpf {CLOCK}.SCAN ".1 second"')
        try:
            yield
        finally:
            if wanted:
                self._shell(f"dbpf {CLOCK}.SCAN Passive")

    def _shell(self, command: str) -> None:
        assert self.ioc.stdin is not None
        self.ioc.stdin.write(command + "\n")
        self.ioc.stdin.flush()


def clean_environment() -> dict[str, str]:
    unwanted = ("EPICS_", "PYTHONDONTWRITEBYTECODE")  # a package that is installed has its byte code
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def free_port() -> int:
    """A loopback port that is free for TCP and for UDP."""
    for _ in range(100):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((LOOPBACK, 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError("no port is free for both TCP and UDP")


@contextmanager
def running_servers(scalar_count: int) -> Iterator[Servers]:
    """The IOC with `scalar_count` records and the flood server, until the block ends."""
    ports = {"ioc": free_port(), "flood": free_port()}
    repeater_port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.db"
        file.write_text(database(scalar_count))
        settings = ioc_environment(ports["ioc"], repeater_port)
        flood = _started("tests.benchmarks.flood", str(ports["flood"]), str(repeater_port), env=clean_environment())
        with flood, _started("tests.benchmarks.ioc", str(file), env=settings) as ioc:
            try:
                _wait_ready(flood)
                _wait_ready(ioc)
                yield Servers(ioc, ports, repeater_port)
            finally:
                _stop(ioc)
                _stop(flood)


def ioc_environment(port: int, repeater_port: int) -> dict[str, str]:
    return {
        **clean_environment(),
        "EPICS_CAS_SERVER_PORT": str(port),
        "EPICS_CAS_INTF_ADDR_LIST": LOOPBACK,
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": LOOPBACK,
        "EPICS_CA_REPEATER_PORT": str(repeater_port),
        "EPICS_CAS_BEACON_PORT": str(repeater_port),
        "EPICS_CA_MAX_ARRAY_BYTES": "100000000",
    }


def _started(module: str, *arguments: str, env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, env=env, cwd=ROOT, text=True)


def _wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "ready":
            return
    raise RuntimeError(f"{process.args!r} ended with status {process.wait()} before it was ready")


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
