"""``caclient completion``: what bash, zsh and fish need to complete this command; argcomplete does the work."""

from __future__ import annotations

import argparse

from . import LINKS
from .options import UsageError
from .output import say
from .parsers import main_parser, tool_parser

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        raise UsageError("caclient completion: needs argcomplete: pip install 'caclient[cli]'") from None
    say(shellcode(["caclient", *LINKS], shell=options.shell).rstrip())
    return 0


def complete(called: str) -> int:
    """Answer the shell, which has asked by an environment variable; argcomplete ends the process."""
    try:
        import argcomplete
    except ImportError:
        return 1
    parser = tool_parser(LINKS[called], called) if called in LINKS else main_parser()
    argcomplete.autocomplete(parser, always_complete_options=False)
    return 0
