"""Both pollers keep the same promises."""

from __future__ import annotations

import errno
import select
import socket

import pytest

from caclient.engine import poller as poller_module
from caclient.engine.poller import READ, WRITE, EpollPoller, SelectorsPoller, make_poller


@pytest.fixture(params=[EpollPoller, SelectorsPoller])
def poller(request):
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def ready(poller, timeout=0.0):
    return [(handler(bits), bits) for handler, bits in poller.poll(timeout)]


def name(_bits):
    return "called"


def test_tells_what_is_ready(poller, pair):
    ours, theirs = pair
    poller.add(ours.fileno(), READ | WRITE, name)
    assert ready(poller) == [("called", WRITE)]
    theirs.send(b"x")
    assert ready(poller) == [("called", READ | WRITE)]
    poller.modify(ours.fileno(), READ)
    assert ready(poller) == [("called", READ)]
    poller.remove(ours.fileno())
    assert ready(poller) == []


def test_an_interest_can_be_put_aside_and_taken_up(poller, pair):
    ours, _ = pair
    poller.add(ours.fileno(), WRITE, name)
    for _ in range(2):
        poller.modify(ours.fileno(), 0)
        assert ready(poller) == []
    poller.modify(ours.fileno(), WRITE)
    assert ready(poller) == [("called", WRITE)]


def test_what_is_put_aside_can_be_removed_and_added_again(poller, pair):
    ours, _ = pair
    poller.add(ours.fileno(), WRITE, name)
    poller.modify(ours.fileno(), 0)
    poller.remove(ours.fileno())
    poller.add(ours.fileno(), WRITE, name)
    assert ready(poller) == [("called", WRITE)]


def test_a_hang_up_is_readiness_to_read(poller, pair):
    ours, theirs = pair
    poller.add(ours.fileno(), READ, name)
    theirs.close()
    ((_, bits),) = ready(poller)
    assert bits & READ


def test_a_broken_connection_is_readiness_for_both():
    poller = EpollPoller()
    with socket.socket() as sock:  # never connected: the kernel says it hangs up
        poller.add(sock.fileno(), READ, name)
        assert ready(poller) == [("called", READ | WRITE)]
    poller.close()


def test_closed_descriptors_cannot_be_watched(poller, pair):
    ours, _ = pair
    number = ours.fileno()
    poller.add(number, READ, name)
    poller.remove(number)
    with pytest.raises((OSError, KeyError)):
        poller.modify(number, READ)
    with pytest.raises((OSError, ValueError, KeyError)):
        poller.modify(-1, READ)


def test_an_event_of_a_descriptor_removed_meanwhile_is_dropped(pair):
    ours, _ = pair
    poller = EpollPoller()
    poller.add(ours.fileno(), WRITE, name)
    del poller._handlers[ours.fileno()]
    assert ready(poller) == []
    poller.close()


@pytest.mark.parametrize(("epoll", "kind"), [(True, EpollPoller), (False, SelectorsPoller)])
def test_the_platform_decides(monkeypatch, epoll, kind):
    if not epoll:
        monkeypatch.delattr(select, "epoll")
    made = make_poller()
    assert type(made) is kind
    assert made.shared is epoll
    made.close()


def test_on_windows_select_takes_no_more_than_is_known_of_it(pair, monkeypatch):
    monkeypatch.setattr(poller_module.sys, "platform", "win32")
    monkeypatch.setattr(poller_module, "WINDOWS_LIMIT", 1)
    poller = SelectorsPoller()
    ours, theirs = pair
    poller.add(ours.fileno(), READ, name)
    with pytest.raises(OSError, match="no more than 1 sockets"):
        poller.add(theirs.fileno(), READ, name)
    poller.close()


def test_a_system_whose_select_takes_few_refuses_the_next(pair):
    """As on Windows; there `select` itself would fail, for all of them and for ever."""
    ours, theirs = pair
    poller = SelectorsPoller(limit=2)
    others = [socket.socketpair() for _ in range(2)]
    poller.add(ours.fileno(), READ, name)
    poller.add(theirs.fileno(), 0 or READ, name)
    poller.modify(theirs.fileno(), 0)  # put aside, it keeps its place
    with pytest.raises(OSError, match="no more than 2 sockets") as refused:
        poller.add(others[0][0].fileno(), READ, name)
    assert refused.value.errno == errno.EMFILE
    poller.remove(theirs.fileno())
    poller.add(others[0][0].fileno(), READ, name)
    poller.close()
    for each in (*others[0], *others[1]):
        each.close()
