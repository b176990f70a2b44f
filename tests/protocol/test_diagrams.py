"""The pictures are the tables, and the page in the docs is what they make."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import pytest

from caclient.protocol import diagrams
from caclient.protocol.commands import CLIENT, SERVER
from caclient.protocol.states import CHANNEL, DATAGRAM

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "state-machines.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == diagrams.page(), "run python -m caclient.protocol.diagrams"


def test_the_module_writes_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the module has been imported already
        runpy.run_module("caclient.protocol.diagrams", run_name="__main__")
    assert capsys.readouterr().out == diagrams.page()


def test_a_machine_is_drawn_from_its_first_state_to_its_ends() -> None:
    lines = diagrams.mermaid(CHANNEL, CLIENT).splitlines()
    assert lines[:3] == [
        "stateDiagram-v2",
        "    [*] --> SEND_CREATE",
        "    SEND_CREATE --> AWAIT_CREATE: CreateChanRequest",
    ]
    assert "    CLOSED --> [*]" in lines


def test_a_long_list_is_counted() -> None:
    assert "other commands" not in diagrams.mermaid(DATAGRAM, SERVER)
    assert "32 other commands" in diagrams.page()
