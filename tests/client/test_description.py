"""What is shown of a PV."""

from __future__ import annotations

import json
import math

from caclient import ChannelType, ControlInfo, Reading
from caclient.client.description import Description, record_of
from caclient.dbr import Origin

MM = ControlInfo("mm", 3, 10.0, -10.0, 4.0, 3.0, math.nan, -4.0, 20.0, -20.0)
FIELDS = {"DESC": "Sample <x>", "RTYP": "ai", "HHSV": "MAJOR", "HSV": "MINOR", "LSV": "MINOR", "LLSV": "NO_ALARM"}


def described(control=MM, fields=FIELDS, value=3.44712):
    reading = Reading(value, 4, 1, 1_000_000_000, 5, Origin("demo:x.VAL", ChannelType.DOUBLE, control))
    return Description(reading, "double", 1, "read/write", "10.0.0.1:5064", fields)


def test_as_a_table():
    rows = described().rows()
    assert rows["name"] == "demo:x.VAL"
    assert (rows["description"], rows["record"]) == ("Sample <x>", "ai")
    assert (rows["value"], rows["type"], rows["precision"]) == ("3.447 mm", "double, 1 element", "3")
    assert (rows["display limits"], rows["control limits"]) == ("-10 to 10", "-20 to 20")
    assert rows["alarm limits"] == ">= 3 MINOR, >= 4 MAJOR"
    assert (rows["alarm"], rows["access"], rows["host"]) == ("MINOR HIGH", "read/write", "10.0.0.1:5064")
    assert repr(described()).splitlines()[0] == "          name: demo:x.VAL"
    assert "Sample &lt;x&gt;" in described()._repr_html_()


def test_what_is_not_known_is_left_out():
    rows = described(ControlInfo(enum_strs=("Idle", "Moving")), {}, 1).rows()
    assert (rows["value"], rows["states"]) == ("Moving", "Idle, Moving")
    assert not {"description", "record", "alarm limits", "display limits", "precision"} & rows.keys()
    assert described(None, {}).description is None


def test_zeros_are_no_limits_where_nothing_says_so():
    """Integers have no NaN: a waveform's limits are all 0."""
    nothing = ControlInfo("", None, 0, 0, 0, 0, 0, 0, 0, 0)
    assert not {"alarm limits", "display limits", "control limits"} & described(nothing, {}, 1).rows().keys()
    assert described(nothing, FIELDS, 1).rows()["alarm limits"] == "<= 0 MINOR, >= 0 MINOR, >= 0 MAJOR"
    assert described(nothing, {}, "").rows()["value"] == "''"


def test_each_fact_is_an_attribute_and_json():
    found = described()
    assert (found.description, found.record_type, found.units) == ("Sample <x>", "ai", "mm")
    assert (found.pvname, found.count, found.enum_strs) == ("demo:x.VAL", 1, ())
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (facts["fields"]["RTYP"], facts["type"], facts["value"]) == ("ai", "double", 3.44712)


def test_record_of_a_name():
    assert [record_of(name) for name in ("x", "x.VAL", 'x.{"arr":{}}')] == ["x", "x", "x"]
