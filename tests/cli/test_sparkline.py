"""Sparklines."""

from __future__ import annotations

import math

from caclient.cli.sparkline import ASCII_BARS, BARS, sparkline


def test_lowest_and_highest_take_the_ends_of_the_scale() -> None:
    assert sparkline([0, 10, 5]) == BARS[0] + BARS[-1] + BARS[4]


def test_rises_step_by_step() -> None:
    assert sparkline(range(8)) == BARS
    assert sparkline(range(8), bars=ASCII_BARS) == ASCII_BARS


def test_a_flat_line_is_drawn_in_the_middle() -> None:
    assert sparkline([3, 3]) == BARS[4] * 2


def test_what_is_not_a_number_is_blank() -> None:
    assert sparkline([math.nan, 0, math.inf, 1]) == " " + BARS[0] + " " + BARS[-1]
    assert sparkline([math.nan]) == " "
    assert sparkline([]) == ""
