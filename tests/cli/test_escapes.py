"""Escapes, as EPICS' own functions make and read them, and as terminals are spared control characters."""

from __future__ import annotations

import pytest

from caclient.cli.escapes import as_string, escaped, from_raw, to_raw, unescaped, visible

LOW = (
    r"\0\x01\x02\x03\x04\x05\x06\a\b\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"
)


def test_every_byte() -> None:
    assert escaped(bytes(range(32))) == LOW
    printable = "".join(map(chr, range(32, 127)))
    assert escaped(printable.encode()) == printable.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
    assert escaped(bytes(range(127, 256))) == "".join(f"\\x{code:02x}" for code in range(127, 256))


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        (rb"\a\b\f\n\r\t\v\\\'\"\?", b"\a\b\f\n\r\t\v\\'\"?"), (rb"\0abc", b"\0abc"), (rb"\07", b"\0" + b"7"),
        (rb"\x41", b"A"), (rb"\x4", b"\x04"), (rb"\x", b""), (rb"\xg", b"g"), (rb"\x414", b"A4"), (rb"\101", b"101"),
        (rb"\q", b"q"), (b"abc\\", b"abc"), (rb"\xAf", b"\xaf"), (rb"\X41", b"X41"), (rb"a\x1 b", b"a\x01 b"),
        (b"\xc3\xb6\\n", b"\xc3\xb6\n"), (b"plain", b"plain"),
    ],
)  # fmt: skip
def test_unescaped(text: bytes, raw: bytes) -> None:
    assert unescaped(text) == raw


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("a" * 38 + r"\n\n\n", b"a" * 38 + b"\n"), (r"\x41" * 20, b"A" * 10), ("a" * 45, b"a" * 39),
        ("a" * 39 + r"\n", b"a" * 39), ("a" * 37 + r"\x41\x42", b"a" * 37 + b"\x04"), (r"ab\0cd", b"ab"),
        ("ö" * 20, ("ö" * 20).encode()[:39]),
    ],
)  # fmt: skip
def test_a_string_has_39_bytes_of_the_first_40(text: str, raw: bytes) -> None:
    assert as_string(text) == raw


def test_any_bytes_survive() -> None:
    every = bytes(range(256))
    assert to_raw(from_raw(every)) == every


def test_control_characters_are_shown() -> None:
    assert visible("a\x1b[31mb\n\x7f\x9b\u202e°C") == r"a\x1b[31mb\n\x7f\x9b\u202e°C"
