"""Every command: against golden vectors, and there and back again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from caclient.dbr.types import LAYOUTS
from caclient.errors import DecodeError
from caclient.protocol import commands as ca
from caclient.protocol.commands import CIRCUIT, COMMANDS, DATAGRAM, Command, Role
from caclient.protocol.header import Header
from tests import vectors

CLASSES = {cls.__name__: cls for cls in COMMANDS}
NOT_COMMANDS = ("malformed", "datagrams", "conversations")
KINDS = [kind for kind in vectors.kinds() if kind not in NOT_COMMANDS]


def parsed(vector: dict[str, Any]) -> Command:
    raw = vectors.raw(vector)
    header = Header.from_bytes(raw)
    command: Command = CLASSES[vector["kind"]].from_header(header, raw[header.size :])
    return command


def field(command: Command, name: str) -> Any:
    """An attribute as the vectors write it."""
    value = getattr(command, name)
    if name == "status":
        return value.code_with_severity
    if name == "original_request":
        return value._asdict()
    return value


def assert_metadata(ours: Any, theirs: dict[str, Any]) -> None:
    for name, expected in theirs.items():
        value = getattr(ours, name)
        if name == "stamp":
            assert value._asdict() == expected
        elif name == "units":
            assert value.decode("latin-1") == expected
        elif name == "enum_strings":
            assert [text.decode("latin-1") for text in value] == expected
        else:
            assert vectors.same(value, expected), name


def assert_values(ours: Any, decoded: dict[str, Any]) -> None:
    values = [v.decode("latin-1") for v in ours] if isinstance(ours, tuple) else ours.tolist()
    if "values" in decoded:
        pairs = list(zip(values, decoded["values"], strict=True))
    else:
        pairs = [*zip(values[:8], decoded["values_first"], strict=True)]
        pairs += zip(values[-8:], decoded["values_last"], strict=True)
    assert all(vectors.same(*pair) for pair in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_golden_vectors_decode_to_their_fields(kind: str) -> None:
    for vector in vectors.load(kind):
        command = parsed(vector)
        for name, expected in vector["decoded"].items():
            if name == "metadata":
                assert_metadata(command.metadata, expected)
            elif name in ("values", "values_first"):
                assert_values(command.data, vector["decoded"])
            elif name not in ("values_last", "ramp"):
                assert vectors.same(field(command, name), expected), (vector["name"], name)


@pytest.mark.parametrize("kind", KINDS)
def test_golden_vectors_encode_to_their_bytes(kind: str) -> None:
    for vector in vectors.load(kind):
        assert parsed(vector).to_bytes() == vectors.raw(vector)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if CLASSES[vectors.load(kind)[0]["kind"]].CARRIES_DATA])
def test_data_survive_being_decoded_and_encoded(kind: str) -> None:
    for vector in vectors.load(kind):
        command = parsed(vector)
        ids = [vector["decoded"].get(name) for name in ("status", "cid", "sid", "subscriptionid", "ioid")]
        again = type(command)(
            command.data, command.type_field, command.count_field, *[i for i in ids if i is not None], command.metadata
        )
        assert str(again.data) == str(command.data)
        assert repr(again.metadata) == repr(command.metadata)


def test_malformed_replies_raise_when_they_are_decoded_and_not_before() -> None:
    for vector in vectors.load("malformed"):
        raw = vectors.raw(vector)
        header = Header.from_bytes(raw)
        command = CIRCUIT[Role.SERVER][header.command].from_header(header, raw[header.size :])
        with pytest.raises(DecodeError):
            _ = command.data
        assert "needs" in repr(command)


def test_every_number_is_its_class() -> None:
    for transport in (CIRCUIT, DATAGRAM):
        for classes in transport.values():
            assert all(number == cls.ID for number, cls in classes.items())
    assert len(COMMANDS) == 39


def test_numbers_0_to_27_are_known_as_the_table_of_commands_says() -> None:
    known = {number for transport in (CIRCUIT, DATAGRAM) for classes in transport.values() for number in classes}
    assert known | {ca.EventCancelResponse.ID} == set(range(28))


# ---- there and back

u16, u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60)
addresses = st.builds("{}.{}.{}.{}".format, *[st.integers(0, 255)] * 4)
floats32 = st.floats(width=32)
doubles = st.lists(st.floats(), min_size=1, max_size=5)
headers = st.builds(Header, u16, u16.map(lambda n: n & 0xFFF8), u16, u16.filter(lambda n: n < 0xFFFF), u32, u32)

BUILDERS: dict[type[Command], st.SearchStrategy[Command]] = {
    ca.VersionRequest: st.builds(ca.VersionRequest, u16, u16, st.none() | u32),
    ca.VersionResponse: st.builds(ca.VersionResponse, u16, st.none() | u32),
    ca.SearchRequest: st.builds(ca.SearchRequest, texts, u32, u16, st.sampled_from([5, 10])),
    ca.SearchResponse: st.builds(ca.SearchResponse, u16, addresses, u32, st.none() | u16),
    ca.NotFoundResponse: st.builds(ca.NotFoundResponse, u16, u32, u16),
    ca.RepeaterRegisterRequest: st.builds(ca.RepeaterRegisterRequest, addresses),
    ca.RepeaterConfirmResponse: st.builds(ca.RepeaterConfirmResponse, addresses),
    ca.Beacon: st.builds(ca.Beacon, u16, u16, u32, addresses),
    ca.EventAddRequest: st.builds(ca.EventAddRequest, u16, u32, u32, u32, floats32, floats32, floats32, u16),
    ca.EventAddResponse: st.builds(ca.EventAddResponse, doubles, st.just(6), st.none(), u32, u32),
    ca.EventCancelRequest: st.builds(ca.EventCancelRequest, u16, u32, u32, u32),
    ca.EventCancelResponse: st.builds(ca.EventCancelResponse, u16, u32, u32, u32),
    ca.ReadResponse: st.builds(ca.ReadResponse, doubles, st.just(6), st.none(), u32, u32),
    ca.ReadNotifyResponse: st.builds(ca.ReadNotifyResponse, doubles, st.just(20), st.none(), u32, u32),
    ca.WriteRequest: st.builds(ca.WriteRequest, doubles, st.just(6), st.none(), u32, u32),
    ca.WriteNotifyRequest: st.builds(ca.WriteNotifyRequest, doubles, st.just(6), st.none(), u32, u32),
    ca.WriteNotifyResponse: st.builds(ca.WriteNotifyResponse, u16, u32, u32, u32),
    ca.ErrorResponse: st.builds(ca.ErrorResponse, headers, u32, u32, texts),
    ca.ClearChannelRequest: st.builds(ca.ClearChannelRequest, u32, u32),
    ca.ClearChannelResponse: st.builds(ca.ClearChannelResponse, u32, u32),
    ca.CreateChanRequest: st.builds(ca.CreateChanRequest, texts, u32, u32),
    ca.CreateChanResponse: st.builds(ca.CreateChanResponse, u16, u32, u32, u32),
    ca.ClientNameRequest: st.builds(ca.ClientNameRequest, texts),
    ca.HostNameRequest: st.builds(ca.HostNameRequest, texts),
    ca.AccessRightsResponse: st.builds(ca.AccessRightsResponse, u32, st.integers(0, 3)),
    ca.CreateChFailResponse: st.builds(ca.CreateChFailResponse, u32),
    ca.ServerDisconnResponse: st.builds(ca.ServerDisconnResponse, u32),
    ca.EventsOffRequest: st.builds(ca.EventsOffRequest),
    ca.EventsOnRequest: st.builds(ca.EventsOnRequest),
    **{
        cls: st.builds(cls, u16, u32, u32, u32)
        for cls in (
            ca.ReadRequest,
            ca.ReadNotifyRequest,
            ca.ReadSyncRequest,
            ca.ReadSyncResponse,
            ca.EchoRequest,
            ca.EchoResponse,
            ca.SnapshotRequest,
            ca.BuildRequest,
            ca.ReadBuildRequest,
            ca.SignalRequest,
        )
    },
}


def test_every_class_is_tried() -> None:
    assert set(BUILDERS) == set(COMMANDS)


@given(st.one_of(*BUILDERS.values()))
def test_round_trip(command: Command) -> None:
    raw = command.to_bytes()
    header = Header.from_bytes(raw)
    assert header == command.header
    again = type(command).from_header(header, raw[header.size :])
    assert again == command
    assert repr(again) == repr(command)
    assert hash(again) == hash(command)
    for name in command.FIELDS:
        ours, theirs = getattr(again, name), getattr(command, name)
        assert np.array_equal(ours, theirs, equal_nan=True) if name == "data" else repr(ours) == repr(theirs)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.data_type.name)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_zeros_of_every_type_round_trip(layout: Any, count: int) -> None:
    command = ca.ReadNotifyResponse(None, layout.data_type, count, 1, 7)
    assert len(command.payload) == (layout.value_offset + count * layout.value_size + 7) // 8 * 8
    again = ca.ReadNotifyResponse(command.data, layout.data_type, count, 1, 7, command.metadata)
    assert again == command
