"""Golden wire vectors, messages that real Channel Access programs sent each other; and tables of the protocol.

Captured between EPICS Base 7.0.10 (IOC, libca, caRepeater), the portable server and caproto; `decoded` was computed
from the C structs. One file for each kind of message in tests/data/vectors, gzipped, a JSON object a line, with these
keys: name, kind, direction, header, decoded, hex (or rebuild, for long ones), context, and asked for replies.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import struct
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
FOLDER = DATA / "vectors"
_SERIES = {"half": lambda i: i * 0.5, "mod251": lambda i: i % 251, "names": lambda i: b"s%d" % i}
_CODES = {"double": "d", "uchar": "B"}


@cache
def load(kind: str) -> tuple[dict[str, Any], ...]:
    """All vectors of a kind, by the name of its file: load("read_notify_response")."""
    with gzip.open(FOLDER / f"{kind}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return tuple(map(json.loads, lines))


def kinds() -> list[str]:
    """The names that `load` knows."""
    return sorted(path.name.removesuffix(".jsonl.gz") for path in FOLDER.glob("*.jsonl.gz"))


def table(name: str) -> list[dict[str, str]]:
    """The rows of a table in tests/data: table("dbr_types")."""
    return list(csv.DictReader((DATA / f"{name}.csv").read_text(encoding="utf-8").splitlines()))


def raw(vector: dict[str, Any]) -> bytes:
    """The bytes of the whole message."""
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    return b"".join(_part(*part) for part in vector["rebuild"])


def payload(vector: dict[str, Any]) -> bytes:
    """The bytes after the header, padding included."""
    return raw(vector)[24 if vector["header"]["extended"] else 16 :]


def number(value: Any) -> Any:
    """A number of `decoded`, where "nan", "inf" and "-inf" stand for what JSON has no word for."""
    return float(value) if value in ("nan", "inf", "-inf") else value


def same(ours: Any, theirs: Any) -> bool:
    """Whether a value of ours is the one in `decoded`."""
    if isinstance(ours, float):
        theirs = number(theirs)
        return bool(ours == theirs or (math.isnan(ours) and math.isnan(theirs)))
    return bool(ours == theirs)


def _part(what: str, *args: Any) -> bytes:
    if what == "hex":
        return bytes.fromhex(args[0])
    if what == "zeros":
        return bytes(args[0])
    kind, count = args
    values = [_SERIES[what](i) for i in range(count)]
    if kind == "string":
        return b"".join(value.ljust(40, b"\0") for value in values)
    return struct.pack(f">{count}{_CODES[kind]}", *values)
