"""The ``caclient`` command: one module of this folder for each subcommand, loaded when it is asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

COMMANDS = {
    "demo": "start a demo IOC, then read, write and watch it, and see it go and come back",
}


class Command(Protocol):
    """What a subcommand's module holds."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, options: argparse.Namespace) -> int: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser, chosen = build_parser(arguments)
    options = parser.parse_args(arguments)
    if chosen is None:
        parser.print_help()
        return 2
    try:
        return chosen.run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        return 141


def build_parser(arguments: Sequence[str]) -> tuple[argparse.ArgumentParser, Command | None]:
    """The parser with every subcommand's name, and the arguments of the one that is asked for."""
    parser = argparse.ArgumentParser(prog="caclient", description="Channel Access from the command line.")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    chosen: Command | None = None
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary.capitalize() + ".")
        if name in arguments:
            chosen = cast("Command", import_module(f"caclient.cli.{name}"))
            chosen.add_arguments(subparser)
    return parser, chosen
