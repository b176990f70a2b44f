"""Both forms of the header, and where one gives way to the other."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from caclient.errors import RemoteProtocolError
from caclient.protocol.header import Header

u16, u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("size", "count", "length"),
    [(65528, 8191, 16), (65536, 8192, 24), (0, 65534, 16), (0, 65535, 24), (65535, 1, 24)],
)
def test_long_form_begins_at_65535(size: int, count: int, length: int) -> None:
    packed = Header(18, size, 6, count, 1, 5).to_bytes()
    assert len(packed) == length
    assert Header.from_bytes(packed)[:6] == (18, size, 6, count, 1, 5)


def test_long_form_may_carry_small_numbers() -> None:
    header = Header(15, 16, 20, 0, 1, 5, True)
    assert header.size == 24
    assert Header.from_bytes(header.to_bytes()) == header


def test_short_form_is_16_bytes() -> None:
    assert Header(23, 0, 0, 0, 0, 0).size == len(Header(23, 0, 0, 0, 0, 0).to_bytes()) == 16


@pytest.mark.parametrize("data", [b"", b"\0" * 15, b"\0\x0f\xff\xff" + b"\0" * 19])
def test_cut_header_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="header needs"):
        Header.from_bytes(data)


@given(u16, u32, u16, u32, u32, u32)
def test_round_trip(command: int, size: int, data_type: int, count: int, p1: int, p2: int) -> None:
    data = b"\0" * 3 + Header(command, size, data_type, count, p1, p2).to_bytes()
    assert Header.from_bytes(data, 3)[:6] == (command, size, data_type, count, p1, p2)
