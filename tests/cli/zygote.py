"""A process that has imported the command once, and runs it in forks: whole processes, without the cost of importing.

It takes one datagram for each call, JSON with three descriptors: standard output, standard error, and where to write
the process's number and, when it has ended, its exit code (negative for a signal).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any


def main() -> None:
    """Serve until the other side closes; in a child, be the command."""
    from caclient.cli import get, info, monitor, put  # noqa: F401  what the calls would import

    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 3)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            look_after(json.loads(message), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def look_after(call: dict[str, Any], out: int, err: int, status: int) -> None:
    """Start the command, and tell how it ends."""
    child = os.fork()
    if child == 0:
        os.close(status)
        become(call, out, err)
    os.close(out)
    os.close(err)
    os.write(status, f"{child}\n".encode())
    _, ended = os.waitpid(child, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def become(call: dict[str, Any], out: int, err: int) -> None:
    """Be the command; does not return."""
    from caclient import cli

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.update(call["environment"])
    sys.argv = [call["program"], *call["arguments"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
