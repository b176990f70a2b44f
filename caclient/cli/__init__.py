"""The ``caclient`` command: one module of this folder for each verb, loaded when it is asked for.

``get``, ``put``, ``monitor`` and ``info`` read their options as EPICS Base's tools do, and are those tools when the
command is called by their names (caget, caput, camonitor, cainfo). The other verbs have options of the usual kind.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import argparse

TOOLS = {
    "get": "read and print PVs, like caget",
    "put": "write a PV, like caput",
    "monitor": "print each event of PVs, like camonitor",
    "info": "where PVs are served and what they are, like cainfo",
}
COMMANDS = {
    "demo": "start a demo IOC, then read, write and watch it, and see it go and come back",
}
LINKS = {f"ca{verb}": verb for verb in TOOLS}
"""Names under which the command is a tool."""

INTERRUPTED, CLOSED_PIPE, MISUSED = 130, 141, 2


class Tool(Protocol):
    """What the module of a verb with EPICS Base's options holds."""

    def main(self, program: str, arguments: Sequence[str]) -> int: ...


class Command(Protocol):
    """What the module of any other verb holds."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, options: argparse.Namespace) -> int: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    from .options import UsageError
    from .output import complain, silence

    try:
        return _run(os.path.basename(sys.argv[0]) if sys.argv else "", arguments)
    except UsageError as error:
        complain(*str(error).splitlines())
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        silence()
        return CLOSED_PIPE


def _run(called: str, arguments: Sequence[str]) -> int:
    if called in LINKS:
        return _tool(LINKS[called]).main(called, arguments)
    if arguments and arguments[0] in TOOLS:
        return _tool(arguments[0]).main(f"caclient {arguments[0]}", arguments[1:])
    parser, chosen = build_parser(arguments)
    options = parser.parse_args(arguments)
    if chosen is None:
        parser.print_help()
        return MISUSED
    return chosen.run(options)


def _tool(verb: str) -> Tool:
    return cast("Tool", import_module(f"caclient.cli.{verb}"))


def build_parser(arguments: Sequence[str]) -> tuple[argparse.ArgumentParser, Command | None]:
    """The parser with every subcommand's name, and the arguments of the one that is asked for."""
    import argparse

    parser = argparse.ArgumentParser(prog="caclient", description="Channel Access from the command line.")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    chosen: Command | None = None
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary.capitalize() + ".")
        if name in arguments:
            chosen = cast("Command", import_module(f"caclient.cli.{name}"))
            chosen.add_arguments(subparser)
    return parser, chosen
