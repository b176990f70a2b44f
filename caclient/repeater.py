"""``caclient-repeater``: the daemon that hands every beacon of a host's port on to all Channel Access clients there.

Clients of this package need none, for one of them serves the others; it is for hosts with other clients, or with a
service manager.
"""

from __future__ import annotations

import argparse
import errno
import signal
import sys
from collections.abc import Sequence

from caclient.config import Config
from caclient.engine.repeater import Repeater, is_served, multicast_groups


def main(argv: Sequence[str] | None = None) -> int:
    """Run the repeater until SIGINT or SIGTERM; the exit status."""
    argparse.ArgumentParser(
        prog="caclient-repeater",
        description="Hand beacons on to all Channel Access clients of this host, on the port EPICS_CA_REPEATER_PORT.",
    ).parse_args(argv)
    config = Config.from_env()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        with Repeater(config.repeater_port) as repeater:
            for problem in (*config.problems, *repeater.join(multicast_groups(config))):
                print(problem, file=sys.stderr)
            print("Repeater is listening on {}:{}".format(*repeater.address), flush=True)
            while True:
                repeater.receive()
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        return _cannot_listen(error, config.repeater_port)


def _cannot_listen(error: OSError, port: int) -> int:
    if error.errno == errno.EADDRINUSE:
        if is_served(port):
            print("Another repeater is already running; exiting.")
            return 0
        print(f"caclient-repeater: UDP port {port} is taken by a program that is no repeater", file=sys.stderr)
        return 1
    print(f"caclient-repeater: UDP port {port}: {error.strerror}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
