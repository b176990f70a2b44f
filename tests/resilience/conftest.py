"""Servers that misbehave and clients that see them and nothing else; both end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from caclient import Context
from tests.faults import FaultServer

QUICK = {"conn_timeout": 0.3, "echo_timeout": 0.3}
"""Seconds of silence before an echo, and for its answer: a dead server is noticed in 0.6 s."""


@pytest.fixture
def serve() -> Iterator[Callable[..., FaultServer]]:
    """Start a misbehaving server (arguments of FaultServer)."""
    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(FaultServer(*arguments, **options))


@pytest.fixture
def connect() -> Iterator[Callable[..., Context]]:
    """A context that searches the servers given; further settings are those of Config."""
    with ExitStack() as stack:

        def connected(*servers: FaultServer, **settings: Any) -> Context:
            config = FaultServer.client_config(servers[0], addr_list=tuple(s.address for s in servers), **settings)
            return stack.enter_context(Context(config))

        yield connected
