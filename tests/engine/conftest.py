"""A loop that runs, with both pollers where a test asks for it, and the peers."""

from __future__ import annotations

import pytest

from caclient.engine import loop as loop_module
from caclient.engine.loop import Loop
from caclient.engine.poller import EpollPoller, SelectorsPoller
from tests.engine.peers import PATIENCE, Peer


@pytest.fixture
def errors():
    """What the loop was told went wrong; a test that expects something takes it out."""
    return []


@pytest.fixture
def loop(errors):
    made = Loop(errors.append)
    made.start()
    yield made
    made.stop(PATIENCE)
    assert not made.thread.is_alive()
    if errors:
        raise errors[0]


@pytest.fixture(params=[EpollPoller, SelectorsPoller])
def any_poller(request, monkeypatch):
    """The test runs with each poller; ask for it before the loop."""
    monkeypatch.setattr(loop_module, "make_poller", request.param)
    return request.param


@pytest.fixture
def peer():
    made = Peer()
    yield made
    made.close()
