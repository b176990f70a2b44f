"""Values as text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caclient.cli.formats import Answer, Style, base_text, float_text, rounded, state_text, value_texts
from caclient.dbr.metadata import Metadata
from caclient.dbr.types import ChannelType


def texts(data_type: ChannelType, values: list[object], style: Style | None = None) -> list[str]:
    dtype = {"FLOAT": "f4", "DOUBLE": "f8", "LONG": "i4", "INT": "i2", "CHAR": "u1", "ENUM": "u2"}
    array = np.array(values, dtype[data_type.name.rpartition("_")[2]])
    return value_texts(Answer(data_type, array), style or Style())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.14159265, "3.14159"), (1234567.891, "1.23457e+06"), (1e-5, "1e-05"), (100.0, "100"), (-0.0, "-0"),
        (math.nan, "nan"), (-math.nan, "-nan"), (math.inf, "inf"), (-math.inf, "-inf"), (5e-324, "4.94066e-324"),
    ],
)  # fmt: skip
def test_doubles_have_six_digits(value: float, text: str) -> None:
    assert texts(ChannelType.DOUBLE, [value]) == [text]


def test_floats_are_what_they_are() -> None:
    style = Style()
    style.set_digits("g", 12)
    assert texts(ChannelType.TIME_FLOAT, [0.1, 16777216.0]) == ["0.1", "1.67772e+07"]
    assert texts(ChannelType.FLOAT, [0.1], style) == ["0.10000000149"]


@pytest.mark.parametrize(
    ("letter", "digits", "text"),
    [("e", 3, "3.142e+00"), ("f", 0, "3"), ("f", 18, "3.141592653589793116"), ("g", 0, "3")],
)
def test_digits_are_chosen(letter: str, digits: int, text: str) -> None:
    style = Style()
    style.set_digits(letter, digits)
    assert float_text(math.pi, style.float_format) == text


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (2.5, 3), (-2.5, -3), (0.49, 0), (-0.0, 0), (2147483646.6, 2147483647), (2147483647.6, -2147483648),
        (-2147483648.4, -2147483648), (-3e9, -2147483648), (1e300, -2147483648), (math.nan, -2147483648),
        (math.inf, -2147483648),
    ],
)  # fmt: skip
def test_rounded_half_away_from_zero_into_32_bits(value: float, whole: int) -> None:
    assert rounded(value) == whole


@pytest.mark.parametrize(
    ("value", "base", "text"),
    [
        (255, "x", "0xFF"), (-1, "x", "0xFFFFFFFF"), (0, "x", "0x0"), (8, "o", "0o10"), (0, "o", "0o0"), (0, "b", "0"),
        (5, "b", "101"), (-2, "b", "1" * 31 + "0"), (-7, "", "-7"),
    ],
)  # fmt: skip
def test_other_bases(value: int, base: str, text: str) -> None:
    assert base_text(value, base) == text


def test_bases_are_for_integers_but_not_characters_and_states() -> None:
    style = Style(integer_base="x")
    assert texts(ChannelType.INT, [-1], style) == ["0xFFFFFFFF"]
    assert texts(ChannelType.CHAR, [255, 65], style) == ["-1", "65"]
    assert texts(ChannelType.ENUM, [10], style) == ["10"]
    assert texts(ChannelType.DOUBLE, [10], style) == ["10"]
    assert texts(ChannelType.DOUBLE, [10.5], Style(float_base="o")) == ["0o13"]


@pytest.mark.parametrize(
    ("index", "text"), [(0, "zero"), (1, "ö\\x1b"), (2, "Enum Index Overflow (2)"), (16, "Illegal Value (16)")]
)
def test_states_by_what_came_with_them(index: int, text: str) -> None:
    metadata = Metadata(enum_strings=(b"zero", "ö\x1b".encode()))
    assert state_text(index, metadata) == text
    answer = Answer(ChannelType.GR_ENUM, np.array([index], "u2"), metadata)
    assert value_texts(answer, Style()) == [text]
    assert value_texts(answer, Style(states_as_numbers=True)) == [str(index)]


def test_strings_are_escaped() -> None:
    assert value_texts(Answer(ChannelType.STRING, (b'a"b', b"", b"\xb0")), Style()) == ['a\\"b', "", "\\xb0"]
