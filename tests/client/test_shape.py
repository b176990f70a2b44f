"""Shapes: answers as readings, and answers that cannot be right."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from caclient import ChannelType, ControlInfo
from caclient.client.shape import Shape
from caclient.dbr.decode import run_dtype
from caclient.errors import DecodeError

DOUBLE = Shape(ChannelType.DOUBLE, 1)
WAVE = Shape(ChannelType.DOUBLE, 5)


def answer(values: list[float], data_type: int = ChannelType.TIME_DOUBLE) -> SimpleNamespace:
    head = bytes(16) if data_type == ChannelType.TIME_DOUBLE else b""
    payload = head + np.array(values, ">f8").tobytes()
    return SimpleNamespace(payload=payload, data_type=data_type, data_count=len(values))


def test_shapes_are_equal_by_what_they_say():
    assert Shape(ChannelType.DOUBLE, 1) == DOUBLE
    assert hash(DOUBLE) == hash(Shape(ChannelType.DOUBLE, 1))
    assert DOUBLE != WAVE
    assert DOUBLE != ChannelType.DOUBLE
    known = DOUBLE.knowing(ControlInfo(units="mm"))
    assert known != DOUBLE
    assert repr(WAVE) == "Shape(DOUBLE[5], None)"


def test_a_scalar_is_a_number_and_an_array_stays_one():
    assert DOUBLE.reading(answer([2.5])).value == 2.5
    assert WAVE.reading(answer([2.5])).value.tolist() == [2.5]
    assert WAVE.reading(answer([])).value.tolist() == []


def test_rows_have_what_is_known_of_the_channel():
    control = ControlInfo(units="mm")
    rows = np.zeros(3, run_dtype(ChannelType.TIME_DOUBLE))
    named = Shape(ChannelType.DOUBLE, 1, control, "x")
    told = named.readings(ChannelType.TIME_DOUBLE, rows)
    assert [(reading.pvname, reading.reason) for reading in told] == [("x", "update")] * 3
    assert named.origin("update") is named.origin("update")
    assert named.reading(answer([1.0])).reason == "read"
    assert [reading.units for reading in DOUBLE.knowing(control).readings(ChannelType.TIME_DOUBLE, rows)] == ["mm"] * 3
    assert [reading.value.tolist() for reading in WAVE.readings(ChannelType.TIME_DOUBLE, rows)] == [[0.0]] * 3


@pytest.mark.parametrize(
    "shape, got, wanted, right",
    [
        (DOUBLE, (ChannelType.TIME_DOUBLE, 1), (ChannelType.TIME_DOUBLE, 1), True),
        (DOUBLE, (ChannelType.TIME_STRING, 1), (ChannelType.TIME_DOUBLE, 1), False),
        (DOUBLE, (ChannelType.TIME_DOUBLE, 2), (ChannelType.TIME_DOUBLE, 1), False),
        (DOUBLE, (ChannelType.TIME_DOUBLE, 0), (ChannelType.TIME_DOUBLE, 1), True),
        (WAVE, (ChannelType.TIME_DOUBLE, 3), (ChannelType.TIME_DOUBLE, 0), True),
        (WAVE, (ChannelType.TIME_DOUBLE, 6), (ChannelType.TIME_DOUBLE, 0), False),
        (WAVE, (ChannelType.TIME_DOUBLE, 4), (ChannelType.TIME_DOUBLE, 3), False),
        (WAVE, (ChannelType.TIME_DOUBLE, 6), (ChannelType.TIME_DOUBLE, 9), False),
    ],
)
def test_answers_that_cannot_be_right_are_refused(shape, got, wanted, right):
    """Another type, more elements than asked for, or than the channel has; fewer are legal."""
    if right:
        shape.require(*got, *wanted)
    else:
        with pytest.raises(DecodeError, match=ChannelType(got[0]).name):
            shape.require(*got, *wanted)
