"""Options of one letter, as C programs have them."""

from __future__ import annotations

import pytest

from caclient.cli.getopt import BadOption, Letters, options

LETTERS = Letters("abc", "wF#0", ("json",), ("from-file",))
EARLY = LETTERS._replace(stop_early=True)


def parse(*arguments: str, letters: Letters = LETTERS) -> tuple[list[tuple[str, str]], list[str]]:
    words: list[str] = []
    found = [tuple(option) for option in options(arguments, letters, words)]
    return found, words


def test_letters_may_be_run_together_and_arguments_attached() -> None:
    assert parse("-abw2", "-w", "3", "-0x") == ([("a", ""), ("b", ""), ("w", "2"), ("w", "3"), ("0", "x")], [])


def test_options_stand_anywhere_among_the_words() -> None:
    assert parse("one", "-a", "two", "-w", "-5", "three") == ([("a", ""), ("w", "-5")], ["one", "two", "three"])


def test_or_end_at_the_first_word() -> None:
    assert parse("-a", "one", "-b", "--", letters=EARLY) == ([("a", "")], ["one", "-b", "--"])


def test_two_dashes_end_them() -> None:
    assert parse("one", "--", "-a", "--") == ([], ["one", "-a", "--"])
    assert parse("-w", "--", "one") == ([("w", "--")], ["one"])


def test_a_dash_and_nothing_are_words() -> None:
    assert parse("-", "", "-F", "") == ([("F", "")], ["-", ""])


def test_long_ones() -> None:
    assert parse("--json", "--from-file", "a", "--from-file=b") == (
        [("json", ""), ("from-file", "a"), ("from-file", "b")],
        [],
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-q"], "Unrecognized option: '-q'."),
        (["-aq"], "Unrecognized option: '-q'."),
        (["-:"], "Unrecognized option: '-:'."),
        (["--nonsense"], "Unrecognized option: '--'."),
        (["x", "-w"], "Option '-w' requires an argument."),
        (["-aF"], "Option '-F' requires an argument."),
        (["--from-file"], "Option '--from-file' requires an argument."),
        (["--json=1"], "Option '--json' takes no argument."),
    ],
)
def test_what_cannot_be_understood_is_named(arguments: list[str], complaint: str) -> None:
    with pytest.raises(BadOption) as caught:
        parse(*arguments)
    assert str(caught.value) == complaint


def test_what_stands_before_the_bad_one_has_been_handed_out() -> None:
    walk = options(["-a", "-q"], LETTERS, [])
    assert next(walk) == ("a", "")
    with pytest.raises(BadOption):
        next(walk)
