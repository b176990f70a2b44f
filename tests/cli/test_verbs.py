"""The table of verbs."""

from __future__ import annotations

import pytest

from caclient.cli import TOOLS as TOOL_NAMES
from caclient.cli.verbs import ALL, TOOLS


@pytest.mark.parametrize("name", ALL)
def test_a_verb_has_a_summary_and_examples_of_itself(name: str) -> None:
    verb = ALL[name]
    assert verb.summary and not verb.summary.endswith(".")
    assert verb.examples and all(f"caclient {name}" in example for example in verb.examples)


def test_the_tools_are_those_that_the_door_knows() -> None:
    assert tuple(TOOLS) == TOOL_NAMES
    assert all(verb.words and verb.options for verb in TOOLS.values())
