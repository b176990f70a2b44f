"""Batches: what one receive brought for callbacks, walked by a worker.

Whoever has calls to make (a lane, the feed of a subscription) is a ``Turn``: its data wait in a queue of its own. A
*batch* only says who has something, in order. The thread that reads a circuit collects one while it delivers, and hands
it over at the end: one lock, and one thread woken, for thousands of updates.

A turn's *gate* is taken from the moment in which it is put into a batch until it has been served. So it is in one batch
at a time, and served by one worker at a time: its calls are made in order. Whoever has queued something schedules the
turn, which closes the gate, if it is open; whoever has served it opens the gate, and looks once more.

A *worker* is a thread that walks batches. One serves everything as long as callbacks return. A callback that waits
inside caclient says so (``blocking``); one that blocks elsewhere, or computes and computes, shows as a turn that lasts
(``_SUSPICION``). Either has the rest of its batch taken off it, and another worker goes on with that: an idle one, or
else a new one. What comes for the blocked one waits in its own queue, and it finds it there when it returns; then it is
one worker too many, and idles, and ends.

So there is no number of blocked callbacks at which updates stop, up to a thousand threads (``_MOST``).
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from caclient.engine.loop import Loop, Timer
from caclient.engine.signals import seconds_to

log = logging.getLogger("caclient.callbacks")

SLICE: Final = 0.01
"""Seconds that one turn may last while others wait."""
_SUSPICION: Final = 0.05
"""Seconds after which a turn counts as blocked."""
_IDLE: Final = 5.0
"""Seconds after which a worker that is not needed ends."""
_MOST: Final = 1000
"""Workers at the most; every one of them would have to be blocked in user code before work waits for good."""
_AGAIN: Final = 0.1
"""Seconds before a thread is asked for again that the system would not give."""


class Turn(Protocol):
    """Somebody with calls to make, one at a time."""

    gate: Any
    """A ``threading.Lock``: taken while it is in a batch or being served."""
    scheduled: bool
    """The same as a hint that costs nothing to look at: while it is up there is no need to schedule."""

    def waits(self) -> bool:
        """Whether there is something to serve."""

    def serve(self, over: float) -> None:
        """Make calls, until none waits or the monotonic moment *over* has passed; raise nothing. *A worker.*"""


Batch = deque[Any]
"""Turns whose gates were closed by who put them in."""


class _Worker:
    """A thread and the door it waits behind."""

    __slots__ = ("again", "batch", "began", "blocked", "door", "seen", "stuck", "thread", "turn", "turns", "walking")

    def __init__(self) -> None:
        self.door = threading.Lock()
        self.door.acquire()
        self.thread: threading.Thread | None = None
        self.batch: Batch | None = None
        """What it walks, unless that has been taken off it."""
        self.again: Batch = deque()
        """What it has served, and is not done with."""
        self.walking = False
        """It has taken a batch, and not come back from it."""
        self.blocked = 0
        """How many waits inside caclient it is in."""
        self.stuck = False
        """It was suspected, and has not come back since."""
        self.turn: Any = None
        """What it serves, since ``began``."""
        self.began = 0.0
        self.turns = 0
        self.seen = -1
        """``turns`` when the watch looked last."""


class _Here(threading.local):
    """The worker that this thread is, if it is one."""

    worker: _Worker | None = None


class Batches:
    """The batches of a home and the workers that walk them."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._lock = threading.Lock()
        self._ready: deque[Batch] = deque()
        self._collecting: dict[int, Batch] = {}
        self._idle: list[_Worker] = []
        self._workers: set[_Worker] = set()
        self._active = 0
        """Workers that run, and are not known to be blocked."""
        self._here = _Here()
        self._names = itertools.count(1)
        self.closed = False
        """Nothing is served any more."""
        self._watch: Timer | None = None
        self._refused_at = 0.0
        self.refused = 0
        """How often the system would not give a thread."""

    # -- who has something: any thread ---------------------------------------------------------------------------------

    def schedule(self, turn: Turn) -> None:
        """Have a turn served that something was queued in; inside a receive it joins that one's batch."""
        if not turn.gate.acquire(False):
            return
        turn.scheduled = True
        batch = self._collecting.get(threading.get_ident())
        if batch is None:
            self.hand_over(deque((turn,)))
        else:
            batch.append(turn)

    def collect(self) -> None:
        """This thread begins a receive: what it files goes into one batch."""
        self._collecting[threading.get_ident()] = deque()

    def dispatch(self) -> None:
        """The receive is over: have its batch walked."""
        batch = self._collecting.pop(threading.get_ident(), None)
        if batch:
            self.hand_over(batch)

    def hand_over(self, batch: Batch) -> None:
        """Have a batch walked."""
        try:
            with self._lock:
                if not self.closed:
                    self._ready.append(batch)
                    self._engage()
        except BaseException:  # the handler of a signal, in a user's thread that hands out what it read
            self.loop.call_soon(self._engage_again)
            raise

    @contextmanager
    def blocking(self) -> Iterator[None]:
        """Around a wait inside caclient: if a worker waits, another takes its place."""
        worker = self._here.worker
        if worker is None:
            yield
            return
        with self._lock:
            worker.blocked += 1
            if worker.blocked == 1 and not worker.stuck:
                self._set_aside(worker)
            if self._ready:
                self._engage()
        try:
            yield
        finally:
            with self._lock:
                worker.blocked -= 1
                if not worker.blocked and not worker.stuck:
                    self._active += 1

    def on_worker(self) -> bool:
        """Whether the calling thread is one of the workers."""
        return self._here.worker is not None

    def close(self) -> None:
        """Serve nothing more. Workers end when their callback returns; none is waited for."""
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
                worker.thread.join(seconds_to(deadline))
        return not self._workers

    def depth(self) -> tuple[int, int]:
        """Turns that wait, and workers there are."""
        waiting = sum(map(len, tuple(self._ready)))
        walking = sum(len(worker.batch or ()) for worker in tuple(self._workers))
        return waiting + walking, len(self._workers)

    def busy_for(self, turn: Turn) -> float:
        """Seconds for which a worker has been serving it; 0 if none does."""
        for worker in list(self._workers):
            if worker.turn is turn and turn.gate.locked():
                return max(0.0, time.monotonic() - worker.began)
        return 0.0

    # -- finding workers: caller holds the lock ------------------------------------------------------------------------

    def _engage(self) -> None:
        """See that somebody comes to what waits."""
        if not self._active:
            if self._idle:
                self._active += 1
                self._idle.pop().door.release()
            else:
                self._hire()
        if self._watch is None and self._has_to_wait():
            for worker in self._workers:
                worker.seen = worker.turns
            self._look_later(_SUSPICION)

    def _has_to_wait(self) -> bool:
        """Whether something is, or may soon be, behind a callback."""
        ready = self._ready
        return len(ready) > 1 or len(ready[0]) > 1 or not self._active or any(each.walking for each in self._workers)

    def _look_later(self, seconds: float) -> None:
        self._watch = self.loop.call_at(time.monotonic() + seconds, self._look)

    def _hire(self) -> bool:
        if len(self._workers) >= _MOST:
            return False
        worker = _Worker()
        name = f"caclient-lane-{next(self._names)}"
        worker.thread = threading.Thread(target=self._serve, args=(worker,), name=name, daemon=True)
        self._workers.add(worker)
        try:
            worker.thread.start()
        except RuntimeError:  # the system gives no more threads, or the interpreter ends
            self._workers.discard(worker)
            self._refused_at = self._refused_at or time.monotonic()
            self.refused += 1
            return False
        self._active += 1
        return True

    def _set_aside(self, worker: _Worker) -> None:
        """It is blocked: the rest of its batch is for others."""
        self._active -= 1
        batch, worker.batch = worker.batch, None
        if batch:
            self._ready.appendleft(batch)
        if worker.again:
            again: Batch = deque()
            _pour(worker.again, again)
            self._ready.append(again)

    def _spread(self, number: int) -> None:
        """Have several workers go on with what waits: as many again as are blocked."""
        turns: Batch = deque()
        for batch in self._ready:
            _pour(batch, turns)
        self._ready.clear()
        number = min(number, len(turns))
        for left in range(number, 0, -1):
            self._ready.append(deque(turns.popleft() for _ in range(len(turns) // left)))
        for _ in range(number):
            if self._idle:
                self._active += 1
                self._idle.pop().door.release()
            elif not self._hire():
                return

    # -- the watch: engine thread --------------------------------------------------------------------------------------

    def _engage_again(self) -> None:
        """Somebody was interrupted while he engaged a worker, perhaps between taking and waking one."""
        with self._lock:
            if self.closed:
                return
            busy = [each for each in self._workers if each not in self._idle]
            for worker in busy:
                if not worker.walking and worker.door.locked():
                    worker.door.release()
            self._active = sum(not (each.blocked or each.stuck) for each in busy)
            if self._ready:
                self._engage()

    def _look(self) -> None:
        """Set those aside whose turn has lasted since the last look, and see that others go on."""
        with self._lock:
            self._watch = None
            if self.closed:
                return
            walking = 0
            for worker in self._workers:
                if worker.walking and not worker.blocked and not worker.stuck:
                    if worker.turns == worker.seen:
                        worker.stuck = True
                        self._set_aside(worker)
                    else:
                        walking += 1
                worker.seen = worker.turns
            if self._ready and not self._active:
                self._spread(max(1, sum(worker.stuck or worker.blocked > 0 for worker in self._workers)))
            if self._ready or walking:
                self._look_later(_SUSPICION if self._active else _AGAIN)

    # -- workers -------------------------------------------------------------------------------------------------------

    def _serve(self, worker: _Worker) -> None:
        self._here.worker = worker
        if self._refused_at:
            self._tell_refusals()
        try:
            while (batch := self._next(worker)) is not None:
                self._walk(worker, batch)
        finally:
            with self._lock:
                self._workers.discard(worker)
                self._active -= not (worker.blocked or worker.stuck)

    def _walk(self, worker: _Worker, batch: Batch) -> None:
        """Serve the turns of a batch, as long as it is not taken off."""
        clock = time.monotonic
        while worker.batch is batch:
            try:
                turn = batch.popleft()
            except IndexError:  # also if another worker has taken the last one
                break
            worker.turns += 1
            worker.turn = turn
            worker.began = began = clock()
            try:
                turn.serve(began + SLICE)
            except BaseException as error:  # noqa: BLE001  a turn without its gate would never be served again
                self.loop.report(error)
            turn.scheduled = False
            turn.gate.release()
            if turn.waits() and turn.gate.acquire(False):  # in this order: who queued before saw the gate closed
                turn.scheduled = True
                worker.again.append(turn)

    def _next(self, worker: _Worker) -> Batch | None:
        """Hand in what is left to do, and take the next batch; None ends the worker."""
        while True:
            with self._lock:
                returned = worker.walking and worker.batch is None  # what it walked has been taken off it
                worker.batch, worker.walking = None, False
                if worker.stuck:
                    worker.stuck = False
                    self._active += 1
                if self.closed:
                    return None
                if worker.again:
                    again, worker.again = worker.again, deque()
                    self._ready.append(again)
                    if returned and self._active > 1 and self._watch is None:
                        self._look_later(_SUSPICION)
                if self._ready and not (returned and self._active > 1):
                    worker.batch = batch = self._ready.popleft()
                    worker.walking = True
                    return batch
                self._active -= 1
                self._idle.append(worker)
                worker.turn = None  # while it waits it holds nobody's callback
                patience = _IDLE if len(self._workers) > 1 else -1
            if not worker.door.acquire(timeout=patience) and self._retire(worker):
                return None

    def _retire(self, worker: _Worker) -> bool:
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
                self._active += 1  # until it has ended
                return True
        worker.door.acquire()  # called back at the last moment
        return False

    def _tell_refusals(self) -> None:
        """Say that updates had to wait for a thread; now there is one who can."""
        since, self._refused_at = self._refused_at, 0.0
        try:
            log.warning("no thread for callbacks was to be had for %.1f s", time.monotonic() - since)
        except Exception:  # noqa: BLE001  a user's logging handler: where would one log that?
            self.refused += 1


def _pour(source: Batch, into: Batch) -> None:
    """Take all out, one by one: a worker who has not seen yet that it is not his any more may take some as well."""
    try:
        while True:
            into.append(source.popleft())
    except IndexError:
        return


__all__ = ["SLICE", "Batch", "Batches", "Turn"]
