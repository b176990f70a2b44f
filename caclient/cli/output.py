"""The one door to standard output and standard error: bytes as they are, each line flushed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO


def say(*lines: str) -> None:
    """Lines to standard output, flushed at once, into a pipe too."""
    write(sys.stdout, lines)


def complain(*lines: str) -> None:
    """Lines to standard error."""
    try:
        write(sys.stderr, lines)
    except OSError:
        pass  # nobody listens; what the exit status says still holds


def write(stream: TextIO | None, lines: Iterable[str]) -> None:
    """Lines to a stream; bytes that are no UTF-8 come out as they came in."""
    text = "".join(f"{line}\n" for line in lines)
    if not text:
        return
    if stream is None:  # the shell has closed it
        raise OSError(errno.EBADF, "standard output is closed")
    binary: Any = getattr(stream, "buffer", None)
    if binary is None:  # a stream that somebody has put in its place
        stream.write(text.encode("utf-8", "replace").decode())
        stream.flush()
        return
    stream.flush()
    binary.write(text.encode("utf-8", "surrogateescape"))
    binary.flush()


def silence() -> None:
    """Nobody reads our output any more: have the interpreter's last flush go nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (AttributeError, OSError, ValueError):
        pass


def is_terminal(stream: TextIO) -> bool:
    """Whether people look at a stream."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def colourful(stream: TextIO) -> bool:
    """Whether colour is wanted on a stream: a terminal, and neither NO_COLOR nor TERM say otherwise."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def error_word() -> str:
    """``ERROR``, in red where that is wanted."""
    return "\x1b[31;1mERROR\x1b[0m" if colourful(sys.stderr) else "ERROR"
