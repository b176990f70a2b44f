"""PV names from the command line, from files, and from standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from .escapes import visible
from .options import UsageError

STDIN = "-"


def collect(words: Sequence[str], files: Sequence[str] = ()) -> list[str]:
    """The names given, ``-`` replaced by those on standard input, then those in files.

    :raises UsageError: if a file cannot be read.
    """
    names: list[str] = []
    for word in words:
        names += _from_stdin() if word == STDIN else [word]
    for path in files:
        names += _from_stdin() if path == STDIN else _from_file(path)
    return names


def _from_stdin() -> list[str]:
    return parse(sys.stdin) if sys.stdin is not None else []


def _from_file(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as lines:
            return parse(lines)
    except OSError as error:
        raise UsageError(f"cannot read names from '{visible(path)}': {error.strerror}", status=2) from None


def parse(lines: Iterable[str]) -> list[str]:
    """Names separated by blanks or on lines of their own; a line that begins with # is a comment."""
    return [name for line in lines if not line.lstrip().startswith("#") for name in line.split()]
