"""Values of one native type as another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from caclient.dbr.convert import convert
from caclient.dbr.types import LAYOUTS, ChannelType
from caclient.errors import BadValueError

STRING, INT, FLOAT, ENUM, CHAR, LONG, DOUBLE = list(ChannelType)[:7]
NAMES = (b"off", b"on", b"7")
NUMERIC = st.sampled_from([INT, FLOAT, ENUM, CHAR, LONG, DOUBLE])


def numbers(native, *values):
    return np.array(values, LAYOUTS[native].value_dtype)


@given(NUMERIC, NUMERIC, st.data())
def test_numbers_to_numbers_never_wrap(source, target, data):
    values = data.draw(hnp.arrays(LAYOUTS[source].value_dtype, 4))
    found = convert(values, source, target)
    assert found.dtype == LAYOUTS[target].value_dtype
    if found.dtype.kind != "f":
        info = np.iinfo(found.dtype)
        wanted = [0 if v != v else int(min(max(v, int(info.min)), int(info.max))) for v in values.tolist()]
        assert found.tolist() == wanted


def test_same_type_is_the_same_array():
    values = numbers(DOUBLE, 1.0)
    assert convert(values, DOUBLE, DOUBLE) is values
    assert convert((b"a",), STRING, STRING) == (b"a",)


def test_large_doubles_become_the_largest_float():
    found = convert(numbers(DOUBLE, 1e300, -1e300, np.inf, np.nan, 1.5), DOUBLE, FLOAT)
    largest = float(np.finfo(np.float32).max)
    assert found[:3].tolist() == [largest, -largest, np.inf]
    assert np.isnan(found[3])
    assert found[4] == 1.5


@pytest.mark.parametrize(
    "value, precision, text",
    [
        (3.25159, 2, b"3.25"),
        (3.25159, None, b"3.25159"),
        (2.0, 0, b"2"),
        (1e20, 3, b"1.000e+20"),
        (0.1, 12, b"1.000000000000e-01"),
        (0.1, 100, b"1.00000000000000006e-01"),
        (1.0, -5, b"1"),
        (float("nan"), 2, b"nan"),
    ],
)
def test_doubles_as_text(value, precision, text):
    assert convert(numbers(DOUBLE, value), DOUBLE, STRING, precision=precision) == (text,)


@given(st.floats(), st.integers(-5, 30))
def test_text_of_a_number_fits_a_string(value, precision):
    (text,) = convert(numbers(DOUBLE, value), DOUBLE, STRING, precision=precision)
    assert len(text) < 40


def test_integers_as_text():
    assert convert(numbers(LONG, -5, 7), LONG, STRING, precision=3) == (b"-5", b"7")
    assert convert(numbers(CHAR, 255), CHAR, STRING) == (b"255",)


def test_enum_as_text_and_back():
    assert convert(numbers(ENUM, 1, 0, 9), ENUM, STRING, NAMES) == (b"on", b"off", b"9")
    found = convert((b"on", b"off", b"7", b"1"), STRING, ENUM, NAMES)
    assert (found.tolist(), found.dtype) == ([1, 0, 2, 1], np.uint16)
    assert convert((b"9",), STRING, ENUM).tolist() == [9]
    assert convert(numbers(ENUM, 1), ENUM, LONG).tolist() == [1]


@pytest.mark.parametrize("text, names", [(b"maybe", NAMES), (b"3", NAMES), (b"-1", ()), (b"65536", ()), (b"", ())])
def test_no_such_state(text, names):
    with pytest.raises(BadValueError, match="is no state: "):
        convert((text,), STRING, ENUM, names)


@pytest.mark.parametrize(
    "text, value", [(b"3.5", 3.5), (b" -2 ", -2.0), (b"", 0.0), (b"1e3", 1000.0), (b"0x10", 16.0), (b"-0X10", -16.0)]
)
def test_text_as_number(text, value):
    assert convert((text,), STRING, DOUBLE).tolist() == [value]


def test_text_as_integer_is_cut_and_clipped():
    assert convert((b"3.9", b"1e9", b"nan"), STRING, INT).tolist() == [3, 32767, 0]


@pytest.mark.parametrize("text", [b"abc", b"1.2.3", b"0xzz", b"\xff"])
def test_text_that_is_no_number(text):
    with pytest.raises(BadValueError, match="is no number"):
        convert((text,), STRING, DOUBLE)


def test_compound_types_count_as_their_native_ones():
    assert convert(numbers(ENUM, 1), ChannelType.TIME_ENUM, ChannelType.CTRL_STRING, NAMES) == (b"on",)
