"""Ids, who asked, and how large an answer can be."""

from __future__ import annotations

import pytest

from caclient.errors import RemoteProtocolError
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.commands import CLIENT, EventAddResponse, ReadNotifyRequest, ReadNotifyResponse
from caclient.protocol.header import Header
from tests.protocol.pair import CircuitPair
from tests.protocol.test_ledger import STAMPED, owned, pair

__all__ = ["pair"]

# ---- ids


def test_ids_are_counted_and_those_in_use_left_out() -> None:
    circuit = VirtualCircuit(CLIENT)
    circuit.ioids[2] = circuit.subscriptions[3] = None  # type: ignore[assignment]
    assert [circuit.new_ioid() for _ in range(3)] == [1, 4, 5]
    circuit.channels[1] = None
    assert circuit.new_cid() == 2


def test_ids_begin_anew_after_the_last() -> None:
    circuit = VirtualCircuit(CLIENT)
    circuit._next_id = circuit._next_cid = (1 << 32) - 1
    assert [circuit.new_ioid(), circuit.new_ioid()] == [(1 << 32) - 1, 0]
    circuit.channels[(1 << 32) - 1] = None
    assert circuit.new_cid() == 0


def test_ids_in_a_row_leave_out_those_in_use() -> None:
    circuit = VirtualCircuit(CLIENT)
    circuit.ioids[5] = None
    assert circuit.new_ioids(4) == 1
    assert circuit.new_ioids(4) == 6
    circuit.subscriptions[12] = None  # type: ignore[assignment]
    assert circuit.new_ioids(4) == 13
    circuit._next_id = (1 << 32) - 2
    assert circuit.new_ioids(3) == 1


# ---- requests given up


def test_a_request_given_up_is_answered_too_late(pair: CircuitPair) -> None:
    pair.to_server(owned(ReadNotifyRequest(6, 1, 0, 1), "reader"))
    assert pair.client.forget(1) == "reader"
    assert pair.client.forget(1) is None
    assert pair.to_client(ReadNotifyResponse([1], 6, 1, 1, 1)) == []
    assert pair.client.late == {"ReadNotifyResponse": 1}


def test_abandoned_requests_tell_each_owner_once(pair: CircuitPair) -> None:
    for ioid, owner in ((1, "a"), (2, "b"), (3, "a"), (4, None)):
        pair.to_server(owned(ReadNotifyRequest(6, 1, 0, ioid), owner))
    assert pair.client.abandon_requests() == ["a", "b"]
    assert pair.client.ioids == {}


# ---- sizes


def test_what_an_answer_can_have_follows_from_its_channel(pair):
    """A scalar that claims four gigabytes is a lie; what is a little more is left out."""
    channel = pair.client.channels[1]
    pair.client.send(owned(channel.subscribe(20, 1, 7), "monitor"))
    pair.client.send(owned(channel.read(ioid=8), "reader"))
    legal = [EventAddResponse([1.0], 20, 1, 1, 7, STAMPED), ReadNotifyResponse([1.0], 6, 1, 1, 8)]
    assert [item.owner for item in pair.client.receive(b"".join(each.to_bytes() for each in legal))] == [
        "monitor",
        "reader",
    ]
    more = Header(1, 80_000, 20, 9998, 1, 7)
    (update,) = pair.client.receive(more.to_bytes() + bytes(80_000))
    assert (update.status.name, update.owner, update.payload) == ("ECA_TOLARGE", "monitor", bytes(8))
    late = Header(15, 80_000, 6, 10_000, 1, 99)
    assert pair.client.receive(late.to_bytes() + bytes(80_000)) == []
    assert pair.client.late == {"ReadNotifyResponse": 1}
    with pytest.raises(RemoteProtocolError, match=r"4294967288 bytes for channel 'pv', which has 1 elements"):
        pair.client.receive(Header(1, 4294967288, 20, 1, 1, 7).to_bytes())


def test_an_array_may_have_what_its_channel_has():
    pair = CircuitPair().greet()
    channel, _ = pair.channel(count=10_000)
    pair.client.send(owned(channel.read(ioid=8), "reader"))
    answer = ReadNotifyResponse([0.0] * 10_000, 6, 10_000, 1, 8)
    (item,) = pair.client.receive(answer.to_bytes())
    assert (item.status.name, len(item.payload)) == ("ECA_NORMAL", 80_000)
