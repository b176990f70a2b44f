"""``caclient snapshot``: the values of PVs, kept in a file."""

from __future__ import annotations

import argparse

import caclient
from caclient import Context, Snapshot

from .escapes import visible
from .objects import object_line, reading_line
from .options import UsageError
from .output import complain, say
from .parsers import add_json, add_names, add_wait, names_of

WAIT = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Names, and where to keep them."""
    add_names(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="the file; without one it is printed")
    add_wait(parser, WAIT)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Read all and save what there is; 1 if any could not be read."""
    names = names_of(options)
    with Context() as context:
        taken = caclient.snapshot(names, timeout=options.wait, context=context)
    complain(*(visible(str(error)) for error in taken.failed.values()))
    if options.output is not None:
        _save(taken, options.output)
    if options.json:
        say(*map(reading_line, taken.values()))
    elif options.output is None:
        say(object_line(taken.to_dict()))
    else:
        say(f"{len(taken)} of {len(names)} saved to {visible(options.output)}")
    return 0 if taken.ok else 1


def _save(taken: Snapshot, path: str) -> None:
    try:
        taken.save(path)
    except OSError as error:
        raise UsageError(f"cannot write '{visible(path)}': {error.strerror}") from None
