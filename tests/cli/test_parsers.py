"""Help, and the arguments that many verbs have."""

from __future__ import annotations

import argparse

import pytest

from caclient.cli import LINKS, options, parsers
from caclient.cli.options import UsageError
from caclient.cli.verbs import ALL, COMMANDS, TOOLS
from tests.cli.commands import Commands

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("verb", ALL)
def test_help_has_examples(verb: str, commands: Commands) -> None:
    run = commands.run("caclient", verb, "--help")
    assert run.code == 0 and run.stderr == ""
    assert f"usage: caclient {verb} " in run.stdout
    assert all(f"  {example}\n" in run.stdout for example in ALL[verb].examples)


@pytest.mark.parametrize("link", LINKS)
def test_help_of_a_link_has_its_name(link: str, commands: Commands) -> None:
    run = commands.run(link, "--help")
    assert run.code == 0
    assert f"usage: {link} " in run.stdout and f"  {link} " in run.stdout and "caclient" not in run.stdout


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_has_its_module(verb: str) -> None:
    assert parsers.command(verb).run
    assert parsers.command(verb).add_arguments


@pytest.mark.parametrize("verb", TOOLS)
def test_every_option_of_a_tool_is_told(verb: str) -> None:
    letters = getattr(options, verb.upper())
    told = {row.letter[0] for row in TOOLS[verb].options if row.letter[0] != "-"}
    without_function = {"get": "i", "put": "#", "monitor": "", "info": "n"}[verb]
    assert told == {*letters.plain, *letters.with_argument} - {*without_function}
    long = {row.letter[1:] for row in TOOLS[verb].options if row.letter[0] == "-"}
    assert long | {"help", "version"} == {*letters.long, *letters.long_with_argument}


@pytest.mark.parametrize("columns", ["30", "200"])
def test_help_fits_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = parsers.main_parser("").format_help().splitlines()
    assert max(map(len, lines)) <= int(columns)


@pytest.mark.parametrize("words", [["--version"], ["get", "--version"], ["put", "--version"]])
def test_version(words: list[str], commands: Commands) -> None:
    run = commands.run("caclient", *words)
    assert (run.code, run.stderr) == (0, "")
    assert run.stdout == parsers.version_line() + "\n"


def test_a_name_given_twice_counts_once() -> None:
    parser = argparse.ArgumentParser()
    parsers.add_names(parser)
    assert parsers.names_of(parser.parse_args(["b", "a", "b"])) == ["b", "a"]


def test_a_missing_name_is_a_mistake() -> None:
    parser = argparse.ArgumentParser()
    parsers.add_names(parser)
    given = parser.parse_args([])
    given.command = "why"
    with pytest.raises(UsageError, match="caclient why: no PV name given") as caught:
        parsers.names_of(given)
    assert caught.value.status == 2
    assert parsers.names_of(given, required=False) == []


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", ""])
def test_seconds_are_positive(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no positive number"):
        parsers.positive(text)
    assert parsers.positive("2.5") == 2.5
