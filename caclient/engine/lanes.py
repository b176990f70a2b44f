"""Where user callbacks run: in order on a lane, in parallel across lanes, never on the selector thread.

A *lane* is a bounded queue with the rule that one worker at a time empties it. A *worker* is a thread that takes the
lane that has waited longest, serves it for a slice of time, and puts it back behind the others if more is left.

How many workers? One serves everything as long as callbacks return. Two things call for another:

* a callback that waits inside caclient says so (``Lanes.blocking``), and its place is taken at once if work waits;
* a callback that blocks elsewhere shows as work that waits while no worker finishes anything (``_SUSPICION``); then the
  number of workers doubles.

So there is no number of blocked callbacks at which updates stop. Workers beyond the first end after idling.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from caclient.errors import ContextClosedError

from .loop import Loop, Timer

log = logging.getLogger("caclient.callbacks")

SLICE: Final = 0.01
"""Seconds that one lane may hold a worker while others wait."""
_SUSPICION: Final = 0.05
"""Seconds of waiting work without any progress after which a worker counts as blocked."""
_IDLE: Final = 5.0
"""Seconds after which a worker that is not needed ends."""
_MOST: Final = 1000
"""Workers at the most; every one of them would have to be blocked in user code before work waits for good."""
_RELEASE: Final = 1.0
"""Seconds between two log lines for the same lane."""

Job = Callable[[Any], None]


class Turn(Protocol):
    """What a worker serves."""

    scheduled: bool
    """A worker has it, or will: set and cleared by ``Lanes``."""

    def waits(self) -> bool:
        """Whether there is something to do."""

    def serve(self, over: float) -> None:
        """Make calls until nothing waits or the monotonic moment *over* has passed; raises nothing."""


class Reporter(Protocol):
    """Whose callback has raised."""

    name: str
    lanes: Lanes
    errors: int
    last_error_logged: float


class Lane:
    """Calls in order, one at a time. Without a bound the producer sees to it: ``len(lane.jobs)`` is what waits."""

    __slots__ = ("bound", "errors", "jobs", "lanes", "last_error_logged", "name", "scheduled")

    def __init__(self, lanes: Lanes, name: str, bound: int | None = None) -> None:
        self.lanes = lanes
        self.name = name
        self.bound = bound
        self.jobs: deque[tuple[Job, Any]] = deque()
        self.scheduled = False
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
        """Whether there is something to do."""
        return bool(self.jobs)

    def serve(self, over: float) -> None:
        """Make calls until nothing waits or the monotonic moment *over* has passed. *The lane's worker.*"""
        jobs = self.jobs
        while jobs:
            try:
                job, argument = jobs.popleft()
            except IndexError:  # a producer dropped the last one to keep its bound
                break
            try:
                job(argument)
            except BaseException as error:  # noqa: BLE001  user code; not even SystemExit may leave the lane without its worker
                report_error(self, error)
            self.lanes.progress += 1
            if time.monotonic() >= over or self.lanes.closed:
                break


class _Worker:
    """A thread and the door it waits behind."""

    __slots__ = ("blocked", "door", "thread", "turn")

    def __init__(self) -> None:
        self.door = threading.Lock()
        self.door.acquire()
        self.thread: threading.Thread | None = None
        self.blocked = 0
        self.turn: Turn | None = None
        """What it serves."""


class _Here(threading.local):
    """The worker that this thread is, if it is one."""

    worker: _Worker | None = None


class Lanes:
    """All lanes of a context and the workers that serve them."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._lock = threading.Lock()
        self._ready: deque[Turn] = deque()
        self._idle: list[_Worker] = []
        self._workers: set[_Worker] = set()
        self._here = _Here()
        self._names = itertools.count(1)
        self.closed = False
        self.ending = False
        """The context is about to close: callbacks that wait for it are told so, which is no news."""
        self._watch: Timer | None = None
        self._seen = -1
        self.progress = 0
        """Callbacks and slices finished so far, over all workers; what the suspicion looks at."""

    def lane(self, name: str, bound: int | None = None) -> Lane:
        """A new lane; *name* appears in log lines, *bound* is how many jobs may wait."""
        return Lane(self, name, bound)

    def schedule(self, lane: Turn) -> None:
        """See that a worker takes the lane. *Any thread.*"""
        try:
            with self._lock:
                if lane.scheduled or self.closed:
                    return
                lane.scheduled = True
                self._ready.append(lane)
                self._engage()
        except BaseException:  # Ctrl-C in a user's thread that hands out what it read
            self.loop.call_soon(self._engage_again)
            raise

    @contextmanager
    def blocking(self) -> Iterator[None]:
        """Around a wait inside caclient: if a worker waits, another takes its place. *Any thread.*"""
        worker = self._here.worker
        if worker is None:
            yield
            return
        with self._lock:
            worker.blocked += 1
            if self._ready:
                self._engage()
        try:
            yield
        finally:
            with self._lock:
                worker.blocked -= 1

    def on_worker(self) -> bool:
        """Whether the calling thread is one of the workers."""
        return self._here.worker is not None

    def close(self) -> None:
        """Serve nothing more. Workers end when their callback returns; none is waited for. *Any thread.*"""
        with self._lock:
            self.closed = True
            self._ready.clear()
            self._idle.clear()
            for worker in self._workers:
                if worker.door.locked():
                    worker.door.release()

    def join(self, timeout: float) -> bool:
        """Wait for workers to end after ``close()``; whether all did. *Any thread but a worker.*"""
        deadline = time.monotonic() + timeout
        for worker in list(self._workers):
            if worker.thread is not None and worker.thread is not threading.current_thread():
                worker.thread.join(max(0.0, deadline - time.monotonic()))
        return not self._workers

    def depth(self) -> tuple[int, int]:
        """Lanes that wait, and workers there are."""
        return len(self._ready), len(self._workers)

    def _engage(self) -> None:
        """Find a worker for the work that waits. *Caller holds the lock.*"""
        if self._idle:
            self._idle.pop().door.release()
        elif all(worker.blocked for worker in self._workers):
            self._hire()
        elif self._watch is None:
            self._seen = self.progress
            self._watch = self.loop.call_at(time.monotonic() + _SUSPICION, self._suspect)

    def _engage_again(self) -> None:
        with self._lock:
            if self._ready and not self.closed:
                self._engage()

    def _hire(self) -> None:
        worker = _Worker()
        name = f"caclient-lane-{next(self._names)}"
        worker.thread = threading.Thread(target=self._serve, args=(worker,), name=name, daemon=True)
        self._workers.add(worker)
        try:
            worker.thread.start()
        except RuntimeError:  # the system gives no more threads, or the interpreter ends: those there are have to do
            self._workers.discard(worker)

    def _suspect(self) -> None:
        """Work waited a while: if nothing was finished meanwhile, double the workers. *Engine thread.*"""
        with self._lock:
            self._watch = None
            if not self._ready or self.closed or self._idle:
                return
            if self.progress == self._seen:
                for _ in range(min(len(self._ready), max(1, len(self._workers)), _MOST - len(self._workers))):
                    self._hire()
            self._seen = self.progress
            self._watch = self.loop.call_at(time.monotonic() + _SUSPICION, self._suspect)

    def _serve(self, worker: _Worker) -> None:
        self._here.worker = worker
        try:
            while self._next(worker):
                turn = worker.turn
                if turn is not None:
                    turn.serve(time.monotonic() + SLICE)
                turn = None  # while it waits it holds nobody's callback
                self.progress += 1
        finally:
            with self._lock:
                self._workers.discard(worker)

    def _next(self, worker: _Worker) -> bool:
        """Hand in what the worker has just served, and give it the next; false ends it."""
        while True:
            with self._lock:
                if self.closed:
                    return False
                done, worker.turn = worker.turn, None
                if done is not None:
                    self._hand_in(done)
                    done = None
                if self._ready:
                    worker.turn = self._ready.popleft()
                    return True
                self._idle.append(worker)
                patience = _IDLE if len(self._workers) > 1 else -1
            if not worker.door.acquire(timeout=patience) and self._retire(worker):
                return False

    def _hand_in(self, lane: Turn) -> None:
        lane.scheduled = False
        if lane.waits():  # looked at after the flag fell: a producer that still saw it up has queued before this line
            lane.scheduled = True
            self._ready.append(lane)

    def _retire(self, worker: _Worker) -> bool:
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
                return True
        worker.door.acquire()  # called back at the last moment
        return False


def report_error(lane: Reporter, error: BaseException) -> None:
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
            log.error("%s: callback raised (%d so far)", lane.name, lane.errors, exc_info=error)
        except Exception:  # noqa: BLE001  a user's logging handler: where would one log that?
            lane.errors += 1
