"""Python values as a record keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caclient.dbr.types import ChannelType
from caclient.errors import BadValueError
from caclient.ioc.values import native_type_of, to_python, to_values


@pytest.mark.parametrize(
    ("dtype", "native"),
    [
        (np.int8, ChannelType.CHAR), (np.uint8, ChannelType.CHAR), (np.int16, ChannelType.INT),
        (np.uint16, ChannelType.LONG), (np.int32, ChannelType.LONG), (np.uint32, ChannelType.DOUBLE),
        (np.int64, ChannelType.DOUBLE), (np.float32, ChannelType.FLOAT), (np.float64, ChannelType.DOUBLE),
    ],
)  # fmt: skip
def test_types_of_arrays_are_those_of_an_ioc(dtype: Any, native: ChannelType) -> None:
    assert native_type_of(np.zeros(2, dtype)) == native


def test_values_are_of_their_own_memory() -> None:
    data = np.zeros(3)
    values = to_values(data, ChannelType.DOUBLE)
    data[0] = 1.0
    assert to_python(values, True).tolist() == [0.0, 0.0, 0.0]


def test_text_for_characters_ends_with_nul() -> None:
    assert bytes(to_values("ab", ChannelType.CHAR)) == b"ab\0"


@pytest.mark.parametrize(
    ("value", "native"),
    [
        ("x", ChannelType.DOUBLE),
        ("x" * 40, ChannelType.STRING),
        ([[1], [1, 2]], ChannelType.LONG),
        ("?", ChannelType.ENUM),
    ],
)
def test_what_does_not_fit_is_refused(value: Any, native: ChannelType) -> None:
    with pytest.raises(BadValueError):
        to_values(value, native, ("off", "on"))


def test_strings() -> None:
    assert to_python(to_values(["a", b"\xff"], ChannelType.STRING), True) == ("a", "ÿ")
    assert to_python(to_values("a", ChannelType.STRING), False) == "a"
