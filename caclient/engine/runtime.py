"""The runtime: what everything that lives in one home needs, and which itself knows nobody.

A home makes it and gives it to pool, searches, channels, monitors, subscriptions: the selector thread (``loop``), the
callbacks (``lanes``), the log, who we are, and whether it is all over. It outlives a fork: in the child loop and lanes
are new, so they are taken from here each time and never kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import ClassVar, Final

from caclient.engine.intake import Intake
from caclient.engine.lanes import Lanes
from caclient.engine.log import Log
from caclient.engine.loop import Loop
from caclient.engine.tally import Tally
from caclient.errors import ContextClosedError, ReentrantError

log = logging.getLogger("caclient")

_LATER: Final = 0.02
"""Seconds that calls which can wait leave to channels that are being made."""
_HOLD: Final = 2.0
"""Seconds for which a daemon thread is held while the interpreter ends, which takes less."""


class Runtime:
    """Loop, lanes, log, identity and the end, of one home. *Any thread*, unless a method says otherwise.

    *on_wake* is called at the first use in a forked child: it is to start the loop and all that runs on it. *on_end* is
    called should the engine thread ever end by an error, on that thread, as the last thing that it does.
    """

    exiting: ClassVar[bool] = False
    """The interpreter is ending."""

    loop: Loop
    lanes: Lanes
    log: Log
    """Where log lines are written, once a second for each cause: ``log.push(function, argument, cause)``."""

    def __init__(
        self, identity: tuple[str, str], on_wake: Callable[[], None], on_end: Callable[[], None] = lambda: None
    ) -> None:
        self.identity = identity
        """(user, host) as told to servers."""
        self.closed = False
        self.asleep = False
        """In a forked child, before the first use."""
        self.ended = ""
        """Why the engine thread has ended, if an error has ended it."""
        self.lock = threading.Lock()
        self.intake = Intake()
        """What all circuits have received since it was last looked at what waits."""
        self.tally = Tally()
        """What those counted who have left: feeds their drops, circuits their bytes."""
        self._on_wake = on_wake
        self._on_end = on_end
        self._later: list[Callable[[], None]] = []
        self._make()

    def _make(self) -> None:
        self.loop = Loop(self._engine_error, on_end=self._engine_ended)
        self.lanes = Lanes(self.loop)
        self.log = Log(self.loop, self.lanes)
        self._later = []

    def wake(self) -> None:
        """In a forked child, at the first use: start an engine of its own."""
        if self.asleep:  # looked at first without a call, for this is called for every PV
            self._on_wake()

    def fall_asleep(self) -> None:
        """In a forked child: every lock anew, loop and lanes too. *The only thread.*"""
        self.lock = threading.Lock()
        if not self.closed:
            self.loop.abandon()
            self._make()
            self.asleep = True

    def on_engine(self, call: Callable[..., None], *args: object) -> None:
        """Have the engine thread make a call; in a forked child this starts it."""
        self.wake()
        self.loop.call_soon(call, *args)

    def later(self, call: Callable[[], None]) -> None:
        """Have a call made that can wait for channels being made; thousands cost one timer. *Engine thread.*"""
        if not self._later:
            self.loop.call_at(time.monotonic() + _LATER, self._serve_later)
        self._later.append(call)

    def _serve_later(self) -> None:
        waiting, self._later = self._later, []
        for call in waiting:
            try:
                call()
            except Exception as error:  # noqa: BLE001  one that fails must not cost the others their turn
                self._engine_error(error)

    def require_other_thread(self) -> None:
        """Refuse to wait on the engine thread, which everybody else waits for.

        :raises ReentrantError: there: a finalizer may run on any thread.
        """
        if threading.current_thread() is self.loop.thread:
            raise ReentrantError("this would wait on the engine thread, as a finalizer may run there: not possible")

    def closed_error(self, name: str) -> ContextClosedError:
        """What to raise for a PV whose context is closed.

        While the interpreter ends, daemon threads are held here instead: nobody can handle what they would raise.
        """
        if Runtime.exiting and threading.current_thread().daemon:
            time.sleep(_HOLD)
        closed = "the context has been closed; make a new one, and its PVs anew"
        return ContextClosedError(f"'{name}': {self.ended or closed}", pvname=name)

    def _engine_ended(self, error: BaseException) -> None:
        self.ended = f"the engine thread has ended: {error!r}"
        self.closed = True
        self.log.push(_log_engine_end, error)
        self._on_end()

    def _engine_error(self, error: BaseException) -> None:
        self.log.push(_log_engine_error, error)


def _log_engine_end(error: BaseException) -> None:
    log.critical("the engine thread has ended; nothing of its context works any more", exc_info=error)


def _log_engine_error(error: BaseException) -> None:
    log.error("internal error on the engine thread", exc_info=error)
