"""A PV's place in its home: the channel that it uses, for how long calls may take, what ends with it.

A tenant has a lease of the home, and a channel that others of the same name and priority use as well. What the channel
knows of itself is answered from memory, also after the server has gone.
"""

from __future__ import annotations

import time
from typing import Any

from caclient.client.causes import MAKE_ANEW
from caclient.client.channel import Channel
from caclient.client.facts import Facts
from caclient.client.home import Home, Lease
from caclient.client.standing import ACCESS, State as ChannelState
from caclient.client.timeout import DEFAULT, Timeout, own, seconds
from caclient.client.why import Diagnosis
from caclient.engine.runtime import Runtime
from caclient.errors import DisconnectedError, ReadOnlyError


class Tenant:
    """Who has a lease, as a handle."""

    __slots__ = ("_lease", "closed")

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.closed = False


class HeldPV:
    """A PV as a user of its channel, and what ends with it."""

    __slots__ = ("__weakref__", "_channel", "_closed", "_lease", "_open", "_timeout", "_wants", "priority", "pvname")

    pvname: str
    priority: int
    _channel: Channel
    _closed: bool
    _lease: Lease
    _timeout: Timeout
    _wants: set[Any] | None
    """Subscriptions and iterators, which end with it."""

    @property
    def channel(self) -> Channel:
        """The channel that this PV shares with all PVs of its name and priority."""
        return self._channel

    @property
    def connected(self) -> bool:
        """Whether the channel can be used right now; no more after ``close()``, though others may use it."""
        return self._channel.state is ChannelState.READY and not self._closed

    def wait_for_connection(self, timeout: Timeout = DEFAULT) -> bool:
        """Wait until connected; false if that takes longer than *timeout* seconds. *Any thread.*"""
        limit = self._limit(timeout)
        return self._open_channel().wait_ready(time.monotonic() + limit)

    @property
    def timeout(self) -> float:
        """Seconds that calls may take unless they are given their own: the PV's, or its context's."""
        return self._limit(DEFAULT)

    @timeout.setter
    def timeout(self, timeout: Timeout) -> None:
        self._timeout = own(timeout)

    @property
    def type(self) -> str | None:
        """The native type in lower case (``'double'``, ``'enum'``...); None before the first connection."""
        native = self._channel.native_type
        return None if native is None else native.name.lower()

    @property
    def count(self) -> int:
        """Native count: the most elements that the channel can have; 0 before the first connection."""
        return self._channel.count

    nelm = count

    @property
    def host(self) -> str | None:
        """``host:port`` of the server; the last one if it has gone; None before the first connection."""
        address = self._channel.address
        return None if address is None else f"{address[0]}:{address[1]}"

    @property
    def read_access(self) -> bool:
        """Whether the server lets us read."""
        return self._channel.can_read

    @property
    def write_access(self) -> bool:
        """Whether the server lets us write."""
        return self._channel.can_write

    @property
    def access(self) -> str:
        """``read/write``, ``read-only``, ``write-only`` or ``no access``."""
        return ACCESS.get((self.read_access, self.write_access), "no access")

    # -- what ends with it ---------------------------------------------------------------------------------------------

    def _remember(self, want: Any) -> None:
        """Have it closed with this PV."""
        while self._wants is None:
            made: set[Any] = set()
            with self._channel.runtime.lock:  # nothing is allocated in here: a finalizer could come between
                if self._wants is None:
                    self._wants = made
        self._wants.add(want)

    def _forget(self, want: Any) -> None:
        """It has been closed; one that is not known is no error. Takes no lock. *Any thread.*"""
        if self._wants is not None:
            self._wants.discard(want)

    # -- for the rooms above -------------------------------------------------------------------------------------------

    def _open_channel(self) -> Channel:
        if self._closed:
            closed = Facts(self.pvname, closed="this PV has been closed")
            text = f"'{self.pvname}': this PV has been closed; {MAKE_ANEW}"
            raise DisconnectedError(text, pvname=self.pvname, why=Diagnosis(closed))
        return self._channel

    def _writable_channel(self) -> Channel:
        if self._lease.home.config.read_only:
            raise ReadOnlyError(
                f"'{self.pvname}': this context is read-only, nothing was sent; "
                "to put, make it without read_only=True and unset CACLIENT_READ_ONLY",
                pvname=self.pvname,
            )
        return self._open_channel()

    def _limit(self, timeout: Timeout) -> float:
        """The seconds that a call has."""
        if timeout is not DEFAULT:
            return seconds(timeout)
        own = self._timeout
        return self._lease.home.settings.timeout if own is DEFAULT else own

    @property
    def _home(self) -> Home:
        return self._lease.home

    @property
    def _runtime(self) -> Runtime:
        return self._channel.runtime
