"""Networks of one's own: namespaces of the kernel joined by cables, for tests that broadcast and pull plugs.

A thread that is `inside` a host makes sockets, and threads that make sockets, of that host; so servers and clients of
several hosts live in one process. Needs root, ``ip`` (iproute2) and Linux; `unavailable()` says what is missing.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from typing_extensions import Self

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)


@functools.cache
def unavailable() -> str:
    """Why there can be no namespaces here; empty if there can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces exist on Linux only"
    if shutil.which("ip") is None:
        return "ip (iproute2) is not installed"
    if os.geteuid() != 0:
        return "creating a network namespace needs root"
    name = f"caclient-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"this machine forbids network namespaces: {made.stderr.strip()}"
    cable = subprocess.run(
        ["ip", "-n", name, "link", "add", "name", "cable0", "type", "veth", "peer", "name", "cable1"],
        capture_output=True,
        text=True,
        check=False,
    )
    _ip("netns", "del", name)
    return f"this machine has no virtual cables: {cable.stderr.strip()}" if cable.returncode else ""


class Network:
    """Hosts by name, each with a loopback; `plug` joins two of them. A context manager that removes all."""

    def __init__(self, *hosts: str) -> None:
        mark = f"{os.getpid()}-{next(_numbers)}"
        self._names = {host: f"caclient-{host}-{mark}" for host in hosts}

    def __enter__(self) -> Self:
        for name in self._names.values():
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name in self._names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def plug(self, one: str, other: str, subnet: str) -> None:
        """A cable between two hosts: `subnet`.1 and `subnet`.2, on interfaces named after the host at the far end."""
        _ip("-n", self._names[one], "link", "add", "name", f"to-{other}", "type", "veth", "peer", "name", f"to-{one}",
            "netns", self._names[other])  # fmt: skip
        for number, (host, far) in enumerate(((one, other), (other, one)), start=1):
            name = self._names[host]
            _ip("-n", name, "addr", "add", f"{subnet}.{number}/24", "broadcast", "+", "dev", f"to-{far}")
            _ip("-n", name, "link", "set", f"to-{far}", "up")

    def link(self, host: str, far: str, state: str) -> None:
        """Set a host's interface ``"up"`` or ``"down"``."""
        _ip("-n", self._names[host], "link", "set", f"to-{far}", state)

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """The calling thread is on that host meanwhile."""
        libc = ctypes.CDLL(None, use_errno=True)
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self._names[host]}", os.O_RDONLY)
        try:
            _enter(libc, there)
            yield
        finally:
            _enter(libc, home)
            os.close(there)
            os.close(home)


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
