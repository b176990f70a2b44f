"""Numbers as C reads them."""

from __future__ import annotations

import math

import pytest

from caclient.cli.numbers import leading_float, leading_integer, leading_unsigned, whole_float


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5), (" 7", 7), ("-1", -1), ("+3", 3), ("12abc", 12), ("1.9", 1), ("x", None), ("", None), ("- 1", None),
        ("99999999999", 99999999999 - (23 << 32)), ("4294967295", -1), ("9" * 30, -1), ("٣", None), ("0x10", 0),
    ],
)  # fmt: skip
def test_leading_integer(text: str, number: int | None) -> None:
    assert leading_integer(text) == number


def test_an_unsigned_one_counts_down_from_the_top() -> None:
    assert leading_unsigned("-1") == 4294967295
    assert leading_unsigned("7x") == 7
    assert leading_unsigned("x") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0), (" 1 ", 1.0), ("1\n", 1.0), (".5", 0.5), ("5.", 5.0), ("1e1", 10.0), ("-1", -1.0), ("0x10", 16.0),
        ("0x1p3", 8.0), ("inf", math.inf), ("-INFINITY", -math.inf), ("0", 0.0), ("0e-999", 0.0),
        ("2x", None), ("", None), (" ", None), ("1_0", None), ("1e", None), ("1d3", None), ("1e999", None),
        ("1e-999", None), ("1e-310", None), ("0x1p99999", None), ("0x1p-1074", None),
    ],
)  # fmt: skip
def test_whole_float_is_what_epics_parses(text: str, number: float | None) -> None:
    assert whole_float(text) == number


def test_nan_is_a_number_to_c() -> None:
    assert math.isnan(whole_float("nan") or 0.0)
    assert math.isnan(whole_float("nan(1)") or 0.0)
    assert math.isnan(leading_float("nanx") or 0.0)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1x", 1.0), (" 1 2", 1.0), ("0x1f", 31.0), ("0xg", 0.0), ("1e", 1.0), ("1e+", 1.0), ("-.5", -0.5),
        ("infinit", math.inf), ("x", None), ("", None), (".", None), ("-", None), ("1e999", math.inf),
        ("-0x1p99999", -math.inf),
    ],
)  # fmt: skip
def test_leading_float(text: str, number: float | None) -> None:
    assert leading_float(text) == number
