"""The law itself: tables that hang together, tolerances that have a reason, standings that follow from them."""

from __future__ import annotations

import pytest

from caclient.protocol import states
from caclient.protocol.commands import (
    CIRCUIT as CIRCUIT_COMMANDS,
    CLIENT,
    SERVER,
    CreateChanRequest,
    ErrorResponse,
    EventAddResponse,
    EventCancelResponse,
    ReadNotifyRequest,
    Role,
    SearchRequest,
    VersionRequest,
    VersionResponse,
)
from caclient.protocol.states import LAWS, NEW_CIRCUIT, OBSOLETE, TOLERANCES, Law, State, Tolerance, broken, table

EACH_LAW = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


@EACH_LAW
def test_every_move_leads_to_a_state_of_its_machine(law: Law) -> None:
    for machine in table(law).values():
        assert {target for moves in machine.values() for target in moves.values()} <= set(machine)


@EACH_LAW
def test_every_state_can_be_reached(law: Law) -> None:
    for machine in table(law).values():
        reached = {next(iter(machine))}
        for _ in machine:
            reached |= {target for state in reached for target in machine[state].values()}
        assert set(machine) - reached <= {State.ERROR, State.CLOSED}  # which an error and a disconnect lead to


@EACH_LAW
def test_what_one_peer_may_say_the_other_expects_in_some_state(law: Law) -> None:
    full = table(law)
    listed = {role: {command for moves in full[role].values() for command in moves} for role in Role}
    assert listed[CLIENT] == listed[SERVER]


@EACH_LAW
def test_standings_follow_from_the_tables(law: Law) -> None:
    full = table(law)
    for (client, server), standing in states.standings(law).items():
        assert standing.states == {CLIENT: client, SERVER: server}
        assert set(standing.moves) == set(full[CLIENT][client]) & set(full[SERVER][server])
        for command, following in standing.moves.items():
            assert following.states == {CLIENT: full[CLIENT][client][command], SERVER: full[SERVER][server][command]}


@pytest.mark.parametrize("entry", TOLERANCES, ids=lambda e: f"{e.role.value} {e.state.name} {e.command.__name__}")
def test_a_tolerance_has_a_reason_and_is_none_of_the_plain_rules(entry: Tolerance) -> None:
    assert len(entry.reason) > 20
    assert entry.command not in entry.law[entry.role][entry.state]
    assert table(entry.law)[entry.role][entry.state][entry.command] is entry.next_state


def test_no_tolerance_is_said_twice() -> None:
    keys = [(id(entry.law), entry.role, entry.state, entry.command) for entry in TOLERANCES]
    assert len(keys) == len(set(keys))


def test_a_circuit_begins_with_versions() -> None:
    assert set(NEW_CIRCUIT.moves) == {VersionRequest, VersionResponse, ErrorResponse}
    assert NEW_CIRCUIT.legal == "ErrorResponse, VersionRequest, VersionResponse"
    assert NEW_CIRCUIT.legal_from(states.CLIENT) == "VersionRequest"
    assert NEW_CIRCUIT.legal_from(states.SERVER) == "ErrorResponse, VersionResponse"
    assert repr(NEW_CIRCUIT) == "client SEND_VERSION, server SEND_VERSION"


def test_both_orders_of_versions_lead_to_the_same_standing() -> None:
    one = NEW_CIRCUIT.moves[VersionRequest].moves[VersionResponse]
    other = NEW_CIRCUIT.moves[VersionResponse].moves[VersionRequest]
    assert one is other
    everything = {*CIRCUIT_COMMANDS[CLIENT].values(), *CIRCUIT_COMMANDS[SERVER].values(), EventCancelResponse}
    assert set(one.moves) == everything - set(OBSOLETE)
    assert all(following is one for following in one.moves.values())


def test_a_read_before_the_channel_exists_is_illegal() -> None:
    assert ReadNotifyRequest not in states.NEW_CHANNEL.moves[CreateChanRequest].moves
    assert ReadNotifyRequest in states.OPEN_CHANNEL.moves


def test_updates_are_legal_until_the_reply_to_a_cancel() -> None:
    assert set(states.ENDING_SUBSCRIPTION.moves) >= {EventAddResponse, EventCancelResponse}
    assert not states.ENDING_SUBSCRIPTION.moves[EventCancelResponse].moves
    assert states.ENDING_SUBSCRIPTION.moves[EventCancelResponse].legal == "nothing"


def test_a_search_needs_a_version_in_its_datagram() -> None:
    assert SearchRequest not in states.NEW_DATAGRAM.moves
    assert SearchRequest in states.NEW_DATAGRAM.moves[VersionRequest].moves


def test_an_error_is_for_good_but_a_server_may_say_why() -> None:
    open_circuit = NEW_CIRCUIT.moves[VersionRequest].moves[VersionResponse]
    assert broken(open_circuit, SERVER).moves == {}
    by_client = broken(open_circuit, CLIENT)
    assert by_client.states == {CLIENT: State.ERROR, SERVER: State.CONNECTED}
    assert by_client.moves == {ErrorResponse: by_client}


def test_states_are_shown_by_name() -> None:
    assert repr(State.AWAIT_CLEAR) == "AWAIT_CLEAR"
