"""Watching a PV: each reading to a function or an iterator, or until it has become something."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from typing_extensions import Never

from caclient.client import subscription
from caclient.client.arguments import by_name, surplus
from caclient.client.condition import checked_settle, checked_tolerance, condition, fitting_tolerance
from caclient.client.expect import Expectation, condition_of, put_and_wait, unmet, wait_for
from caclient.client.feed import Sink
from caclient.client.progress import Progress
from caclient.client.properties import fetch
from caclient.client.subscription import Hold, Policy, Subscription
from caclient.client.timeout import DEFAULT, remaining, seconds
from caclient.client.updates import Updates
from caclient.client.values import METADATA, ReadPV
from caclient.dbr import ChannelType, Reading
from caclient.dbr.mask import DEFAULT_MASK, MaskLike
from caclient.errors import BadValueError, CAError, WrongTypeError, shorten
from caclient.settings import flag


class WatchedPV(ReadPV):
    """A PV that is watched."""

    __slots__ = ()

    def subscribe(
        self,
        callback: Callable[[Reading], Any] | weakref.WeakMethod[Any],
        *,
        policy: Policy = "all",
        limit: int | None = None,
        max_rate: float | None = None,
        mask: MaskLike = DEFAULT_MASK,
        count: int | None = None,
        skip_initial: bool = False,
    ) -> Subscription:
        """Call ``callback(reading)`` for the current value and every update, until the result is closed. *Any thread.*

        :param policy: ``"all"`` in order, within 64 MiB; ``"latest"`` skips what comes while the callback is busy.
        :param limit: how many may wait; what is more pushes the oldest out.
        :param max_rate: at most so many calls a second; the newest value always arrives.
        :param mask: which events: ``Mask.VALUE | Mask.ALARM``, a number, or letters of ``"vlap"``.
        :param count: at most so many elements of an array.
        :param skip_initial: begin with the first update after the current value.
        """
        flag("skip_initial", skip_initial)
        channel = self._open_channel()
        lanes = channel.runtime.lanes
        make = self._maker(mask, skip_initial, count=count)
        made = subscription.subscribe(self, callback, lanes, make, policy, limit, max_rate)
        self._remember(made)
        if self._closed:  # since
            made.close()
            self._open_channel()
        return made

    @by_name
    def updates(
        self,
        *more: Never,
        timeout: float = math.inf,
        policy: Policy = "all",
        limit: int | None = None,
        mask: MaskLike = DEFAULT_MASK,
    ) -> Updates:
        """An iterator over readings, from the current one on; waits at most *timeout* seconds for each."""
        if more:
            raise surplus("PV.updates", 0, more)
        patience = seconds(timeout)
        self._open_channel()
        make = self._maker(mask, ends=True)
        made = Updates(self, make, policy, limit, patience)
        self._remember(made._hold)
        if self._closed:  # since
            made.close()
            self._open_channel()
        return made

    def _maker(
        self, mask: MaskLike, skip_initial: bool = False, ends: bool = False, count: int | None = None
    ) -> Callable[[Sink], Hold]:
        """What puts a sink on the channel's monitor."""
        if count is not None and (type(count) is not int or count < 1):
            text = f"'{self.pvname}': count={count!r}: give how many elements at the most, from 1 on"
            raise BadValueError(text, pvname=self.pvname)
        return partial(Hold, self._channel, mask, skip_initial=skip_initial, ends=ends, count=count)

    @by_name
    def wait_for(
        self, condition: Any, *more: Never, timeout: float, tolerance: float = 0.0, settle: float = 0.0
    ) -> Reading:
        """Wait until the PV is something: the first reading that fits, the current one included. *Any thread.*

        :param condition: a value, a state's name, or a function of the value; it is shown every update.
        :param timeout: seconds for it; 0 looks once.
        :param tolerance: how far a number may be from it.
        :param settle: seconds for which it has to stay so.
        :raises CATimeoutError: it has not become so, which a fresh read at the end has confirmed; or not connected.
        """
        if more:
            raise surplus("PV.wait_for", 1, more)
        limit = seconds(timeout, needed=True)
        checked_tolerance(tolerance)
        checked_settle(settle)
        try:
            return (
                self._wait_for(condition, limit, tolerance, settle) if limit else self._look_once(condition, tolerance)
            )
        except CAError as error:
            shorten(error)
            raise

    def _wait_for(self, condition: Any, limit: float, tolerance: float, settle: float) -> Reading:
        started, channel = time.monotonic(), self._open_channel()
        channel.require(started + limit)
        what = condition_of(channel, condition, tolerance, started + limit)
        with Progress(lambda: f"{self.pvname}: waiting until {what.text}"):
            return wait_for(channel, self, what, remaining(started + limit), settle)

    def _look_once(self, wanted: Any, tolerance: float) -> Reading:
        channel, reading = self._open_channel(), self._cached()
        if reading is None:
            raise channel.unready(0.0) if not channel.connected else self._nothing_yet()
        control = channel.control
        states = () if control is None else control.enum_strs
        if isinstance(wanted, str) and channel.native_type == ChannelType.ENUM and not states:
            states = fetch(channel, time.monotonic() + METADATA).enum_strs
        what = condition(self.pvname, wanted, tolerance, channel.native_type, states)
        if what.holds(reading):
            return reading
        raise unmet(channel, what, 0.0, 0, reading)

    @by_name
    def expect(self, condition: Any, *more: Never, timeout: float, tolerance: float = 0.0) -> Expectation:
        """``with pv.expect(1, timeout=2) as seen: start.put(1)``: wait, at the end of the block, for what is expected.

        Armed before the block begins: only updates after that count, and none is missed, however short. An exception in
        the block goes through. Then ``seen.reading`` is the first reading that fits. *Any thread.*

        :param condition: a value, a state's name, or a function of the value.
        :param timeout: seconds from the end of the block.
        :raises CATimeoutError: at the end, if it did not come; at the beginning, if there is no connection.
        """
        if more:
            raise surplus("PV.expect", 1, more)
        limit = seconds(timeout, needed=True)
        checked_tolerance(tolerance)
        return Expectation(self._open_channel(), self, condition, tolerance, limit, self._limit(DEFAULT))

    @by_name
    def put_and_wait(
        self,
        value: Any,
        *more: Never,
        timeout: float,
        readback: WatchedPV | None = None,
        until: Any = None,
        tolerance: float | None = None,
        settle: float = 0.0,
    ) -> Reading:
        """Write a value, and wait until the record has finished **and** *readback* says so: its reading. *Any thread.*

        :param readback: another PV that tells what really is; by default this one.
        :param until: a condition as for ``wait_for`` on the read-back; by default, that it equals the value.
        :param tolerance: by default exact for integers, states and text; for floats half of the last digit of the
            read-back's precision.
        :param settle: seconds for which it has to stay so.
        :raises CATimeoutError: not completed, or not so, within *timeout* seconds.
        """
        if more:
            raise surplus("PV.put_and_wait", 1, more)
        limit = seconds(timeout, needed=True)
        watched = self if readback is None else readback
        if not isinstance(watched, WatchedPV):
            raise WrongTypeError(f"'{self.pvname}': readback={watched!r}: give a PV", pvname=self.pvname)
        checked_settle(settle)
        try:
            return self._put_and_wait(value, limit, watched, until, tolerance, settle)
        except CAError as error:
            shorten(error)
            raise

    def _put_and_wait(
        self, value: Any, limit: float, watched: WatchedPV, until: Any, tolerance: float | None, settle: float
    ) -> Reading:
        deadline = time.monotonic() + limit
        channel = watched._open_channel()
        self._writable_channel()
        channel.require(deadline)
        wanted = value if until is None else until
        if tolerance is None:
            control = fetch(channel, deadline)
            fits = until is None and not isinstance(wanted, (str, bytes))
            tolerance = fitting_tolerance(wanted, channel.native_type, control.precision) if fits else 0.0
        what = condition_of(channel, wanted, tolerance, deadline)
        with Progress(lambda: f"{self.pvname}: put, waiting until {watched.pvname} {what.text}"):
            return put_and_wait(partial(self._put_until, value), channel, watched, what, deadline, settle)

    def _put_until(self, value: Any, deadline: float) -> None:
        self.put(value, wait=True, timeout=remaining(deadline))
