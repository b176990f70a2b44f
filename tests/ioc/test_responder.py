"""Answers to searches, datagram by datagram."""

from __future__ import annotations

from caclient.ioc import Database, Record
from caclient.ioc.responder import Responder
from caclient.protocol import commands as ca
from caclient.protocol.broadcaster import Broadcaster, extract_address

CLIENT = ("192.0.2.7", 40000)
SERVER = ("192.0.2.1", 5064)


def responder(**options: object) -> Responder:
    return Responder(Database([Record(f"r{number}", 0) for number in range(200)]), 5999, **options)


def asked(*names: str, version: int = 13) -> bytes:
    requests = [
        ca.VersionRequest(0, version, 7),
        *(ca.SearchRequest(name, cid, version) for cid, name in enumerate(names)),
    ]
    return b"".join(request.to_bytes() for request in requests)


def heard(datagram: bytes) -> list[ca.Command]:
    return Broadcaster(our_role=ca.CLIENT).receive(datagram, SERVER)


def test_what_is_known_is_answered_with_the_number_of_the_question() -> None:
    (datagram,) = responder().answer(asked("r1", "no", "r2.VAL"), CLIENT)
    version, first, second = heard(datagram)
    assert (version.sequence_valid, version.sequence) == (True, 7)
    assert (first.cid, second.cid, first.version) == (0, 2, 13)
    assert extract_address(first) == (SERVER[0], 5999)


def test_unknown_names_are_not_answered() -> None:
    assert responder().answer(asked("no"), CLIENT) == []


def test_long_answers_are_split() -> None:
    datagrams = responder().answer(asked(*(f"r{number}" for number in range(200))), CLIENT)
    assert all(len(datagram) <= 1024 for datagram in datagrams)
    replies = [reply for datagram in datagrams for reply in heard(datagram)[1:]]
    assert [reply.cid for reply in replies] == list(range(200))


def test_old_clients_get_no_version() -> None:
    (datagram,) = responder().answer(asked("r1", version=10), CLIENT)
    assert [type(command) for command in heard(datagram)] == [ca.SearchResponse]


def test_search_without_a_version_is_not_answered() -> None:
    assert responder().answer(ca.SearchRequest("r1", 1).to_bytes(), CLIENT) == []


def test_rubbish_is_not_answered_but_what_stands_before_it() -> None:
    assert responder().answer(b"\xff" * 40, CLIENT) == []
    assert len(heard(responder().answer(asked("r1") + b"\xff" * 40, CLIENT)[0])) == 2


def test_ignored_clients() -> None:
    assert responder(ignored=[CLIENT[0]]).answer(asked("r1"), CLIENT) == []
