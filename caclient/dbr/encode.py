"""Values as payloads. Whatever cannot be said in the type asked for is refused here, before a byte leaves."""

from __future__ import annotations

import array
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from caclient.dbr.metadata import Metadata
from caclient.dbr.text import cut, to_bytes
from caclient.dbr.types import (
    ENUM_STRING_SIZE,
    LAYOUTS,
    LIMITS,
    MAX_ENUM_STRINGS,
    STRING_SIZE,
    ChannelType,
    Layout,
    layout_of,
    padded,
)
from caclient.errors import BadValueError

_NO_METADATA = Metadata()
_MAX_TEXT = STRING_SIZE - 1
_NUMBERS = frozenset((float, int, bool, np.float64, np.float32, np.int64, np.int32, np.int16, np.uint8, np.uint16))
_BYTES_LIKE = (bytes, bytearray, memoryview, array.array)


def encode(
    data_type: int,
    count: int | None,
    data: Any,
    metadata: Metadata | None = None,
    shorten: bool = False,
) -> tuple[bytes, int]:
    """The payload, padded to 8 bytes, and its count; BadValueError if the type cannot say the data.

    `data` is a scalar or a sequence or array of them; for a type of numbers bytes-like objects (and array.array) are
    taken as big-endian wire data, and text for CHAR as its characters and a NUL. With `count` given, more values than
    that are refused and fewer are filled up with zeros. Metadata that a type has and `metadata` lacks are zero.
    `shorten` is for writes: a single plain string is cut after its NUL, and has to have one within its 40 bytes.
    """
    if count is None or count == 1:
        number = data[0] if type(data) is tuple and len(data) == 1 else data
        fast = _FAST.get(data_type)
        if fast is not None and type(number) in _NUMBERS:
            try:
                return fast(number), 1
            except (struct.error, OverflowError):
                pass  # a fraction, or out of range: the general path says so, or knows better
    layout = layout_of(data_type)
    values = _text_cells(count, data, shorten) if layout.is_string else _wire_numbers(layout, data)
    payload, count = _filled(layout, count, values)
    if shorten and layout.data_type == ChannelType.STRING and count == 1:
        payload = cut(payload) + b"\0"
    payload = encode_metadata(data_type, metadata) + payload
    return payload.ljust(padded(len(payload)), b"\0"), count


def encode_metadata(data_type: int, metadata: Metadata | None = None) -> bytes:
    """What stands before the values: exactly `value_offset` bytes; what `metadata` lacks is zero."""
    layout = layout_of(data_type)
    source = metadata or _NO_METADATA
    try:
        return layout.metadata.pack(*(_packable(layout, name, source) for name in layout.fields))
    except (struct.error, OverflowError, TypeError) as error:
        raise BadValueError(f"metadata do not fit {layout.data_type.name}: {error}: {source!r}") from None


def _packable(layout: Layout, name: str, metadata: Metadata) -> Any:
    """One metadata field as struct packs it."""
    if name in ("seconds", "nanoseconds"):
        return getattr(metadata.stamp, name, 0)
    if name == "units":
        return metadata.units or b""
    if name == "enum_strings":
        strings = (metadata.enum_strings or ())[:MAX_ENUM_STRINGS]
        return b"".join(text[:ENUM_STRING_SIZE].ljust(ENUM_STRING_SIZE, b"\0") for text in strings)
    if name == "no_str" and metadata.no_str is None:
        return min(len(metadata.enum_strings or ()), MAX_ENUM_STRINGS)
    value = getattr(metadata, name) or 0
    return _cut_limit(layout, value) if name in LIMITS and layout.value_dtype.kind != "f" else value


def _cut_limit(layout: Layout, limit: float) -> int:
    """A limit as an integer type says it: the IOC's doubles cut to the type, unset ones (NaN) as 0."""
    lowest, highest = _range(layout)
    cut_off = 0 if limit != limit else int(min(max(limit, lowest), highest))
    return cut_off & 0xFF if layout.native == ChannelType.CHAR else cut_off


def _range(layout: Layout) -> tuple[int, int]:
    """What an integer type can say. An IOC's CHAR is signed or not, the same bits on the wire: both are taken."""
    info = np.iinfo(layout.value_dtype)
    return -128 if layout.native == ChannelType.CHAR else int(info.min), int(info.max)


def _filled(layout: Layout, count: int | None, values: bytes) -> tuple[bytes, int]:
    """The value bytes brought to `count` values."""
    got, rest = divmod(len(values), layout.value_size)
    if rest:
        raise BadValueError(
            f"{len(values)} bytes are no whole number of {layout.value_size}-byte {layout.native.name} values"
        )
    if count is None:
        return values, got
    if got > count:
        raise BadValueError(f"{got} values given where {count} of {layout.native.name} are to be sent")
    return values.ljust(count * layout.value_size, b"\0"), count


def _text_cells(count: int | None, data: Any, shorten: bool) -> bytes:
    """Strings in 40 bytes each; bytes as long as `count` cells are such cells already."""
    if isinstance(data, _BYTES_LIKE):
        cells = bytes(data)
        if count is not None and len(cells) == count * STRING_SIZE and not (shorten and count == 1):
            return cells
    return b"".join(_cell(index, item, shorten) for index, item in enumerate(_listed(data)))


def _listed(data: Any) -> list[Any]:
    if isinstance(data, np.ndarray):
        return list(data.ravel().tolist())
    return list(data) if isinstance(data, (list, tuple)) else [data]


def _cell(index: int, item: Any, ends: bool) -> bytes:
    """One string in its 40 bytes, numbers written out; if it need not end in a NUL, it may be a full cell of bytes."""
    if not isinstance(item, (str, *_BYTES_LIKE, int, float, np.number)):
        raise BadValueError(f"{_shown(item)} is no text (item {index})")
    text = cut(bytes(item)) if isinstance(item, _BYTES_LIKE) else to_bytes(str(item))
    if len(text) > _MAX_TEXT and (ends or isinstance(item, str) or len(text) > STRING_SIZE):
        raise BadValueError(f"text of {len(text)} bytes exceeds the {_MAX_TEXT} that a string holds (item {index})")
    if b"\0" in text:
        raise BadValueError(f"text with a NUL in it cannot be sent as a string (item {index})")
    return text.ljust(STRING_SIZE, b"\0")


def _wire_numbers(layout: Layout, data: Any) -> bytes:
    """Big-endian bytes of numbers, each checked to be one that the type can say."""
    if isinstance(data, _BYTES_LIKE):
        return bytes(data)
    if isinstance(data, str):
        return _characters(layout, data)
    numbers = _as_numbers(layout, data)
    if layout.wire_dtype.kind == "f":
        return _as_floats(layout, numbers)
    return _as_integers(layout, numbers)


def _characters(layout: Layout, text: str) -> bytes:
    if layout.native != ChannelType.CHAR:
        raise BadValueError(f"text {text[:40]!r} is no {layout.native.name} value")
    return to_bytes(text) + b"\0"


def _as_numbers(layout: Layout, data: Any) -> npt.NDArray[Any]:
    """The data as a flat array of integers or floats."""
    if isinstance(data, np.ma.MaskedArray):
        data = data.tolist()  # with None for what is masked
    try:
        numbers = np.asarray(data).ravel()
    except (ValueError, TypeError, OverflowError):  # ragged
        raise _refusal(layout, _listed(data)) from None
    if numbers.dtype.kind == "O":
        return _from_objects(layout, numbers.tolist())
    if numbers.dtype.kind not in "iufb":  # lists may have been made text, dates must not be made integers
        raise _refusal(layout, list(numbers) if isinstance(data, np.ndarray) else _listed(data))
    return numbers


def _from_objects(layout: Layout, items: list[Any]) -> npt.NDArray[Any]:
    """Python's numbers out of an array of objects; integers beyond 64 bits if they can be floats."""
    if not all(map(_is_number, items)):
        raise _refusal(layout, items)
    try:
        numbers = np.array(items, np.float64 if layout.wire_dtype.kind == "f" else None)
    except OverflowError:
        raise _refusal(layout, items) from None
    if numbers.dtype.kind == "O":
        raise _refusal(layout, items)
    return numbers


def _refusal(layout: Layout, items: list[Any]) -> BadValueError:
    """Names the first item that is no number of this type."""
    for index, item in enumerate(items):
        if not _is_number(item):
            return BadValueError(f"{_shown(item)} is no {layout.native.name} value (item {index})")
    most = sys.float_info.max if layout.wire_dtype.kind == "f" else 1 << 63
    index = next(index for index, item in enumerate(items) if isinstance(item, int) and abs(item) > most)
    return BadValueError(f"{_shown(items[index])} is too large for {layout.native.name} (item {index})")


def _is_number(item: Any) -> bool:
    return isinstance(item, (int, float, np.integer, np.floating, np.bool_)) and not isinstance(item, np.timedelta64)


def _shown(item: Any) -> str:
    text = repr(item)
    return text if len(text) <= 40 else text[:37] + "..."


def _as_floats(layout: Layout, numbers: npt.NDArray[Any]) -> bytes:
    with np.errstate(over="ignore"):
        wire = numbers.astype(layout.wire_dtype)
    if wire.itemsize < numbers.itemsize or numbers.dtype.kind != "f":
        _check(layout, numbers, np.isinf(wire) & np.isfinite(numbers))
    return wire.tobytes()


def _as_integers(layout: Layout, numbers: npt.NDArray[Any]) -> bytes:
    if numbers.dtype.newbyteorder("=") == layout.value_dtype:
        return numbers.astype(layout.wire_dtype).tobytes()
    lowest, highest = _range(layout)
    bad = ~((numbers >= lowest) & (numbers <= highest))
    if numbers.dtype.kind == "f":
        bad |= numbers != np.floor(numbers)
    _check(layout, numbers, bad)
    return numbers.astype(np.int64).astype(layout.wire_dtype).tobytes()


def _check(layout: Layout, numbers: npt.NDArray[Any], bad: npt.NDArray[np.bool_]) -> None:
    """Refuse, naming the first of the bad ones, and what the type holds."""
    if bad.any():
        index = int(bad.argmax())
        where = f" (item {index})" if len(numbers) > 1 else ""
        raise BadValueError(f"{numbers[index].item()!r} {_unfit(layout, numbers[index].item())}{where}")


def _unfit(layout: Layout, number: float) -> str:
    """Why a number is none of this type, as the end of a sentence."""
    kind = layout.native.name
    if layout.wire_dtype.kind == "f" or number in (float("inf"), float("-inf")):
        return f"is too large for {kind}"
    if number != number or number != int(number):
        return f"is no whole number, as {kind} holds"
    lowest, highest = _range(layout)
    return f"is out of the range of {kind}, {lowest} to {highest}"


def _fast_encoder(layout: Layout) -> Callable[[Any], bytes]:
    """One Python number with its padding."""
    pad = layout.padded_scalar_size - layout.value_size
    return struct.Struct(f">{layout.value_code}{pad}x").pack


_FAST: dict[int, Callable[[Any], bytes]] = {
    int(layout.data_type): _fast_encoder(layout) for layout in LAYOUTS if not layout.fields and not layout.is_string
}
