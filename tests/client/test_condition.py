"""What is waited for: values, names of states, functions; and what never comes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caclient import ChannelType, Reading
from caclient.client.condition import checked_settle, checked_tolerance, condition, fitting_tolerance
from caclient.errors import BadValueError

DOUBLE, LONG, ENUM, STRING, CHAR = (
    ChannelType.DOUBLE,
    ChannelType.LONG,
    ChannelType.ENUM,
    ChannelType.STRING,
    ChannelType.CHAR,
)
STATES = ("Idle", "Moving")


@pytest.mark.parametrize(
    "native, wanted, tolerance, value, holds",
    [
        (DOUBLE, 3, 0, 3.0, True),
        (DOUBLE, 3, 0, 3.001, False),
        (DOUBLE, 3, 0.01, 3.001, True),
        (DOUBLE, math.inf, 0.1, math.inf, True),
        (DOUBLE, math.inf, 0.1, 1.0, False),
        (DOUBLE, 3, 0.1, math.nan, False),
        (DOUBLE, Reading(3.0), 0, 3.0, True),
        (DOUBLE, lambda value: value > 2, 0, 3.0, True),
        (DOUBLE, lambda value: value > 2, 0, 1.0, False),
        (LONG, np.int32(3), 0, 3, True),
        (LONG, True, 0, 1, True),
        (ENUM, "Moving", 0, 1, True),
        (ENUM, "Moving", 0, 0, False),
        (ENUM, 1, 0, 1, True),
        (STRING, "on", 0, "on", True),
        (STRING, b"on", 0, "on", True),
        (STRING, "on", 0, "off", False),
        (CHAR, "long text", 0, np.frombuffer(b"long text\0old", np.uint8), True),
        (DOUBLE, [1, 2], 0, np.array([1.0, 2.0]), True),
        (DOUBLE, [1, 2], 0, np.array([1.0, 2.0, 3.0]), False),
        (DOUBLE, [1, 2], 0.1, np.array([1.05, 2.0]), True),
        (DOUBLE, [1, 2], 0.01, np.array([1.05, 2.0]), False),
        (DOUBLE, 7, 0, np.array([7.0]), True),
        (STRING, ["a", "b"], 0, np.array(["a", "b"]), True),
        (None, "on", 0, 1.0, False),
        (None, 1.0, 0, "on", False),
    ],
)
def test_holds(native, wanted, tolerance, value, holds):
    assert condition("x", wanted, tolerance, native, STATES).holds(Reading(value)) is holds


@pytest.mark.parametrize(
    "native, wanted, told",
    [
        (ENUM, "moving", "'moving' is no state of 'x' (Idle, Moving); did you mean 'Moving'?"),
        (DOUBLE, "fast", "'x' is a number, and will never be 'fast'"),
        (STRING, 3, "'x' is text, and will never be 3"),
        (DOUBLE, math.nan, "nothing equals NaN: give a function, such as math.isnan"),
        (DOUBLE, None, "'x': None: give a value, a state's name, or a function of the value"),
        (DOUBLE, object(), "give a value, a state's name, or a function"),
    ],
)
def test_what_never_comes_is_not_waited_for(native, wanted, told):
    with pytest.raises(BadValueError) as raised:
        condition("x", wanted, 0.0, native, STATES)
    assert told in str(raised.value)


def test_says_what_it_is():
    def is_ready(value: float) -> bool:
        return True

    assert condition("x", 3, 0.5, DOUBLE).text == "== 3 within 0.5"
    assert condition("x", "Moving", 0, ENUM, STATES).text == "== 'Moving'"
    assert condition("x", is_ready).text.startswith("fits test_says_what_it_is.<locals>.is_ready (test_condition.py:")


def test_what_a_function_raises_goes_through():
    with pytest.raises(ZeroDivisionError):
        condition("x", lambda value: 1 / value).holds(Reading(0))


@pytest.mark.parametrize("tolerance", [-1, math.nan, "1", None, True])
def test_tolerances_that_are_none(tolerance):
    with pytest.raises(BadValueError, match=r"tolerance=.*give a number of 0 or more"):
        checked_tolerance(tolerance)


@pytest.mark.parametrize("settle", [-1, math.nan, math.inf, "1", None, True])
def test_settling_times_that_are_none(settle):
    with pytest.raises(BadValueError, match=r"settle=.*give seconds, 0 or more"):
        checked_settle(settle)


def test_a_readback_is_near_enough_by_its_precision():
    assert fitting_tolerance(1.0, DOUBLE, 3) == pytest.approx(0.0005)
    assert fitting_tolerance(1.0, DOUBLE, 3) >= 1.0005 - 1.0
    assert fitting_tolerance(200.0, DOUBLE, None) == pytest.approx(2e-7)
    assert fitting_tolerance([1.0, -200.0], DOUBLE, None) == pytest.approx(2e-7)
    assert fitting_tolerance(3, LONG, None) == 0.0
    assert fitting_tolerance("Moving", ENUM, None) == 0.0
