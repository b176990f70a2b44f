"""Channels without PVs, for tests that look below them; and what tests of PVs ask for again and again."""

from __future__ import annotations

import threading
from typing import Any

from caclient import PV, Context
from caclient.client.channel import Channel
from caclient.client.context import _handle_of
from caclient.client.default import _homes
from tests.recorder import PATIENCE


class Using:
    """A user of a channel, as a PV is."""

    _channel: Channel
    _closed = True

    def __init__(self, context: Context, name: str, priority: int = 0) -> None:
        self._names = context._home.names
        self._names.join(self, name, priority)

    @property
    def channel(self) -> Channel:
        """What it uses."""
        return self._channel

    def close(self) -> None:
        """Use it no more."""
        self._closed = True
        self._names.leave(self._channel)


def channel_of(context: Context, name: str, priority: int = 0) -> Channel:
    """The channel of a name, used to the end."""
    return context._home.names.stay(name, priority)


def context_of(of: PV | Channel) -> Context:
    """A context of the home that a PV or a channel lives in."""
    if isinstance(of, PV):
        return _handle_of(of._lease)
    (lease,) = (known() for home, known in _homes.items() if home.names is of.finder)
    assert lease is not None
    return _handle_of(lease)


def fresh(pv: PV) -> Any:
    """Its value, from the server."""
    return pv.get(use_monitor=False)


def engine_idle(context: Context) -> None:
    """Wait until the engine has made the calls that are filed."""
    done = threading.Event()
    context._home.runtime.loop.call_soon(context._home.runtime.loop.call_soon, done.set)
    assert done.wait(PATIENCE)
