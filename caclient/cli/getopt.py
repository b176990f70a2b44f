"""One-letter options as C programs have them, and the long ones that only this command has.

Letters may be run together, their argument attached or apart; ``--`` ends them. Options are handed out in order, so
that what is said about one comes before what is said about the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple


class BadOption(Exception):
    """An unknown option, or one whose argument is missing: nothing after it is looked at."""


class Option(NamedTuple):
    """One option as it was given: ``name`` is a letter, or a word after two dashes; without an argument it is empty."""

    name: str
    argument: str


class Letters(NamedTuple):
    """The options that a verb has."""

    plain: Collection[str]
    with_argument: Collection[str]
    long: Collection[str] = ()
    long_with_argument: Collection[str] = ()
    stop_early: bool = False
    """Whether the first word that is no option ends them; else they may stand anywhere."""


def options(arguments: Sequence[str], letters: Letters, words: list[str]) -> Iterator[Option]:
    """Each option in turn; what is none is appended to *words*.

    :raises BadOption: for the first that cannot be understood.
    """
    queue = list(reversed(arguments))
    while queue:
        argument = queue.pop()
        if argument == "--" or (letters.stop_early and not _is_option(argument)):
            words += [argument] if argument != "--" else []
            words += reversed(queue)
            return
        if not _is_option(argument):
            words.append(argument)
        elif _is_long(argument, letters):
            yield _long(argument, letters, queue)
        else:
            yield from _short(argument[1:], letters, queue)


def _is_option(argument: str) -> bool:
    return len(argument) > 1 and argument[0] == "-"


def _is_long(argument: str, letters: Letters) -> bool:
    name = argument[2:].partition("=")[0]
    return argument[:2] == "--" and (name in letters.long or name in letters.long_with_argument)


def _long(argument: str, letters: Letters, queue: list[str]) -> Option:
    name, equals, value = argument[2:].partition("=")
    if name in letters.long:
        if equals:
            raise BadOption(f"Option '--{name}' takes no argument.")
        return Option(name, "")
    if not equals:
        if not queue:
            raise BadOption(f"Option '--{name}' requires an argument.")
        value = queue.pop()
    return Option(name, value)


def _short(group: str, letters: Letters, queue: list[str]) -> Iterator[Option]:
    for place, letter in enumerate(group):
        if letter in letters.with_argument:
            attached = group[place + 1 :]
            if not attached and not queue:
                raise BadOption(f"Option '-{letter}' requires an argument.")
            yield Option(letter, attached or queue.pop())
            return
        if letter not in letters.plain:
            raise BadOption(f"Unrecognized option: '-{letter}'.")
        yield Option(letter, "")
