"""A record's bytes for every type."""

from __future__ import annotations

import numpy as np
import pytest

from caclient.dbr.decode import decode
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import ChannelType, padded, payload_size
from caclient.errors import BadValueError
from caclient.ioc import Record

STAMP = TimeStamp(1_000_000_000, 5)
DOUBLE = Record(
    "r", 3.25, units="mm", precision=1, display=(-9, 9), control=(-8, 8), warning=(-6, 6), alarm=(-7, 3), stamp=STAMP,
    record_type="ai",
).snapshot  # fmt: skip
STATE = Record("r", 1, enum_strings=("off", "on"), stamp=STAMP).snapshot
ARRAY = Record("r", np.arange(3.0), count=5, stamp=STAMP).snapshot


@pytest.mark.parametrize("data_type", [t for t in range(39) if t not in (35, 36)])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("snapshot", [DOUBLE, STATE, ARRAY])
def test_payload_is_as_long_as_type_and_count_say(snapshot, data_type: int, count: int) -> None:
    payload, told = snapshot.payload(data_type, count)
    assert told == (count or {38: 1}.get(data_type, len(snapshot.values)))
    assert len(payload) == padded(payload_size(data_type, told))


def test_metadata() -> None:
    metadata, values = decode(ChannelType.CTRL_DOUBLE, 1, DOUBLE.payload(ChannelType.CTRL_DOUBLE, 1)[0])
    assert values[0] == 3.25
    assert metadata is not None
    assert (metadata.status, metadata.severity, metadata.units, metadata.precision) == (3, 2, b"mm", 1)
    assert (metadata.lower_alarm_limit, metadata.upper_ctrl_limit, metadata.upper_disp_limit) == (-7, 8, 9)
    metadata, _ = decode(ChannelType.TIME_STRING, 1, DOUBLE.payload(ChannelType.TIME_STRING, 1)[0])
    assert metadata is not None
    assert metadata.stamp == STAMP


def test_conversions() -> None:
    assert decode(0, 1, DOUBLE.payload(0, 1)[0])[1] == (b"3.2",)
    assert decode(0, 1, STATE.payload(0, 1)[0])[1] == (b"on",)
    assert decode(38, 1, DOUBLE.payload(38, 1)[0])[1] == (b"ai",)
    metadata, values = decode(37, 1, DOUBLE.payload(37, 1)[0])
    assert metadata is not None
    assert (metadata.ackt, metadata.acks, values) == (1, 0, (b"3.2",))


def test_names_of_states_belong_to_states_only() -> None:
    assert decode(31, 1, STATE.payload(31, 1)[0])[0].enum_strings == (b"off", b"on")
    assert decode(31, 1, DOUBLE.payload(31, 1)[0])[0].no_str == 0


def test_payloads_are_made_once() -> None:
    assert DOUBLE.payload(20, 1)[0] is DOUBLE.payload(20, 1)[0]


def test_writing_types_cannot_be_read() -> None:
    with pytest.raises(BadValueError, match="PUT_ACKT can only be written"):
        DOUBLE.payload(35, 1)


def test_a_client_cannot_fill_the_memory_with_encodings() -> None:
    snapshot = Record("r", np.arange(1000.0)).snapshot
    for count in range(1, 1001):
        snapshot.payload(ChannelType.DOUBLE, count)
    snapshot.payload(ChannelType.CHAR, 1_000_000)
    assert len(snapshot._payloads) <= 8
