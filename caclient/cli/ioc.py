"""``caclient ioc``: the example IOCs; on loopback, unless an interface is named."""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

import caclient.ioc_examples

from .options import UsageError

LOOPBACK = "127.0.0.1"


class Example(Protocol):
    """What the module of an example holds."""

    def main(self, arguments: Sequence[str] | None = None) -> int: ...


def examples() -> list[str]:
    """The names of all examples."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules(caclient.ioc_examples.__path__)
        if not module.name.startswith("_")
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which example, and its own options."""
    parser.add_argument("example", metavar="NAME", choices=examples(), help=f"one of: {', '.join(examples())}")
    parser.add_argument(
        "--interface", default=LOOPBACK, metavar="ADDRESS", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="the example's own options")


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    example = cast("Example", import_module(f"caclient.ioc_examples.{options.example}"))
    try:
        return example.main(["--interface", options.interface, *options.options])
    except OSError as error:
        raise UsageError(f"caclient ioc: cannot listen: {error.strerror or error}") from None
