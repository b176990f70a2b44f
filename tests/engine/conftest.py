"""A loop that runs, with both pollers where a test asks for it, and the peers."""

from __future__ import annotations

import signal

import pytest

from caclient.engine import loop as loop_module
from caclient.engine.loop import Loop
from caclient.engine.poller import EpollPoller, SelectorsPoller
from caclient.protocol.channel import ClientChannel
from tests.engine.peers import PATIENCE, Made, Peer, Sink, on_engine, until


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


@pytest.fixture
def make(loop):
    made = []

    def make(address, **options):
        made.append(Made(loop, address, **options))
        return made[-1]

    yield make
    for each in made:
        on_engine(loop, each.circuit.close, "the test is over")


@pytest.fixture
def up(make, peer):
    """A circuit that is open, with a channel; the server's end is the test's."""
    made = make(peer.address)
    peer.accept()
    assert made.rider.hears() == "open"
    made.channel(peer)
    return made


@pytest.fixture
def serving(make, peer, loop):
    """A function that makes a circuit with a channel of sid 101, whose server answers by itself."""

    def made():
        one = make(peer.address)
        assert one.rider.hears() == "open"
        one.circuit.post(ClientChannel("x", one.circuit.core, cid=1, owner=Sink()).create())
        until(loop, lambda: one.circuit.core.channels_sid)
        return one.circuit

    with peer.serving(again=True):
        yield made


@pytest.fixture
def python_handles_signals():
    """Handlers are put back at the end; Ctrl-C raises KeyboardInterrupt."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
