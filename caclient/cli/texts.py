"""Usage, help and versions."""

from __future__ import annotations

from caclient.protocol.requests import MINOR_VERSION


def usage_text(verb: str, program: str) -> str:
    """How the verb is called, in a line."""
    words = "NAME VALUE..." if verb == "put" else "NAME..."
    return f"usage: {program} [options] {words}"


def help_text(verb: str, program: str) -> str:
    """What the verb does, its options, and an example."""
    return usage_text(verb, program)


def version_line() -> str:
    """The version of this package and of the protocol."""
    import caclient

    return f"caclient {caclient.__version__}, Channel Access 4.{MINOR_VERSION}"
