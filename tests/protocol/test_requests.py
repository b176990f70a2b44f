"""What a client says: bytes, names and reprs as in the walk-through."""

from __future__ import annotations

import array
import struct

import numpy as np
import pytest

from caclient.errors import BadValueError, LocalProtocolError, RemoteProtocolError
from caclient.protocol import requests
from caclient.protocol.header import Header
from caclient.protocol.requests import (
    ClearChannelRequest,
    ClientNameRequest,
    CreateChanRequest,
    EventAddRequest,
    EventCancelRequest,
    EventsOffRequest,
    EventsOnRequest,
    HostNameRequest,
    ReadNotifyRequest,
    SearchRequest,
    SignalRequest,
    VersionRequest,
    WriteNotifyRequest,
    WriteRequest,
)


def test_search_datagram_of_the_walk_through() -> None:
    search = SearchRequest(name="random_walk:dt", cid=0, version=13)
    assert VersionRequest(priority=0, version=13).to_bytes() + search.to_bytes() == (
        b"\x00\x00\x00\x00\x00\x00\x00\r\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x10\x00\x05\x00\r"
        b"\x00\x00\x00\x00\x00\x00\x00\x00random_walk:dt\x00\x00"
    )
    assert search.reply == requests.DO_NOT_REPLY


def test_version_of_a_circuit_has_a_priority_that_of_a_datagram_a_sequence() -> None:
    circuit, datagram = VersionRequest(80, 13), VersionRequest(0, 13, 7)
    assert (circuit.priority, circuit.version, circuit.sequence_valid) == (80, 13, False)
    assert (datagram.sequence, datagram.version, datagram.sequence_valid) == (7, 13, True)
    assert repr(circuit) == "VersionRequest(priority=80, version=13)"
    assert repr(datagram) == "VersionRequest(version=13, sequence=7)"


def test_subscription_request_carries_its_mask() -> None:
    request = EventAddRequest(data_type=6, data_count=1, sid=0, subscriptionid=0, low=0, high=0, to=0, mask=1)
    assert request.payload == struct.pack(">fffHH", 0, 0, 0, 1, 0)
    assert (request.low, request.high, request.to, request.mask) == (0, 0, 0, 1)


@pytest.mark.parametrize("wrong", [{"mask": -1}, {"mask": 1 << 16}, {"low": 1e300}, {"to": "x"}])
def test_subscription_that_does_not_fit_is_our_error(wrong: dict[str, float]) -> None:
    with pytest.raises(LocalProtocolError):
        EventAddRequest(6, 1, 0, 0, **wrong)


def test_subscription_without_a_mask_is_the_peers_error() -> None:
    request = EventAddRequest.from_header(Header(1, 8, 6, 1, 0, 0), bytes(8))
    with pytest.raises(RemoteProtocolError, match="needs 16 bytes"):
        _ = request.mask


@pytest.mark.parametrize(
    "data",
    [
        (4,),
        [4],
        4,
        4.0,
        np.array([4]),
        np.array([4.0], "<f4"),
        struct.pack(">d", 4),
        bytearray(struct.pack(">d", 4)),
        memoryview(struct.pack(">d", 4)),
    ],
    ids=lambda data: type(data).__name__,
)
def test_data_of_a_write_may_be_given_in_many_ways(data: object) -> None:
    request = WriteNotifyRequest(data=data, data_type=6, data_count=1, sid=0, ioid=2)
    assert request.payload == struct.pack(">d", 4)
    assert request.data.tolist() == [4.0]
    assert request.sid_of(2) == 0


@pytest.mark.parametrize("command", [WriteRequest, WriteNotifyRequest])
def test_nothing_is_no_data_to_write(command: type[WriteRequest]) -> None:
    with pytest.raises(BadValueError, match="None is no DOUBLE value"):
        command(None, 6, 1, 0, 1)


def test_big_endian_array_array_is_wire_data() -> None:
    values = array.array("d", [1.0, 2.0])
    values.byteswap()
    assert WriteRequest(values, 6, 2, 0, 1).data.tolist() == [1.0, 2.0]


def test_single_text_is_sent_short_many_in_their_cells() -> None:
    assert WriteRequest("3.5", 0, 1, 5, 3).to_bytes()[16:] == b"3.5\0\0\0\0\0"
    assert len(WriteRequest(["a", "b"], 0, 2, 5, 3).payload) == 80


def test_fields_are_where_the_wire_has_them() -> None:
    assert Header.from_bytes(EventCancelRequest(20, 5, 1, 3).to_bytes())[2:6] == (20, 3, 5, 1)
    assert Header.from_bytes(ReadNotifyRequest(20, 1, 5, 2).to_bytes())[2:6] == (20, 1, 5, 2)
    assert Header.from_bytes(CreateChanRequest("T:ai", 1).to_bytes())[2:6] == (0, 0, 1, 13)
    assert EventsOffRequest().to_bytes() == b"\0\x08" + bytes(14)
    assert SearchRequest("a", 7, reply=10).to_bytes()[:16] == Header(6, 8, 10, 13, 7, 7).to_bytes()
    assert ClearChannelRequest(5, 1).to_bytes() == Header(12, 0, 0, 0, 5, 1).to_bytes()
    assert ClientNameRequest("ann").name == "ann"
    assert EventsOnRequest().to_bytes() == b"\0\x09" + bytes(14)
    assert HostNameRequest("ws1.lab").to_bytes()[16:] == b"ws1.lab\0"


def test_obsolete_requests_are_known_by_name() -> None:
    assert repr(SignalRequest(1, 2, 3, 4)) == ("SignalRequest(type_field=1, count_field=2, parameter1=3, parameter2=4)")
