"""``caclient demo``: a demo IOC on a free loopback port, and all that a PV does with it, in a few seconds."""

from __future__ import annotations

import argparse
import os
import queue
import socket
import subprocess
import sys
from contextlib import suppress
from itertools import islice
from typing import Any

import caclient
from caclient import PV, Context, Reading

from .sparkline import ASCII_BARS, BARS, sparkline

_CHILD = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import runpy
runpy.run_module("caclient.ioc_examples.random_walk", run_name="__main__", alter_sys=True)
"""
"""What `python -m` does, but never with the current folder: somebody's numpy.py may lie there. (-P is for 3.11 on.)"""
WALK, STEP_TIME = "random_walk:x", "random_walk:dt"
UPDATES_SHOWN, PICTURE_WIDTH = 10, 48
TIMEOUT = 8.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The demo has nothing to choose."""


def run(options: argparse.Namespace) -> int:
    """Show the main job; 0 when all of it worked, 1 with the error on standard error otherwise."""
    ioc = DemoIoc(free_port(), free_port())
    try:
        ioc.start()
        with Context(addr_list=[f"127.0.0.1:{ioc.port}"], repeater_port=ioc.beacon_port) as context:
            show(ioc, context)
    except caclient.CAError as error:
        print(f"caclient demo: {error}", file=sys.stderr)
        return 1
    finally:
        ioc.stop()
    print("\ndone: context closed, IOC stopped")
    return 0


def show(ioc: DemoIoc, context: Context) -> None:
    """Every scene of the demo, in order."""
    connections = Connections()
    walk = context.pv(WALK, connection_callback=connections.changed)
    step_time = context.pv(STEP_TIME)
    connections.show_next("the search is answered")
    get_and_put(walk, step_time)
    updates(walk)
    picture(walk)
    lose_and_regain(ioc, walk, connections)


def get_and_put(walk: PV, step_time: PV) -> None:
    """One read, one completed write, one read of what was written."""
    title("get, put, read back")
    print(f"{WALK} is {walk.get(timeout=TIMEOUT):.4f}")
    print(f"{STEP_TIME} was {step_time.get(timeout=TIMEOUT)} s between steps")
    step_time.put(0.05, wait=True, timeout=TIMEOUT)
    print(f"{STEP_TIME} is now {step_time.get(use_monitor=False, timeout=TIMEOUT)} s, asked of the IOC")


def updates(walk: PV) -> None:
    """Ten updates with all that comes with them."""
    title(f"{UPDATES_SHOWN} updates")
    with walk.updates(timeout=TIMEOUT) as readings:
        for number, reading in enumerate(islice(readings, UPDATES_SHOWN), start=1):
            print(f"{number:>2}  {describe(reading)}")


def describe(reading: Reading) -> str:
    """Time to the microsecond, value, alarm severity and status."""
    return f"{reading.datetime:%H:%M:%S.%f}  {reading:>9.4f}  {reading.severity}  {reading.status}"


def picture(walk: PV) -> None:
    """The walk as it goes, drawn anew with each update where the output is a terminal."""
    title("the walk, live")
    live, bars = sys.stdout.isatty(), bars_for(sys.stdout.encoding)
    values: list[float] = []
    with walk.updates(timeout=TIMEOUT) as readings:
        for reading in islice(readings, PICTURE_WIDTH):
            values.append(reading.value)
            if live:
                print("\r" + sparkline(values, bars=bars), end="", flush=True)
    print("" if live else sparkline(values, bars=bars))
    print(f"lowest {min(values):.3f}, highest {max(values):.3f}")


def bars_for(encoding: str | None) -> str:
    """Block characters where the output can carry them, plain ones otherwise."""
    try:
        BARS.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return ASCII_BARS
    return BARS


def lose_and_regain(ioc: DemoIoc, walk: PV, connections: Connections) -> None:
    """Stop the IOC, start it again: the PV comes back by itself, with a fresh value."""
    title("the IOC goes and comes back")
    ioc.stop()
    connections.show_next("the IOC was stopped")
    print(f"last value, still readable: {walk.value:.4f}")
    ioc.start()
    connections.show_next("the IOC was started again")
    print(f"a fresh value: {walk.get(use_monitor=False, timeout=TIMEOUT):.4f}")


def title(text: str) -> None:
    """Head a scene."""
    print(f"\n-- {text}", flush=True)


class Connections:
    """The connection states of one PV, in the order in which they came."""

    def __init__(self) -> None:
        self._states: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def changed(self, conn: bool = False, **_: Any) -> None:
        """A connection callback; *on a callback lane*."""
        self._states.put(conn)

    def show_next(self, cause: str) -> None:
        """Wait for the next state and print it."""
        try:
            connected = self._states.get(timeout=TIMEOUT)
        except queue.Empty:
            raise caclient.CATimeoutError(f"{WALK!r}: no change of connection in {TIMEOUT} s after {cause}") from None
        print(f"{WALK}: {'connected' if connected else 'disconnected'} ({cause})", flush=True)


class DemoIoc:
    """The random-walk IOC as a process of its own, seen on loopback only."""

    def __init__(self, port: int, beacon_port: int) -> None:
        self.port = port
        self.beacon_port = beacon_port
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and print what it says of itself: the names it serves."""
        command = [sys.executable, "-c", _CHILD]
        self._process = subprocess.Popen(
            command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        first_line = self._process.stdout.readline().strip()
        print(f"demo IOC on 127.0.0.1:{self.port} serves {first_line}", flush=True)

    def stop(self) -> None:
        """End it and wait until it is gone; nothing happens if there is none."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=3.0)
        process.kill()
        process.communicate()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EPICS_")}
        return kept | {
            "PYTHONUNBUFFERED": "1",
            "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
            "EPICS_CAS_SERVER_PORT": str(self.port),
            "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
            "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
            "EPICS_CAS_BEACON_PORT": str(self.beacon_port),
        }


def free_port() -> int:
    """A port that is free on loopback at this moment, for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port: int = udp.getsockname()[1]
            with suppress(OSError):
                tcp.bind(("127.0.0.1", port))
                return port
