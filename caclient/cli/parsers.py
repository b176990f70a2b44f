"""Parsers: of the verbs with options of the usual kind, and of the tools for those who read or complete them."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, Protocol, cast

from .verbs import ALL, COMMANDS, TOOLS, Verb

_NAMES_FIRST: Final = 24
"""Columns that the left side of a help text may take."""


class Command(Protocol):
    """What the module of a verb with options of the usual kind holds."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, options: argparse.Namespace) -> int: ...


def command(verb: str) -> Command:
    """The module of a verb."""
    return cast("Command", import_module(f"caclient.cli.{verb}"))


def main_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser of everything; with the arguments of one verb, or of all."""
    parser = argparse.ArgumentParser(
        prog="caclient",
        usage="caclient VERB ...",
        description=_verbs(shutil.get_terminal_size().columns),
        formatter_class=_formatter,
    )
    parser.add_argument("--version", action="version", version=version_line(), help="print versions and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="VERB", help=argparse.SUPPRESS)
    for name, verb in ALL.items():
        subparser = subparsers.add_parser(name, prog=f"caclient {name}", help=verb.summary, **_texts(verb))
        if only in (None, name):
            _fill(name, subparser)
    return parser


def _verbs(columns: int) -> str:
    """What there is, a verb with its summary on each line."""
    paragraphs = [
        textwrap.fill("Channel Access from the command line.", columns),
        "\n".join(
            textwrap.fill(verb.summary, columns, initial_indent=f"  {name:<12}", subsequent_indent=" " * 14)
            for name, verb in ALL.items()
        ),
        textwrap.fill(
            "caclient VERB --help tells more of each. A link named caget, caput, camonitor or cainfo to this command "
            "is that tool.",
            columns,
        ),
    ]
    return "\n\n".join(paragraphs)


def tool_parser(verb: str, program: str) -> argparse.ArgumentParser:
    """A tool's parser: for its help and for completion; ``options`` parses."""
    parser = argparse.ArgumentParser(
        prog=program, usage=f"{program} [options] {TOOLS[verb].words}", add_help=False, **_texts(TOOLS[verb], program)
    )
    _fill(verb, parser)
    return parser


def version_line() -> str:
    """The version of this package and of the protocol."""
    import caclient
    from caclient.protocol.requests import MINOR_VERSION

    return f"caclient {caclient.__version__}, Channel Access 4.{MINOR_VERSION}"


def _texts(verb: Verb, program: str | None = None) -> dict[str, Any]:
    shown = verb.examples if program is None else _renamed(verb.examples, program)
    examples = "\n".join(f"  {example}" for example in shown)
    summary = verb.summary[0].upper() + verb.summary[1:] + "."
    return {
        "description": summary,
        "epilog": f"example{'s' if len(verb.examples) > 1 else ''}:\n{examples}",
        "formatter_class": _formatter,
    }


def _renamed(examples: Sequence[str], program: str) -> list[str]:
    """Examples as they are written where the tool is called by another name."""
    return [f"{program} {example.split(maxsplit=2)[2]}" for example in examples]


def _fill(name: str, parser: argparse.ArgumentParser) -> None:
    if name in COMMANDS:
        command(name).add_arguments(parser)
        return
    for row in TOOLS[name].options:
        keywords: dict[str, Any] = {"metavar": row.metavar} if row.metavar else {"action": "store_true"}
        if row.letter != "h" or not parser.add_help:
            parser.add_argument(f"-{row.letter}", help=row.text, **keywords)
    if not parser.add_help:
        parser.add_argument("--help", action="store_true", help="print this text")
    words = parser.add_argument("names", nargs="*", metavar="NAME", help=argparse.SUPPRESS)
    words.completer = _nothing  # type: ignore[attr-defined]  # argcomplete's


def _nothing(**_: Any) -> list[str]:
    """PV names cannot be completed, and are no files."""
    return []


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=_NAMES_FIRST)


# -- arguments that many verbs have ------------------------------------------------------------------------------------


def positive(text: str) -> float:
    """A number of seconds, for argparse."""
    from .numbers import whole_float

    seconds = whole_float(text)
    if seconds is None or not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return seconds


def add_names(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """PV names, on the command line, in files, or on standard input."""
    what = "PV names; - is standard input" if required else "PV names; without any, the servers; - is standard input"
    names = parser.add_argument("names", nargs="*", metavar="NAME", help=what)
    names.completer = _nothing  # type: ignore[attr-defined]  # argcomplete's
    parser.add_argument(
        "--from-file", action="append", default=[], metavar="FILE", help="names from a file; - is standard input"
    )


def add_wait(parser: argparse.ArgumentParser, default: float) -> None:
    """How long to wait."""
    parser.add_argument(
        "-w",
        "--wait",
        type=positive,
        default=default,
        metavar="SECONDS",
        help="how long to wait (default: %(default)g)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """JSON instead of text."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def names_of(options: argparse.Namespace, *, required: bool = True) -> list[str]:
    """The names that were given.

    :raises UsageError: if there are none where some are needed.
    """
    from .names import collect
    from .options import UsageError

    names = collect(options.names, options.from_file)
    if required and not names:
        raise UsageError(f"caclient {options.command}: no PV name given", status=2)
    return list(dict.fromkeys(names))
