"""``caclient restore``: the values of a snapshot, put back where they differ."""

from __future__ import annotations

import argparse

import caclient
from caclient import Context, Reading, Snapshot

from .escapes import visible
from .objects import object_line
from .options import UsageError
from .output import complain, say
from .parsers import add_json, add_wait

WAIT = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, and whether to do it."""
    parser.add_argument("file", metavar="FILE", help="what caclient snapshot has written")
    parser.add_argument("-n", "--dry-run", action="store_true", help="show the differences, and write nothing")
    add_wait(parser, WAIT)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Show what differs, and put it back; 1 if anything could not be read or put back."""
    saved = _load(options.file)
    with Context(timeout=options.wait) as context:
        now = caclient.snapshot(list(saved), context=context)
        complain(*(visible(str(error)) for error in now.failed.values()))
        changed = [name for name in saved.diff(now) if name in now]
        say(*(_line(name, now[name], saved[name], options.json) for name in changed))
        if options.dry_run or not changed:
            return _ended(f"{len(changed)} of {len(saved)} differ", options, now.ok)
        done = caclient.restore({name: saved[name] for name in changed}, context=context)
    complain(*(visible(str(error)) for error in done.failed.values()))
    return _ended(f"{len(done)} of {len(changed)} put back", options, now.ok and done.ok)


def _load(path: str) -> Snapshot:
    try:
        return Snapshot.load(path)
    except OSError as error:
        raise UsageError(f"cannot read '{visible(path)}': {error.strerror}", status=2) from None


def _line(name: str, now: Reading, saved: Reading, as_json: bool) -> str:
    if as_json:
        return object_line({"pvname": name, "now": now.to_dict()["value"], "saved": saved.to_dict()["value"]})
    return visible(f"{name}: {now.text} -> {saved.text}")


def _ended(summary: str, options: argparse.Namespace, well: bool) -> int:
    if not options.json:
        say(summary)
    return 0 if well else 1
