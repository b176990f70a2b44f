"""``caclient find``: who has a PV; without names, the servers that are heard."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from caclient.config import Config
from caclient.engine.sockets import Address

from .escapes import visible
from .objects import object_line
from .output import complain, say
from .parsers import add_json, add_names, names_of, positive
from .search import answers
from .session import Session
from .tool import create

SEARCH, LISTEN = 1.0, 16.0
"""Seconds for answers, and for beacons, which a server sends every 15 seconds."""
_GLANCE = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Names, and how long to wait."""
    add_names(parser, required=False)
    parser.add_argument(
        "-w",
        "--wait",
        type=positive,
        metavar="SECONDS",
        help=f"how long to wait: {SEARCH:g} for names, {LISTEN:g} for servers",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print who answers; 1 if a name is answered by nobody, or no server is heard."""
    names = names_of(options, required=False)
    if not names:
        return servers(LISTEN if options.wait is None else options.wait, options.json)
    return find(names, SEARCH if options.wait is None else options.wait, options.json)


def find(names: Sequence[str], seconds: float, as_json: bool) -> int:
    """Print a line for each name with all servers that have it."""
    config = Config.from_env()
    found = answers(names, seconds, config)
    if config.name_servers:
        _ask_name_servers(names, found, seconds)
    for name, addresses in zip(names, found, strict=True):
        texts = [f"{host}:{port}" for host, port in addresses]
        if as_json:
            say(object_line({"pvname": name, "servers": texts}))
        else:
            say(_line(name, texts))
    return 0 if all(found) else 1


def _line(name: str, servers: Sequence[str]) -> str:
    if not servers:
        return f"{visible(name)}: nobody answers"
    more = f" ({len(servers)} servers: it is not certain which one a client takes)" if len(servers) > 1 else ""
    return f"{visible(name)}: {' '.join(servers)}{more}"


def _ask_name_servers(names: Sequence[str], found: list[list[Address]], seconds: float) -> None:
    """Add what the name servers know of names that nobody has answered for."""
    silent = [place for place, addresses in enumerate(found) if not addresses]
    if not silent:
        return
    with Session() as session:
        channels = create(session, [names[place] for place in silent], 0)
        session.connect(channels, seconds)
        for place, channel in zip(silent, channels, strict=True):
            found[place] += [channel.address] if channel.address is not None else []


def servers(seconds: float, as_json: bool) -> int:
    """Print each server as its first beacon is heard."""
    heard: list[Address] = []
    deadline = time.monotonic() + seconds
    with Session() as session:
        while time.monotonic() < deadline:
            new = [address for address in session.servers() if address not in heard]
            for host, port in new:
                say(object_line({"server": f"{host}:{port}"}) if as_json else f"{host}:{port}")
            heard += new
            time.sleep(_GLANCE)
    if not heard:
        complain(f"no server heard in {seconds:g} s")
    return 0 if heard else 1
