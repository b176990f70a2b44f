"""Payloads as values: the general path, one precompiled path for each scalar type, and runs of equal messages at once.

`decode` reads any type and count. `scalar_decoder` and `decode_run` are the same for one value in a message, only
faster; tests hold them equal. A payload is any bytes-like object of single bytes.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from caclient.dbr.metadata import Metadata
from caclient.dbr.reading import NOWHERE, ControlInfo, Origin, Reading
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.text import cut, to_text
from caclient.dbr.types import (
    ENUM_STRING_SIZE,
    LAYOUTS,
    MAX_ENUM_STRINGS,
    STRING_SIZE,
    ChannelType,
    Layout,
    layout_of,
)
from caclient.errors import DecodeError

Buffer: TypeAlias = "bytes | bytearray | memoryview"
Values: TypeAlias = "npt.NDArray[Any] | tuple[bytes, ...]"
ScalarDecoder: TypeAlias = "Callable[..., Reading]"

HEADER_SIZE = 16
_HEADER_FIELDS = {
    "command": (">u2", 0),
    "size": (">u2", 2),
    "dtype": (">u2", 4),
    "count": (">u2", 6),
    "p1": (">u4", 8),
    "p2": (">u4", 12),
}
_RUN_FIELDS = {"status": (">i2", 0), "severity": (">i2", 2), "seconds": (">u4", 4), "nanoseconds": (">u4", 8)}


def decode(data_type: int, count: int, payload: Buffer) -> tuple[Metadata | None, Values]:
    """The metadata (None for a plain type) and values of a payload; DecodeError if it is shorter than that.

    Numbers come as an array in this machine's byte order that owns its memory; text as a tuple of the bytes before the
    first NUL. One string may be cut after its last character, as libca writes it.
    """
    layout = layout_of(data_type)
    payload = _checked(layout, count, payload)
    return _metadata(layout, payload), _values(layout, count, payload)


def decode_metadata(data_type: int, payload: Buffer) -> Metadata | None:
    """The metadata alone; None for a plain type."""
    layout = layout_of(data_type)
    return _metadata(layout, _checked(layout, 0, payload))


def decode_array_inplace(buffer: Buffer, data_type: int, count: int) -> Values:
    """The values as a view on the (writable) payload, which is byte-swapped where it lies.

    So at most once for a payload, which is nothing but this array from then on. Text is copied as by `decode`.
    """
    layout = layout_of(data_type)
    buffer = _checked(layout, count, buffer)
    if layout.is_string:
        return _values(layout, count, buffer)
    wire: npt.NDArray[Any] = np.ndarray(count, layout.wire_dtype, buffer, layout.value_offset)
    return wire if wire.dtype.isnative else wire.byteswap(inplace=True).view(layout.value_dtype)


def decode_reading(
    data_type: int,
    count: int,
    payload: Buffer,
    scalar: bool,
    origin: Origin = NOWHERE,
    in_place: bool = False,
) -> Reading:
    """The answer as a user holds it: `scalar` channels give numbers and strings, others arrays.

    `origin` has what is known of the channel already, used if the payload has none of its own. `in_place` permits a
    writable payload to become the array itself.
    """
    layout = layout_of(data_type)
    payload = _checked(layout, count, payload)
    metadata = _metadata(layout, payload)
    data = decode_array_inplace(payload, data_type, count) if in_place else _values(layout, count, payload)
    if scalar and not count:
        raise DecodeError(f"{layout.data_type.name} of a scalar channel carries no value")
    value = _python_scalar(data) if scalar else _python_array(data)
    if metadata is None:
        return Reading(value, origin=origin)
    seconds, nanoseconds = metadata.stamp or (None, None)
    control = ControlInfo.from_metadata(metadata)
    if control is not None:
        origin = origin.with_control(control)
    return Reading(value, metadata.status or 0, metadata.severity or 0, seconds, nanoseconds, origin)


def scalar_decoder(data_type: int) -> ScalarDecoder:
    """A function (buffer, offset=0, origin=NOWHERE) -> Reading for payloads of exactly one value of this type."""
    return _SCALAR_DECODERS[layout_of(data_type).data_type]


def run_dtype(data_type: int) -> np.dtype[Any]:
    """The numpy dtype of whole messages of one value: header, alarm, stamp, `value`, and padding by its itemsize."""
    return _RUN_DTYPES[layout_of(data_type).data_type]


def decode_run(data_type: int, rows: npt.NDArray[Any], origin: Origin = NOWHERE) -> list[Reading]:
    """A Reading for each row of an array of `run_dtype(data_type)`."""
    return decode_rows(data_type, rows, repeat(origin))


def decode_rows(data_type: int, rows: npt.NDArray[Any], origins: Iterable[Origin]) -> list[Reading]:
    """The same for rows that each have an origin of their own. No Python code runs for a row."""
    layout = layout_of(data_type)
    if "units" in layout.fields or "enum_strings" in layout.fields:
        return _decode_each(layout, rows, origins)
    columns = (_column(rows, name) for name in _RUN_FIELDS)
    readings = list(map(object.__new__, repeat(Reading, len(rows))))
    deque(map(_set_row, readings, zip(run_values(data_type, rows), *columns, origins, strict=False)), 0)
    return readings


def run_values(data_type: int, rows: npt.NDArray[Any]) -> list[Any]:
    """The values alone, as Python numbers and strings."""
    layout, values = layout_of(data_type), rows["value"].tolist()
    return [to_text(cut(value)) for value in values] if layout.is_string else values


def _checked(layout: Layout, count: int, payload: Buffer) -> Buffer:
    """The payload if it is long enough; a single string that was cut short is lengthened to its 40 bytes."""
    needed = layout.value_offset + count * layout.value_size
    got = len(payload)
    if got >= needed:
        return payload
    if layout.is_string and count == 1 and got > layout.value_offset:
        return bytes(payload).ljust(needed, b"\0")
    raise _too_short(layout, count, got)


def _too_short(layout: Layout, count: int, got: int) -> DecodeError:
    needed = layout.value_offset + count * layout.value_size
    return DecodeError(f"{layout.data_type.name} with {count} values needs {needed} bytes of payload, got {got}")


def _metadata(layout: Layout, payload: Buffer) -> Metadata | None:
    if not layout.fields:
        return None
    fields: dict[str, Any] = dict(zip(layout.fields, layout.metadata.unpack_from(payload), strict=True))
    if "seconds" in fields:
        fields["stamp"] = TimeStamp(fields.pop("seconds"), fields.pop("nanoseconds"))
    if "units" in fields:
        fields["units"] = cut(fields["units"])
    if "enum_strings" in fields:
        # rsrv sends 0 names for a field that is no enum, and the rest is old memory: only no_str can be trusted
        valid = min(max(fields["no_str"], 0), MAX_ENUM_STRINGS)
        fields["enum_strings"] = tuple(_cells(fields["enum_strings"], ENUM_STRING_SIZE, valid))
    return Metadata(**fields)


def _values(layout: Layout, count: int, payload: Buffer) -> Values:
    if layout.is_string:
        return tuple(_cells(bytes(payload[layout.value_offset :]), STRING_SIZE, count))
    wire: npt.NDArray[Any] = np.ndarray(count, layout.wire_dtype, payload, layout.value_offset)
    return wire.astype(layout.value_dtype)


def _cells(data: bytes, size: int, count: int) -> Iterator[bytes]:
    return (cut(data[start : start + size]) for start in range(0, count * size, size))


def _python_scalar(data: Values) -> Any:
    return to_text(data[0]) if isinstance(data, tuple) else data[0].item()


def _python_array(data: Values) -> npt.NDArray[Any]:
    return np.array(list(map(to_text, data)), np.str_) if isinstance(data, tuple) else data


def _unpacker(layout: Layout) -> Callable[[Buffer, int], tuple[Any, ...]]:
    return struct.Struct(str(layout.metadata.format) + layout.value_code).unpack_from


def _number_decoder(layout: Layout) -> ScalarDecoder:
    """For the hot types: a number with alarm and time stamp, made without a call of `__init__`."""
    unpack = _unpacker(layout)
    new: Callable[[type[Reading]], Reading] = object.__new__

    def decode_number(buffer: Buffer, offset: int = 0, origin: Origin = NOWHERE) -> Reading:
        try:
            status, severity, seconds, nanoseconds, value = unpack(buffer, offset)
        except struct.error:
            raise _too_short(layout, 1, len(buffer) - offset) from None
        reading = new(Reading)
        reading._row = (value, status, severity, seconds, nanoseconds, origin)
        return reading

    return decode_number


def _text_decoder(layout: Layout) -> ScalarDecoder:
    """A string with alarm and time stamp."""
    unpack = _unpacker(layout)

    def decode_text(buffer: Buffer, offset: int = 0, origin: Origin = NOWHERE) -> Reading:
        try:
            status, severity, seconds, nanoseconds, cell = unpack(buffer, offset)
        except struct.error:
            return decode_reading(layout.data_type, 1, buffer[offset:], True, origin)
        return Reading(to_text(cut(cell)), status, severity, seconds, nanoseconds, origin)

    return decode_text


def _general_decoder(layout: Layout) -> ScalarDecoder:
    """For the rest: the general path."""
    size = layout.padded_scalar_size

    def decode_general(buffer: Buffer, offset: int = 0, origin: Origin = NOWHERE) -> Reading:
        return decode_reading(layout.data_type, 1, buffer[offset : offset + size], True, origin)

    return decode_general


def _scalar_decoder(layout: Layout) -> ScalarDecoder:
    if "seconds" not in layout.fields:
        return _general_decoder(layout)
    return _text_decoder(layout) if layout.is_string else _number_decoder(layout)


def _make_run_dtype(layout: Layout) -> np.dtype[Any]:
    fields = {name: (kind, at + HEADER_SIZE) for name, (kind, at) in _RUN_FIELDS.items() if name in layout.fields}
    if "ackt" in layout.fields:  # the one struct whose alarm is unsigned
        fields.update(status=(">u2", HEADER_SIZE), severity=(">u2", HEADER_SIZE + 2))
    fields = {**_HEADER_FIELDS, **fields, "value": (layout.wire_dtype.str, HEADER_SIZE + layout.value_offset)}
    return np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [at for _, at in fields.values()],
            "itemsize": HEADER_SIZE + layout.padded_scalar_size,
        }
    )


def _column(rows: npt.NDArray[Any], name: str) -> Iterable[Any]:
    """One column as Python numbers; what the type has not is what Reading has by default."""
    if name in (rows.dtype.names or ()):
        return rows[name].tolist()  # type: ignore[no-any-return]
    return repeat(0 if name in ("status", "severity") else None)


def _decode_each(layout: Layout, rows: npt.NDArray[Any], origins: Iterable[Origin]) -> list[Reading]:
    """Rows whose metadata have more than a run keeps: one by one, from their bytes."""
    buffer, size = rows.tobytes(), rows.dtype.itemsize
    decoder = scalar_decoder(layout.data_type)
    starts = range(HEADER_SIZE, len(buffer), size)
    return [decoder(buffer, start, origin) for start, origin in zip(starts, origins, strict=False)]


_set_row: Callable[[Reading, tuple[Any, ...]], None] = vars(Reading)["_row"].__set__
_SCALAR_DECODERS: dict[ChannelType, ScalarDecoder] = {layout.data_type: _scalar_decoder(layout) for layout in LAYOUTS}
_RUN_DTYPES: dict[ChannelType, np.dtype[Any]] = {layout.data_type: _make_run_dtype(layout) for layout in LAYOUTS}
