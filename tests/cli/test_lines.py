"""The one-line forms."""

from __future__ import annotations

import numpy as np

from caclient.cli.formats import Answer, Style
from caclient.cli.lines import full_line, name_text, note_line, plain_line, severity_text, status_text, values_text
from caclient.dbr.metadata import Metadata
from caclient.dbr.types import ChannelType

BLANKS = " " * 22


def numbers(*values: float) -> Answer:
    return Answer(ChannelType.TIME_DOUBLE, np.array(values, "f8"), Metadata(0, 0))


def characters(text: bytes) -> Answer:
    return Answer(ChannelType.TIME_CHAR, np.frombuffer(text, "u1"), Metadata(0, 0))


def test_names_are_padded_before_one_element_and_blanks() -> None:
    assert name_text("cli:ai0x", 1, Style()) == "cli:ai0x" + BLANKS
    assert name_text("cli:ai0x", 0, Style()) == "cli:ai0x" + BLANKS
    assert name_text("cli:ai0x", 2, Style()) == "cli:ai0x"
    assert name_text("cli:ai0x", 1, Style(separator=",")) == "cli:ai0x"
    assert name_text("x" * 40, 1, Style()) == "x" * 40
    assert name_text("a\x1b[0m", 2, Style()) == r"a\x1b[0m"


def test_the_count_stands_before_several_or_where_it_was_asked_for() -> None:
    assert values_text(numbers(1.5), Style(), False) == "1.5"
    assert values_text(numbers(1.5), Style(), True) == "1 1.5"
    assert values_text(numbers(1.5, 2), Style(separator=","), False) == "2,1.5,2"
    assert values_text(numbers(), Style(), False) == ""


def test_characters_as_text_have_no_count() -> None:
    style = Style(characters_as_text=True)
    assert values_text(characters(b'a "b"\0c'), style, False) == r"a \"b\""
    assert values_text(characters(b"\0"), style, False) == "0"
    assert values_text(characters(b"A"), style, False) == "65"
    assert values_text(characters(b"A"), style, True) == "A"
    assert values_text(characters(b"full"), style, False) == "full"
    assert values_text(numbers(1, 2), style, False) == "2 1 2"


def test_plain() -> None:
    assert plain_line("cli:ai0x", numbers(2), Style(), False) == f"cli:ai0x{BLANKS} 2"
    assert plain_line("cli:ai0x", numbers(), Style(), False) == f"cli:ai0x{BLANKS} "


def test_full() -> None:
    assert full_line("n", "T", numbers(2), Style(separator=","), False) == "n,T,2,,"
    assert full_line("n", "T", numbers(1, 2), Style(), False) == "n T 2 1 2  "
    assert full_line("n", "T", numbers(), Style(separator=","), False) == "n,T,,"
    answer = Answer(ChannelType.TIME_DOUBLE, np.array([2.0]), Metadata(17, 0))
    assert full_line("n", "T", answer, Style(separator=","), False) == "n,T,2,UDF,NO_ALARM"


def test_notes() -> None:
    assert note_line("n", 3, "*** x", Style()) == "n *** x"
    assert note_line("n", 3, "*** x", Style(separator=","), "T") == "n,T,*** x"


def test_alarms_without_a_name() -> None:
    assert (status_text(4), status_text(99), status_text(None)) == ("HIGH", "??", "NO_ALARM")
    assert (severity_text(2), severity_text(-1)) == ("MAJOR", "??")
