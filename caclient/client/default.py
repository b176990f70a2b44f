"""The homes of this process: the default one, what becomes of all of them at a fork, and at the end.

Every home is made here, and known until nothing is left of it: so the end of the program waits for those that are just
closing as well, and a forked child finds them all.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar, Token
from importlib import import_module
from typing import Final, Protocol

from caclient.client.home import Home, Lease, Settings
from caclient.engine.runtime import Runtime

EXIT: Final = 10.0
"""Seconds that the end of the program takes at the most, all homes together, while servers take what was put."""


class Handle(Protocol):
    """What users hold of a home: a context."""

    @property
    def _lease(self) -> Lease: ...

    @property
    def closed(self) -> bool:
        """Whether the home has been closed."""


_homes: dict[Home, weakref.ref[Lease]] = {}
_lock = threading.RLock()
"""Held while the default is made; a finalizer may come back in."""
_default: Handle | None = None
_chosen: ContextVar[Handle | None] = ContextVar("caclient", default=None)


def _make_handle() -> Handle:
    """Load the room above, which hands in how: a PV that comes out of a pickle has not brought it."""
    import_module("caclient.client.context")
    return make_handle()


make_handle: Callable[[], Handle] = _make_handle
"""Makes the default."""


def current() -> Handle:
    """What is used where nothing is given: that of ``using``, else the default, made by the first who asks."""
    global _default
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    handle = _default
    if handle is not None and not handle.closed:
        return handle
    with _lock:
        if _default is None or _default.closed:
            made = make_handle()
            if _default is None or _default.closed:  # or a finalizer has made one meanwhile
                _default = made
        return _default


def choose(handle: Handle | None) -> None:
    """Use this one where nothing is given; None: make another from the environment when one is needed."""
    global _default
    with _lock:
        _default = handle


def choose_here(handle: Handle | None) -> Token[Handle | None]:
    """Use this one in this thread or task, until ``leave``."""
    return _chosen.set(handle)


def leave(token: Token[Handle | None]) -> None:
    """Use what was used before."""
    _chosen.reset(token)


def known() -> Handle | None:
    """The default of the process, if there is one."""
    return _default


# -- homes -------------------------------------------------------------------------------------------------------------


def open_home(settings: Settings) -> Lease:
    """A home of these settings, and a lease on it."""
    home = Home(settings, _forget)
    lease = Lease(home)
    _homes[home] = weakref.ref(lease)
    return lease


def lease_like(settings: Settings | None) -> Lease:
    """A lease on a home of the same settings, which is made if there is none; None: on the default."""
    if settings is None:
        return current()._lease
    for home, reference in list(_homes.items()):
        lease = reference()
        if lease is not None and home.settings == settings and not home.runtime.closed:
            return lease
    return open_home(settings)


def settings_of(lease: Lease) -> Settings | None:
    """What ``lease_like`` needs to find it again, in whatever process."""
    handle = _default
    return None if handle is not None and handle._lease is lease else lease.home.settings


def homes() -> list[Home]:
    """Those there are."""
    return list(_homes)


def _forget(home: Home) -> None:
    _homes.pop(home, None)


def _at_exit() -> None:
    Runtime.exiting = True
    deadline = time.monotonic() + EXIT
    homes = list(_homes)
    for home in homes:
        home.close_soon(EXIT)
    for home in homes:
        home.await_over(deadline)


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()
    for home in list(_homes):
        home.fall_asleep()
        if home.runtime.closed:
            _forget(home)  # nobody ends it here


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
