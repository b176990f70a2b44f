"""The forms of several lines."""

from __future__ import annotations

import numpy as np
import pytest

from caclient.cli.blocks import answer_block, dbf_name, dbr_name, info_block, note_block, request_type, unknown_block
from caclient.cli.formats import Answer, Style
from caclient.dbr.metadata import Metadata
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.types import LAYOUTS, ChannelType

LIMITS = {
    "upper_disp_limit": 100, "lower_disp_limit": 156, "upper_alarm_limit": 90, "upper_warning_limit": 80,
    "lower_warning_limit": 176, "lower_alarm_limit": 166, "upper_ctrl_limit": 7, "lower_ctrl_limit": 255,
}  # fmt: skip


def block(answer: Answer, native: ChannelType = ChannelType.DOUBLE) -> list[str]:
    return answer_block("n", native, answer, Style(), False)[4:]


@pytest.mark.parametrize("layout", [one for one in LAYOUTS if one.data_type not in (35, 36)], ids=str)
def test_every_type_has_a_name(layout: object) -> None:
    data_type = layout.data_type  # type: ignore[attr-defined]
    assert request_type(dbr_name(data_type)) == data_type
    assert request_type(dbr_name(data_type)[4:]) == data_type


def test_short_not_int() -> None:
    assert (dbr_name(ChannelType.CTRL_INT), dbf_name(ChannelType.INT)) == ("DBR_CTRL_SHORT", "DBF_SHORT")
    assert request_type("DBR_INT") is None


def test_the_head() -> None:
    lines = answer_block(
        "n\a", ChannelType.INT, Answer(ChannelType.LONG, np.array([1, 2])), Style(separator=","), False
    )
    assert lines == [
        "n\\a",
        "    Native data type: DBF_SHORT",
        "    Request type:     DBR_LONG",
        "    Element count:    2",
        "    Value:            1,2",
    ]


def test_a_class_has_no_count() -> None:
    answer = Answer(ChannelType.CLASS_NAME, (b"ai",))
    assert answer_block("n", ChannelType.DOUBLE, answer, Style(), False)[3:] == ["    Class Name:       ai"]


def test_time() -> None:
    answer = Answer(ChannelType.TIME_ENUM, np.array([3]), Metadata(17, 3, TimeStamp(0, 0)))
    assert block(answer)[1:] == [
        "    Timestamp:        <undefined>",
        "    Status:           UDF",
        "    Severity:         INVALID",
    ]


def test_limits_of_characters_are_signed_and_right_aligned() -> None:
    metadata = Metadata(0, 0, units=b"\xb0C\x1b", **LIMITS)
    assert block(Answer(ChannelType.CTRL_CHAR, np.array([1], "u1"), metadata))[3:] == [
        "    Units:            \udcb0C\\x1b",
        "    Lo disp limit:        -100",
        "    Hi disp limit:         100",
        "    Lo alarm limit:        -90",
        "    Lo warn limit:         -80",
        "    Hi warn limit:          80",
        "    Hi alarm limit:         90",
        "    Lo ctrl limit:          -1",
        "    Hi ctrl limit:           7",
    ]


def test_limits_of_doubles_are_as_c_prints_them() -> None:
    metadata = Metadata(0, 0, precision=3, units=b"V", lower_disp_limit=float("nan"), upper_disp_limit=1234567.0)
    assert block(Answer(ChannelType.GR_DOUBLE, np.array([1.0]), metadata))[4:7] == [
        "    Precision:        3",
        "    Lo disp limit:    nan",
        "    Hi disp limit:    1.23457e+06",
    ]


def test_states() -> None:
    metadata = Metadata(0, 0, enum_strings=(b"zero", "größer".encode()))
    assert block(Answer(ChannelType.GR_ENUM, np.array([1]), metadata)) == [
        "    Value:            größer",
        "    Status:           NO_ALARM",
        "    Severity:         NO_ALARM",
        "    Enums:            ( 2)",
        "                      [ 0] zero",
        "                      [ 1] größer",
    ]


def test_acknowledgement() -> None:
    answer = Answer(ChannelType.STSACK_STRING, (b"x",), Metadata(0, 0, ackt=0, acks=2))
    assert block(answer)[3:] == ["    Ack transient?:   NO", "    Ack severity:     MAJOR"]


def test_info() -> None:
    assert info_block("n", "connected", "h:1", (True, False), ChannelType.ENUM, 3) == [
        "n",
        "    State:            connected",
        "    Host:             h:1",
        "    Access:           read, no write",
        "    Native data type: DBF_ENUM",
        "    Request type:     DBR_ENUM",
        "    Element count:    3",
    ]
    assert unknown_block("n", "never connected") == ["n", "    State:            never connected"]
    assert note_block("n", "*** x") == ["n", "    *** x"]
