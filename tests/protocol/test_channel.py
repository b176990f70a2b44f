"""Channels compose commands with their ids and types; nothing moves until those are sent."""

from __future__ import annotations

import pytest

from caclient.errors import LocalProtocolError
from caclient.protocol.channel import ClientChannel, ServerChannel
from caclient.protocol.commands import (
    CLIENT,
    SERVER,
    AccessRights,
    ClearChannelRequest,
    ClearChannelResponse,
    ClientNameRequest,
    CreateChanRequest,
    CreateChFailResponse,
    EventAddRequest,
    EventAddResponse,
    EventCancelRequest,
    EventCancelResponse,
    HostNameRequest,
    ReadNotifyRequest,
    ReadNotifyResponse,
    ServerDisconnResponse,
    VersionRequest,
    VersionResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
    WriteRequest,
)
from caclient.protocol.states import State
from tests.protocol.pair import CircuitPair


def test_composing_moves_nothing() -> None:
    pair = CircuitPair().greet()
    channel = ClientChannel("pv", pair.client)
    channel.create()
    assert channel.states == {CLIENT: State.SEND_CREATE, SERVER: State.IDLE}
    assert pair.client.channels == {1: channel}
    assert repr(channel) == "<ClientChannel 'pv' cid=1 sid=-1: client SEND_CREATE, server IDLE>"


def test_client_composes_what_opens_a_circuit() -> None:
    channel = ClientChannel("pv", CircuitPair().client, owner="me")
    assert channel.version() == VersionRequest(0, 13)
    assert channel.host_name("h") == HostNameRequest("h")
    assert channel.client_name("u") == ClientNameRequest("u")
    assert channel.create() == CreateChanRequest("pv", 1, 13)
    assert channel.create().owner == "me"


def test_client_composes_with_native_type_and_fresh_ids() -> None:
    pair = CircuitPair().greet()
    channel, _ = pair.channel(sid=0, owner="me")
    assert channel.read() == ReadNotifyRequest(6, 0, 0, 1)
    assert channel.read(20, 1, ioid=77) == ReadNotifyRequest(20, 1, 0, 77)
    assert channel.write(4) == WriteNotifyRequest(4, 6, 1, 0, 2)
    assert channel.write((1,), 5, 1, None, 78) == WriteNotifyRequest(1, 5, 1, 0, 78)
    assert channel.write(4, notify=False) == WriteRequest(4, 6, 1, 0, channel.cid)
    assert channel.write(4, ioid=9, notify=False) == WriteRequest(4, 6, 1, 0, 9)
    assert channel.subscribe() == EventAddRequest(6, 0, 0, 3, mask=5)
    assert channel.subscribe(20, 1, 0, mask=1) == EventAddRequest(20, 1, 0, 0, mask=1)
    assert channel.clear() == ClearChannelRequest(0, channel.cid)
    assert channel.read().owner == channel.subscribe().owner == channel.write(4).owner == "me"


def test_without_a_native_type_one_has_to_be_said() -> None:
    channel = ClientChannel("pv", CircuitPair().client)
    with pytest.raises(LocalProtocolError, match="no native type"):
        channel.read()
    assert channel.read(6, 1).data_type == 6


@pytest.mark.parametrize(("server", "asked"), [(13, 0), (12, 10), (11, 10), (None, 10)])
def test_dynamic_length_is_the_native_count_for_old_and_silent_servers(server: int | None, asked: int) -> None:
    pair = CircuitPair().greet(server=server)
    channel, _ = pair.channel(count=10)
    assert channel.count_for() == channel.count_for(0) == asked
    assert channel.count_for(3) == 3
    assert channel.read().data_count == channel.subscribe().data_count == asked


def test_a_subscription_is_cancelled_as_it_was_made() -> None:
    pair = CircuitPair().greet()
    ours, theirs = pair.channel(sid=5)
    pair.to_server(ours.subscribe(20, 3, 7))
    assert ours.unsubscribe(7) == EventCancelRequest(20, 5, 7, 3)
    assert theirs.unsubscribe(7) == EventCancelResponse(20, 5, 7, 3)
    assert pair.server.subscriptions[7].sid == 5
    assert pair.server.subscriptions[7].mask == 5
    for channel in (ours, theirs):
        with pytest.raises(LocalProtocolError, match="no subscription 8"):
            channel.unsubscribe(8)


def test_server_composes_with_native_type() -> None:
    pair = CircuitPair().greet()
    ours, channel = pair.channel(sid=5)
    assert isinstance(channel, ServerChannel)
    assert channel.version() == VersionResponse(13)
    assert channel.read([1.5], 3) == ReadNotifyResponse([1.5], 6, 1, 1, 3)
    assert channel.read(None, 3, 20, 1, 368) == ReadNotifyResponse(None, 20, 1, 368, 3)
    assert channel.write(4) == WriteNotifyResponse(6, 1, 1, 4)
    assert channel.write(4, 5, 2, 160) == WriteNotifyResponse(5, 2, 160, 4)
    assert channel.subscribe([1.5], 7) == EventAddResponse([1.5], 6, 1, 1, 7)
    assert channel.subscribe([1], 7, 19, 1, 1) == EventAddResponse([1], 19, 1, 1, 7)
    assert channel.clear() == ClearChannelResponse(5, channel.cid)
    assert channel.disconnect() == ServerDisconnResponse(channel.cid)
    assert channel.create_fail() == CreateChFailResponse(channel.cid)
    assert ours.access_rights is channel.access_rights is AccessRights(3)
