"""Facts -> cause: the table, row by row, and what helps."""

from __future__ import annotations

import json

import pytest

from caclient.client.causes import Cause
from caclient.client.facts import Destination, Facts, Surroundings
from caclient.client.why import Diagnosis
from caclient.config import Config

HERE = Surroundings(Config(addr_list="10.0.0.255"), [Destination("10.0.0.255:5064", 7)], ("me", "console"))
NOWHERE = Surroundings(Config(auto_addr_list=False), (), ("me", "console"))
UNREACHABLE = Surroundings(None, [Destination("10.0.0.255:5064", 7, "Network is unreachable")])
HALF = Surroundings(None, [Destination("10.0.0.255:5064", 7, "Network is unreachable"), Destination("10.1.1.1:5064")])
WRONG = Surroundings(Config.from_env({"EPICS_CA_ADDR_LIST": "a,b"}), [Destination("10.0.0.255:5064", 7)])
ODD = Surroundings(Config.from_env({"EPICS_CA_MAX_SEARCH_PERIOD": "1"}), [Destination("10.0.0.255:5064", 7)])
ENDED = Surroundings(None, [Destination("10.0.0.255:5064", 7)], engine="MemoryError()")
FULL = Surroundings(None, [Destination("10.0.0.255:5064", 7)], limit="Too many open files")

UP = {
    "state": "ready",
    "address": "10.0.0.1:5064",
    "native_type": "double",
    "count": 1,
    "access": "read/write",
    "heard": 0.1,
}
LOST = {"state": "searching", "asked": 2.0, "searches": 7}

TABLE = [
    (Cause.CLOSED, HERE, LOST | {"closed": "this PV has been closed"}, "this PV has been closed"),
    (Cause.CLOSED, HERE, {"state": "closed"}, "closed"),
    (Cause.ENGINE, ENDED, LOST, "the engine thread has ended: MemoryError()"),
    (Cause.SETTINGS, WRONG, LOST, "EPICS_CA_ADDR_LIST: 'a,b' is no address"),
    (Cause.NO_REPLY, ODD, LOST, "nobody answers"),  # what is wrong there keeps no name from being found
    (Cause.DROPPED, WRONG, LOST | {"connected_until": 3.0}, "nobody answers now"),
    (Cause.LIMIT, FULL, LOST, "Too many open files"),
    (Cause.NETWORK, UNREACHABLE, LOST, "10.0.0.255:5064: Network is unreachable"),
    (Cause.NO_REPLY, HALF, LOST, "nobody answers"),
    (Cause.NO_ADDRESS, NOWHERE, LOST, "switched off (auto_addr_list)"),
    (Cause.NO_ADDRESS, Surroundings(Config()), LOST, "no network interface has a broadcast address"),
    (Cause.UNRESPONSIVE, HERE, UP | {"state": "unresponsive", "heard": 12.0}, "has said nothing for 12 s"),
    (Cause.UNRESPONSIVE, HERE, UP | {"unanswered": 2.0, "heard": 2.5}, "has said nothing for 2.500 s"),
    (Cause.HEALTHY, HERE, UP | {"unanswered": 2.0, "heard": 0.1}, "is connected"),
    (Cause.HEALTHY, HERE, UP | {"unanswered": 0.5, "heard": 0.6}, "is connected"),
    (Cause.DROPPED, HERE, LOST | {"connected_until": 3.0, "address": "10.0.0.1:5064"}, "10.0.0.1:5064 until 3.000 s"),
    (
        Cause.CONNECTION_REFUSED,
        HERE,
        LOST | {"connected_until": 3.0, "answered_by": "10.0.0.1:5064", "refusal": "Connection refused"},
        "10.0.0.1:5064 answers searches, but takes no connection: Connection refused",
    ),
    (Cause.CONNECTION_REFUSED, HERE, LOST | {"state": "connecting", "answered_by": "h:1"}, "h:1 answered the search"),
    (Cause.SEARCHING, HERE, LOST | {"state": "connecting", "asked": 0.1}, "connection is not up after 0.100 s"),
    (Cause.NOT_CREATED, HERE, LOST | {"answered_by": "h:1", "not_created": "refused the channel"}, "h:1 answered"),
    (Cause.NOT_CREATED, HERE, LOST | {"state": "creating", "answered_by": "h:1"}, "has not answered the request"),
    (Cause.NO_SUCH_FIELD, HERE, LOST | {"record_at": "h:1"}, "nobody has 'rec.FLD', but h:1 has the record 'rec'"),
    (Cause.SEARCHING, HERE, LOST | {"asked": 0.2}, "searched for 0.200 s only"),
    (Cause.NO_REPLY, HERE, LOST, "7 searches sent to 10.0.0.255:5064"),
    (Cause.NO_READ_ACCESS, HERE, UP | {"access": "no access"}, "10.0.0.1:5064 does not let me@console read it"),
    (
        Cause.CALLBACK_BUSY,
        HERE,
        UP | {"busy": "slow (scan.py:7)", "busy_for": 5.0, "queued": 12},
        "the callback slow (scan.py:7) has been running for 5.000 s; 12 updates wait",
    ),
    (Cause.HEALTHY, HERE, UP | {"busy": "slow (scan.py:7)", "busy_for": 5.0}, "is connected"),
    (Cause.DUPLICATE, HERE, UP | {"other": "10.0.0.2:5064"}, "10.0.0.1:5064 is used, 10.0.0.2:5064 is not"),
    (Cause.NO_WRITE_ACCESS, HERE, UP | {"access": "read-only"}, "me@console may read it but not write"),
    (Cause.HEALTHY, HERE, UP, "connected to 10.0.0.1:5064, double[1], read/write"),
]


@pytest.mark.parametrize("cause, around, known, says", TABLE)
def test_table(cause, around, known, says):
    diagnosis = Diagnosis(Facts("rec.FLD", around, **known))
    assert diagnosis.cause is cause
    assert says in diagnosis.says
    assert says in str(diagnosis)
    assert (diagnosis.advice == "") == (cause is Cause.HEALTHY)
    json.dumps(diagnosis.to_dict(), allow_nan=False)


def test_every_cause_has_its_row():
    assert {cause for cause, *_ in TABLE} == set(Cause)


def test_causes_print_as_their_value():
    assert f"{Cause.NO_REPLY} {Cause.NO_REPLY:>10}" == "no-reply   no-reply"
    assert str(Cause.HEALTHY) == Cause.HEALTHY == "healthy"


def test_the_others_that_hold_stand_beside_the_first():
    diagnosis = Diagnosis(Facts("x", HERE, **UP | {"access": "read-only", "other": "h:1"}))
    assert diagnosis.cause is Cause.DUPLICATE
    assert diagnosis.also == (Cause.NO_WRITE_ACCESS,)
    assert diagnosis.facts["also"] == ["no-write-access"]
    assert Diagnosis(Facts("x", HERE, **UP)).facts["also"] == []


def test_only_this_machine_is_told():
    around = Surroundings(None, [Destination("127.0.0.1:5064", 3)])
    assert "only this machine is searched" in Diagnosis(Facts("x", around, **LOST)).advice


def test_a_name_server_is_told_as_one():
    down = Destination("10.0.0.9:5064", 3, "connect failed: ECONNREFUSED", "down")
    alone = Diagnosis(Facts("x", Surroundings(None, [down]), **LOST))
    assert alone.cause is Cause.NETWORK
    assert alone.advice == "see whether that name server runs, and takes connections from here"
    beside = Diagnosis(Facts("x", Surroundings(None, [Destination("10.0.0.255:5064", 7), down]), **LOST))
    assert beside.says.endswith("to 10.0.0.255:5064, 10.0.0.9:5064 (name server, connect failed: ECONNREFUSED)")
    up = Diagnosis(Facts("x", Surroundings(None, [Destination("10.0.0.9:5064", 3, "", "open")]), **LOST))
    assert up.advice == "check the spelling, that its IOC runs, and that the name server knows that IOC"
