"""``caclient get``, beside all that caget was recorded doing."""

from __future__ import annotations

import pytest

from caclient.cli.formats import Style
from caclient.cli.get import count_wanted, line_type
from caclient.cli.options import Options
from caclient.dbr.types import ChannelType
from tests.cli.commands import Commands
from tests.cli.recorded_calls import load
from tests.cli.stage import Stage
from tests.interop.softioc import SoftIoc

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

# PVs that are there are shown, though others are missing
MEANT = {
    "get-245": {"stdout": "cli:wf_double[1:2]             *** not connected\ncli:wf_double.[2:3] 2 1e+10 0.1\n"},
    "get-251": {"stdout": "*** not connected\n3.14159\n"},
    "get-253": {"stdout": "cli:missing                    *** not connected\ncli:ai0                        3.14159\n"},
    "get-283": {"stdout": "cli:ai0                        3.14159\n-t                             *** not connected\n"},
}


def test_there_are_all_recorded_calls() -> None:
    assert len(load()) == 339


def test_recorded_calls_agree(ioc: SoftIoc, commands: Commands) -> None:
    assert Stage(ioc, commands).differing("caget", MEANT) == {}


def test_a_link_is_the_tool(ioc: SoftIoc, commands: Commands) -> None:
    assert Stage(ioc, commands).differing("caget", MEANT, ["/somewhere/caget"], every=12) == {}


def test_a_refusal_without_the_fixed_count_is_named(commands: Commands) -> None:
    run = commands.run("caclient", "get", "-c", "cli:wf_enum")
    assert (run.code, run.stdout) == (0, "cli:wf_enum                    *** CA error Channel read request failed\n")
    assert run.stderr == "Read operation timed out: some PV data was not read.\n"
    run = commands.run("caclient", "get", "-c", "-d", "LONG", "cli:str")
    assert run.stdout == "cli:str\n    *** CA error Channel read request failed\n"


def test_a_name_without_a_value_is_padded_as_what_was_asked_for_would_be(commands: Commands) -> None:
    for options, line in {
        ("-c",): "cli:noaccess.DESC$             *** no read access\n",
        ("-#", "1"): "cli:noaccess.DESC$             *** no read access\n",
        ("-#", "2"): "cli:noaccess.DESC$ *** no read access\n",
        (): "cli:noaccess.DESC$ *** no read access\n",
    }.items():
        assert commands.run("caclient", "get", *options, "cli:noaccess.DESC$").stdout == line


def test_names_from_a_file_are_read_at_once(commands: Commands) -> None:
    names = [f"cli:ai0.{field}" for field in ("VAL", "HIHI", "LOLO", "PREC")]
    run = commands.run("caclient", "get", "-t", *names * 250)
    assert run.code == 0
    assert run.stdout == "3.14159\n90\n-90\n0\n" * 250


def test_every_bad_name_is_told(commands: Commands) -> None:
    run = commands.run("caclient", "get", "", "cli:ai0", "")
    assert (run.code, run.stdout) == (1, "")
    assert run.stderr == "CA error Invalid string occurred while trying to create channel ''.\n" * 2


@pytest.mark.parametrize(
    ("count", "live", "native", "wanted"),
    [(0, False, 5, 5), (0, True, 5, 0), (2, False, 5, 2), (2, True, 5, 2), (9, False, 5, 5), (-1, True, 5, 5)],
)
def test_elements_asked_for(count: int, live: bool, native: int, wanted: int) -> None:
    assert count_wanted(native, Options(count=count, live_count=live)) == wanted


@pytest.mark.parametrize(
    ("native", "style", "asked"),
    [
        ("DOUBLE", Style(), "TIME_DOUBLE"),
        ("DOUBLE", Style(floats_as_strings=True), "TIME_STRING"),
        ("FLOAT", Style(floats_as_strings=True), "TIME_STRING"),
        ("LONG", Style(floats_as_strings=True), "TIME_LONG"),
        ("ENUM", Style(), "TIME_STRING"),
        ("ENUM", Style(states_as_numbers=True), "TIME_INT"),
        ("CHAR", Style(characters_as_text=True), "TIME_CHAR"),
    ],
)
def test_type_asked_for(native: str, style: Style, asked: str) -> None:
    assert line_type(ChannelType[native], style) == ChannelType[asked]
