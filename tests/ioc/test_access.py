"""Reads and writes that are done, and those that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from caclient.errors import DecodeError
from caclient.ioc import Record
from caclient.ioc.access import Refused, read, write, zeros
from caclient.protocol import commands as ca
from caclient.protocol.status import ECA_GETFAIL, ECA_NORDACCESS, ECA_NORMAL, ECA_TOLARGE


def test_read() -> None:
    assert read(Record("r", 1.0), 6, 1) == (ECA_NORMAL, b"\x3f\xf0" + bytes(6), 1)


@pytest.mark.parametrize(("data_type", "count", "size"), [(6, 3, 24), (20, 0, 16), (20, 1, 24), (18, 1, 16)])
def test_refused_read_is_zeros_of_the_size_asked_for(data_type: int, count: int, size: int) -> None:
    record = Record("r", 1.0, access=ca.AccessRights.WRITE)
    assert read(record, data_type, count) == (ECA_NORDACCESS, bytes(size), count)


def test_unreadable_type_and_no_type() -> None:
    assert read(Record("r", 1.0), 35, 1) == (ECA_GETFAIL, bytes(8), 1)
    assert read(Record("r", "text"), 6, 1) == (ECA_GETFAIL, bytes(8), 1)
    with pytest.raises(DecodeError):
        read(Record("r", 1.0), 39, 1)


def test_nobody_gets_gigabytes_of_zeros() -> None:
    assert read(Record("r", 1.0), 20, 0xFFFFFFFF) == (ECA_TOLARGE, bytes(16), 0)
    assert zeros(ECA_GETFAIL, 6, 0xFFFFFFFF) == (ECA_GETFAIL, b"", 0)


def test_a_short_request_costs_no_more_than_a_megabyte_of_zeros() -> None:
    """Ten clients that asked for 64 MB each and read nothing had the server hold 670 MB."""
    assert read(Record("r", 1.0), 6, 1 << 23) == (ECA_TOLARGE, b"", 0)
    assert read(Record("r", 1.0), 6, 1 << 17)[::2] == (ECA_NORMAL, 1 << 17)
    assert read(Record("r", np.zeros(1 << 18)), 6, 1 << 18)[::2] == (ECA_NORMAL, 1 << 18)


@pytest.mark.parametrize("kind", [ca.WriteRequest, ca.WriteNotifyRequest])
def test_write(kind: type[ca.WriteRequest | ca.WriteNotifyRequest]) -> None:
    record = Record("r", 1.0)
    assert write(record, kind(2.0, 6, 1, 0, 0)) is None
    assert record.value == 2.0
    record.access = ca.AccessRights.READ
    with pytest.raises(Refused, match="ECA_NOWTACCESS"):
        write(record, kind(3.0, 6, 1, 0, 0))
    record.access = ca.AccessRights.WRITE
    with pytest.raises(Refused, match="ECA_PUTFAIL"):
        write(record, kind("nonsense", 0, 1, 0, 0))
    assert record.value == 2.0


def test_compound_types_are_taken_by_plain_writes_only() -> None:
    record = Record("r", 1.0)
    write(record, ca.WriteRequest(2.0, 13, 1, 0, 0))
    assert record.value == 2.0
    with pytest.raises(Refused, match="ECA_PUTFAIL"):
        write(record, ca.WriteNotifyRequest(3.0, 13, 1, 0, 0))


def test_excess_elements_are_ignored() -> None:
    record = Record("r", np.zeros(2))
    write(record, ca.WriteRequest((1.0, 2.0, 3.0), 6, 3, 0, 0))
    assert record.value.tolist() == [1.0, 2.0]


def test_short_payload_is_a_broken_rule() -> None:
    command = ca.WriteRequest(2.0, 6, 1, 0, 0)
    command.count_field = 100
    with pytest.raises(DecodeError):
        write(Record("r", np.zeros(200)), command)
