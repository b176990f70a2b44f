"""Whole captured connections and datagrams, replayed through both roles."""

from __future__ import annotations

from typing import Any

import pytest

from caclient.protocol.broadcaster import Broadcaster
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.commands import CLIENT, SERVER, Role
from tests import vectors
from tests.protocol.pair import books

ADDRESS = ("127.0.0.1", 5064)
CONVERSATIONS = vectors.load("conversations")
DATAGRAMS = vectors.load("datagrams")


def by_name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def messages(conversation: dict[str, Any]) -> list[tuple[str, bytes]]:
    """(who, bytes) of each message, both directions in order."""
    streams = {
        who: b"".join(bytes.fromhex(s["hex"]) for s in conversation["segments"] if s["from"] == who)
        for who in ("client", "server")
    }
    cut: list[tuple[str, bytes]] = []
    for message in conversation["messages"]:
        who, header = message["from"], message["header"]
        size = (24 if header["extended"] else 16) + header["payload_size"]
        cut.append((who, streams[who][:size]))
        streams[who] = streams[who][size:]
    assert not any(streams.values())
    return cut


@pytest.mark.parametrize("role", Role, ids=["as client", "as server"])
@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=by_name)
def test_conversation_is_legal_for_both(conversation: dict[str, Any], role: Role) -> None:
    ours, theirs = VirtualCircuit(role, ADDRESS), VirtualCircuit(role.peer, ADDRESS)
    kinds: list[str] = []
    for who, raw in messages(conversation):
        speaker, hearer = (ours, theirs) if who == role.value else (theirs, ours)
        commands, missing = hearer.recv(raw)
        assert missing == 0
        for command in commands:
            kinds.append(type(command).__name__)
            assert b"".join(speaker.send(command)) == raw
            assert hearer.process_command(command) is True
    assert kinds == [message["kind"] for message in conversation["messages"]]
    assert books(ours) == books(theirs)
    assert not ours.late
    assert not theirs.late


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=by_name)
def test_a_sniffer_hears_the_same_whatever_the_pieces(conversation: dict[str, Any]) -> None:
    """Both directions listened to as they came, in one step and with runs, give the messages of the capture."""
    hearers = {"client": VirtualCircuit(SERVER), "server": VirtualCircuit(CLIENT)}
    heard: dict[str, list[str]] = {"client": [], "server": []}
    for segment in conversation["segments"]:
        hearer = hearers[segment["from"]]
        commands, _ = hearer.recv(bytes.fromhex(segment["hex"]))
        heard[segment["from"]] += [type(command).__name__ for command in commands]
    for who, kinds in heard.items():
        # without the requests nobody can tell the reply to a cancel from an update
        expected = [
            m["kind"].replace("EventCancelResponse", "EventAddResponse")
            for m in conversation["messages"]
            if m["from"] == who
        ]
        assert kinds == expected


@pytest.mark.parametrize("vector", DATAGRAMS, ids=by_name)
def test_datagram_is_legal_for_both(vector: dict[str, Any]) -> None:
    raw = vectors.raw(vector)
    role = CLIENT if vector["direction"].endswith("->client") else SERVER
    commands = Broadcaster(role).receive(raw, ("192.0.2.1", 5064))
    assert [type(command).__name__ for command in commands] == [message["kind"] for message in vector["messages"]]
    for command, message in zip(commands, vector["messages"], strict=True):
        for name, expected in message["decoded"].items():
            assert getattr(command, name) == expected
    assert Broadcaster(role.peer).send(*commands) == raw
