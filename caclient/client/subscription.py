"""Subscriptions: a callback that is given every reading of a PV, and how whoever wants updates holds on to them.

A ``Hold`` is one want: it keeps the channel and its monitor until it is closed. Closing takes no lock and waits for
nothing, so a finalizer may do it in any thread at any moment: it files a call, and the engine thread does the rest.
"""

from __future__ import annotations

import inspect
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias

from typing_extensions import Self

from caclient.client.channel import Channel
from caclient.client.feed import PIECE, Cut, Feed, Sink, Stretch
from caclient.client.monitor import Form, Monitor, monitor_of
from caclient.client.properties import want
from caclient.dbr import Reading
from caclient.dbr.mask import Mask, MaskLike
from caclient.engine.lanes import Lanes, report_error
from caclient.errors import BadValueError, WrongTypeError
from caclient.settings import shown

Policy: TypeAlias = Literal["all", "latest"]
ReadingCallback: TypeAlias = Callable[[Reading], Any]

_PROPERTY: Final = int(Mask.PROPERTY)
_LOOK: Final = 16
"""Callbacks between two looks at the clock, where many readings came together."""


class Hold:
    """Keeps a sink on a channel's monitor, until it is closed; *ends*: the sink is told then."""

    __slots__ = ("_ends", "_open", "closed", "known", "monitor", "sink", "skip_initial")

    def __init__(
        self,
        channel: Channel,
        mask: MaskLike,
        sink: Sink,
        *,
        skip_initial: bool = False,
        known: Reading | None = None,
        ends: bool = False,
        count: int | None = None,
        form: Form | None = None,
    ) -> None:
        self.closed = False
        self.skip_initial = skip_initial
        self.monitor: Monitor = monitor_of(channel, mask, form)
        self.known = self.monitor.last if known is None else known
        self.sink = sink if count is None else Cut(sink, count)
        self._ends = ends
        self._open = True

    def again(self) -> Hold:
        """Another one, that wants the same."""
        monitor = self.monitor
        skip, ends = self.skip_initial, self._ends
        return Hold(monitor.channel, monitor.mask, self.sink, skip_initial=skip, ends=ends, form=monitor.form)

    def enter(self) -> None:
        """Have the sink given the current value, and every update from then on. *Any thread.*"""
        channel = self.monitor.channel
        if int(self.monitor.mask) & _PROPERTY:
            want(channel, follow=True)  # ahead of the monitor: its updates then find the metadata changed
        runtime = channel.runtime
        runtime.on_engine(self.monitor.enter, self)
        if runtime.closed:  # looked at after filing: who closes it has either seen this, or is seen
            self.close()
            raise runtime.closed_error(channel.name)

    def close(self) -> None:
        """Want no more; closing twice is no error. Takes no lock and waits for nothing. *Any thread.*"""
        try:
            del self._open  # one step in C, which only one can take
        except AttributeError:
            return
        self.closed = True
        if self._ends:
            self.sink.end(None)
        monitor = self.monitor
        monitor.channel.runtime.loop.call_soon(monitor.leave, self)

    def orphan(self) -> None:
        """In a forked child: it was the parent's. *The only thread.*"""
        self.sink.end(None)
        self.close()


class Calls(Feed):
    """The feed of a callback: served by a worker of the lanes, one at a time, in order.

    :param gap: seconds between two calls at the least; the newest reading is never lost by that.
    """

    __slots__ = (
        "_callback",
        "_due",
        "_gap",
        "_resting",
        "errors",
        "gate",
        "lanes",
        "last_error_logged",
        "name",
        "owner",
        "stopped",
    )

    def __init__(
        self, lanes: Lanes, name: str, callback: ReadingCallback, limit: int | None = None, gap: float = 0.0
    ) -> None:
        super().__init__(1 if gap else limit)
        self.gate = threading.Lock()
        self.lanes = lanes
        self.name = name
        self._callback = callback
        self._gap = gap
        self._due = 0.0
        self._resting = False
        """A timer will see to it."""
        self.owner: Any = None
        """Who has to live as long as calls may come."""
        self.errors = 0
        self.last_error_logged = float("-inf")
        self.stopped = False
        """Call no more."""

    def tell(self) -> None:
        """See that a worker comes. *The thread that reads the circuit.*"""
        if not self._resting:
            self.lanes.schedule(self)

    def end(self, why: Exception | None) -> None:
        """There will be no more; what waits is still delivered if that was nobody's wish."""
        owner = self.owner
        if owner is not None:
            owner.pv._forget(owner)
        if why is None:
            self.stop()
        super().end(why)

    def stop(self) -> None:
        """Call no more, and forget what waits; what is being called is not waited for. *Any thread.*"""
        self.stopped = True
        self.owner = None
        self._items.clear()

    @property
    def callback(self) -> Any:
        """Who is called; of a method held weakly, that."""
        return getattr(self._callback, "method", self._callback)

    @property
    def dropped(self) -> int:
        """Updates that were never given to the callback; what *gap* leaves out was not wanted."""
        return self._halved if self._gap else self._pushed_out + self._halved

    # -- the worker ----------------------------------------------------------------------------------------------------

    def waits(self) -> bool:
        """Whether there is something to do."""
        return bool(self._items) and not self._resting

    def serve(self, over: float) -> None:
        """Make calls until nothing waits or the monotonic moment *over* has passed."""
        if self._gap and self._rest():
            return
        items, callback = self._items, self._callback
        while items:
            try:
                item = items.popleft()
            except IndexError:  # pushed out at the last moment
                break
            if self.stopped:
                items.clear()
                break
            if type(item) is Stretch:
                if not self._walk(item, over):
                    break
            else:
                try:
                    callback(item)
                except BaseException as error:  # noqa: BLE001  user code; not even SystemExit may cost others their worker
                    report_error(self, error, callback)
                if time.monotonic() >= over:
                    break
        self.served_at = time.monotonic()

    def _walk(self, stretch: Stretch, over: float) -> bool:
        """Give the callback readings that came together; false if the time is up, and the rest has been put back."""
        callback = self._callback
        while len(stretch):
            readings = stretch.take(PIECE)
            for number, reading in enumerate(readings, 1):
                if self.stopped:
                    return True
                try:
                    callback(reading)
                except BaseException as error:  # noqa: BLE001  user code
                    report_error(self, error, callback)
                if not number % _LOOK and time.monotonic() >= over:
                    self._items.extendleft([stretch] if len(stretch) else ())
                    self._items.extendleft(reversed(readings[number:]))
                    return False
        return True

    def _rest(self) -> bool:
        """Whether it is too early for the next call; then a timer is set for it."""
        now = time.monotonic()
        if now < self._due:
            self._resting = True
            self.lanes.loop.call_at(self._due, self._rested)
            return True
        self._due = now + self._gap
        return False

    def _rested(self) -> None:
        self._resting = False
        if self._items:
            self.lanes.schedule(self)


class Subscription:
    """A callback that is given every reading of a PV, in order, until ``close()``; also a context manager.

    It lives until it is closed, whether or not anybody holds it, and keeps its PV. *Any thread.*
    """

    __slots__ = ("__weakref__", "_calls", "_hold", "_made_at", "_paused", "_thinned", "_thinned_at", "callback", "pv")

    def __init__(self, pv: Any, callback: ReadingCallback, calls: Calls, make: Callable[[Sink], Hold]) -> None:
        self.pv = pv
        self.callback = callback
        self._calls = calls
        self._thinned = 0
        self._thinned_at = 0
        self._made_at = time.monotonic()
        self._hold: Hold | None = None
        self._paused: Hold | None = None
        calls.owner = self
        self._begin(make(calls))

    @property
    def pvname(self) -> str:
        """The name of its PV."""
        return str(self.pv.pvname)

    @property
    def age(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._made_at

    @property
    def active(self) -> bool:
        """Whether updates are wanted: neither paused, nor closed, nor ended with its context."""
        hold = self._hold
        return hold is not None and not hold.closed and not self._calls.ended

    @property
    def closed(self) -> bool:
        """Whether it is closed, or has ended with its context."""
        return self._calls.stopped or self._calls.ended

    @property
    def pending(self) -> int:
        """Updates that wait for the callback."""
        return self._calls.pending

    @property
    def dropped(self) -> int:
        """Updates that were never given to the callback, because newer ones pushed them out."""
        return self._calls.dropped

    @property
    def thinned(self) -> int:
        """How often the server was asked meanwhile to send only the newest values, which it tells nobody."""
        hold = self._hold
        return self._thinned + (0 if hold is None else hold.monitor.thinned() - self._thinned_at)

    @property
    def errors(self) -> int:
        """How often the callback has raised."""
        return self._calls.errors

    def pause(self) -> None:
        """Want no updates until ``resume()``: none are kept, and the server need not send them."""
        hold = self._hold
        if hold is not None:
            self._thinned = self.thinned
            self._hold, self._paused = None, hold
            hold.close()

    def resume(self) -> None:
        """Want them again, beginning with the current value; no error if it is active."""
        paused = self._paused
        if self._hold is None and paused is not None and not self.closed:
            self._begin(paused.again())

    def _begin(self, hold: Hold) -> None:
        self._hold = hold
        self._thinned_at = hold.monitor.thinned()
        hold.enter()

    def close(self) -> None:
        """Call the callback no more; closing twice is no error. A call that runs is not waited for."""
        self._calls.stop()
        self.pause()
        self._paused = None
        self.pv._forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "paused" if not self.active else f"{self.pending} pending"
        return f"<Subscription to {self.pv.pvname!r}: {state}, {self.dropped} dropped>"


class WeakCall:
    """A bound method that was given as a ``weakref.WeakMethod``: its subscription ends with its object."""

    __slots__ = ("_method", "subscription")

    def __init__(self, method: weakref.WeakMethod[Any]) -> None:
        self.subscription: Subscription | None = None
        bound = method()
        self._method = None if bound is None else weakref.WeakMethod(bound, self._gone)

    def _gone(self, _method: Any) -> None:
        if self.subscription is not None:
            self.subscription.close()

    @property
    def __wrapped__(self) -> Any:
        """The method, for those who name it."""
        return None if self._method is None else self._method()

    def __call__(self, reading: Reading) -> None:
        bound = None if self._method is None else self._method()
        if bound is None:
            self._gone(None)
        else:
            bound(reading)


def subscribe(
    pv: Any,
    callback: Any,
    lanes: Lanes,
    make: Callable[[Sink], Hold],
    policy: str = "all",
    limit: int | None = None,
    max_rate: float | None = None,
) -> Subscription:
    """A subscription of a PV, whose arguments are looked at first."""
    name = pv.pvname
    check_callback(name, callback)
    weak = WeakCall(callback) if isinstance(callback, weakref.WeakMethod) else None
    gap = 0.0 if max_rate is None else 1.0 / checked_rate(name, max_rate)
    calls = Calls(lanes, name, weak or callback, checked_limit(name, policy, limit), gap)
    subscription = Subscription(pv, callback, calls, make)
    if weak is not None:
        weak.subscription = subscription
    return subscription


def checked_limit(name: str, policy: Any, limit: Any) -> int | None:
    """How many may wait: the newest alone, *limit*, or as many as the bytes allow."""
    if policy not in ("all", "latest"):
        raise BadValueError(f"'{name}': policy={shown(policy)}: give 'all' or 'latest'", pvname=name)
    if limit is not None and not (type(limit) is int and limit >= 1):
        raise BadValueError(f"'{name}': limit={shown(limit)}: give how many updates may wait, from 1 on", pvname=name)
    return 1 if policy == "latest" else limit


def checked_rate(name: str, rate: Any) -> float:
    """Calls a second."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < float("inf"):
        raise BadValueError(f"'{name}': max_rate={shown(rate)}: give how many calls a second at the most", pvname=name)
    return float(rate)


def check_callback(name: str, callback: Any) -> None:
    """Refuse what cannot be called with a reading.

    :raises BadValueError: also for one whose parameters are named as pyepics names them; their number is never looked
        at.
    """
    if not callable(callback):
        hint = ": give the function itself, not what it returns" if callback is None else ": give a function"
        raise WrongTypeError(f"'{name}': {shown(callback)} is not callable{hint}", pvname=name)
    function = getattr(callback, "__func__", callback)
    if not inspect.isfunction(function):
        return
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if "pvname" in names or (code.co_flags & inspect.CO_VARKEYWORDS and "value" in names):
        raise BadValueError(
            f"'{name}': {function.__qualname__}({', '.join(names)}, ...) is named as pyepics calls it: "
            "give it to add_callback(), or take one reading here",
            pvname=name,
        )
