"""Monitors: what the server sends for a channel, cached and handed to callbacks.

A ``Monitor`` is one subscription on the wire, made again each time its channel becomes ready. It keeps the newest
reading. ``Subscription`` is what a user holds: a callback on a lane, fed by a monitor; any number of them share one
monitor.

The wire side (``receive``) runs on the thread that reads the circuit and only files; readings of runs are built on the
lane. A subscription's queue is bounded: what does not fit pushes the oldest out, is counted in ``dropped``, and if that
goes on the server is asked to pause.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from typing_extensions import Self

from caclient.client.request import FreshRequest, Rendezvous
from caclient.dbr import ChannelType, Reading, Reason
from caclient.engine.lanes import Lane, report_error
from caclient.engine.sending import LATER
from caclient.engine.signals import await_signal, new_signal
from caclient.errors import BadValueError, CAError, CATimeoutError, DecodeError, DisconnectedError
from caclient.protocol.commands import (
    ErrorResponse,
    EventAddResponse,
    ReadNotifyRequest,
)
from caclient.protocol.runs import UpdateRun

if TYPE_CHECKING:
    from caclient.client.channel import Channel

log = logging.getLogger("caclient.subscription")

DBE_VALUE: Final = 1
DBE_LOG: Final = 2
DBE_ALARM: Final = 4
DBE_PROPERTY: Final = 8
DEFAULT_MASK: Final = DBE_VALUE | DBE_ALARM

AUTO_MONITOR: Final = 65_536
"""Elements from which on a PV is not monitored unless asked for: a camera is read when it is wanted."""
LIMIT: Final = 100_000
"""Updates that wait for one callback at the most."""
LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Bytes of arrays that wait for one callback at the most."""
_PAUSE_AFTER: Final = 10_000
"""Updates dropped by one subscription between two pauses asked of the server."""
_SLICE: Final = 256
"""Callbacks between two looks at the clock."""
_SLICE_SECONDS: Final = 0.01

ReadingCallback = Callable[[Reading], Any]
RunCallback = Callable[[Any], Any]


class Monitor:
    """One subscription on the wire, kept over reconnects, and the newest reading it brought."""

    __slots__ = (
        "automatic",
        "channel",
        "core_id",
        "fresh",
        "last",
        "mask",
        "refusal",
        "renewed",
        "renewing",
        "sinks",
        "told",
        "users",
    )

    def __init__(self, channel: Channel, mask: int) -> None:
        self.channel = channel
        self.mask = mask
        self.automatic = True
        """Nobody has asked for updates expressly: large arrays are then left alone."""
        self.fresh = False
        """Whether ``last`` came on the present connection."""
        self.users = 0
        self.core_id: int | None = None
        self.last: Reading | None = None
        self.told: Reading | None = None
        """The newest update; ``last`` may be the answer to a read that was ahead of it."""
        self.renewing = False
        """A value is to be told in any case, changed or not: the server has been silent."""
        self.renewed: Reading | None = None
        """What a read told the callbacks, until updates have caught up with it."""
        self.refusal = ""
        """Why there are no updates on the present connection: refused, or nonsense."""
        self.sinks: tuple[Subscription, ...] = ()

    # -- engine thread -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Ask the server for updates, now that the channel is ready. *Engine thread.*"""
        channel = self.channel
        core, circuit = channel.core, channel.circuit
        if core is None or circuit is None or self.core_id is not None:
            return
        if not channel.connected:
            return  # a leader may have read the answer to the request, but the channel does not know its type yet
        if self.automatic and not self.sinks and channel.count >= AUTO_MONITOR:
            return
        count = core.count_for(1 if channel.count == 1 else 0)
        self.refusal = ""
        try:
            with circuit.sending(LATER) as saying:
                self.core_id = saying.subscribe(core, channel.time_type, count, self.mask, self)
        except CAError:
            return  # the circuit has just gone; the channel comes back and starts this again
        channel.pool.flush_soon(circuit)

    def stop(self) -> None:
        """Have the server send no more. *Engine thread.*"""
        channel, core_id = self.channel, self.core_id
        self.core_id = None
        self.fresh = False
        if core_id is None or channel.core is None or channel.circuit is None:
            return
        channel.circuit.dismiss(channel.core.unsubscribe(core_id))
        channel.pool.flush_soon(channel.circuit)

    def lost(self) -> None:
        """The circuit has gone, and the subscription with it. *Engine thread.*"""
        self.core_id = self.renewed = None
        self.fresh = self.renewing = False
        self.refusal = ""

    def refresh(self) -> None:
        """Read the value once: the server has been silent, but holds the subscription. *Engine thread.*"""
        channel = self.channel
        if channel.core is not None:
            self.renewing = True
            count = channel.core.count_for(1 if channel.count == 1 else 0)
            self._read(channel.time_type, count, FreshRequest(self.renew))

    def attach(self, sink: Subscription) -> None:
        """Give this callback every update from now on. *Any thread.*"""
        with self.channel.runtime.lock:
            if not sink.closed:
                self.sinks = (*self.sinks, sink)

    def detach(self, sink: Subscription) -> None:
        """Give it none any more. *Any thread.*"""
        with self.channel.runtime.lock:
            self.sinks = tuple(other for other in self.sinks if other is not sink)

    def welcome(self, sink: Subscription) -> None:
        """Attach a callback that came later than the first, with the current value ahead of the updates.

        Both happen between two updates, on the thread that brings them: so the value comes once, and in its place.
        *Engine thread.*
        """

        def meet() -> None:
            if self.fresh and self.told is not None:
                sink.offer(1, self.told)
            self.attach(sink)

        self._read(self.channel.native_type or ChannelType.CHAR, 1, Rendezvous(meet))

    def end(self) -> None:
        """There will be no updates any more: the context closes. *Engine thread.*"""
        sinks, self.sinks = self.sinks, ()
        for sink in sinks:
            sink.end()

    def orphan(self) -> int:
        """In a forked child: the callbacks are the parent's; how many there were. *The only thread.*"""
        sinks, self.sinks = self.sinks, ()
        for sink in sinks:
            sink.closed = True  # and nobody is told: that takes locks, which a thread of the parent may have held
        return len(sinks)

    def drop(self, sink: Subscription) -> None:
        """A callback's subscription was closed. *Any thread.*"""
        self.detach(sink)
        self.channel.runtime.loop.call_soon(self.let_go)

    def let_go(self) -> None:
        """A user has gone; with the last, the server is asked to send no more. *Engine thread.*"""
        channel = self.channel
        with channel.runtime.lock:
            self.users -= 1
            unused = self.users == 0
            if unused:
                channel.monitors = tuple(other for other in channel.monitors if other is not self)
        if unused:
            self.stop()

    def _read(self, data_type: ChannelType, count: int, request: FreshRequest | Rendezvous) -> None:
        """Have an answer sent; if there can be none, the request fails."""
        core, circuit = self.channel.core, self.channel.circuit
        try:
            if core is None or circuit is None:
                raise DisconnectedError("not connected")
            circuit.ask(ReadNotifyRequest(data_type, count, core.sid, 0), request)
        except CAError as error:
            request.fail(error)  # the circuit has just gone; the channel comes back with a value

    # -- the thread that reads the circuit -----------------------------------------------------------------------------

    def receive(self, item: Any) -> None:
        """An update, a run of them, or why there is none. *The thread that reads the circuit.*"""
        if type(item) is UpdateRun:
            self._take_run(item)
        elif type(item) is EventAddResponse:
            self.take(item)
        elif type(item) is ErrorResponse:
            self.refusal = f"the server refused the subscription: {item.status.name}: {item.status.description}"
            self.channel.runtime.log.push(_log_refusal, (self.channel.name, self.refusal))

    def take(self, update: Any) -> None:
        """A single update. *The thread that reads the circuit.*

        Nothing happens if there is no value (no read access, or it cannot be had: access rights or the alarm tell).
        """
        reading = self._shared_reading(update, self._reason()) if update.status.success else None
        if reading is not None and (self.renewed is None or not self._is_past(reading, self.renewed)):
            self._tell(reading)

    def renew(self, reply: Any) -> None:
        """The answer to ``refresh``, unless an update has been quicker. *The thread that reads the circuit.*"""
        reading = self._shared_reading(reply, "reconnect" if self.renewing else "update")
        if reading is not None and (self.renewing or self.told is None or not reading.repeats(self.told)):
            self._tell(reading)
            self.renewed = reading

    def _is_past(self, reading: Reading, renewed: Reading) -> bool:
        """Whether an update was on its way when a read overtook it; the first that was not ends the doubt."""
        past = reading.repeats(renewed) or _is_older(reading, renewed)
        if not past:
            self.renewed = None
        return past

    def _tell(self, reading: Reading) -> None:
        self.last = self.told = reading
        self.fresh, self.renewing = True, False
        for sink in self.sinks:
            sink.offer(1, reading)

    def keep(self, reply: Any) -> Reading | None:
        """Remember the answer to a read, ahead of the update that will tell the callbacks; None if it has no value.

        *The thread that reads the circuit.*
        """
        if not reply.status.success:
            return None
        reading = self._shared_reading(reply, "read")
        if self.fresh and reading is not None:  # or else nothing would bring the cache up to date again
            self.last = reading
        return reading

    def _reason(self) -> Reason:
        """Why there is an update now: it is the first at all, the first of this connection, or one more."""
        if self.fresh:
            return "update"
        return "initial" if self.last is None else "reconnect"

    def _shared_reading(self, reply: Any, reason: Reason) -> Reading | None:
        """What many will see, so that an array cannot be written to; None, and a word in the log, if it is nonsense."""
        try:
            return _shared(self.channel.reading(reply, reason))
        except DecodeError as error:
            if not self.refusal:
                self.refusal = str(error).removeprefix(f"'{self.channel.name}': ")
                self.channel.runtime.log.push(_log_refusal, (self.channel.name, self.refusal))
            return None

    def _take_run(self, run: UpdateRun) -> None:
        rows = run.rows
        self.renewed, self.renewing = None, False
        self.last = self.told = _shared(self.channel.readings(run.data_type, rows[-1:])[0])
        self.fresh = True
        for sink in self.sinks:
            sink.offer(len(rows), run)


class Subscription:
    """A callback that is given every reading of a PV, in order, until ``close()``.

    ``policy="all"`` queues up to 100,000 updates (64 MiB of arrays); ``policy="latest"`` keeps only the newest one
    while the callback is busy. ``dropped`` counts what the callback was too slow for. Also a context manager. *Any
    thread.*
    """

    __slots__ = (
        "__weakref__",
        "_callback",
        "_lane",
        "_limit",
        "_offered",
        "_on_close",
        "_on_end",
        "_pause_at",
        "_pushed_out",
        "_runs",
        "_skipped",
        "_taken",
        "closed",
        "monitor",
        "policy",
    )

    def __init__(
        self,
        monitor: Monitor,
        callback: Callable[[Any], Any],
        lane: Lane,
        policy: str,
        runs: bool,
        on_close: Callable[[Subscription], None],
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.monitor = monitor
        self._callback = callback
        self._lane = lane
        self._runs = runs
        self._on_close = on_close
        self._on_end = on_end
        self._limit = 1 if policy == "latest" else LIMIT
        self._offered = 0
        self._taken = 0
        self._pause_at = _PAUSE_AFTER
        self.policy = policy
        self._pushed_out = 0  # counted by the thread that reads the circuit
        self._skipped = 0  # counted by the lane
        self.closed = False

    @property
    def pvname(self) -> str:
        """The name of the PV."""
        return self.monitor.channel.name

    @property
    def pending(self) -> int:
        """Updates that wait for the callback."""
        return max(0, self._offered - self._taken - self._pushed_out)

    @property
    def dropped(self) -> int:
        """Updates that were never given to the callback, because newer ones pushed them out."""
        return self._pushed_out + self._skipped

    @property
    def errors(self) -> int:
        """How often the callback has raised."""
        return self._lane.errors

    def close(self) -> None:
        """Call the callback no more; closing twice is no error. A call that runs is not waited for."""
        if not self.closed:
            self.closed = True
            self._on_close(self)

    def end(self) -> None:
        """There will be no updates any more. *Engine thread.*"""
        self.closed = True
        if self._on_end is not None:
            self._on_end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self.pending} pending"
        return f"<Subscription to {self.pvname!r}, policy {self.policy!r}, {state}, {self.dropped} dropped>"

    def offer(self, count: int, item: Any) -> None:
        """Queue a reading, or a run of *count* updates. *The thread that reads the circuit.*"""
        limit = self._limit
        if type(item) is Reading:
            limit = min(limit, _room(item))
        jobs = self._lane.jobs
        self._offered += count
        while jobs and self._offered - self._taken - self._pushed_out > limit:
            if not self._drop_oldest():
                break
        self._lane.push(self._dispatch, (count, item))

    def _drop_oldest(self) -> bool:
        """Whether there was one."""
        jobs = self._lane.jobs
        others = []
        try:
            while (job := jobs.popleft())[0] != self._dispatch:
                others.append(job)  # the lane is shared with a PV's connection callbacks, which are never dropped
        except IndexError:
            return False  # the worker was quicker
        finally:
            jobs.extendleft(reversed(others))
        self._pushed_out += job[1][0]
        if self._pushed_out >= self._pause_at:
            self._pause_at = self._pushed_out + _PAUSE_AFTER
            circuit = self.monitor.channel.circuit
            if circuit is not None:
                circuit.pause_updates()
        return True

    # -- lane ----------------------------------------------------------------------------------------------------------

    def _dispatch(self, what: tuple[int, Any]) -> None:
        count, item = what
        self._taken += count
        if self.closed:
            return
        if type(item) is not UpdateRun:
            if type(item) is list:
                self._call_each(item)
            else:
                self._callback([item] if self._runs else item)
        elif self._runs:
            self._callback(item.rows)
        else:
            rows = item.rows[-1:] if self.policy == "latest" else item.rows
            self._skipped += count - len(rows)
            self._call_each(self.monitor.channel.readings(item.data_type, rows))

    def _call_each(self, readings: list[Reading]) -> None:
        callback = self._callback
        over = time.monotonic() + _SLICE_SECONDS
        for start in range(0, len(readings), _SLICE):
            if start and time.monotonic() > over:
                self._put_back(readings[start:])
                return
            for reading in readings[start : start + _SLICE]:
                if self.closed:
                    return
                try:
                    callback(reading)
                except BaseException as error:  # noqa: BLE001  user code
                    report_error(self._lane, error)

    def _put_back(self, readings: list[Reading]) -> None:
        self._taken -= len(readings)
        self._lane.push_front(self._dispatch, (len(readings), readings))


def monitor_of(channel: Channel, mask: int) -> Monitor:
    """The monitor of a mask, with one user more; ``let_go`` takes the user back. *Any thread.*"""
    with channel.runtime.lock:
        monitor = next((monitor for monitor in channel.monitors if monitor.mask == mask), None)
        if monitor is None:
            monitor = Monitor(channel, mask)
            channel.monitors = (*channel.monitors, monitor)
        monitor.users += 1
    return monitor


def auto_monitor_of(channel: Channel, wanted: bool | int | None) -> Monitor | None:
    """The monitor that keeps a PV's newest reading; None if it is not wanted. *Any thread.*"""
    if wanted is not None and not wanted:
        return None
    monitor = monitor_of(channel, DEFAULT_MASK if wanted is None or wanted is True else _checked(channel, wanted))
    if wanted is not None:
        monitor.automatic = False
    channel.runtime.loop.call_soon(channel.runtime.later, monitor.start)
    return monitor


def subscribe(
    channel: Channel,
    callback: Callable[[Any], Any],
    lane: Lane,
    policy: str,
    mask: int,
    runs: bool,
    on_close: Callable[[Subscription], None],
    on_end: Callable[[], None] | None = None,
) -> Subscription:
    """A callback on a channel's monitor. *on_end* is called if the home closes. *Any thread.*"""
    _checked(channel, mask)
    runtime = channel.runtime
    runtime.wake()
    if runtime.closed:
        raise runtime.closed_error(channel.name)
    if mask & DBE_PROPERTY:
        channel.want_control(follow=True)  # ahead of the monitor: its updates then find the metadata changed
    monitor = monitor_of(channel, mask)
    subscription = Subscription(monitor, callback, lane, policy, runs, on_close, on_end)
    runtime.loop.call_soon(_attach, monitor, subscription)
    if runtime.closed:  # looked at after filing: who closes it has either seen the subscription, or is seen
        raise runtime.closed_error(channel.name)
    return subscription


def _attach(monitor: Monitor, subscription: Subscription) -> None:
    if subscription.closed:
        return
    if monitor.core_id is None:
        monitor.attach(subscription)
        monitor.start()
    else:
        monitor.welcome(subscription)


def _checked(channel: Channel, mask: Any) -> int:
    if not isinstance(mask, int) or not 0 < mask < 256:
        raise BadValueError(f"'{channel.name}': event mask {mask!r} is not in 1..255")
    return int(mask)


class Updates:
    """An iterator over the readings of a PV, from the current one on, until ``close()``.

    What its user is too slow for waits in a queue of the newest 100,000 (64 MiB of arrays), or with ``policy="latest"``
    of the newest one; ``dropped`` counts what was pushed out. Also a context manager. *Any thread.*
    """

    def __init__(
        self,
        subscribe: Callable[[ReadingCallback, Callable[[], None]], Subscription],
        channel: Channel,
        policy: str,
        timeout: float | None,
    ) -> None:
        self._readings: deque[Reading] = deque()
        self._lock = threading.Lock()
        self._waiting: list[threading.Lock] = []
        self._channel = channel
        self._limit = 1 if policy == "latest" else LIMIT
        self._timeout = timeout
        self._pushed_out = 0
        self._subscription = subscribe(self._put, self._ended)

    @property
    def dropped(self) -> int:
        """Updates that were pushed out by newer ones before they were taken."""
        return self._pushed_out + self._subscription.dropped

    @property
    def excuse(self) -> str:
        """What the server has said about sending none, as the end of a sentence."""
        refusal = self._subscription.monitor.refusal
        return refusal and f"; {refusal}"

    def _put(self, reading: Reading) -> None:
        limit = min(self._limit, _room(reading))
        with self._lock:
            while len(self._readings) >= limit:
                self._readings.popleft()
                self._pushed_out += 1
            self._readings.append(reading)
            self._wake()

    def _ended(self) -> None:
        with self._lock:
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            self._waiting.pop().release()

    def __iter__(self) -> Iterator[Reading]:
        return self

    def __next__(self) -> Reading:
        """The next reading.

        :raises StopIteration: after ``close()``, when all have been taken.
        :raises CATimeoutError: if none comes within the timeout.
        :raises ContextClosedError: if none will come any more.
        """
        reading = self.next(self._timeout)
        if reading is not None:
            return reading
        if self._subscription.closed:
            raise StopIteration
        raise CATimeoutError(self._nothing())

    def next(self, timeout: float | None) -> Reading | None:
        """The next reading, or None if none comes within *timeout* seconds, or after ``close()``."""
        runtime = self._channel.runtime
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        signal = None
        while signal is None or self._wait(signal, deadline):
            with self._lock:
                if self._readings:
                    return self._readings.popleft()
                if self._subscription.closed:
                    break
                signal = new_signal()
                self._waiting.append(signal)
        if self._subscription.closed and runtime.closed:
            raise runtime.closed_error(self._channel.name)
        return None

    def _wait(self, signal: threading.Lock, deadline: float) -> bool:
        try:
            with self._channel.runtime.lanes.blocking():
                return await_signal(signal, deadline)
        finally:
            with self._lock:
                self._waiting = [other for other in self._waiting if other is not signal]

    def _nothing(self) -> str:
        waited = self._timeout or 0.0
        if not self._channel.connected:
            return self._channel.progress(waited)
        return f"'{self._channel.name}': no update within {waited:g} s{self.excuse}"

    def close(self) -> None:
        """End the subscription; who waits is told."""
        self._subscription.close()
        self._ended()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _shared(reading: Reading) -> Reading:
    """The same, for many to see: an array cannot be written to."""
    value = reading.value
    if type(value) is np.ndarray:
        value.flags.writeable = False
    return reading


def _is_older(reading: Reading, other: Reading) -> bool:
    mine, theirs = reading.stamp, other.stamp
    return mine is not None and theirs is not None and mine < theirs


def _room(reading: Reading) -> int:
    """How many readings of this size may wait for one callback."""
    size = getattr(reading.value, "nbytes", 0)
    return max(1, LIMIT_BYTES // size) if size else LIMIT


def _log_refusal(what: tuple[str, str]) -> None:
    log.warning("'%s': %s", *what)
