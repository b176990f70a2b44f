"""Requests: answered once, gone at once."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from caclient.client.request import BulkRequest, FreshRequest, Rendezvous, Request, SharedRequest
from caclient.dbr import ChannelType
from caclient.errors import DisconnectedError
from caclient.protocol.commands import ReadNotifyResponse


@pytest.fixture
def no_gc() -> Iterator[None]:
    """Only reference counts free memory while the test runs."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    "make", [lambda: Request("x"), lambda: SharedRequest("x", lambda _: None), lambda: BulkRequest(1)]
)
def test_a_payload_dies_with_its_request(make: Callable[[], Any], no_gc: None) -> None:
    request = make()
    reply = ReadNotifyResponse((1.0,), ChannelType.DOUBLE, 1, 1, 7)
    reply.payload = memoryview(bytearray(reply.payload))
    payload = weakref.ref(reply.payload)
    reply.owner = request  # as the circuit hands it over
    request.receive(reply)
    del request, reply
    assert payload() is None


def test_one_request_is_told_once(no_gc: None) -> None:
    """By the circuit that closes, and again by a caller who delivers what he had read before."""
    told: list[Any] = []
    meeting = Rendezvous(lambda: told.append("met"))
    fresh = FreshRequest(told.append)
    plain, bulk = Request("x"), BulkRequest(1)
    reply = ReadNotifyResponse(1.0, ChannelType.DOUBLE, 1, 1, 1)
    for request in (meeting, fresh, plain, bulk):
        request.fail(DisconnectedError("gone"))
        request.receive(reply)
        request.fail(DisconnectedError("again"))
    assert told == ["met"]
    assert (str(plain.error), plain.reply) == ("gone", None)
    assert str(bulk.error) == "gone"
    assert not plain.signal.acquire(blocking=False) or not plain.signal.acquire(blocking=False)


def test_two_threads_tell_one_request(no_gc: None) -> None:
    for _ in range(300):
        told: list[Any] = []
        meeting, barrier = Rendezvous(lambda told=told: told.append("met")), threading.Barrier(2)

        def tell(meeting: Rendezvous = meeting, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            meeting.fail(DisconnectedError("gone"))

        thread = threading.Thread(target=tell)
        thread.start()
        barrier.wait(10)
        meeting.receive(None)
        thread.join(10)
        assert told == ["met"]
