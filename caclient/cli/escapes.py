r"""Texts with escapes: as EPICS Base's tools print and read them (``\n``, ``\"``, ``\x41``), and as a terminal may see
them.

Text that came from the wire or the command line is held as UTF-8 with surrogate escapes throughout this folder: any
bytes survive, and come out again as they were.
"""

from __future__ import annotations

import os
import re

from caclient.dbr.text import cut

_NAMED = {0x07: "a", 0x08: "b", 0x09: "t", 0x0A: "n", 0x0B: "v", 0x0C: "f", 0x0D: "r", 0: "0"}
_QUOTED = b"\"'\\"
_CODES = {letter: code for code, letter in _NAMED.items()}
_HEX = "0123456789abcdefABCDEF"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_STRING = 40


def escaped(raw: bytes) -> str:
    """Bytes as the tools print them: printable ASCII as it is, all else escaped byte by byte."""
    return "".join(map(_ESCAPED.__getitem__, raw))


def _escape(code: int) -> str:
    if code in _QUOTED:
        return "\\" + chr(code)
    if 32 <= code < 127:
        return chr(code)
    return "\\" + _NAMED[code] if code in _NAMED else f"\\x{code:02x}"


_ESCAPED = tuple(map(_escape, range(256)))


def unescaped(text: bytes) -> bytes:
    r"""What a text with escapes stands for; ``\x`` takes one or two digits, an unknown letter stands for itself."""
    if b"\\" not in text:
        return text
    result = bytearray()
    letters = text.decode("latin-1")
    place = 0
    while place < len(letters):
        letter = letters[place]
        place += 1
        if letter != "\\":
            result.append(ord(letter))
        elif place < len(letters):
            letter = letters[place]
            place += 1
            if letter != "x":
                result.append(_CODES.get(letter, ord(letter)))
                continue
            digits = _hex_digits(letters, place)
            place += len(digits)
            result += bytes([int(digits, 16)]) if digits else b""
    return bytes(result)


def _hex_digits(letters: str, place: int) -> str:
    """The one or two hexadecimal digits at a place, or none."""
    digits = letters[place : place + 2]
    if digits[:1] not in _HEX or not digits:
        return ""
    return digits if digits[1:] in _HEX else digits[:1]


def as_string(text: str) -> bytes:
    """A word of the command line as the 39 bytes at most of an EPICS string.

    Its first 40 bytes are looked at, escapes included; a NUL ends it.
    """
    return cut(unescaped(to_raw(text)[:_STRING])[: _STRING - 1])


def to_raw(text: str) -> bytes:
    """A text of the command line as the bytes that it was."""
    return os.fsencode(text)


def from_raw(data: bytes) -> str:
    """Bytes as a text that can be printed unchanged."""
    return data.decode("utf-8", "surrogateescape")


def visible(text: str) -> str:
    """A text with its control characters, and those that turn the direction of writing, as escapes."""
    return _CONTROL.sub(_show, text) if _CONTROL.search(text) else text


def _show(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code in _NAMED:
        return "\\" + _NAMED[code]
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
