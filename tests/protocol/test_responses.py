"""What a server says: bytes, names and reprs as in the walk-through."""

from __future__ import annotations

import pytest

from caclient.errors import RemoteProtocolError
from caclient.protocol.header import Header
from caclient.protocol.requests import EchoRequest, ReadNotifyRequest
from caclient.protocol.responses import (
    THE_SENDER,
    AccessRights,
    AccessRightsResponse,
    ClearChannelResponse,
    CreateChanResponse,
    CreateChFailResponse,
    EchoResponse,
    ErrorResponse,
    EventAddResponse,
    EventCancelResponse,
    NotFoundResponse,
    ReadNotifyResponse,
    ReadResponse,
    SearchResponse,
    VersionResponse,
    WriteNotifyResponse,
    address_number,
    address_text,
    copied,
)


def test_version_response() -> None:
    assert repr(VersionResponse(version=13)) == "VersionResponse(version=13)"
    assert repr(VersionResponse(13, 7)) == "VersionResponse(version=13, sequence=7)"
    assert repr(VersionResponse(13, 0)) == "VersionResponse(version=13)"  # to a datagram without a number
    assert VersionResponse(13, 7).to_bytes() == bytes.fromhex("000000000001000d0000000700000000")


def test_search_response_by_datagram() -> None:
    response = SearchResponse(port=5064, ip="", cid=1, version=13)
    assert response.to_bytes() == bytes.fromhex("0006000813c80000ffffffff00000001000d000000000000")
    assert (response.ip, response.version, response.sender) == (THE_SENDER, 13, None)
    response.sender = ("192.0.2.1", 5064)
    assert response.sender == ("192.0.2.1", 5064)


def test_search_response_over_tcp_has_no_version() -> None:
    response = SearchResponse(5064, None, 1, None)
    assert response.to_bytes() == bytes.fromhex("0006000013c80000ffffffff00000001")
    assert response.version is None


def test_addresses() -> None:
    assert address_number("192.0.2.9") == 0xC0000209
    assert address_text(0xC0000209) == "192.0.2.9"
    for wrong in ("1.2.3", "1.2.3.4.5", "1.2.3.400", "localhost"):
        with pytest.raises(ValueError):
            address_number(wrong)


def test_error_holds_the_request_and_the_words() -> None:
    request = ReadNotifyRequest(6, 1, 5, 9)
    error = ErrorResponse(request, 1, 368, "T:ai")
    assert error.original_request == request.header
    assert (error.cid, error.status.name, error.error_message) == (1, "ECA_NORDACCESS", "T:ai")


def test_error_may_hold_a_long_header() -> None:
    header = Header(4, 80000, 6, 10000, 5, 1, True)
    error = ErrorResponse(header, 1, 376, "T:wf")
    assert error.original_request == header
    assert error.error_message == "T:wf"


def test_error_without_a_whole_header_is_the_peers_error() -> None:
    error = ErrorResponse.from_header(Header(11, 8, 0, 0, 1, 142), bytes(8))
    with pytest.raises(RemoteProtocolError):
        _ = error.original_request
    assert "header needs" in repr(error)


def test_fields_are_where_the_wire_has_them() -> None:
    for response, fields in (
        (EventAddResponse([1.5], 6, 1, 1, 7), (6, 1, 1, 7)),
        (EventCancelResponse(20, 5, 1, 3), (20, 3, 5, 1)),
        (ReadResponse([1.5], 6, 1, 3, 9), (6, 1, 3, 9)),
        (ReadNotifyResponse([1.5], 6, 1, 1, 9), (6, 1, 1, 9)),
        (CreateChanResponse(6, 1, 1, 5), (6, 1, 1, 5)),
        (WriteNotifyResponse(6, 1, 1, 3), (6, 1, 1, 3)),
        (ClearChannelResponse(5, 1), (0, 0, 5, 1)),
        (NotFoundResponse(13, 2), (10, 13, 2, 2)),
    ):
        assert Header.from_bytes(response.to_bytes())[2:6] == fields
    assert not VersionResponse(13).sequence_valid
    assert ReadResponse("3.5", 0, 1, 3, 9).payload == b"3.5".ljust(8, b"\0")


def test_rights_are_two_bits() -> None:
    assert AccessRightsResponse(1, 3).access_rights == AccessRights.READ | AccessRights.WRITE
    assert AccessRightsResponse(1, 0xF1).access_rights is AccessRights.READ


def test_echo_is_copied_with_its_payload() -> None:
    request = EchoRequest(1, 2, 3, 4, b"payload.")
    response = copied(EchoResponse, request)
    assert type(response) is EchoResponse
    assert response.to_bytes() == request.to_bytes()


def test_orphans_are_nobody_until_a_circuit_finds_them() -> None:
    response = CreateChFailResponse(1)
    assert response.orphans == []
    response.orphans = ["who"]
    assert response.orphans == ["who"]
