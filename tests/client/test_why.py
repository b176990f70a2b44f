"""What is said of a cause, and shown."""

from __future__ import annotations

import math

import pytest

from caclient.client.facts import Destination, Facts, Surroundings
from caclient.client.why import Diagnosis
from caclient.config import Config
from tests.client.test_causes import HERE, LOST, UP


def test_facts_are_told_where_they_are_known():
    facts = Diagnosis(Facts("x", HERE, **UP, round_trip=0.001, moves=((2.0, "ready"),))).facts
    assert (facts["address"], facts["access"], facts["identity"]) == ("10.0.0.1:5064", "read/write", "me@console")
    assert "addr_list = 10.0.0.255:5064 (argument)" in facts["settings"]
    assert facts["destinations"][0]["sent"] == 7
    assert "refusal" not in facts
    moves = ((math.nan, "creating"), (2.0, "ready"))
    text = str(Diagnosis(Facts("x", HERE, **UP, round_trip=0.001, moves=moves)))
    assert "round trip: 1.000 ms" in text
    assert "was: creating > ready for 2.000 s" in text


def test_settings_of_servers_are_none_of_a_clients_business():
    config = Config.from_env({"EPICS_CAS_SERVER_PORT": "5099", "EPICS_CA_ADDR_LIST": "10.0.0.255"})
    text = str(Diagnosis(Facts("x", Surroundings(config, [Destination("10.0.0.255:5064", 7)]), **LOST)))
    assert "setting: addr_list = 10.0.0.255:5064 (EPICS_CA_ADDR_LIST)" in text
    assert "5099" not in text


@pytest.mark.parametrize(
    "known, begins, ends",
    [
        (
            LOST | {"phase": "search", "elapsed": 2.0},
            "no reply: 'x' not connected after 2.000 s: nobody answers for this name: 7 searches sent to 10.",
            "(or Context(addr_list=...))",
        ),
        (
            UP | {"phase": "request", "elapsed": 2.0, "unanswered": 2.0, "missing": 100, "unsent": 8},
            "no answer: 'x' after 2.000 s: the request was sent to 10.0.0.1:5064, last heard 0.100 s ago; 100 ",
            "give a longer timeout",
        ),
        (
            UP | {"phase": "request", "elapsed": 2.0, "unanswered": 2.0, "heard": 2.1},
            "unresponsive: 'x' after 2.000 s: 10.0.0.1:5064 keeps the connection, but has said nothing for 2.100 s",
            "the PV comes back by itself",
        ),
        (
            UP | {"phase": "processing", "elapsed": 2.0, "access": "read/write"},
            "not completed: 'x' after 2.000 s: the put was sent to 10.0.0.1:5064, and the record has not finished",
            "or math.inf",
        ),
        (
            UP | {"phase": "create", "elapsed": 2.0},
            "too late: 'x' not connected after 2.000 s: it has connected only now, to 10.0.0.1:5064",
            "give a longer timeout",
        ),
    ],
)
def test_a_failure_begins_with_the_verdict_and_ends_with_the_next_step(known, begins, ends):
    text = Diagnosis(Facts("x", HERE, **known)).failure()
    assert text.startswith(begins)
    assert text.endswith(ends)


def test_shown_as_text_and_html():
    diagnosis = Diagnosis(Facts("<x>", HERE, **LOST))
    assert repr(diagnosis).startswith("<Diagnosis of '<x>': no-reply: nobody answers")
    shown = diagnosis._repr_html_()
    assert "&lt;x&gt;" in shown
    assert "<x>" not in shown
    assert "check the spelling" in shown
