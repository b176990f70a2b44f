"""What all commands share: fields, bytes, equality, lazy and in-place decoding."""

from __future__ import annotations

import numpy as np
import pytest

from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import ChannelType
from caclient.errors import BadValueError, DecodeError, LocalProtocolError
from caclient.protocol.command import CLIENT, SERVER, Command, status_number, text_payload
from caclient.protocol.header import Header
from caclient.protocol.requests import EchoRequest, ReadNotifyRequest, SearchRequest, WriteRequest
from caclient.protocol.responses import EchoResponse, ReadNotifyResponse, ServerDisconnResponse
from caclient.protocol.status import ECA_NORMAL


def in_place(values: np.ndarray, padding: int = 0) -> ReadNotifyResponse:
    """A reply whose payload lies in a buffer of its own, as large ones are received."""
    payload = memoryview(bytearray(values.astype(">f8").tobytes() + bytes(padding)))
    header = Header(15, len(payload), 6, len(values), 1, 7)
    reply: ReadNotifyResponse = ReadNotifyResponse.from_header(header, payload)
    return reply


def test_roles_are_each_others_peer() -> None:
    assert CLIENT.peer is SERVER
    assert SERVER.peer is CLIENT
    assert repr(CLIENT) == "CLIENT"


def test_from_header_keeps_every_field_and_the_long_form() -> None:
    header = Header(15, 0, 6, 2, 3, 4, True)
    command = ReadNotifyRequest.from_header(header)
    assert command.header == header
    assert command.to_bytes() == header.to_bytes()
    assert command.owner is None


def test_header_turns_long_for_large_counts() -> None:
    assert ReadNotifyRequest(6, 65534, 1, 1).header.extended is False
    assert ReadNotifyRequest(6, 65535, 1, 1).header.extended is True


@pytest.mark.parametrize("bad", [-1, 1 << 32])
def test_number_that_does_not_fit_is_our_error(bad: int) -> None:
    with pytest.raises(LocalProtocolError, match="does not fit"):
        ReadNotifyRequest(6, 1, bad, 1).to_bytes()


def test_unknown_type_on_our_side_is_our_error() -> None:
    with pytest.raises(LocalProtocolError, match="no such DBR type"):
        WriteRequest(1, 99, 1, 1, 1)


def test_bad_value_is_refused_when_it_is_made() -> None:
    with pytest.raises(BadValueError):
        WriteRequest("no number", 6, 1, 1, 1)


def test_equality_is_by_class_and_content() -> None:
    assert ReadNotifyRequest(6, 1, 2, 3) == ReadNotifyRequest(6, 1, 2, 3)
    assert ReadNotifyRequest(6, 1, 2, 3) != ReadNotifyRequest(6, 1, 2, 4)
    assert EchoRequest() != EchoResponse()
    assert EchoRequest() != 23
    assert len({ReadNotifyRequest(6, 1, 2, 3), ReadNotifyRequest(6, 1, 2, 3)}) == 1


def test_base_class_has_no_fields_to_show() -> None:
    assert repr(EchoRequest()) == "EchoRequest()"
    assert Command.FIELDS == ()


def test_data_and_metadata_are_decoded_once() -> None:
    reply = ReadNotifyResponse([1.5, 2.5], 20, None, 1, 7)
    assert reply.data is reply.data
    assert reply.data.tolist() == [1.5, 2.5]
    assert reply.metadata is not None
    assert reply.metadata.stamp == TimeStamp(0, 0)
    assert reply.data_type is ChannelType.TIME_DOUBLE
    assert reply.data_count == 2


def test_unknown_type_stays_a_number_until_it_is_decoded() -> None:
    reply = ReadNotifyResponse.from_header(Header(15, 8, 77, 1, 1, 7), bytes(8))
    assert reply.data_type == 77
    with pytest.raises(DecodeError):
        _ = reply.data
    assert "no such DBR type" in repr(reply)


def test_large_payload_becomes_the_array() -> None:
    reply = in_place(np.arange(5.0))
    memory = np.frombuffer(reply.payload, np.uint8)
    assert reply.data.tolist() == [0, 1, 2, 3, 4]
    assert np.shares_memory(reply.data, memory)
    assert reply.metadata is None


@pytest.mark.parametrize("padding", [0, 8])
def test_payload_decoded_in_place_is_sent_as_it_came(padding: int) -> None:
    reply, untouched = in_place(np.arange(5.0), padding), in_place(np.arange(5.0), padding)
    assert reply.data.tolist() == [0, 1, 2, 3, 4]
    assert reply.to_bytes() == untouched.to_bytes()
    assert reply == untouched


def test_status_of_a_reply() -> None:
    assert ReadNotifyResponse(None, 6, 1, ECA_NORMAL, 7).successful
    assert not ReadNotifyResponse(None, 6, 1, 368, 7).successful
    assert ReadNotifyResponse(None, 6, 1, 1, 7).status is ECA_NORMAL
    assert status_number(ECA_NORMAL) == status_number(1) == 1


def test_channel_command_knows_its_cid() -> None:
    assert ServerDisconnResponse(3).cid == 3
    assert repr(ServerDisconnResponse(3)) == "ServerDisconnResponse(cid=3)"


@pytest.mark.parametrize(("text", "size"), [("", 8), ("1234567", 8), ("12345678", 16)])
def test_text_has_room_for_its_nul(text: str, size: int) -> None:
    assert text_payload(text) == text.encode().ljust(size, b"\0")


def test_text_that_no_server_would_read_is_our_error() -> None:
    with pytest.raises(LocalProtocolError, match="NUL"):
        text_payload("a\0b")
    with pytest.raises(LocalProtocolError, match="100000 bytes"):
        text_payload("x" * 100_000)


@pytest.mark.parametrize(
    ("payload", "name"),
    [(b"pv\0garbage", "pv"), (b"12345678", "12345678"), (b"\xb0C\0", "°C"), (b"", "")],
)
def test_name_is_the_text_before_the_nul_whatever_the_bytes(payload: bytes, name: str) -> None:
    assert SearchRequest.from_header(Header(6, len(payload), 5, 13, 1, 1), payload).name == name
