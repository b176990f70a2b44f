"""``caclient why``: why PVs do not answer, or that all is well, and what to do."""

from __future__ import annotations

import argparse
import time

import caclient
from caclient import Context
from caclient.client.causes import Cause

from .escapes import visible
from .objects import object_line
from .output import say
from .parsers import add_json, add_names, add_wait, names_of

WAIT = 2.0
WELL = (Cause.HEALTHY, Cause.NO_WRITE_ACCESS)
"""Every read-back is readable and not writable: nothing is wrong with it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Names, and how long to look."""
    add_names(parser)
    add_wait(parser, WAIT)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print what is known of each PV; 1 if anything is wrong with one of them."""
    names = names_of(options)
    causes = []
    with Context() as context:
        pvs = [context.pv(name, auto_monitor=False) for name in names]  # searched for at once
        deadline = time.monotonic() + options.wait
        for pv in pvs:
            diagnosis = caclient.why(pv, timeout=max(deadline - time.monotonic(), 0.0))
            causes.append(diagnosis.cause)
            lines = [object_line(diagnosis.to_dict())] if options.json else str(diagnosis).splitlines()
            say(*map(visible, lines))
    return 0 if all(cause in WELL for cause in causes) else 1
