"""Lanes: user calls in order, one at a time; in parallel with those of other lanes, never on the selector thread.

A lane is the simplest ``Turn`` (``batches``): a queue of jobs, each a function and its argument.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from caclient.engine.batches import Batches
from caclient.engine.loop import Loop
from caclient.errors import ContextClosedError, WrongTypeError

log = logging.getLogger("caclient.callbacks")

_WRAPPINGS: Final = 9
"""How deep a function may be wrapped up, in partials and decorators, to be found by its name."""
_RELEASE: Final = 1.0
"""Seconds between two log lines for the same lane."""

Job = Callable[[Any], None]
ErrorCallback = Callable[[str, Any, BaseException], Any]
"""Told of what callbacks raise: (PV's name, callback, error)."""

_listener: ErrorCallback | None = None


class Lane:
    """Calls in order, one at a time. Without a bound the producer sees to it: ``len(lane.jobs)`` is what waits."""

    __slots__ = ("bound", "errors", "gate", "jobs", "lanes", "last_error_logged", "name", "scheduled")

    def __init__(self, lanes: Lanes, name: str, bound: int | None = None) -> None:
        self.lanes = lanes
        self.name = name
        self.bound = bound
        self.gate = threading.Lock()
        self.scheduled = False
        self.jobs: deque[tuple[Job, Any]] = deque()
        self.errors = 0
        self.last_error_logged = float("-inf")

    def push(self, job: Job, argument: Any) -> None:
        """Have a worker make ``job(argument)`` after what is queued; beyond its bound it is dropped. *Any thread.*"""
        if self.bound is not None and len(self.jobs) >= self.bound:
            return
        self.jobs.append((job, argument))
        if not self.scheduled:
            self.lanes.schedule(self)

    def push_front(self, job: Job, argument: Any) -> None:
        """Put back what is left of a job whose slice is over. *The lane's worker, inside the job.*"""
        self.jobs.appendleft((job, argument))

    def clear(self) -> None:
        """Forget what is queued. *Any thread.*"""
        self.jobs.clear()

    def waits(self) -> bool:
        """Whether a job waits."""
        return bool(self.jobs)

    def serve(self, over: float) -> None:
        """Do jobs until none waits or the monotonic moment *over* has passed. *A worker.*"""
        jobs, lanes = self.jobs, self.lanes
        while jobs and not lanes.closed:
            try:
                job, argument = jobs.popleft()
            except IndexError:  # a producer dropped the last one to keep its bound
                return
            try:
                job(argument)
            except BaseException as error:  # noqa: BLE001  user code; not even SystemExit may end the worker
                report_error(self, error)
            if time.monotonic() >= over:
                return


class Lanes(Batches):
    """All lanes of a home, and the workers that serve them."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.ending = False
        """The context is about to close: callbacks that wait for it are told so, which is no news."""

    def lane(self, name: str, bound: int | None = None) -> Lane:
        """A new lane; *name* appears in log lines, *bound* is how many jobs may wait."""
        return Lane(self, name, bound)


class Reporter(Protocol):
    """Whose callback has raised."""

    name: str
    lanes: Lanes
    errors: int
    last_error_logged: float


def listen_to_errors(fn: ErrorCallback | None) -> None:
    """Have ``fn(name, callback, error)`` called for each error, beside the log; None ends that."""
    global _listener
    if fn is not None and not callable(fn):
        raise WrongTypeError(f"{fn!r} is not callable: give a function of (pvname, callback, error), or None")
    _listener = fn


def named(callback: Any) -> str:
    """A callback as people find it: its name, file and line."""
    function: Any = callback
    for _ in range(_WRAPPINGS):
        inner: Any
        if isinstance(function, partial):
            inner = function.func
        elif isinstance(function, weakref.ReferenceType):
            inner = function()
        else:
            inner = getattr(function, "__wrapped__", None)
        if inner is None:
            break
        function = inner
    name = getattr(function, "__qualname__", None) or type(function).__name__
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:  # an object that can be called
        code = getattr(getattr(function, "__call__", None), "__code__", None)  # noqa: B004  which is looked at, not whether
    return name if code is None else f"{name} ({os.path.basename(code.co_filename)}:{code.co_firstlineno})"


def report_error(lane: Reporter, error: BaseException, callback: Any = None) -> None:
    """Count and log, at most once a second for a lane, what a callback raised. *The lane's worker.*

    That its context was closed under it is counted only.
    """
    lane.errors += 1
    if lane.lanes.ending and isinstance(error, ContextClosedError):
        return
    now = time.monotonic()
    if now - lane.last_error_logged >= _RELEASE:
        lane.last_error_logged = now
        try:
            whose = "" if callback is None else f": {named(callback)}"
            log.error("%s: callback raised (%d so far)%s", lane.name, lane.errors, whose, exc_info=error)
        except Exception:  # noqa: BLE001  a user's logging handler: where would one log that?
            lane.errors += 1
    listener = _listener
    if listener is not None:
        try:
            listener(lane.name, callback, error)
        except Exception:  # noqa: BLE001  a user's own: it is told of errors, and has one
            lane.errors += 1


__all__ = ["ErrorCallback", "Lane", "Lanes", "listen_to_errors", "named", "report_error"]
