"""Channels made by the thousand: the quick way and the general one agree, whatever the server says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from caclient.errors import LocalProtocolError, RemoteProtocolError
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.commands import (
    CLIENT,
    SERVER,
    AccessRightsResponse,
    CreateChanRequest,
    CreateChanResponse,
    CreateChFailResponse,
    EchoResponse,
    ServerDisconnResponse,
    VersionRequest,
    VersionResponse,
)
from caclient.protocol.crowds import MIN_PAIRS, CreatedRun, create_requests, find_pairs


def client(channels: int = 0) -> VirtualCircuit:
    circuit = VirtualCircuit(our_role=CLIENT)
    circuit.send(VersionRequest())
    circuit.receive(VersionResponse(13).to_bytes())
    if channels:
        circuit.send_creates([(f"x{number}", f"owner {number}") for number in range(channels)])
    return circuit


def pair(cid: int, sid: int, rights: int = 3, data_type: int = 6, count: int = 1) -> bytes:
    return AccessRightsResponse(cid, rights).to_bytes() + CreateChanResponse(data_type, count, cid, sid).to_bytes()


def test_requests_are_what_the_commands_would_be() -> None:
    names = ["x", "IOC:long:name" * 10, "grün"]
    assert create_requests(names, [5, 6, 7]) == b"".join(
        CreateChanRequest(name, cid).to_bytes() for name, cid in zip(names, (5, 6, 7), strict=True)
    )


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 70_000])
def test_a_name_that_cannot_be_sent_changes_nothing(name: str) -> None:
    circuit = client()
    with pytest.raises(LocalProtocolError, match="no name"):
        circuit.send_creates([("good", None), (name, None)])
    assert circuit.channels == {}
    assert circuit.send_creates([("good", None)])[0][0].name == "good"


def test_a_server_understands_them() -> None:
    ours, theirs = client(), VirtualCircuit(our_role=SERVER)
    theirs.receive(VersionRequest().to_bytes())
    channels, buffer = ours.send_creates([("a", 1), ("b", 2)])
    heard = theirs.receive(bytes(buffer))
    assert [(command.name, command.cid) for command in heard] == [(c.name, c.cid) for c in channels]  # type: ignore[union-attr]


def test_nothing_is_created_before_the_version_nor_by_a_server() -> None:
    with pytest.raises(LocalProtocolError, match="circuit is at"):
        VirtualCircuit(our_role=CLIENT).send_creates([("x", None)])
    server = VirtualCircuit(our_role=SERVER)
    server.receive(VersionRequest().to_bytes())
    with pytest.raises(LocalProtocolError, match="circuit is at"):
        server.send_creates([("x", None)])


def test_ids_that_are_in_use_are_passed_over() -> None:
    circuit = client(3)
    circuit._next_cid = 2**32 - 2
    first, *_, last = [channel.cid for channel in circuit.send_creates([("y", None)] * 5)[0]]
    assert (first, last) == (4, 8)
    assert circuit.new_cids(2) == 9


def test_pairs_become_one_item() -> None:
    circuit = client(5)
    (item,) = circuit.receive(b"".join(pair(1 + number, 100 + number, number & 3, number) for number in range(5)))
    assert isinstance(item, CreatedRun)
    assert len(item) == 5
    assert item.owner is None
    assert item.made[4] == ("owner 4", 104, 4, 1, 0)
    assert circuit.channels_sid[104].name == "x4"


def test_few_pairs_are_not_worth_it() -> None:
    data = b"".join(pair(1 + number, 100 + number) for number in range(MIN_PAIRS - 1))
    assert find_pairs(data, 0) is None
    assert len(client(5).receive(data)) == 2 * (MIN_PAIRS - 1)


CIDS, SIDS = st.integers(1, 12), st.integers(100, 112)
PAIR = st.builds(pair, CIDS, SIDS, st.integers(0, 7), st.integers(0, 7), st.sampled_from([0, 1, 500]))
PLAIN = st.lists(st.integers(1, 10), unique=True, max_size=10).map(
    lambda cids: b"".join(pair(cid, 200 + cid) for cid in cids)
)
OTHER = st.one_of(
    CIDS.map(lambda cid: CreateChFailResponse(cid).to_bytes()),
    CIDS.map(lambda cid: ServerDisconnResponse(cid).to_bytes()),
    CIDS.map(lambda cid: AccessRightsResponse(cid, 1).to_bytes()),
    st.builds(lambda cid, sid: CreateChanResponse(6, 1, cid, sid).to_bytes(), CIDS, SIDS),
    st.just(EchoResponse().to_bytes()),
)


def books(circuit: VirtualCircuit) -> Any:
    return (
        {
            cid: (c.sid, c.native_data_type, c.native_data_count, c.access_rights, repr(c))
            for cid, c in circuit.channels.items()
        },
        {sid: channel.cid for sid, channel in circuit.channels_sid.items()},
        circuit.late,
        repr(circuit.standing),
    )


def told(item: Any) -> list[tuple[Any, ...]]:
    """What an owner hears, last of all: a run tells rights and creation at once."""
    if isinstance(item, CreatedRun):
        return [
            each
            for m in item.made
            for each in ((m.owner, "rights", m.access_rights & 3), (m.owner, "made", m.sid, m.data_type, m.data_count))
        ]
    if type(item) is AccessRightsResponse:
        return [(item.owner, "rights", int(item.access_rights))]
    if type(item) is CreateChanResponse:
        return [(item.owner, "made", item.sid, item.data_type, item.data_count)]
    return [(item.owner, type(item).__name__)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PLAIN, PAIR, OTHER), max_size=12).map(b"".join), st.integers(1, 400))
def test_both_ways_agree(data: bytes, piece: int) -> None:
    """In pieces of any size, with ids that nobody knows, that are taken, types that are none."""
    quick, general = client(10), client(10)
    quick_told: list[Any] = []
    general_told: list[Any] = []
    quick_error = general_error = None
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    try:
        for each in pieces:
            quick_told += [line for item in quick.receive(each) for line in told(item)]
    except RemoteProtocolError as error:
        quick_error = str(error)
        quick_told += [line for item in error.heard for line in told(item)]
    try:
        for each in pieces:
            for command in general.recv(each)[0]:
                if general.process_command(command):
                    general_told += told(command)
    except RemoteProtocolError as error:
        general_error = str(error)
    assert quick_error == general_error
    assert quick_told == general_told
    assert books(quick) == books(general)
