"""Requests: answered once, gone at once."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from caclient.client.request import BulkRequest, Request, SharedRequest
from caclient.dbr import ChannelType
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
