"""Payloads as values: real messages, damaged ones, and the fast paths held equal to the general one."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from caclient.dbr.decode import (
    decode,
    decode_array_inplace,
    decode_metadata,
    decode_reading,
    decode_run,
    run_dtype,
    scalar_decoder,
)
from caclient.dbr.encode import encode
from caclient.dbr.metadata import Metadata
from caclient.dbr.reading import ControlInfo, Origin, Reading
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import LAYOUTS, ChannelType, padded, payload_size
from caclient.errors import DecodeError, RemoteProtocolError
from tests.vectors import load, payload, same

CARRIERS = ("read_notify_response", "event_add_response", "read_response", "write_request", "write_notify_request")
VECTORS = [vector for kind in CARRIERS for vector in load(kind) if "data_type" in vector["decoded"]]
ORIGIN = Origin("x", None, ControlInfo("mm", 3))


def plain(value):
    """A decoded value as the vectors have it: text is latin-1 there, arrays are lists."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, TimeStamp):
        return value._asdict()
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def listed(data):
    return plain(data) if isinstance(data, tuple) else data.tolist()


def assert_metadata(metadata, wanted):
    found = {} if metadata is None else {name: plain(value) for name, value in metadata.present().items()}
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if not same(found[name], wanted[name])] == []


def assert_values(data, decoded):
    values = listed(data)
    if "values" in decoded:
        pairs = zip(values, decoded["values"], strict=True)
    else:
        wanted = decoded["values_first"] + decoded["values_last"]
        pairs = zip(values[:8] + values[-8:], wanted, strict=True)
    assert all(same(ours, theirs) for ours, theirs in pairs)


def test_golden_vectors_decode_to_what_the_c_structs_say():
    assert len(VECTORS) > 1700
    for vector in VECTORS:
        decoded = vector["decoded"]
        metadata, data = decode(decoded["data_type"], decoded["data_count"], payload(vector))
        assert len(data) == decoded["data_count"], vector["name"]
        assert_metadata(metadata, decoded.get("metadata", {}))
        assert_values(data, decoded)


def test_golden_vectors_decode_as_readings_by_every_path():
    for vector in VECTORS:
        decoded, body = vector["decoded"], payload(vector)
        data_type, count = decoded["data_type"], decoded["data_count"]
        if count == 1 and "nan" not in str(decoded):
            general = decode_reading(data_type, 1, body, scalar=True)
            assert scalar_decoder(data_type)(b"header.." + body, 8) == general, vector["name"]
            assert isinstance(general.value, str) or same(general.value, decoded["values"][0])
            assert general.count == 1


@pytest.mark.parametrize("vector", load("malformed"), ids=lambda vector: vector["name"])
def test_counts_that_lie_allocate_nothing(vector):
    header = vector["header"]
    with pytest.raises(DecodeError, match=r"needs \d{10} bytes of payload, got \d+$"):
        decode(header["data_type"], header["data_count"], payload(vector))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.data_type.name)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_type_and_count_needs_its_bytes(layout, count):
    needed = payload_size(layout.data_type, count)
    metadata, data = decode(layout.data_type, count, bytes(needed))
    assert len(data) == count
    assert (metadata is None) == (layout.value_offset == 0)
    if needed and not (layout.is_string and count == 1):
        with pytest.raises(DecodeError, match=f"needs {needed} bytes of payload, got {needed - 1}"):
            decode(layout.data_type, count, bytes(needed - 1))


@given(st.integers(-1, 65536), st.integers(0, 2**32 - 1), st.binary(max_size=600))
def test_arbitrary_bytes_never_raise_anything_but_remote_errors(data_type, count, body):
    paths = (
        lambda: decode(data_type, count, body),
        lambda: decode_metadata(data_type, body),
        lambda: decode_array_inplace(bytearray(body), data_type, count),
        lambda: decode_reading(data_type, count, body, scalar=True).text,
        lambda: repr(scalar_decoder(data_type)(body)),
    )
    for path in paths:
        try:
            path()
        except RemoteProtocolError:
            pass


def test_arrays_are_native_and_own_their_memory():
    body = bytearray(struct.pack(">3d", 1.0, 2.0, 3.0))
    _, data = decode(6, 3, body)
    body[:] = bytes(24)
    assert data.tolist() == [1.0, 2.0, 3.0]
    assert data.dtype == np.dtype("=f8")
    _, chars = decode(4, 2, b"\xff\x01")
    assert (chars.tolist(), chars.dtype) == ([255, 1], np.uint8)
    assert chars.flags.owndata


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_like_payload(kind):
    body = encode(20, 1, 2.5, Metadata(status=1))[0]
    metadata, data = decode(20, 1, kind(body))
    assert (metadata.status, data.tolist()) == (1, [2.5])
    assert decode(0, 1, kind(b"ab".ljust(40, b"\0")))[1] == (b"ab",)


def test_strings_end_at_nul_or_at_40_bytes():
    full = b"x" * 40
    assert decode(0, 2, full + b"ab\0old".ljust(40, b"."))[1] == (full, b"ab")


def test_single_string_may_be_cut_short():
    assert decode(0, 1, b"3.5\0\0\0\0\0")[1] == (b"3.5",)
    assert decode(0, 1, b"x")[1] == (b"x",)
    assert decode(14, 1, bytes(12) + b"ab\0.")[1] == (b"ab",)
    assert scalar_decoder(14)(bytes(12) + b"ab\0.").value == "ab"
    for body in (b"", bytes(12)):
        with pytest.raises(DecodeError):
            decode(14, 1, body)


@pytest.mark.parametrize("no_str, names", [(2, 2), (0, 0), (-1, 0), (16, 16), (17, 16), (32767, 16)])
def test_only_no_str_names_are_believed(no_str, names):
    body = struct.pack(">3h", 0, 0, no_str) + b"abcdefghijklmnopqrstuvwxyz" * 16 + b"\0\1"
    metadata, _ = decode(24, 1, body)
    assert metadata.no_str == no_str
    assert metadata.enum_strings == (b"abcdefghijklmnopqrstuvwxyz",) * names


def test_units_of_eight_bytes_survive():
    body = struct.pack(">3h2x8s6d", 0, 0, 1, b"12345678", *range(6)) + bytes(8)
    assert decode(27, 1, body)[0].units == b"12345678"


def test_metadata_alone():
    body, _ = encode(20, 2, [1.0, 2.0], Metadata(status=4, severity=1, stamp=TimeStamp(5, 6)))
    assert decode_metadata(20, body) == Metadata(status=4, severity=1, stamp=TimeStamp(5, 6))
    assert decode_metadata(6, b"") is None
    with pytest.raises(DecodeError, match="needs 16"):
        decode_metadata(20, bytes(15))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.data_type.name)
def test_in_place_equals_the_copy_and_shares_the_buffer(layout):
    count = 5
    body = bytearray(range(256)) * 2
    _, copied = decode(layout.data_type, count, bytes(body))
    data = decode_array_inplace(body, layout.data_type, count)
    assert listed(data) == listed(copied) or np.array_equal(data, copied, equal_nan=True)
    if not layout.is_string:
        assert data.dtype == layout.value_dtype
        assert np.shares_memory(data, np.frombuffer(body, np.uint8))


def test_in_place_needs_the_bytes():
    with pytest.raises(DecodeError):
        decode_array_inplace(bytearray(15), 6, 2)


def test_reading_of_a_scalar_or_an_array():
    body, _ = encode(20, 2, [1.5, 2.5], Metadata(status=4, severity=1, stamp=TimeStamp(5, 6)))
    array = decode_reading(20, 2, body, scalar=False, origin=ORIGIN)
    assert array == Reading(np.array([1.5, 2.5]), 4, 1, 5, 6, ORIGIN)
    assert decode_reading(20, 2, bytearray(body), False, ORIGIN, in_place=True) == array
    assert decode_reading(20, 2, body, scalar=True) == Reading(1.5, 4, 1, 5, 6)
    assert decode_reading(6, 1, body[16:24], scalar=True, origin=ORIGIN) == Reading(1.5, origin=ORIGIN)
    assert decode_reading(7, 1, bytes(4) + b"\xb0C", scalar=True) == Reading("°C", 0, 0)
    assert decode_reading(0, 2, b"a".ljust(40, b"\0") + b"b".ljust(40, b"\0"), scalar=False).value.tolist() == [
        "a",
        "b",
    ]
    assert decode_reading(6, 0, b"", scalar=False).value.shape == (0,)


def test_scalar_without_a_value_is_an_error():
    with pytest.raises(DecodeError, match="TIME_DOUBLE of a scalar channel carries no value"):
        decode_reading(20, 0, bytes(16), scalar=True)


def test_control_info_of_the_payload_wins():
    body, _ = encode(34, 1, 1.0, Metadata(units=b"V", precision=2, upper_ctrl_limit=5.0))
    reading = decode_reading(34, 1, body, scalar=True, origin=ORIGIN)
    assert (reading.units, reading.precision, reading.upper_ctrl_limit, reading.pvname) == ("V", 2, 5.0, "x")


def test_scalar_values_are_python_objects():
    for layout in LAYOUTS:
        value = scalar_decoder(layout.data_type)(bytes(payload_size(layout.data_type, 1))).value
        kind = str if layout.is_string else float if layout.value_dtype.kind == "f" else int
        assert type(value) is kind


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.data_type.name)
def test_scalar_decoder_needs_its_bytes(layout):
    decoder, needed = scalar_decoder(layout.data_type), payload_size(layout.data_type, 1)
    least = layout.value_offset + 1 if layout.is_string else needed
    assert decoder(bytes(8 + needed), 8, ORIGIN).count == 1
    with pytest.raises(DecodeError, match=f"needs {needed} bytes of payload, got {least - 1}"):
        decoder(bytes(8 + least - 1), 8)


def messages(layout, bodies):
    head = struct.pack(">4H2I", 1, layout.padded_scalar_size, layout.data_type, 1, 1, 77)
    return b"".join(head + body.ljust(layout.padded_scalar_size, b"\0") for body in bodies)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.data_type.name)
def test_run_dtype_covers_whole_messages(layout):
    dtype = run_dtype(layout.data_type)
    assert dtype.itemsize == 16 + padded(payload_size(layout.data_type, 1))
    rows = np.frombuffer(messages(layout, [bytes(payload_size(layout.data_type, 1))] * 3), dtype)
    assert rows["size"].tolist() == [layout.padded_scalar_size] * 3
    assert (rows["command"][0], rows["dtype"][0], rows["count"][0]) == (1, layout.data_type, 1)
    assert (rows["p1"][2], rows["p2"][2]) == (1, 77)
    assert ("seconds" in dtype.names) == ("seconds" in layout.fields)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.data_type.name)
@settings(max_examples=20)
@given(st.data())
def test_runs_equal_the_single_path(layout, data):
    size = payload_size(layout.data_type, 1)
    bodies = data.draw(st.lists(st.binary(min_size=size, max_size=size), min_size=2, max_size=5))
    buffer = messages(layout, bodies)
    rows = np.frombuffer(buffer, run_dtype(layout.data_type))
    decoder = scalar_decoder(layout.data_type)
    single = [decoder(buffer, start, ORIGIN) for start in range(16, len(buffer), rows.dtype.itemsize)]
    found = decode_run(layout.data_type, rows, ORIGIN)
    assert found == single
    assert [repr(reading.value) for reading in found] == [repr(reading.value) for reading in single]


def test_reading_type_of_every_path_is_reading():
    rows = np.frombuffer(messages(LAYOUTS[ChannelType.TIME_LONG], [bytes(16)] * 2), run_dtype(19))
    assert {type(reading) for reading in decode_run(19, rows)} == {Reading}
    assert type(scalar_decoder(19)(bytes(16))) is Reading
