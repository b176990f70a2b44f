"""``caclient repeater``: the daemon ``caclient-repeater`` as a verb."""

from __future__ import annotations

import argparse

from caclient.repeater import main


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There is nothing to choose: EPICS_CA_REPEATER_PORT says where."""


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    return main([])
