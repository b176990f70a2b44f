"""Text and bytes, as ``epics.utils`` has them, and where text goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

IOENCODING: str = os.environ.get("PYEPICS_ENCODING") or os.environ.get("PYTHONIOENCODING", "").split(":")[0] or "utf-8"
"""How text becomes bytes, on the wire and in files."""


def str2bytes(st1: Any) -> bytes:
    """Text as bytes; bytes as they are; TypeError for anything else."""
    if isinstance(st1, bytes):
        return st1
    if isinstance(st1, str):
        return st1.encode(IOENCODING)
    raise TypeError("encoding without a string argument")


def bytes2str(st1: Any) -> str:
    """Bytes as text; text as it is; ``str()`` of anything else.

    :raises UnicodeDecodeError: for bytes in another encoding, unless charset_normalizer is there to guess which.
    """
    if isinstance(st1, str):
        return st1
    if not isinstance(st1, bytes):
        return str(st1)
    try:
        return st1.decode(IOENCODING)
    except UnicodeDecodeError:
        guess = _guess(st1)
        if guess is None:
            raise
        return guess


def _guess(data: bytes) -> str | None:
    """What charset_normalizer takes it for; None if it is not there, or does not know."""
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return None
    best = from_bytes(data).best()
    return None if best is None else str(best)


def strjoin(sep: Any, seq: Iterable[Any]) -> str:
    """Join text and bytes; what follows an item that is a single NUL byte is left out."""
    items: list[Any] = []
    for item in seq:
        if isinstance(item, bytes):
            if item == b"\0":
                break
            item = bytes2str(item)
        items.append(item)
    return bytes2str(sep).join(items)


def write(msg: str, newline: bool = True, flush: bool = True) -> None:
    """Write to stdout."""
    sys.stdout.write(msg)
    if newline:
        sys.stdout.write("\n")
    if flush:
        sys.stdout.flush()
