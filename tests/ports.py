"""Ports that no other test and no other program on this machine uses."""

from __future__ import annotations

import random
import socket

_PRIVATE_RANGE = range(20_000, 32_000)  # above every service, below the kernel's own choices for outgoing connections
_given: set[int] = set()
_choices = random.SystemRandom()


def free_port() -> int:
    """A port free for TCP and UDP on loopback, never given out twice in one process."""
    for _ in range(1_000):
        port = _choices.choice(_PRIVATE_RANGE)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise RuntimeError(f"no free port in {_PRIVATE_RANGE}")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
