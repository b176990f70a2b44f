"""Readings as people look at them: nothing that a page could take for a command, and all that there is to see."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from caclient import ControlInfo, Reading
from caclient.client.picture import (
    Line,
    age_text,
    blocks,
    card,
    chart,
    colour,
    sparkline,
    table,
    table_text,
    value_text,
)
from caclient.dbr import Origin

MM = Origin("m1", control=ControlInfo("mm", 2))
STATES = Origin("busy", control=ControlInfo(enum_strs=("Idle", "<b>Moving")))


def parsed(text):
    """As a browser takes it: it raises if a tag is left open."""
    return ElementTree.fromstring(text.replace("&nbsp;", " ").replace("&middot;", "-"))


def points_of(drawn):
    return [
        [tuple(map(float, point.split(","))) for point in each.get("points").split()]
        for each in parsed(drawn).iter("polyline")
    ]


def test_a_card_has_value_unit_alarm_age_and_host():
    reading = Reading(1.234, 3, 2, origin=MM)
    drawn = card(Line("m1", reading, 3.2), "ready", "ioc:5064")
    said = "".join(parsed(drawn).itertext())
    for part in ("1.23 mm", "m1", "MAJOR", "3.2 s ago", "ioc:5064"):
        assert part in said
    assert colour(reading) in drawn
    assert "ready" not in said


def test_a_card_of_a_pv_that_is_away_says_so():
    drawn = card(Line("<m1>", None, None, False), "searching", None)
    assert "".join(parsed(drawn).itertext()).split() == ["●", "no", "value<m1>", "-", "searching"]
    assert colour(None) in drawn
    assert colour(Reading(1.0), connected=False) == colour(None) != colour(Reading(1.0))


def test_states_are_shown_and_the_present_one_is_framed():
    drawn = card(Line("busy", Reading(1, origin=STATES)), "ready", None)
    framed = [each.text for each in parsed(drawn).iter("span") if "border:1px" in each.get("style")]
    assert framed == ["<b>Moving"]
    assert "Idle" in drawn


def test_an_array_has_its_range_and_a_line():
    drawn = card(Line("wave", Reading(np.arange(1000.0))), "ready", None)
    assert "1000 elements, 0 to 999" in drawn
    assert len(points_of(drawn)[0]) == 800
    assert "no finite value" in card(Line("wave", Reading(np.array([math.nan, math.nan]))), "ready", None)
    assert "polyline" not in card(Line("text", Reading(np.array(["a", "b"]))), "ready", None)


def test_a_peak_of_one_element_is_seen():
    wave = np.zeros(100_000)
    wave[70_000] = 1.0
    [points] = points_of(sparkline(wave))
    assert min(y for _, y in points) == pytest.approx(2.0)
    assert len(points_of(sparkline(np.array([1.0, math.nan, 3.0])))[0]) == 2


def test_a_table_as_html_and_as_text():
    lines = [Line("m1", Reading(1.0, origin=MM), 1.0), Line("away", None, None, False)]
    assert "disconnected" in table(lines)
    parsed(table(lines))
    assert table_text(lines).splitlines() == ["m1    1.00 mm     1.0 s", "away  no value    disconnected"]


def test_an_array_of_floats_fits_in_a_line():
    wave = Reading(np.sin(np.arange(500.0)), origin=MM)
    assert value_text(wave) == "[0, 0.8415, ..., 0.491] mm"
    assert value_text(Reading(np.array([1 / 3, 2.0]))) == "[0.3333, 2]"
    assert value_text(Reading(np.array([], float))) == "[]"
    assert value_text(Reading(np.arange(3))) == "[0, 1, 2]"


def test_a_narrow_page_shows_the_whole_chart():
    assert parsed(chart([], 60.0)).find("svg").get("viewBox") == "0 0 640 200"


def test_a_chart_has_now_at_the_right():
    line = Line("m1", Reading(2.0, origin=MM), points=[(60.0, 0.0), (30.0, 2.0), (0.0, 2.0)])
    [points] = points_of(chart([line, Line("away", None)], 60.0, width=102, height=104))
    assert points == [(1.0, 102.0), (51.0, 2.0), (101.0, 2.0)]
    assert "m1: 2.00 mm" in chart([line], 60.0)


@pytest.mark.parametrize(
    ("age", "text"),
    [(None, ""), (0.04, "0.0 s"), (59.0, "59.0 s"), (120.0, "2 min"), (7200.0, "2 h"), (172800.0, "2 d")],
)
def test_ages_have_one_unit(age, text):
    assert age_text(age) == text


def test_blocks():
    assert blocks([0.0, math.nan, 7.0]) == "▁█"
    assert blocks([1.0, 1.0]) == "▁▁"
    assert blocks([]) == ""
