"""Scripts that do the same on pyepics and on the drop-in, against a real IOC, say the same."""

from __future__ import annotations

import pytest

from tests.pyepics.peers import differences

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

FEW = ("a", "n", "m", "so", "wput_double", "wput_char", "wput_string", "s_char", "text")
LOOKED_AT = ("m", "so", "w_double", "w_string", "w_enum", "big")
AND_THE_OTHERS = ("lim", "never", "m0", "lo", "lso", "w_uchar", "e_double")


def test_puts() -> None:
    assert differences("puts.py", *FEW) == []


@pytest.mark.parametrize(
    "record", [*LOOKED_AT, *(pytest.param(name, marks=pytest.mark.long) for name in AND_THE_OTHERS)]
)
def test_values(record: str) -> None:
    assert differences("values.py", record) == []


def test_monitors() -> None:
    assert differences("monitors.py", "s_double", "lo", "m", "so", "lsi", "w_double") == []


@pytest.mark.long
def test_channels() -> None:
    assert differences("channels.py", "a", "m", "lso", "w_double", "e_double", "w_string", "w_uchar") == []


@pytest.mark.long
def test_connections() -> None:
    assert differences("connections.py") == []


@pytest.mark.long
def test_functions() -> None:
    assert differences("functions.py") == []


PYEPICS_STUMBLES = ("is not iterable", "out of range", "not subscriptable", "_Array_0 object")
"""Where it raises for want of names of states, or of a sequence; and a text with the name of the module of a class."""


@pytest.mark.parametrize("seed", [2, 5])
def test_calls_by_lot(seed: int) -> None:
    found = differences("probes.py", str(seed), "400")
    assert [words for words in found if not any(word in words for word in PYEPICS_STUMBLES)] == []
