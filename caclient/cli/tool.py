"""What ``get``, ``put``, ``monitor`` and ``info`` have in common: texts asked for instead of work, names, channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from caclient.client.channel import Channel

from .names import collect
from .options import Call, Options, UsageError
from .output import complain, say
from .session import INVALID_STRING, BadNames, Session


def run(verb: str, program: str, options: Options, work: Callable[[list[str], Options], int]) -> int:
    """Do what was asked for with the names given, or print the text that was asked for instead; the exit status."""
    if options.call is not None:
        return answer_call(verb, program, options.call)
    names = collect(options.words, options.from_files)
    if not names:
        raise UsageError(f"No pv name specified. ('{program} -h' for help.)")
    return work(names, options)


def answer_call(verb: str, program: str, call: Call) -> int:
    """Print usage, help or versions; the exit status."""
    from .parsers import tool_parser, version_line

    if call is Call.HELP:
        say(tool_parser(verb, program).format_help().rstrip())
    elif call is Call.VERSION:
        say(version_line())
    elif call is Call.VERSIONS:
        say("", version_line())
    else:
        complain(tool_parser(verb, program).format_help().rstrip(), *([version_line()] if verb == "info" else []))
    return 1 if call is Call.MISUSE else 0


def create(session: Session, names: Sequence[str], priority: int) -> list[Channel]:
    """The channels of all names.

    :raises UsageError: naming each that can be no name.
    """
    try:
        return session.channels(names, priority)
    except BadNames as error:
        said = (f"CA error {INVALID_STRING} occurred while trying to create channel '{name}'." for name in error.names)
        raise UsageError("\n".join(said)) from None


def not_found(names: Sequence[str]) -> str:
    """What is said when not all PVs are there in time."""
    missing = f"'{names[0]}' not found." if len(names) == 1 else "some PV(s) not found."
    return f"Channel connect timed out: {missing}"
