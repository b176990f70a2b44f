"""Results: what went well, in order, and why the rest did not."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping

import pytest

from caclient import CAError, CATimeoutError, ManyFailedError, Reading
from caclient.client.results import Results

LATE = CATimeoutError("'c' not connected", pvname="c")
SOME: Results[int] = Results({"b": 2, "a": 1}, {"c": LATE})


def test_is_a_mapping_in_the_order_asked():
    assert isinstance(SOME, Mapping)
    assert (list(SOME), list(SOME.values()), len(SOME), SOME["a"]) == (["b", "a"], [2, 1], 2, 1)
    assert "c" not in SOME
    assert Results({"a": 1}) == {"a": 1}


def test_what_failed_says_why():
    assert SOME.failed == {"c": LATE}
    assert not SOME.ok
    assert Results({"a": 1}).ok
    with pytest.raises(KeyError, match="'c' failed: 'c' not connected"):
        SOME["c"]
    with pytest.raises(KeyError, match="'d' is none of the 2 names that went well"):
        SOME["d"]
    assert SOME.get("c") is None


def test_raise_for_failed():
    Results({"a": 1}).raise_for_failed()
    with pytest.raises(ManyFailedError, match="1 of 3 failed: 'c' not connected") as raised:
        SOME.raise_for_failed()
    assert raised.value.results is SOME
    assert raised.value.failed == {"c": LATE}
    assert isinstance(raised.value, CAError)


def test_has_no_truth():
    for results in (SOME, Results({})):
        with pytest.raises(TypeError, match=r"ask `\.ok`"):
            bool(results)


def test_reads_as_text_and_as_html():
    assert repr(SOME) == "<Results: 2 ok, 1 failed>\n  c: 'c' not connected\n  b: 2\n  a: 1"
    many = Results({f"<{number}>": number for number in range(100)})
    assert repr(many).endswith("\n  <9>: 9\n  ... and 90 more")
    assert "&lt;9&gt;" in many._repr_html_()
    assert "90 more" in many._repr_html_()


def test_says_itself_in_json():
    results = Results({"a": Reading(1.5), "b": 2}, {"c": LATE})
    facts = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    assert facts["results"]["a"]["value"] == 1.5
    assert facts["results"]["b"] == 2
    assert facts["failed"] == {"c": "'c' not connected"}


def test_pickles():
    again = pickle.loads(pickle.dumps(SOME))
    assert (dict(again), str(again.failed["c"])) == ({"b": 2, "a": 1}, "'c' not connected")


def test_what_was_not_asked_for_and_numbers_are_no_keys():
    for key in ("y", 0):
        with pytest.raises(KeyError, match="results go by name, as asked"):
            Results({"x": 1.0})[key]
