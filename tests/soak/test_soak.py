"""The soaks in small, for `.ci/run`: ``python -m tests.soak`` has them in full."""

from __future__ import annotations

import sys
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from tests.soak import crowd, fuzz, mixed

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(400),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


@pytest.fixture(scope="module", autouse=True)
def tracker() -> None:
    """Python's own, which the first spawned process starts and the last one does not end."""
    resource_tracker.ensure_running()


@pytest.mark.interop
def test_a_thousand_mutated_conversations(tmp_path: Path) -> None:
    outcome = fuzz.run(1000, tmp_path)
    assert not outcome.wrong, outcome
    assert outcome.conversations == 1000
    assert sum(outcome.mutations.values()) > 500
    assert min(outcome.healthy_reads, outcome.healthy_updates) > 50


@pytest.mark.interop
def test_a_minute_of_mixed_work(tmp_path: Path) -> None:
    outcome = mixed.run(60.0, tmp_path, restart_every=20.0, sample_every=5.0)
    assert not outcome.wrong, outcome
    assert outcome.restarts >= 2
    assert outcome.samples[-1].memory - outcome.samples[0].memory < 30_000_000, "\n".join(map(str, outcome.samples))


def test_thirty_two_threads_do_everything_for_a_minute() -> None:
    outcome = crowd.run(60.0, threads=32)
    assert not outcome.wrong, outcome
    assert set(outcome.done) == {thing.__name__ for thing in crowd.THINGS}
