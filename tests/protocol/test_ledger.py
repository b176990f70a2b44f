"""The books: who asked, what is open, what came too late, and who is to blame."""

from __future__ import annotations

from typing import Any

import pytest

from caclient.dbr import Metadata, TimeStamp
from caclient.errors import LocalProtocolError, RemoteProtocolError
from caclient.protocol import ledger
from caclient.protocol.channel import ClientChannel
from caclient.protocol.commands import (
    CLIENT,
    NOBODY,
    SERVER,
    AccessRightsResponse,
    ClearChannelRequest,
    ClearChannelResponse,
    Command,
    CreateChanRequest,
    CreateChanResponse,
    CreateChFailResponse,
    EchoRequest,
    ErrorResponse,
    EventAddRequest,
    EventAddResponse,
    EventCancelRequest,
    EventCancelResponse,
    ReadNotifyRequest,
    ReadNotifyResponse,
    ReadRequest,
    ReadResponse,
    SearchRequest,
    SearchResponse,
    ServerDisconnResponse,
    VersionRequest,
    VersionResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
    WriteRequest,
)
from caclient.protocol.header import Header
from caclient.protocol.runs import ReadRows
from caclient.protocol.states import State
from tests.protocol.pair import CircuitPair

STAMPED = Metadata(status=0, severity=0, stamp=TimeStamp(1, 2))


def owned(command: Any, owner: Any) -> Any:
    command.owner = owner
    return command


@pytest.fixture
def pair() -> CircuitPair:
    """An open channel with cid 1 and sid 0, owned by "channel"."""
    pair = CircuitPair().greet()
    pair.channel(sid=0, owner="channel")
    return pair


def refused_by_us(pair: CircuitPair, command: Command, match: str) -> None:
    speaker = pair.client if command.SENDER is CLIENT else pair.server
    with pytest.raises(LocalProtocolError, match=match):
        speaker.send(command)


def refused_by_peer(pair: CircuitPair, command: Command, match: str) -> None:
    hearer = pair.server if command.SENDER is CLIENT else pair.client
    with pytest.raises(RemoteProtocolError, match=match):
        hearer.receive(command.to_bytes())


# ---- owners


def test_every_reply_has_the_owner_of_its_request(pair: CircuitPair) -> None:
    cases: list[tuple[Command, Command]] = [
        (ReadNotifyRequest(6, 1, 0, 1), ReadNotifyResponse([1], 6, 1, 1, 1)),
        (WriteNotifyRequest(1, 6, 1, 0, 2), WriteNotifyResponse(6, 1, 1, 2)),
        (ReadRequest(6, 1, 0, 3), ReadResponse([1], 6, 1, 1, 3)),
        (EventAddRequest(6, 1, 0, 4), EventAddResponse([1], 6, 1, 1, 4)),
    ]
    for request, reply in cases:
        owner = object()
        assert pair.to_server(owned(request, owner))[0].owner is pair.server.channels[1]
        assert pair.to_client(reply)[0].owner is owner
    assert pair.agree()


def test_channel_commands_have_the_owner_of_the_channel() -> None:
    pair = CircuitPair().greet()
    pair.to_server(owned(CreateChanRequest("pv", 7), "channel"))
    assert pair.to_client(AccessRightsResponse(7, 3))[0].owner == "channel"
    assert pair.to_client(CreateChanResponse(6, 1, 7, 9))[0].owner == "channel"
    pair.to_server(ClearChannelRequest(9, 7))
    assert pair.to_client(ClearChannelResponse(9, 7))[0].owner == "channel"
    pair.to_server(owned(CreateChanRequest("nope", 7), "again"))
    assert pair.to_client(CreateChFailResponse(7))[0].owner == "again"
    assert pair.agree()


# ---- versions and searches


@pytest.mark.parametrize(
    ("command", "match"),
    [
        (VersionRequest(0, 3), "below 4"),
        (VersionRequest(100, 13), "above 99"),
        (CreateChanRequest("pv", 5, 3), "below 4"),
    ],
)
def test_versions_and_priorities_no_server_takes(pair: CircuitPair, command: Command, match: str) -> None:
    refused_by_us(pair, command, match)
    refused_by_peer(pair, command, match)


def test_each_side_notes_the_version_of_the_other() -> None:
    pair = CircuitPair()
    assert pair.client.version == pair.server.version == 0
    pair.greet(client=12, server=11)
    assert (pair.client.version, pair.server.version) == (11, 12)
    pair.to_client(VersionResponse(13))
    pair.to_server(CreateChanRequest("pv", 1, 13))
    assert (pair.client.version, pair.server.version) == (13, 13)


@pytest.mark.parametrize("server", [None, 11])
def test_no_search_over_tcp_to_an_old_or_silent_server(server: int | None) -> None:
    refused_by_us(CircuitPair().greet(server=server), SearchRequest("pv", 1), "below 12")


def test_search_over_tcp() -> None:
    pair = CircuitPair().greet()
    assert pair.to_server(VersionRequest(1, 13), SearchRequest("pv", 1))[1].name == "pv"
    assert pair.to_client(SearchResponse(5064, None, 1, None))[0].cid == 1


# ---- channels


def test_a_channel_is_created_once(pair: CircuitPair) -> None:
    refused_by_us(pair, CreateChanRequest("pv", 1), "legal: AccessRights")
    refused_by_peer(pair, CreateChanRequest("pv", 1), "cid 1")


def test_a_second_reply_to_create_is_the_servers_error(pair: CircuitPair) -> None:
    refused_by_us(pair, CreateChanResponse(6, 1, 1, 8), "legal: AccessRights")
    refused_by_peer(
        pair, CreateChanResponse(6, 1, 1, 8), "received CreateChanResponse: channel 'pv' is at: client CONNECTED"
    )


def test_an_empty_name_is_never_answered(pair: CircuitPair) -> None:
    refused_by_us(pair, CreateChanRequest("", 5), "empty name")
    assert pair.server.receive(CreateChanRequest("", 5).to_bytes())[0].name == ""


@pytest.mark.parametrize(
    ("command", "match"),
    [(CreateChanResponse(7, 1, 2, 5), "no native type"), (CreateChanResponse(6, 1, 2, 0), "belongs to channel 'pv'")],
)
def test_impossible_replies_to_create(pair: CircuitPair, command: Command, match: str) -> None:
    pair.to_server(CreateChanRequest("other", 2))
    refused_by_us(pair, command, match)
    refused_by_peer(pair, command, match)


@pytest.mark.parametrize(
    "command",
    [
        AccessRightsResponse(9, 1),
        CreateChanResponse(6, 1, 9, 9),
        CreateChFailResponse(9),
        ServerDisconnResponse(9),
        ClearChannelResponse(9, 9),
        ReadNotifyResponse([1], 6, 1, 1, 9),
        WriteNotifyResponse(6, 1, 1, 9),
        EventAddResponse([1], 6, 1, 1, 9),
        EventCancelResponse(20, 9, 9),
    ],
    ids=lambda command: type(command).__name__,
)
def test_replies_with_an_id_in_no_book(pair: CircuitPair, command: Command) -> None:
    """Ours is an error; the server's has come too late."""
    refused_by_us(pair, command, "no (channel|request|subscription) has")
    assert pair.client.receive(command.to_bytes()) == []
    assert sum(pair.client.late.values()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ReadNotifyRequest(6, 1, 9, 1),
        WriteRequest(1, 6, 1, 9, 1),
        WriteNotifyRequest(1, 6, 1, 9, 1),
        EventAddRequest(6, 1, 9, 1),
        EventCancelRequest(6, 9, 1),
        ReadRequest(6, 1, 9, 1),
        ClearChannelRequest(9, 1),
    ],
    ids=lambda command: type(command).__name__,
)
def test_requests_for_a_channel_that_does_not_exist(pair: CircuitPair, command: Command) -> None:
    refused_by_us(pair, command, "no channel has sid 9")
    state = "client SEND_CREATE, server IDLE; legal: CreateChanRequest$"
    refused_by_peer(pair, command, f"no channel has sid 9: it has to be created first; it is at: {state}")


@pytest.mark.parametrize(
    "command",
    [
        ReadNotifyRequest(6, 1, 0, 1),
        WriteRequest(1, 6, 1, 0, 1),
        EventAddRequest(6, 1, 0, 1),
        EventCancelRequest(6, 0, 1),
        ClearChannelRequest(0, 1),
    ],
    ids=lambda command: type(command).__name__,
)
def test_what_a_client_sent_before_it_saw_the_disconnect(pair: CircuitPair, command: Command) -> None:
    pair.to_server(EventAddRequest(6, 1, 0, 1)) if isinstance(command, EventCancelRequest) else None
    crossing = b"".join(map(bytes, pair.client.send(command)))
    assert pair.to_client(ServerDisconnResponse(1))[0].owner == "channel"
    assert pair.server.receive(crossing) == []
    assert pair.server.late == {type(command).__name__: 1}
    assert pair.client.channels == pair.server.channels == {}
    assert pair.agree()


def test_disconnected_channels_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MAX_DEPARTED", 2)
    pair = CircuitPair().greet()
    for sid in range(3):
        ours, _ = pair.channel(sid=sid)
        pair.to_client(ServerDisconnResponse(ours.cid))
    assert pair.server.receive(ReadNotifyRequest(6, 1, 2, 1).to_bytes()) == []
    refused_by_peer(pair, ReadNotifyRequest(6, 1, 0, 1), "no channel has sid 0")


def test_clearing_needs_the_right_cid(pair: CircuitPair) -> None:
    refused_by_us(pair, ClearChannelRequest(0, 5), "belongs to cid 1")
    refused_by_peer(pair, ClearChannelRequest(0, 5), "belongs to cid 1")


def test_a_channel_that_is_being_cleared_takes_no_requests(pair: CircuitPair) -> None:
    pair.to_server(ClearChannelRequest(0, 1))
    refused_by_us(pair, ReadNotifyRequest(6, 1, 0, 1), "client AWAIT_CLEAR, server CLEARING; legal: Access")
    refused_by_peer(pair, ReadNotifyRequest(6, 1, 0, 1), "AWAIT_CLEAR")


def test_a_channels_end_orphans_its_requests(pair: CircuitPair) -> None:
    pair.channel("other", sid=3)
    for ioid, sid, owner in ((1, 0, "a"), (2, 3, "b"), (3, 0, "c")):
        pair.to_server(owned(WriteNotifyRequest(1, 6, 1, sid, ioid), owner))
    pair.to_server(EventAddRequest(20, 1, 0, 9))
    [end] = pair.to_client(ServerDisconnResponse(1))
    assert end.orphans == ["a", "c"]
    assert list(pair.client.ioids) == list(pair.server.ioids) == [2]
    assert pair.client.subscriptions == pair.server.subscriptions == {}


def test_updates_and_cancels_cross_a_clear(pair: CircuitPair) -> None:
    pair.to_server(EventAddRequest(20, 1, 0, 1), EventAddRequest(20, 1, 0, 2))
    pair.to_server(EventCancelRequest(20, 0, 2))
    update = pair.server.send(EventAddResponse([1], 20, 1, 1, 1))
    cancelled = pair.server.send(EventCancelResponse(20, 0, 2))
    pair.to_server(ClearChannelRequest(0, 1))
    assert pair.client.receive(update[0]) == []
    assert type(pair.client.receive(cancelled[0])[0]) is EventCancelResponse
    assert pair.to_client(ClearChannelResponse(0, 1))[0].orphans == []
    assert pair.client.late == {"EventAddResponse": 1}
    assert pair.agree()


def test_a_known_channel_keeps_its_owner_if_the_command_has_none() -> None:
    pair = CircuitPair().greet()
    channel = ClientChannel("pv", pair.client, owner="mine")
    pair.to_server(CreateChanRequest("pv", channel.cid))
    assert channel.owner == "mine"


# ---- requests


def test_ids_in_use_may_not_be_used_again(pair: CircuitPair) -> None:
    pair.to_server(ReadNotifyRequest(6, 1, 0, 1), EventAddRequest(6, 1, 0, 2))
    refused_by_us(pair, WriteNotifyRequest(1, 6, 1, 0, 1), "ioid 1 is in use")
    refused_by_us(pair, EventAddRequest(6, 1, 0, 2), "subscription id 2 is in use")
    state = "client AWAIT_READ, server READING; legal: ErrorResponse, ReadNotifyResponse$"
    refused_by_peer(pair, WriteNotifyRequest(1, 6, 1, 0, 1), f"ioid 1 is in use; its request is at: {state}")


@pytest.mark.parametrize(
    "command",
    [ReadNotifyRequest(39, 1, 0, 1), ReadRequest(39, 1, 0, 1), EventAddRequest(65535, 1, 0, 1)],
    ids=lambda command: type(command).__name__,
)
def test_a_type_that_is_none_is_not_asked_for(pair: CircuitPair, command: Command) -> None:
    """Servers close the circuit without a word; ours gets to say why."""
    refused_by_us(pair, command, f"{command.type_field} is no DBR type")
    assert pair.server.receive(command.to_bytes()) == [command]


def test_a_subscription_id_in_use_tells_where_its_subscription_is(pair: CircuitPair) -> None:
    pair.to_server(EventAddRequest(6, 1, 0, 2))
    refused_by_peer(pair, EventAddRequest(6, 1, 0, 2), "id 2 is in use; it is at: client SUBSCRIBED, server SUBSCRIBED")


def test_a_subscription_that_never_was_tells_what_would_be_legal(pair: CircuitPair) -> None:
    refused_by_peer(pair, EventCancelRequest(6, 0, 2), "it is at: client IDLE, server IDLE; legal: EventAddRequest$")


def test_a_reply_of_the_wrong_kind(pair: CircuitPair) -> None:
    pair.to_server(ReadNotifyRequest(6, 1, 0, 1))
    refused_by_us(pair, WriteNotifyResponse(6, 1, 1, 1), "request 1 is at: client AWAIT_READ, server READING")
    refused_by_peer(pair, WriteNotifyResponse(6, 1, 1, 1), "legal: ErrorResponse, ReadNotifyResponse")


# ---- subscriptions


def test_an_empty_mask_asks_for_nothing(pair: CircuitPair) -> None:
    refused_by_us(pair, EventAddRequest(6, 1, 0, 1, mask=0), "empty event mask")
    refused_by_peer(pair, EventAddRequest(6, 1, 0, 1, mask=0), "empty event mask")


def test_the_reply_to_a_cancel_has_the_number_of_an_update(pair: CircuitPair) -> None:
    pair.to_server(owned(EventAddRequest(20, 1, 0, 1), "watcher"))
    pair.to_server(EventCancelRequest(20, 0, 1))
    [reply] = pair.to_client(EventCancelResponse(20, 0, 1, 1))
    assert type(reply) is EventCancelResponse
    assert (reply.sid, reply.subscriptionid, reply.owner) == (0, 1, "watcher")
    assert pair.client.channels[1].subscriptions == {}
    assert pair.agree()


def test_what_is_no_reply_to_a_cancel(pair: CircuitPair) -> None:
    pair.to_server(EventAddRequest(20, 1, 0, 1))
    for command in (
        EventAddResponse([1], 20, 1, 1, 1),
        EventAddResponse([], 6, 0, 1, 1),
        EventAddResponse([], 6, 0, 1, 2),
    ):
        assert not pair.client.is_cancel_reply(command)
    assert pair.client.process_command(EventCancelResponse(20, 0, 2)) is False


def test_an_empty_array_is_an_update_while_no_cancel_is_pending(pair: CircuitPair) -> None:
    pair.to_server(EventAddRequest(6, 0, 0, 1))
    [update] = pair.to_client(EventAddResponse([], 6, 0, 1, 1))
    assert type(update) is EventAddResponse
    assert update.data.tolist() == []


def test_an_empty_array_after_a_cancel_is_told_by_its_status_where_it_can_be(pair: CircuitPair) -> None:
    pair.to_server(EventAddRequest(6, 0, 0, 1))
    empty = pair.server.send(EventAddResponse([], 6, 0, 1, 1))[0]
    pair.to_server(EventCancelRequest(6, 0, 1))
    assert pair.client.receive(empty) == []
    assert pair.client.late == {"EventAddResponse": 1}
    assert type(pair.to_client(EventCancelResponse(6, 0, 1))[0]) is EventCancelResponse


def test_on_sid_1_an_empty_array_after_a_cancel_cannot_be_told() -> None:
    pair = CircuitPair().greet()
    pair.channel(sid=1)
    pair.to_server(EventAddRequest(6, 0, 1, 1))
    empty = pair.server.send(EventAddResponse([], 6, 0, 1, 1))[0]
    pair.to_server(EventCancelRequest(6, 1, 1))
    assert type(pair.client.receive(empty)[0]) is EventCancelResponse
    assert pair.to_client(EventCancelResponse(6, 1, 1)) == []
    assert pair.client.late == {"EventAddResponse": 1}


def test_updates_between_a_cancel_and_its_reply(pair: CircuitPair) -> None:
    pair.to_server(EventAddRequest(20, 1, 0, 1))
    pair.to_server(EventCancelRequest(20, 0, 1))
    assert pair.to_client(EventAddResponse([1], 20, 1, 1, 1)) == []
    refused_by_us(pair, EventAddResponse([], 6, 0, 1, 1), "would take an empty update for the reply")
    pair.to_client(EventCancelResponse(20, 0, 1))
    refused_by_us(pair, EventAddResponse([1], 20, 1, 1, 1), "no subscription has id 1")


def test_a_cancel_names_a_subscription_of_its_channel(pair: CircuitPair) -> None:
    pair.channel("other", sid=3)
    pair.to_server(EventAddRequest(20, 1, 0, 1))
    refused_by_us(pair, EventCancelRequest(20, 3, 1), "'other' has no subscription 1")
    refused_by_us(pair, EventCancelRequest(20, 0, 2), "'pv' has no subscription 2")
    pair.to_server(EventCancelRequest(20, 0, 1))
    refused_by_us(pair, EventCancelRequest(20, 0, 1), "subscription 1 is at: client AWAIT_CANCEL")
    refused_by_peer(pair, EventCancelRequest(20, 0, 1), "AWAIT_CANCEL")


def test_no_reply_to_a_cancel_that_nobody_sent(pair: CircuitPair) -> None:
    pair.to_server(EventAddRequest(20, 1, 0, 1))
    refused_by_us(pair, EventCancelResponse(20, 0, 1), "client SUBSCRIBED")
    with pytest.raises(RemoteProtocolError, match="client SUBSCRIBED"):
        pair.client.process_command(EventCancelResponse(20, 0, 1))


def test_a_read_with_the_id_of_a_subscription_refreshes_it(pair: CircuitPair) -> None:
    pair.to_server(owned(EventAddRequest(20, 1, 0, 7), "watcher"))
    for _ in range(2):
        pair.server.receive(ReadNotifyRequest(20, 1, 0, 7).to_bytes())
    for _ in range(2):
        assert pair.to_client(ReadNotifyResponse([1], 20, 1, 1, 7))[0].owner == "watcher"
    assert 7 in pair.client.subscriptions
    pair.to_server(EventCancelRequest(20, 0, 7))
    assert pair.to_client(ReadNotifyResponse([1], 20, 1, 1, 7))[0].owner == "watcher"


# ---- errors


@pytest.mark.parametrize(
    ("failed", "owner"),
    [
        (ReadNotifyRequest(6, 1, 0, 1), "read"),
        (WriteNotifyRequest(1, 6, 1, 0, 2), "write"),
        (ReadRequest(6, 1, 0, 3), "old"),
        (EventAddRequest(6, 1, 0, 4), "watch"),
        (EventCancelRequest(6, 0, 4), "watch"),
        (ReadNotifyRequest(6, 1, 0, 4), "watch"),
        (WriteRequest(1, 6, 1, 0, 1), "channel"),
        (ClearChannelRequest(0, 1), "channel"),
        (EchoRequest(), None),
    ],
    ids=lambda case: type(case).__name__,
)
@pytest.mark.parametrize("cid", [1, NOBODY])
def test_an_error_goes_to_whom_the_header_in_it_concerns(
    pair: CircuitPair, failed: Command, owner: str, cid: int
) -> None:
    pair.to_server(owned(ReadNotifyRequest(6, 1, 0, 1), "read"), owned(WriteNotifyRequest(1, 6, 1, 0, 2), "write"))
    pair.to_server(owned(ReadRequest(6, 1, 0, 3), "old"), owned(EventAddRequest(6, 1, 0, 4), "watch"))
    [error] = pair.to_client(ErrorResponse(failed, cid, 142, "why"))
    assert error.owner == (owner or (cid == 1 and "channel") or None)
    assert pair.agree()


def test_an_error_ends_its_request_but_not_its_subscription(pair: CircuitPair) -> None:
    pair.to_server(ReadNotifyRequest(6, 1, 0, 1), EventAddRequest(6, 1, 0, 4))
    pair.to_client(ErrorResponse(ReadNotifyRequest(6, 1, 0, 1)), ErrorResponse(EventAddRequest(6, 1, 0, 4)))
    assert list(pair.client.ioids) == []
    assert list(pair.client.subscriptions) == [4]


def test_an_error_for_a_request_given_up_is_late(pair: CircuitPair) -> None:
    assert pair.to_client(ErrorResponse(ReadNotifyRequest(6, 1, 0, 99), 1, 152)) == []
    assert pair.client.late == {"ErrorResponse": 1}
    [unknown] = pair.to_client(ErrorResponse(ReadNotifyRequest(6, 1, 77, 99), NOBODY, 142))
    assert unknown.owner is None


def test_an_error_for_an_unknown_command_or_subscription_is_nobodys(pair: CircuitPair) -> None:
    [error] = pair.to_client(ErrorResponse(Header(99, 0, 0, 0, 0, 0)))
    assert error.owner is None
    [error] = pair.to_client(ErrorResponse(EventAddRequest(6, 1, 0, 55)))
    assert error.owner is None


def test_old_portable_servers_refuse_a_channel_by_an_error() -> None:
    pair = CircuitPair().greet()
    request = owned(CreateChanRequest("pv", 1), "channel")
    pair.to_server(request)
    ours = pair.client.channels[1]
    [error] = pair.to_client(ErrorResponse(request, NOBODY, 48))
    assert error.owner == "channel"
    assert ours.states == {CLIENT: State.FAILED, SERVER: State.FAILED}
    assert pair.client.channels == pair.server.channels == {}
    [error] = pair.to_client(ErrorResponse(request, NOBODY, 48))
    assert error.owner is None


def test_an_error_without_a_header_is_the_servers(pair: CircuitPair) -> None:
    with pytest.raises(RemoteProtocolError, match="header needs"):
        pair.client.receive(Header(11, 8, 0, 0, 1, 142).to_bytes() + bytes(8))


def test_the_requests_of_thousands_of_channels_that_end_are_looked_at_once(monkeypatch):
    """A server that removes 10,000 channels with reads pending used to cost a look at all reads for each."""
    pair, number = CircuitPair().greet(), 1000
    channels = [pair.channel(f"pv{n}", sid=n)[0] for n in range(number)]
    pair.client.send_reads((range(number), [6] * number, [1] * number), "bulk")
    singles = [owned(channel.read(), f"single {n}") for n, channel in enumerate(channels[:10])]
    pair.client.send(*singles)
    looks = []
    sid_of = ReadRows.sid_of
    monkeypatch.setattr(ReadRows, "sid_of", lambda self, ioid: looks.append(ioid) or sid_of(self, ioid))
    ended = pair.client.receive(b"".join(ServerDisconnResponse(channel.cid).to_bytes() for channel in channels))
    assert [command.orphans for command in ended[:10]] == [["bulk", f"single {n}"] for n in range(10)]
    assert [command.orphans for command in ended[10:]] == [["bulk"]] * (number - 10)
    assert pair.client.ioids == {}
    assert len(looks) == number


def test_requests_filed_meanwhile_end_with_their_channel():
    pair = CircuitPair().greet()
    one, two = (pair.channel(name, sid=sid)[0] for sid, name in enumerate("ab"))
    pair.client.send(owned(one.read(), "one"))
    pair.client.receive(ServerDisconnResponse(one.cid).to_bytes())
    pair.client.send(owned(two.read(), "two"))
    (ended,) = pair.client.receive(ServerDisconnResponse(two.cid).to_bytes())
    assert ended.orphans == ["two"]
