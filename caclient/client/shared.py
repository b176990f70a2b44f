"""Shared PVs: those that the functions of this package use by name, and for how long they are kept.

A name that is asked for again and again stays connected and monitored, so that the next ``caget`` costs nothing. After
a minute without a call it loses its monitor, unless somebody else holds the PV; the channel stays connected for ten
minutes. A name that has never connected is not searched for longer than that minute.
"""

from __future__ import annotations

import time
import weakref
from typing import Final

from caclient.client.channel import Channel
from caclient.client.home import Lease
from caclient.client.pv import PV
from caclient.client.tenancy import Tenant
from caclient.engine.loop import Loop

MOST: Final = 10_000
"""Names that are kept at the most; beyond that the tenth that was asked for longest ago goes."""
_TICK: Final = 20.0
"""Seconds between two looks at what has not been asked for."""
_QUIET: Final = 3
"""Looks without a call after which a PV loses its monitor."""
_FORGOTTEN: Final = 30
"""Looks without a call after which a name is let go."""


class _Kept:
    """A name: its PV, or once that has been let go a user that keeps the channel connected."""

    __slots__ = ("_channel", "_closed", "idle", "pv", "weak")

    _channel: Channel

    def __init__(self, pv: PV) -> None:
        self.pv: PV | None = pv
        self.weak = weakref.ref(pv)
        self.idle = 0
        """Looks since the last call."""
        self._closed = True

    def let_go(self, lease: Lease) -> bool:
        """Hold the PV no more, but its channel if it is connected; whether anything is kept. *Engine thread.*"""
        pv, self.pv = self.pv, None
        if pv is not None and pv.connected:
            lease.home.names.join(self, pv.pvname, pv.priority)
        del pv
        return not self._closed or self.weak() is not None

    def forget(self, lease: Lease) -> None:
        """Hold the channel no more."""
        if not self._closed:
            self._closed = True
            lease.home.names.leave(self._channel)


class SharedPVs:
    """Name -> PV, for one context. *Any thread.*"""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._kept: dict[str, _Kept] = {}
        self._armed: Loop | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, name: str) -> PV:
        """The PV of a name, made if there is none."""
        kept = self._kept.get(name)
        if kept is not None:
            kept.idle = 0
            pv = kept.pv
            if pv is None:
                kept.pv = pv = kept.weak()
            if pv is not None and not pv._closed:
                return pv
        return self._make(name)

    def _make(self, name: str) -> PV:
        pv = PV(name, context=Tenant(self._lease))
        before = self._kept.get(name)
        self._kept[name] = _Kept(pv)
        if before is not None:
            before.forget(self._lease)
        if len(self._kept) > MOST:
            self._thin_out()
        loop = self._lease.home.runtime.loop
        if self._armed is not loop:  # in a forked child, too
            self._armed = loop
            _arm(loop, weakref.ref(self))
        return pv

    def _thin_out(self) -> None:
        """Let go of the names that were asked for longest ago; the newest stand last."""
        oldest = sorted(self._kept.items(), key=lambda item: -item[1].idle)[: MOST // 10 or 1]
        for name, _ in oldest:
            self._drop(name)

    def _drop(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            kept.forget(self._lease)

    def look(self) -> None:
        """Let go of what has not been asked for. *Engine thread.*"""
        if self._lease.home.runtime.closed:
            return
        for name, kept in list(self._kept.items()):
            kept.idle += 1
            if kept.idle >= _FORGOTTEN or (kept.idle == _QUIET and not kept.let_go(self._lease)):
                self._drop(name)


def _arm(loop: Loop, reference: weakref.ref[SharedPVs]) -> None:
    """Have it looked at again and again, for as long as somebody else holds it."""

    def tick() -> None:
        shared = reference()
        if shared is not None:
            shared.look()
            _arm(loop, reference)

    loop.call_at(time.monotonic() + _TICK, tick)
