"""Datagrams from either side: the walk-through, the rule of the version, and rubbish."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from caclient.errors import LocalProtocolError, RemoteProtocolError
from caclient.protocol.broadcaster import Broadcaster, extract_address
from caclient.protocol.commands import (
    CLIENT,
    SERVER,
    Beacon,
    EchoRequest,
    NotFoundResponse,
    RepeaterConfirmResponse,
    RepeaterRegisterRequest,
    SearchRequest,
    SearchResponse,
    VersionRequest,
    VersionResponse,
)
from caclient.protocol.header import Header
from caclient.protocol.search import search_message

HERE = ("192.0.2.1", 5064)


def test_registration_as_in_the_walk_through() -> None:
    b = Broadcaster(our_role=CLIENT)
    assert b.send(RepeaterRegisterRequest("")) == b"\x00\x18" + bytes(14)
    assert not b.registered
    commands = b.recv(b"\x00\x11\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x00\x00\x01", ("127.0.0.1", 5065))
    assert commands == [RepeaterConfirmResponse("127.0.0.1")]
    b.process_commands(commands)
    assert b.registered


def test_search_as_in_the_walk_through() -> None:
    client, server = Broadcaster(our_role=CLIENT), Broadcaster(our_role=SERVER)
    asked = client.send(VersionRequest(priority=0, version=13), SearchRequest(name="random_walk:dt", cid=0, version=13))
    _, search = server.receive(asked, ("192.0.2.9", 40000))
    assert (search.name, search.cid) == ("random_walk:dt", 0)  # type: ignore[attr-defined]
    answer = server.send(VersionResponse(13), SearchResponse(55363, None, 0, 13))
    version, response = client.receive(answer, HERE)
    assert repr(version) == "VersionResponse(version=13)"
    assert isinstance(response, SearchResponse)
    assert extract_address(response) == ("192.0.2.1", 55363)


def test_an_address_in_the_reply_is_the_one() -> None:
    assert extract_address(SearchResponse(5064, "192.0.2.77", 0)) == ("192.0.2.77", 5064)
    with pytest.raises(LocalProtocolError, match="not known"):
        extract_address(SearchResponse(5064, None, 0))


def test_search_datagrams_are_numbered() -> None:
    b = Broadcaster(CLIENT)
    for number in (1, 2):
        version, first, second = Broadcaster(SERVER).receive(b.search((7, "a"), (8, "b")), HERE)
        assert version == VersionRequest(0, 13, number)
        assert (first, second) == (SearchRequest("a", 7), SearchRequest("b", 8))


def test_a_search_without_a_version_is_illegal_from_both() -> None:
    with pytest.raises(
        LocalProtocolError, match=r"cannot send SearchRequest: datagram is at: client START.*VersionRequest"
    ):
        Broadcaster(CLIENT).send(SearchRequest("a", 1))
    server = Broadcaster(SERVER)
    commands = server.recv(SearchRequest("a", 1).to_bytes(), HERE)
    with pytest.raises(RemoteProtocolError, match="received SearchRequest"):
        server.process_commands(commands)


def test_a_version_holds_for_its_own_datagram_only() -> None:
    b = Broadcaster(CLIENT)
    b.send(VersionRequest())
    with pytest.raises(LocalProtocolError):
        b.send(SearchRequest("a", 1))


@pytest.mark.parametrize(
    "commands",
    [[SearchResponse(1, None, 1)], [NotFoundResponse(13, 1)], [Beacon(13, 5064, 1)], [VersionResponse(0)], []],
)
def test_what_old_servers_and_repeaters_say(commands: list[Any]) -> None:
    datagram = Broadcaster(SERVER).send(*commands)
    assert Broadcaster(CLIENT).receive(datagram, HERE) == commands


def test_a_repeater_hears_beacons() -> None:
    assert Broadcaster(SERVER).receive(Beacon(13, 5064, 1).to_bytes(), HERE) == [Beacon(13, 5064, 1)]


@pytest.mark.parametrize("command", [SearchResponse(1, None, 1), Beacon(13, 5064, 1), RepeaterConfirmResponse()])
def test_nobody_says_the_others_lines(command: Any) -> None:
    with pytest.raises(LocalProtocolError, match="a client never does"):
        Broadcaster(CLIENT).send(command)


def test_commands_of_circuits_are_no_datagrams() -> None:
    with pytest.raises(LocalProtocolError, match="cannot send EchoRequest"):
        Broadcaster(CLIENT).send(EchoRequest())


def test_a_datagram_has_an_end() -> None:
    b = Broadcaster(CLIENT)
    with pytest.raises(LocalProtocolError, match="in one datagram"):
        b.send(VersionRequest(), *[SearchRequest("x" * 1000, i) for i in range(65)])
    with pytest.raises(LocalProtocolError, match="in one datagram"):
        b.send(VersionRequest(), SearchRequest("x" * 65_510, 1))


@pytest.mark.parametrize(
    "rubbish",
    [
        b"x",
        bytes(15),
        Header(99, 0, 0, 0, 0, 0).to_bytes(),
        Header(6, 8, 0, 0, 0, 0).to_bytes(),
        Header(6, 4, 0, 0, 0, 0).to_bytes() + bytes(4),
        Header(6, 8, 0, 0, 0, 0, True).to_bytes() + bytes(8),
    ],
)
def test_what_cannot_be_read_ends_a_datagram_and_what_was_before_stands(rubbish: bytes) -> None:
    b = Broadcaster(CLIENT)
    assert b.receive(VersionResponse(13).to_bytes() + rubbish, HERE) == [VersionResponse(13)]
    assert b.malformed == 1
    with pytest.raises(RemoteProtocolError, match="no datagram of ours"):
        b.receive(rubbish, HERE)
    assert b.malformed == 2


@given(st.sampled_from([CLIENT, SERVER]), st.binary(max_size=200))
def test_any_bytes_raise_nothing_but_a_protocol_error(role: Any, data: bytes) -> None:
    try:
        repr(Broadcaster(role).receive(data, HERE))
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize("byte", [0, 6, 255])
def test_65_kb_of_rubbish_cost_bounded_time(byte: int) -> None:
    begin = time.perf_counter()
    try:
        Broadcaster(CLIENT).receive(bytes([byte]) * 65_507, HERE)
    except RemoteProtocolError:
        pass
    assert time.perf_counter() - begin < 1


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), NAMES), min_size=1, max_size=20))
def test_ready_searches_are_what_the_commands_would_be(pairs: list[tuple[int, str]]) -> None:
    """The quick way of the engine and the policed one say the same."""
    ready, policed = Broadcaster(our_role=CLIENT), Broadcaster(our_role=CLIENT)
    for _ in range(3):
        datagram = ready.search_ready([search_message(name, cid, 10_000) for cid, name in pairs])
        assert datagram == policed.search(*pairs)
    _, *searches = Broadcaster(our_role=SERVER).receive(datagram, HERE)
    assert [(search.cid, search.name) for search in searches] == pairs  # type: ignore[attr-defined]


REPLIES = st.builds(
    SearchResponse,
    st.integers(0, 65535),
    st.sampled_from([None, "192.0.2.77", "0.0.0.0", "255.255.255.255"]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([13, 11]),
)


@given(st.lists(REPLIES, min_size=1, max_size=40))
def test_rows_of_answers_are_what_the_commands_say(replies: list[SearchResponse]) -> None:
    datagram = Broadcaster(our_role=SERVER).send(VersionResponse(13), *replies)
    rows = Broadcaster.answers(datagram)
    assert rows is not None
    commands = Broadcaster(our_role=CLIENT).receive(datagram, HERE)[1:]
    assert [(row[2], row[4], row[5]) for row in rows] == [(c.port, c.parameter1, c.cid) for c in commands]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        bytes(15),
        VersionResponse(13).to_bytes(),
        SearchResponse(1, None, 2).to_bytes(),
        VersionResponse(13).to_bytes() + SearchResponse(1, None, 2, None).to_bytes(),
        VersionResponse(13).to_bytes() + SearchResponse(1, None, 2).to_bytes() + b"x",
        VersionResponse(13).to_bytes()
        + SearchResponse(1, None, 2).to_bytes()
        + NotFoundResponse(13, 3).to_bytes()
        + bytes(8),
        Beacon(13, 5064, 1).to_bytes() + SearchResponse(1, None, 2).to_bytes(),
    ],
)
def test_anything_else_goes_the_policed_way(datagram: bytes) -> None:
    assert Broadcaster.answers(datagram) is None


@given(st.binary(max_size=200), st.booleans())
def test_no_datagram_makes_the_rows_fail(rubbish: bytes, begins_well: bool) -> None:
    datagram = VersionResponse(13).to_bytes() + rubbish if begins_well else rubbish
    rows = Broadcaster.answers(datagram)
    if rows is not None:
        assert len(Broadcaster(our_role=CLIENT).receive(datagram, HERE)) == len(rows) + 1
