"""A server with a number that walks at random.

`python -m caclient.ioc_examples.random_walk` serves `random_walk:x`, which takes a step every `random_walk:dt` seconds,
to any Channel Access client. It listens where the EPICS_CAS_* and EPICS_CA_* variables say unless told otherwise.
"""

from __future__ import annotations

import argparse
import math
import random
import signal
from collections.abc import Sequence
from types import FrameType

from caclient.config import Config
from caclient.engine.loop import Timer
from caclient.errors import BadValueError
from caclient.ioc import IOC, Record

_SHORTEST = 0.001
_PULL = 0.02
"""Part of the way home that each step takes, so that the walk comes back from its alarms."""


class RandomWalk:
    """The two records, and what moves them."""

    def __init__(self, prefix: str = "random_walk:", dt: float = 3.0, seed: int | None = None) -> None:
        self.dt = Record(
            f"{prefix}dt", float(dt), units="s", precision=3, display=(0.0, 60.0), control=(_SHORTEST, 3600.0),
            on_put=self._set_pace,
        )  # fmt: skip
        self.x = Record(
            f"{prefix}x", 0.0, units="mm", precision=3, display=(-10.0, 10.0), control=(-10.0, 10.0),
            warning=(-2.0, 2.0), alarm=(-4.0, 4.0),
        )  # fmt: skip
        self._random = random.Random(seed)
        self._ioc: IOC | None = None
        self._timer: Timer | None = None

    @property
    def records(self) -> tuple[Record, Record]:
        """What is to be served."""
        return self.dt, self.x

    def start(self, ioc: IOC) -> None:
        """Begin to walk. Server thread."""
        self._ioc = ioc
        self._schedule(self.dt.value)

    def _step(self) -> None:
        here = self.x.value
        self.x.post(here - _PULL * here + self._random.gauss(0.0, 0.5))
        self._schedule(self.dt.value)

    def _schedule(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._ioc is not None:
            self._timer = self._ioc.call_later(delay, self._step)

    def _set_pace(self, _record: Record, seconds: float) -> None:
        """A new pace holds from now on, not only after the step that is due."""
        if math.isnan(seconds):  # the only number that is within no limits
            raise BadValueError("a step of nan seconds")
        self._schedule(seconds)


def make_ioc(
    config: Config | None = None, *, prefix: str = "random_walk:", dt: float = 3.0, seed: int | None = None
) -> IOC:
    """The server, not yet started; by default on a free port of loopback, for tests and demonstrations."""
    walk = RandomWalk(prefix, dt, seed)
    return IOC(walk.records, Config.isolated() if config is None else config, on_start=walk.start)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted or terminated; the exit status."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job would ignore SIGINT
        signal.signal(number, _interrupt)
    try:
        ioc = make_ioc(_config(options), prefix=options.prefix, dt=options.dt, seed=options.seed)
        with ioc:
            _announce(ioc, options)
            ioc.run()
    except KeyboardInterrupt:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="random_walk", description="Serve a number that walks at random.")
    parser.add_argument("--prefix", default="random_walk:", help="what the names begin with (default: %(default)s)")
    parser.add_argument("--port", type=int, help="port for searches and circuits; 0 is any that is free")
    parser.add_argument("--interface", help="address to listen on (default: all, or EPICS_CAS_INTF_ADDR_LIST)")
    parser.add_argument("--dt", type=float, default=3.0, help="seconds between two steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="walk the same way every time")
    parser.add_argument("--print-port", action="store_true", help="print a second line: 'port: ' and the search port")
    parser.add_argument("--quiet", action="store_true", help="do not print the names")
    return parser


def _config(options: argparse.Namespace) -> Config:
    """The environment's configuration, as far as the options leave it."""
    config = Config.from_env()
    port = config.cas_server_port if options.port is None else options.port
    if options.interface is not None:
        config = config.replace(intf_addr_list=((options.interface, port),))
    elif options.port is not None:
        config = config.replace(intf_addr_list=tuple((host, port) for host, _ in config.intf_addr_list))
    return config.replace(cas_server_port=port)


def _announce(ioc: IOC, options: argparse.Namespace) -> None:
    if not options.quiet:
        print(f"PVs: {sorted(record.name for record in ioc.database)}", flush=True)
    if options.print_port:
        print(f"port: {ioc.port}", flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
