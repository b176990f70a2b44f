"""Words as values to be put."""

from __future__ import annotations

import pytest

from caclient.cli.values import BadState, characters, elements, states, strings
from caclient.dbr.types import ChannelType

NAMES = (b"Low", b"Mid way", b"High", b"2")
TOO_LARGE = "Warning: enum index value '{}' may be too large."


def put(
    *words: str, as_numbers: bool = False, by_name: bool = False
) -> tuple[ChannelType, list[object], tuple[str, ...]]:
    value = states(words, NAMES, as_numbers=as_numbers, by_name=by_name)
    return value.data_type, list(value.data), value.warnings


def test_words_are_one_text_or_elements_after_their_number() -> None:
    assert elements(["two", "words"], as_array=False) == ["two words"]
    assert elements(["7", "1", "2"], as_array=True) == ["1", "2"]
    assert elements(["7"], as_array=True) == []


def test_strings_are_cut_and_escapes_read() -> None:
    value = strings([r"a\tb", "x" * 50, ""])
    assert (value.data_type, value.data) == (ChannelType.STRING, [b"a\tb", b"x" * 39, b""])


def test_characters_have_a_nul_that_counts() -> None:
    assert characters(r"a\0µ") == (ChannelType.CHAR, b"a\0\xc2\xb5\0", ())


def test_a_state_is_sent_by_name_if_it_has_one() -> None:
    assert put("Mid way") == (ChannelType.STRING, [b"Mid way"], ())
    assert put("2") == (ChannelType.STRING, [b"2"], ())
    assert put(r"L\x6fw") == (ChannelType.STRING, [b"Low"], ())


def test_else_by_number() -> None:
    assert put("1") == (ChannelType.DOUBLE, [1.0], ())
    assert put("1.7 apples") == (ChannelType.DOUBLE, [1.7], ())
    assert put("0x1") == (ChannelType.DOUBLE, [1.0], ())
    assert put("4") == (ChannelType.DOUBLE, [4.0], (TOO_LARGE.format("4"),))
    assert put("-1") == (ChannelType.DOUBLE, [-1.0], ())


@pytest.mark.parametrize("word", ["high", "", "Nothing"])
def test_else_it_is_refused(word: str) -> None:
    with pytest.raises(BadState, match=f"Enum string value '{word}' invalid"):
        put(word)


def test_names_only() -> None:
    assert put("2", by_name=True)[0] == ChannelType.STRING
    with pytest.raises(BadState, match="Enum string value '1' invalid"):
        put("1", by_name=True)


def test_numbers_only() -> None:
    assert put("2", "9", as_numbers=True) == (ChannelType.DOUBLE, [2.0, 9.0], (TOO_LARGE.format("9"),))
    with pytest.raises(BadState, match="Enum index value 'Low' is not a number"):
        put("Low", as_numbers=True)


def test_the_last_decides_what_all_are_sent_as() -> None:
    assert put("High", "1") == (ChannelType.DOUBLE, [0.0, 1.0], ())
    assert put("1", "High") == (ChannelType.STRING, [b"1", b"High"], ())


@pytest.mark.parametrize("as_numbers", [False, True])
def test_what_was_doubtful_before_a_wrong_word_is_said_too(as_numbers: bool) -> None:
    with pytest.raises(BadState) as caught:
        put("0x1f", "Quick", "300", as_numbers=as_numbers)
    assert caught.value.warnings == (TOO_LARGE.format("0x1f"),)
