"""Values as payloads: every type there and back, and what is refused."""

from __future__ import annotations

import array
import math
import struct

import numpy as np
import pytest
from hypothesis import given, strategies as st

from caclient.dbr.decode import decode
from caclient.dbr.encode import encode, encode_metadata
from caclient.dbr.metadata import Metadata
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import LAYOUTS, LIMITS, ChannelType, padded, payload_size
from caclient.errors import BadValueError
from tests.vectors import load, number, payload

STRINGS = st.binary(max_size=39).map(lambda text: text.replace(b"\0", b"."))
BY_CODE = {
    "h": st.integers(-(2**15), 2**15 - 1),
    "H": st.integers(0, 2**16 - 1),
    "B": st.integers(0, 255),
    "i": st.integers(-(2**31), 2**31 - 1),
    "f": st.floats(width=32, allow_nan=False),
    "d": st.floats(allow_nan=False),
    "40s": STRINGS,
}
SHORT = BY_CODE["h"]
ALARM = {37: BY_CODE["H"]}


@st.composite
def metadata_of(draw, layout):
    """Any metadata that this type can carry."""
    if not layout.fields:
        return None
    fields = {}
    for name in layout.fields:
        if name == "seconds":
            fields["stamp"] = TimeStamp(draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 2**32 - 1)))
        elif name == "units":
            fields[name] = draw(STRINGS)[:8]
        elif name == "enum_strings":
            fields[name] = tuple(text[:26] for text in draw(st.lists(STRINGS, max_size=16)))
            fields["no_str"] = len(fields[name])
        elif name in LIMITS:
            fields[name] = draw(BY_CODE[layout.value_code])
        elif name not in ("nanoseconds", "no_str"):
            fields[name] = draw(ALARM.get(layout.data_type, SHORT))
    return Metadata(**fields)


@given(st.sampled_from(LAYOUTS), st.data())
def test_round_trip_of_every_type(layout, data):
    values = data.draw(st.lists(BY_CODE[layout.value_code], max_size=5))
    metadata = data.draw(metadata_of(layout))
    body, count = encode(layout.data_type, None, values, metadata)
    assert (count, len(body)) == (len(values), padded(payload_size(layout.data_type, count)))
    found, decoded = decode(layout.data_type, count, body)
    assert found == metadata
    assert list(decoded) == values
    if not layout.is_string:
        assert encode(layout.data_type, None, decoded, metadata) == (body, count)  # an array says the same as a list
        assert encode(layout.data_type, None, decoded.astype(layout.wire_dtype), metadata) == (body, count)


@given(st.sampled_from(LAYOUTS), st.data())
def test_round_trip_of_scalars(layout, data):
    value = data.draw(BY_CODE[layout.value_code])
    for given_value in (value, (value,), [value], np.array(value)):
        body, count = encode(layout.data_type, None, given_value)
        assert (count, len(body)) == (1, layout.padded_scalar_size)
        assert decode(layout.data_type, 1, body)[1][0] == value


@pytest.mark.parametrize("kind", ["write_request", "write_notify_request"])
def test_golden_writes_encode_to_the_same_bytes(kind):
    compared = 0
    for vector in load(kind):
        decoded = vector["decoded"]
        if "values" in decoded:
            values = [number(v) for v in decoded["values"]]
            values = [v.encode("latin-1") if isinstance(v, str) else v for v in values]
            body, count = encode(decoded["data_type"], decoded["data_count"], values, shorten=True)
            assert (body, count) == (payload(vector), decoded["data_count"]), vector["name"]
            compared += 1
    assert compared > 50


@pytest.mark.parametrize("kind", ["read_notify_response", "event_add_response"])
def test_golden_answers_encode_back_to_their_members(kind):
    for vector in load(kind):
        data_type, count = vector["decoded"]["data_type"], vector["decoded"]["data_count"]
        metadata, data = decode(data_type, count, payload(vector))
        body, again = encode(data_type, count, data, metadata)
        assert again == count
        shortened = data_type == ChannelType.STRING and count == 1  # the portable server cuts such answers
        assert len(body) == len(payload(vector)) or shortened, vector["name"]
        assert repr(decode(data_type, count, body)) == repr((metadata, data)), vector["name"]


def test_wire_data_is_taken_as_it_is():
    wire = struct.pack(">2d", 1.0, 2.0)
    swapped = array.array("d", [1.0, 2.0])
    swapped.byteswap()
    for data in (wire, bytearray(wire), memoryview(wire), swapped, memoryview(swapped)):
        assert encode(6, None, data) == (wire, 2)
    assert encode(4, None, b"abc") == (b"abc\0\0\0\0\0", 3)


def test_wire_data_must_be_whole():
    with pytest.raises(BadValueError, match="12 bytes are no whole number of 8-byte DOUBLE values"):
        encode(6, None, bytes(12))


def test_fewer_values_are_filled_up_and_more_refused():
    assert encode(5, 3, [1]) == (struct.pack(">3i4x", 1, 0, 0), 3)
    assert encode(5, 3, 1) == (struct.pack(">3i4x", 1, 0, 0), 3)
    assert encode(0, 2, "a") == (b"a".ljust(80, b"\0"), 2)
    assert encode(20, 0, []) == (bytes(16), 0)
    with pytest.raises(BadValueError, match="2 values given where 1 of LONG are to be sent"):
        encode(5, 1, [1, 2])


@pytest.mark.parametrize("value", [True, np.float64(1), np.int32(1), np.float32(1), np.int8(1), np.bool_(True), 1.0])
@pytest.mark.parametrize("data_type", [1, 2, 3, 4, 5, 6, 35, 36])
def test_any_kind_of_number(value, data_type):
    assert encode(data_type, 1, value) == encode(data_type, 1, 1) == encode(data_type, 1, [value])


@pytest.mark.parametrize(
    "data_type, low, high", [(1, -(2**15), 2**15 - 1), (3, 0, 2**16 - 1), (4, -128, 255), (5, -(2**31), 2**31 - 1)]
)
def test_integer_range(data_type, low, high):
    name = ChannelType(data_type).name
    for value in (low, high, float(low), float(high)):
        encode(data_type, None, value)
        encode(data_type, None, [0, value])
    for value in (low - 1, high + 1, low - 1.0, high + 0.5, math.nan, math.inf):
        with pytest.raises(
            BadValueError,
            match=rf" (is out of the range of|is no whole number, as|is too large for) {name}[^(]*$",
        ):
            encode(data_type, None, value)
        with pytest.raises(
            BadValueError,
            match=rf" (is out of the range of|is no whole number, as|is too large for) {name}.* \(item 1\)$",
        ):
            encode(data_type, None, np.array([0, value]))


def test_char_is_signed_or_unsigned():
    assert encode(4, None, [-1, 255]) == (b"\xff\xff\0\0\0\0\0\0", 2)
    assert encode(4, None, np.array([-1], np.int8)) == (b"\xff".ljust(8, b"\0"), 1)


def test_floats_that_overflow_are_refused_but_infinity_is_a_value():
    assert encode(2, None, math.inf)[0][:4] == struct.pack(">f", math.inf)
    assert encode(2, None, [math.nan, 1.0])[1] == 2
    for value in (1e300, [1.0, 1e300][1:], np.array([1e300])):
        with pytest.raises(BadValueError, match=r"1e\+300 is too large for FLOAT$"):
            encode(2, None, value)


@pytest.mark.parametrize("value", [10**400, [10**400], 10**30])
def test_huge_integers(value):
    with pytest.raises(BadValueError):
        encode(5, None, value)


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "None is no DOUBLE value (item 0)"),
        ([1, None], "None is no DOUBLE value (item 1)"),
        ([1, "2"], "'2' is no DOUBLE value (item 1)"),
        ("3.5", "text '3.5' is no DOUBLE value"),
        (1j, "1j is no DOUBLE value (item 0)"),
        ([[1], [1, 2]], "[1] is no DOUBLE value (item 0)"),
        ({1: 2}, "{1: 2} is no DOUBLE value (item 0)"),
        (np.array(["a"]), "is no DOUBLE value (item 0)"),
        (np.array([0], "M8[ns]"), "is no DOUBLE value (item 0)"),
        (np.timedelta64(3, "s"), "is no DOUBLE value (item 0)"),
    ],
)
def test_what_is_no_number(value, text):
    with pytest.raises(BadValueError) as raised:
        encode(6, None, value)
    assert text in str(raised.value)


@pytest.mark.parametrize("data_type", [5, 6])
def test_objects_that_are_numbers_are_numbers(data_type):
    assert encode(data_type, None, np.array([1, 2.0, np.int8(3)], object)) == encode(data_type, None, [1, 2, 3])


def test_integers_beyond_64_bits_are_floats_or_refused_by_their_place():
    assert encode(6, None, [1, 10**30]) == (struct.pack(">2d", 1, 1e30), 2)
    for data_type, value in ((5, [1, 1 << 64]), (5, (0.5, -(10**30))), (6, [1, 10**400]), (6, [math.inf, 10**400])):
        with pytest.raises(BadValueError, match=r"is too large for (LONG|DOUBLE) \(item 1\)"):
            encode(data_type, None, value)


def test_what_is_under_a_mask_is_no_value():
    with pytest.raises(BadValueError, match=r"None is no LONG value \(item 1\)"):
        encode(5, None, np.ma.array([1, 2], mask=[False, True]))
    assert encode(5, None, np.ma.array([1, 2])) == encode(5, None, [1, 2])


def test_errors_do_not_show_whole_arrays():
    with pytest.raises(BadValueError) as raised:
        encode(6, None, ["x" * 10000])
    assert len(str(raised.value)) < 100


def test_two_dimensions_are_flattened():
    assert encode(5, None, np.arange(4).reshape(2, 2)) == encode(5, None, [0, 1, 2, 3])
    assert encode(0, None, np.array([["a", "b"], ["c", "d"]]))[1] == 4


def test_text_as_characters():
    assert encode(4, None, "hé") == (b"h\xc3\xa9\0\0\0\0\0", 4)
    assert encode(4, 8, "h") == (b"h".ljust(8, b"\0"), 8)


def test_strings():
    assert encode(0, None, "°C") == ("°C".encode().ljust(40, b"\0"), 1)
    assert encode(0, None, ["a", b"b\0old", 5, 2.5, np.int16(3)])[1] == 5
    assert decode(0, 3, encode(0, None, np.array(["a", "bb", ""]))[0])[1] == (b"a", b"bb", b"")
    assert encode(38, 1, "ai") == (b"ai".ljust(40, b"\0"), 1)
    assert encode(0, 1, "x" * 39)[0] == b"x" * 39 + b"\0"


@pytest.mark.parametrize(
    "value, text",
    [
        ("x" * 40, "text of 40 bytes exceeds the 39 that a string holds (item 0)"),
        (["", "é" * 20], "text of 40 bytes exceeds the 39 that a string holds (item 1)"),
        ("a\0b", "text with a NUL in it cannot be sent as a string (item 0)"),
        (None, "None is no text (item 0)"),
        ([["a"]], "['a'] is no text (item 0)"),
    ],
)
def test_bad_strings(value, text):
    with pytest.raises(BadValueError) as raised:
        encode(0, None, value)
    assert str(raised.value) == text


def test_cells_are_taken_as_they_are():
    assert encode(0, 2, b"x" * 80) == (b"x" * 80, 2)
    with pytest.raises(BadValueError, match="text of 80 bytes"):
        encode(0, None, b"x" * 80)


@pytest.mark.parametrize("data_type", [0, 7, 14, 21, 28, 37, 38])
def test_a_cell_without_a_nul_comes_back_as_it_was(data_type):
    cells = (b"x" * 40, b"y")
    assert decode(data_type, 2, encode(data_type, None, cells)[0])[1] == cells
    with pytest.raises(BadValueError, match=r"text of 41 bytes exceeds the 39 that a string holds \(item 0\)"):
        encode(data_type, None, (b"x" * 41,))


@pytest.mark.parametrize("data", [b"x" * 40, (b"x" * 40,), [b"x" * 40, b""]])
def test_a_cell_without_a_nul_is_not_written(data):
    with pytest.raises(BadValueError, match=r"text of 40 bytes exceeds the 39 that a string holds \(item 0\)"):
        encode(0, len(data) if type(data) is list else 1, data, shorten=True)


def test_single_string_is_shortened_for_a_write():
    assert encode(0, 1, "3.5", shorten=True) == (b"3.5\0\0\0\0\0", 1)
    assert encode(0, 1, "12345678", shorten=True) == (b"12345678".ljust(16, b"\0"), 1)
    assert encode(0, 1, "", shorten=True) == (bytes(8), 1)
    assert len(encode(0, 2, ["a", "b"], shorten=True)[0]) == 80
    assert len(encode(7, 1, "a", shorten=True)[0]) == 48


def test_missing_metadata_are_zero():
    for layout in LAYOUTS:
        assert encode_metadata(layout.data_type) == bytes(layout.value_offset)
        assert encode_metadata(layout.data_type, Metadata()) == bytes(layout.value_offset)


def test_integer_limits_are_cut_from_doubles():
    limits = Metadata(
        upper_disp_limit=10.7, lower_disp_limit=-1e9, upper_alarm_limit=math.nan, upper_ctrl_limit=math.inf
    )
    found = decode(29, 1, encode(29, 1, 0, limits)[0])[0]
    assert (found.upper_disp_limit, found.lower_disp_limit, found.upper_alarm_limit) == (10, -(2**15), 0)
    assert found.upper_ctrl_limit == 2**15 - 1


def test_limits_of_char_are_signed_or_unsigned_like_its_values():
    limits = Metadata(lower_disp_limit=-128, upper_disp_limit=127.9, lower_ctrl_limit=-1e9, upper_ctrl_limit=1e9)
    found = decode(32, 1, encode(32, 1, 0, limits)[0])[0]
    assert (found.lower_disp_limit, found.upper_disp_limit) == (128, 127)
    assert (found.lower_ctrl_limit, found.upper_ctrl_limit) == (128, 255)


def test_enum_names_beyond_what_the_struct_holds():
    names = tuple(b"%d" % i + b"x" * 30 for i in range(20))
    found = decode(31, 1, encode(31, 1, 0, Metadata(enum_strings=names))[0])[0]
    assert found.no_str == 16
    assert found.enum_strings == tuple(name[:26] for name in names[:16])


@pytest.mark.parametrize(
    "metadata", [Metadata(status=1 << 15), Metadata(precision="3"), Metadata(upper_disp_limit=1e300)]
)
def test_metadata_that_do_not_fit(metadata):
    with pytest.raises(BadValueError, match="metadata do not fit CTRL_FLOAT"):
        encode(30, 1, 0, metadata)


@pytest.mark.parametrize("metadata", [Metadata(enum_strings=("on", "off")), Metadata(enum_strings=(None,))])
def test_names_that_are_no_bytes(metadata):
    with pytest.raises(BadValueError, match="metadata do not fit CTRL_ENUM"):
        encode(31, 1, 0, metadata)


def test_limits_that_are_no_numbers():
    with pytest.raises(BadValueError, match="metadata do not fit CTRL_INT"):
        encode(29, 1, 0, Metadata(upper_disp_limit="3"))
