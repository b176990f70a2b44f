"""pyepics' own tests pass on the drop-in to at least the extent to which they pass on pyepics."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pyepics import published

pytestmark = [pytest.mark.interop, pytest.mark.long, pytest.mark.timeout(1900)]


def test_they_pass_at_least_as_well(tmp_path: Path) -> None:
    try:
        tests = published.fetch(tmp_path)
    except published.NotToBeHadError as error:
        pytest.skip(f"pyepics' source distribution cannot be had: {error}")
    theirs, _ = published.run("pyepics", tests)
    ours, words = published.run("caclient", tests)
    assert len(theirs) > 50
    again = {
        name.split("::")[0] for name, result in theirs.items() if result == "PASSED" and ours.get(name) != "PASSED"
    }
    if again:  # some look twice at what their simulator changes meanwhile
        second, words = published.run("caclient", tests, *again)
        ours |= {name: result for name, result in second.items() if result == "PASSED"}
    worse = {
        name: ours.get(name) for name, result in theirs.items() if result == "PASSED" and ours.get(name) != "PASSED"
    }
    assert worse == {}, words
