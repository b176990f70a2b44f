"""Snapshots: compared, kept in files, and as tables."""

from __future__ import annotations

import json
import math
import pickle
from datetime import datetime, timezone

import numpy as np
import pytest

from caclient import BadValueError, CATimeoutError, ChannelType, ControlInfo, Reading
from caclient.client.snapshot import Snapshot
from caclient.dbr import Origin

NOW = datetime(2026, 11, 26, 5, 0, tzinfo=timezone.utc)
STATES = ControlInfo(enum_strs=("Idle", "Moving"))
MM = ControlInfo("mm", 3, 10.0, -10.0, 4.0, math.nan, math.nan, math.nan, 20.0, -20.0)


def double(value, name="x", control=MM):
    return Reading(value, 3, 2, 1_000_000_000, 123_456_789, Origin(name, ChannelType.DOUBLE, control, "read"))


def state(value, name="mode"):
    return Reading(value, origin=Origin(name, ChannelType.ENUM, STATES))


EVERYTHING = {
    "x": double(1.5),
    "nan": double(math.nan, "nan"),
    "inf": double(-math.inf, "inf"),
    "mode": state(1),
    "text": Reading("é\n", origin=Origin("text", ChannelType.STRING)),
    "count": Reading(7, 0, 0, 0, 0, Origin("count", ChannelType.LONG)),
    "wave": Reading(np.array([1.0, math.nan]), origin=Origin("wave", ChannelType.DOUBLE)),
    "bytes": Reading(np.arange(3, dtype=np.uint8), origin=Origin("bytes", ChannelType.CHAR)),
    "names": Reading(np.array(["a", "bc"]), origin=Origin("names", ChannelType.STRING)),
    "none": Reading(np.zeros(0), origin=Origin("none", ChannelType.DOUBLE)),
    "odd": Reading(1, 99, 7, origin=Origin("odd", ChannelType.LONG)),
    "beyond": state(7, "beyond"),
}
LATE = CATimeoutError("'dead': no reply", pvname="dead")
SNAP = Snapshot(EVERYTHING, {"dead": LATE}, NOW)


def test_is_what_was_read_with_its_time():
    assert SNAP["x"] == 1.5
    assert (SNAP.time, SNAP.ok, len(SNAP)) == (NOW, False, 12)
    assert repr(SNAP).startswith("<Snapshot: 2026-11-26 05:00:00, 12 ok, 1 failed>\n  dead: 'dead': no reply\n  x: 1.5")
    assert Snapshot().time.tzinfo is not None


def test_diff_is_old_and_new():
    old = Snapshot({"x": double(1.0), "same": double(2.0), "mode": state(0), "gone": double(1.0)})
    new = Snapshot({"x": double(1.5), "same": double(2.0), "mode": state(1), "new": double(3.0)})
    diff = old.diff(new)
    assert list(diff) == ["x", "mode", "gone", "new"]
    assert diff["x"] == (1.0, 1.5)
    assert diff["mode"] == ("Idle", "Moving")
    assert (diff["gone"][1], diff["new"][0]) == (None, None)
    assert repr(diff).splitlines()[:2] == ["<Diff: 4 changed>", "  x: 1.000 -> 1.500"]
    assert "Moving" in diff._repr_html_()
    json.dumps(diff.to_dict(), allow_nan=False)
    assert len(SNAP.diff(SNAP)) == 0
    assert not SNAP.diff(pickle.loads(pickle.dumps(SNAP)))


def test_a_state_that_has_another_number_is_the_same():
    other = Reading(0, origin=Origin("mode", ChannelType.ENUM, ControlInfo(enum_strs=("Moving", "Idle"))))
    assert len(Snapshot({"mode": state(1)}).diff({"mode": other})) == 0


def test_there_and_back_by_file(tmp_path):
    path = tmp_path / "snap.json"
    SNAP.save(path)
    again = Snapshot.load(str(path))
    assert list(again) == list(SNAP)
    for name, reading in SNAP.items():
        assert again[name] == reading, name
        assert type(again[name].value) is type(reading.value), name
        assert again[name].reason == reading.reason
    assert again["wave"].value.dtype == np.float64
    assert (again.time, str(again.failed["dead"]), again.failed["dead"].pvname) == (NOW, str(LATE), "dead")
    assert [each.name for each in tmp_path.iterdir()] == ["snap.json"]


def test_states_are_kept_by_name(tmp_path):
    path = tmp_path / "snap.json"
    SNAP.save(path)
    facts = json.loads(path.read_text("utf-8"))["readings"]["mode"]
    assert (facts["value"], facts["enum_strs"]) == ("Moving", ["Idle", "Moving"])


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", '{"format": 1, "readings": {"x": 1}, "failed": {}, "time": ""}'])
def test_what_is_no_snapshot_is_told(tmp_path, text):
    path = tmp_path / "snap.json"
    path.write_text(text)
    with pytest.raises(BadValueError, match=r"snap\.json: is no snapshot"):
        Snapshot.load(path)


def test_a_later_format_is_told(tmp_path):
    path = tmp_path / "snap.json"
    path.write_text('{"format": 99}')
    with pytest.raises(BadValueError, match="written by a later caclient"):
        Snapshot.load(path)


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path):
    path = tmp_path / "snap.json"
    SNAP.save(path)
    before = path.read_bytes()
    broken = Snapshot({"x": Reading(object())})
    with pytest.raises(TypeError):
        broken.save(path)
    assert path.read_bytes() == before


def test_as_a_table():
    frame = SNAP.to_dataframe()
    assert list(frame.index) == list(SNAP)
    assert frame.loc["mode", "value"] == "Moving"
    assert (frame.loc["x", "units"], frame.loc["x", "severity"]) == ("mm", "MAJOR")
    assert frame.loc["x", "time"].value == SNAP["x"].timestamp_ns
    assert frame.loc["count", "time"] is None or frame["time"].isna()["count"]


def test_pickles():
    again = pickle.loads(pickle.dumps(SNAP))
    assert (list(again), again.time, again["x"]) == (list(SNAP), NOW, SNAP["x"])


def test_where_it_cannot_be_written_is_told_by_the_name_given(tmp_path):
    path = tmp_path / "missing" / "x.json"
    with pytest.raises(FileNotFoundError) as raised:
        Snapshot().save(path)
    assert raised.value.filename == str(path)
