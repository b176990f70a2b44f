"""Faults as changes to parcels, without any socket."""

from __future__ import annotations

from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from tests.faults import script
from tests.faults.script import Fault, Script

READ = ca.ReadNotifyResponse(1.0, 6, 1, 1, 5)
ECHO = ca.EchoResponse()


def sent(rules: Script, command: ca.Command) -> bytes:
    return b"".join(rules.parcel(command, command.to_bytes()).pieces)


def test_without_faults_nothing_changes() -> None:
    assert sent(Script(), READ) == READ.to_bytes()


def test_fault_is_used_up_by_its_kind_only() -> None:
    rules = Script()
    rules.add(Fault("read", script.dropped, times=2, skip=1))
    replies = [sent(rules, command) for command in (READ, ECHO, READ, READ, READ)]
    assert replies == [READ.to_bytes(), ECHO.to_bytes(), b"", b"", READ.to_bytes()]
    assert rules.faults == []


def test_fault_without_times_stays_until_removed() -> None:
    rules = Script()
    fault = rules.add(Fault("any", script.dropped, times=None))
    assert [sent(rules, ECHO) for _ in range(3)] == [b"", b"", b""]
    rules.remove(fault)
    assert sent(rules, ECHO) == ECHO.to_bytes()


def test_faults_add_up() -> None:
    rules = Script()
    for change in (
        script.delayed(0.5),
        script.delayed(0.25),
        script.repeated(2),
        script.split(10),
        script.ended("reset"),
    ):
        rules.add(Fault("read", change))
    parcel = rules.parcel(READ, READ.to_bytes())
    assert (parcel.delay, parcel.then) == (0.75, "reset")
    assert [len(piece) for piece in parcel.pieces] == [10, 10, 10, 10, 8]


def test_truncated_to_half_or_to_a_size() -> None:
    assert len(script.truncated(None, "close")(script.Parcel(READ, READ.to_bytes())).data) == 12
    assert len(script.truncated(3, "close")(script.Parcel(READ, READ.to_bytes())).data) == 3


def test_lie_keeps_the_payload_and_lengthens_the_header_if_it_must() -> None:
    parcel = script.lying(data_count=70_000)(script.Parcel(READ, READ.to_bytes()))
    header = Header.from_bytes(parcel.data)
    assert (header.data_count, header.payload_size, header.extended) == (70_000, 8, True)
    assert parcel.data[24:] == READ.to_bytes()[16:]
