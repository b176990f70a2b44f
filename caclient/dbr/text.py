"""Bytes of the wire as text and back: Channel Access defines no encoding, so nothing here may ever raise on receipt."""

from __future__ import annotations

from typing import Final

_PLACES: Final = tuple((10**digits, f"%d.%0{digits}d" if digits else "%d%.0s") for digits in range(9))
"""What the digits after the point are counted in, and how the number is written."""


def to_text(data: bytes | bytearray | memoryview) -> str:
    """UTF-8 where the bytes are valid UTF-8, else the whole of them as latin-1; never raises."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        return str(data, "latin-1")


def to_bytes(text: str) -> bytes:
    """UTF-8; surrogate escapes (bytes that some other decoder could not read) become those bytes again."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def cut(cell: bytes) -> bytes:
    """The bytes before the first NUL, or all of them: what follows a NUL is old memory of the sender."""
    end = cell.find(b"\0")
    return cell if end < 0 else cell[:end]


def fixed(value: float, precision: int) -> str:
    """A float with so many digits after the point, as EPICS writes it: halves are rounded away from zero.

    Numbers too large for that, and more than 8 digits, have an exponent; a precision below zero is none.
    """
    if precision < 0:
        precision = 0
    size = abs(value)
    if precision > 8 or size > 1e16:
        return f"{value:.{min(precision, 17)}e}"
    if not size <= 1e7:  # NaN too
        return f"{value:.{min(precision, 3)}f}"
    places, written = _PLACES[precision]
    whole = int(size)
    digits = (int((size - whole) * (places * 10)) + 5) // 10
    if digits >= places:
        whole, digits = whole + 1, digits - places
    text = written % (whole, digits)
    return f"-{text}" if value < 0 else text
