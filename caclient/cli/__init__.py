"""The ``caclient`` command: one module of this folder for each verb, loaded when it is asked for.

``get``, ``put``, ``monitor`` and ``info`` read their options as EPICS Base's tools do, and are those tools when the
command is called by their names (caget, caput, camonitor, cainfo). The other verbs have options of the usual kind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import PurePath
from typing import Final, Protocol, cast

TOOLS: Final = ("get", "put", "monitor", "info")
LINKS: Final = {f"ca{verb}": verb for verb in TOOLS}
"""Names under which the command is a tool."""

INTERRUPTED, CLOSED_PIPE, MISUSED, FAILED = 130, 141, 2, 1


class Tool(Protocol):
    """What the module of a verb with EPICS Base's options holds."""

    def main(self, program: str, arguments: Sequence[str]) -> int: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status. A user's mistake is told in a line."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _guarded(PurePath(sys.argv[0]).name if sys.argv else "", arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """Leave Ctrl-C to the system while modules load: it ends us without a word; numpy would make an error of it."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _guarded(called: str, arguments: Sequence[str]) -> int:
    with _ended_by_ctrl_c():
        from caclient.errors import CAError

        from .escapes import visible
        from .options import UsageError
        from .output import complain, silence

    try:
        return _run(called, arguments)
    except UsageError as error:
        complain(*str(error).splitlines())
        return error.status
    except CAError as error:
        complain(visible(f"caclient: {error}"))
        return FAILED
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        silence()
        return CLOSED_PIPE
    except OSError as error:  # a full disk, a closed output: what Python says of it names it
        silence()
        complain(visible(f"caclient: {error.strerror or error}"))
        return FAILED


def _run(called: str, arguments: Sequence[str]) -> int:
    called = called.removesuffix(".exe")
    if "_ARGCOMPLETE" in os.environ:
        return _complete(called)
    if called in LINKS:
        return _tool(LINKS[called]).main(called, arguments)
    if arguments and arguments[0] in TOOLS:
        return _tool(arguments[0]).main(f"caclient {arguments[0]}", arguments[1:])
    return _command(arguments)


def _tool(verb: str) -> Tool:
    with _ended_by_ctrl_c():
        return cast("Tool", import_module(f"caclient.cli.{verb}"))


def _command(arguments: Sequence[str]) -> int:
    """One of the verbs with options of the usual kind."""
    with _ended_by_ctrl_c():
        from .parsers import command, main_parser

        verb = next((word for word in arguments if not word.startswith("-")), "")
        parser = main_parser(verb)
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return MISUSED
    return command(options.command).run(options)


def _complete(called: str) -> int:
    from .completion import complete

    return complete(called)
