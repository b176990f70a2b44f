"""Metadata of a record, as they go over the wire."""

from __future__ import annotations

import math

from caclient.ioc import Properties


def test_limits_have_the_names_of_the_structs() -> None:
    limits = Properties(display=(1, 2), control=(3, 4), warning=(5, 6), alarm=(7, 8)).wire_limits()
    assert limits == {
        "lower_disp_limit": 1, "upper_disp_limit": 2, "lower_ctrl_limit": 3, "upper_ctrl_limit": 4,
        "lower_warning_limit": 5, "upper_warning_limit": 6, "lower_alarm_limit": 7, "upper_alarm_limit": 8,
    }  # fmt: skip


def test_limits_not_configured_are_nan() -> None:
    limits = Properties().wire_limits()
    assert all(math.isnan(limits[name]) for name in limits if "alarm" in name or "warning" in name)


def test_texts_are_cut() -> None:
    properties = Properties(units="furlongs/h", enum_strings=("x" * 30, *map(str, range(20))))
    assert properties.wire_units == b"furlong"
    assert len(properties.wire_enum_strings) == 16
    assert properties.wire_enum_strings[0] == b"x" * 26
