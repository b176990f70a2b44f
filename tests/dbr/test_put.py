"""How values are put, and what is said of those that cannot be."""

from __future__ import annotations

import array
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from caclient.dbr.encode import encode
from caclient.dbr.put import put_form
from caclient.dbr.reading import ControlInfo, Origin, Reading
from caclient.dbr.types import ChannelType
from caclient.errors import BadValueError, WrongTypeError

STRING, INT, FLOAT, ENUM, CHAR, LONG, DOUBLE = map(ChannelType, range(7))
STATES = ("Idle", "Moving", "Fault")
MOVING = Reading(1, origin=Origin("busy", ENUM, ControlInfo(enum_strs=STATES)))


class Boxed:
    """Something with an array inside, as a pandas.Series has."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0])


class Quantity:
    def __float__(self):
        return 2.5


def form(native, value, count=1, states=()):
    return put_form("x", native, count, states, value)


@pytest.mark.parametrize(
    "native, value, wanted",
    [
        (DOUBLE, 1.5, (DOUBLE, 1, 1.5)),
        (DOUBLE, True, (DOUBLE, 1, 1)),
        (DOUBLE, np.float32(0.5), (DOUBLE, 1, 0.5)),
        (DOUBLE, Decimal("2.5"), (DOUBLE, 1, 2.5)),
        (DOUBLE, Fraction(1, 4), (DOUBLE, 1, 0.25)),
        (DOUBLE, np.array(2.5), (DOUBLE, 1, 2.5)),
        (DOUBLE, Quantity(), (DOUBLE, 1, 2.5)),
        (DOUBLE, Reading(2.5), (DOUBLE, 1, 2.5)),
        (DOUBLE, [2.5], (DOUBLE, 1, [2.5])),
        (DOUBLE, "2.5", (STRING, 1, "2.5")),
        (DOUBLE, b"2.5", (STRING, 1, "2.5")),
        (LONG, "0x10", (STRING, 1, "0x10")),
        (LONG, np.int64(7), (LONG, 1, 7)),
        (STRING, "text", (STRING, 1, "text")),
        (STRING, 3.5, (STRING, 1, 3.5)),
        (ENUM, 1, (ENUM, 1, 1)),
        (ENUM, "Moving", (STRING, 1, "Moving")),
        (ENUM, "1", (STRING, 1, "1")),
        (ENUM, MOVING, (STRING, 1, "Moving")),
        (CHAR, "7", (STRING, 1, "7")),
    ],
)
def test_scalars(native, value, wanted):
    found = form(native, value, states=STATES)
    assert found == wanted
    encode(*found)


@pytest.mark.parametrize(
    "native, value, wanted",
    [
        (DOUBLE, [1, 2], (DOUBLE, 2, [1, 2])),
        (DOUBLE, range(2), (DOUBLE, 2, [0, 1])),
        (DOUBLE, array.array("d", [1.0]), (DOUBLE, 1, [1.0])),
        (DOUBLE, memoryview(np.arange(2.0)), (DOUBLE, 2, [0.0, 1.0])),
        (DOUBLE, Boxed(), (DOUBLE, 2, [1.0, 2.0])),
        (DOUBLE, [[1, 2], [3, 4]], (DOUBLE, 4, [1, 2, 3, 4])),
        (DOUBLE, np.ones((2, 2)), (DOUBLE, 4, [[1, 1], [1, 1]])),
        (DOUBLE, ["1", "2"], (STRING, 2, ["1", "2"])),
        (DOUBLE, 1.5, (DOUBLE, 1, 1.5)),
        (DOUBLE, [], (DOUBLE, 0, [])),
        (STRING, ["a", "b"], (STRING, 2, ["a", "b"])),
        (STRING, [1, 2.5], (STRING, 2, ["1", "2.5"])),
        (STRING, np.array(["a"]), (STRING, 1, ["a"])),
        (CHAR, "abc", (CHAR, 4, b"abc\0")),
        (CHAR, "abcde", (CHAR, 5, b"abcde")),
        (CHAR, b"abc", (CHAR, 3, b"abc")),
        (CHAR, Reading(np.arange(3, dtype=np.uint8)), (CHAR, 3, [0, 1, 2])),
    ],
)
def test_arrays(native, value, wanted):
    data_type, count, data = form(native, value, count=5)
    assert (data_type, count) == wanted[:2]
    assert np.array_equal(data, wanted[2]) or list(data) == wanted[2]
    encode(data_type, count, data)


@pytest.mark.parametrize(
    "native, count, value, told",
    [
        (DOUBLE, 1, None, "'x': None is no value: give a number, text, or a list of them"),
        (DOUBLE, 1, {"y": 1}, "'x': a mapping is no value: to put many PVs, give it to caput_many()"),
        (DOUBLE, 5, {1, 2}, "'x': a set has no order or no length: give list(...) of it"),
        (DOUBLE, 5, (n for n in (1, 2)), "'x': a generator has no order or no length: give list(...) of it"),
        (DOUBLE, 1, 1j, "'x': 1j is no value"),
        (DOUBLE, 1, object, "'x': <class 'object'> is no value"),
        (DOUBLE, 1, "fast", "'x': 'fast' is no number, but this is a double"),
        (DOUBLE, 1, "1_000", "'x': '1_000' is no number, but this is a double"),
        (DOUBLE, 5, "1 2 3", "'x': '1 2 3' is text, but this is an array of numbers: give a list of them"),
        (DOUBLE, 5, ["1", "two"], "'x': 'two' is no number, but this is a double"),
        (DOUBLE, 1, [1, 2, 3], "'x': 3 elements given, but it holds one"),
        (DOUBLE, 5, [1] * 6, "'x': 6 elements given, but it holds 5 of them"),
        (DOUBLE, 1, [], "'x': no element given, but it holds one"),
        (DOUBLE, 5, [[1, 2], [3]], "'x': a list of lists of different length is no array"),
        (STRING, 1, "y" * 40, "'x': text of 40 bytes, but a string holds 39: put it to 'x.VAL$', if that has room"),
        (STRING, 1, "é" * 20, "'x': text of 40 bytes, but a string holds 39"),
        (STRING, 2, ["a", "y" * 40], "'x': text of 40 bytes, but a string holds 39"),
        (CHAR, 8, "y" * 9, "'x': text of 9 bytes for 8 characters"),
        (ENUM, 1, "moving", "'moving' is no state of 'x' (Idle, Moving, Fault); did you mean 'Moving'?"),
        (ENUM, 1, "Fualt", "did you mean 'Fault'?"),
        (ENUM, 1, "quick", "'quick' is no state of 'x' (Idle, Moving, Fault)"),
        (ENUM, 1, "7", "'7' is no state of 'x' (Idle, Moving, Fault)"),
        (ENUM, 1, 16, "16 is no state of 'x': give one of 0 Idle, 1 Moving, 2 Fault"),
        (ENUM, 1, -1, "-1 is no state of 'x': give one of 0 Idle, 1 Moving, 2 Fault"),
        (ENUM, 1, np.uint16(16), "16 is no state of 'x'"),
    ],
)
def test_refused_with_what_was_given_and_what_can_be(native, count, value, told):
    with pytest.raises(BadValueError) as raised:
        form(native, value, count, STATES)
    assert told in str(raised.value)


def test_what_is_of_a_wrong_kind_is_a_type_error_too():
    with pytest.raises(WrongTypeError):
        form(DOUBLE, None)


def test_a_field_is_put_to_its_own_long_form():
    with pytest.raises(BadValueError, match=r"put it to 'x\.DESC\$'"):
        put_form("x.DESC", STRING, 1, (), "y" * 41)


def test_a_state_is_looked_at_only_where_the_names_are_known():
    assert form(ENUM, "moving") == (STRING, 1, "moving")
    with pytest.raises(BadValueError) as raised:
        form(ENUM, "quick", states=STATES)
    assert "did you mean" not in str(raised.value)


def test_numbers_of_states():
    """Two states are a bi's or a bo's; of more than two the last may have no name; more than sixteen are a menu's."""
    with pytest.raises(BadValueError, match="2 is no state of 'x': give one of 0 Off, 1 On"):
        form(ENUM, 2, states=("Off", "On"))
    assert form(ENUM, 1, states=("Off",)) == (ENUM, 1, 1)
    assert form(ENUM, 15, states=STATES) == (ENUM, 1, 15)
    assert form(ENUM, 20, states=STATES * 6) == (ENUM, 1, 20)
    assert form(ENUM, "20", states=STATES * 6) == (STRING, 1, "20")
    assert form(ENUM, "2", states=STATES) == (STRING, 1, "2")
    assert form(ENUM, 700) == (ENUM, 1, 700)


def test_long_values_are_shown_short():
    with pytest.raises(BadValueError) as raised:
        form(DOUBLE, "y" * 10_000)
    assert len(str(raised.value)) < 200
