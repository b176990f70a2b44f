"""Monitors: one subscription on the wire, kept over reconnects, and the newest reading it brought.

A monitor is shared by all who want the same events of a channel: PVs that keep the newest reading in memory, and sinks
(``feed``) that want every update. It is on the wire as long as somebody wants it, which is settled on the engine thread
alone: whoever comes or goes, in whatever order and however fast, only changes what is wanted.

The wire side (``receive``) runs on the thread that reads the circuit and only files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, cast

import numpy as np

from caclient.client.channel import Channel
from caclient.client.feed import Sink, owned
from caclient.client.get import nonsense
from caclient.client.request import FreshRequest, Rendezvous
from caclient.client.ride import Ride
from caclient.client.shape import Shape
from caclient.dbr import ChannelType, Origin, Reading, Reason, decode_rows
from caclient.dbr.mask import MaskLike, event_mask
from caclient.engine.sending import LATER
from caclient.errors import CAError, DecodeError, DisconnectedError
from caclient.protocol.commands import ErrorResponse, EventAddResponse, ReadNotifyRequest
from caclient.protocol.runs import MixedRun, UpdateRun
from caclient.protocol.status import ECA_TOLARGE

log = logging.getLogger("caclient.subscription")

AUTO_MONITOR: Final = 65_536
"""Elements from which on a PV is not monitored unless asked for: a camera is read when it is wanted."""


class Holder(Protocol):
    """Who wants every update in a sink, until it is closed."""

    closed: bool
    sink: Sink
    skip_initial: bool
    """What counts is what comes after the current value."""
    known: Reading | None
    """That value, if there was one when it was made."""

    def orphan(self) -> None:
        """In a forked child: it was the parent's. *The only thread.*"""


Form: TypeAlias = Callable[[Shape], tuple[int, int]]
"""Type and count to subscribe to, for what the channel has. Compared: those that say the same are to be equal."""


def monitor_of(channel: Channel, mask: MaskLike, form: Form | None = None) -> Monitor:
    """The channel's monitor for an event mask (and a *form*), made if there is none. *Any thread.*"""
    mask = event_mask(mask)
    made: Monitor | None = None
    while True:
        dependents = channel.dependents
        for other in dependents:
            if type(other) is Monitor and other.mask == mask and other.form == form:
                return other
        made = made or Monitor(channel, mask, form)
        if channel.join(made, dependents):
            return made


class Monitor:
    """One subscription on the wire, and the newest reading it brought; a dependent of its channel."""

    __slots__ = (
        "_asked_count",
        "_asked_type",
        "_core_id",
        "_holders",
        "_lost",
        "_renewed",
        "_renewing",
        "_ride",
        "came",
        "channel",
        "demands",
        "form",
        "fresh",
        "keepers",
        "last",
        "mask",
        "pauses",
        "refusal",
        "refused",
        "sinks",
        "told",
    )

    def __init__(self, channel: Channel, mask: int, form: Form | None = None) -> None:
        self.channel = channel
        self.mask = mask
        self.form = form
        """None: all there is, with its time stamp."""
        self.keepers = 0
        """PVs that keep the newest reading if it is no large array."""
        self.demands = 0
        """PVs that keep it however large it is."""
        self.sinks: tuple[Sink, ...] = ()
        self.last: Reading | None = None
        self.fresh = False
        """Whether ``last`` came on the present connection."""
        self.came = 0.0
        """When the server was last heard to tell."""
        self.told: Reading | None = None
        """The newest update; ``last`` may be the answer to a read that was ahead of it."""
        self.refusal = ""
        """Why there are no updates on the present connection: refused, or nonsense."""
        self.refused = 0
        """Updates that were no answer to what had been asked for."""
        self.pauses = 0
        """How often servers were asked to merge updates on rides that are over."""
        self._holders: tuple[Holder, ...] = ()
        self._ride: Ride | None = None
        self._core_id: int | None = None
        self._asked_type = self._asked_count = 0
        self._lost = False
        """The server was silent, or the ride is over."""
        self._renewing = False
        """A value is to be told in any case, changed or not: the server has been silent."""
        self._renewed: Reading | None = None
        """What a read told the sinks, until updates have caught up with it."""

    @property
    def holders(self) -> tuple[Holder, ...]:
        """Who wants every update. *Any thread.*"""
        return self._holders

    # -- who wants it --------------------------------------------------------------------------------------------------

    def keep(self, demanding: bool) -> None:
        """A PV keeps the newest reading. *Any thread.*"""
        with self.channel.runtime.lock:
            if demanding:
                self.demands += 1
            else:
                self.keepers += 1
        self.channel.runtime.on_engine(self._settle_later)

    def forgo(self) -> None:
        """One of them does no more. *Engine thread.*"""
        with self.channel.runtime.lock:
            self.keepers -= 1
        self._settle()

    def forgo_demand(self) -> None:
        """One of them that kept it however large it is does no more. *Engine thread.*"""
        with self.channel.runtime.lock:
            self.demands -= 1
        self._settle()

    def enter(self, holder: Holder) -> None:
        """Give its sink the current value, and every update from then on. *Engine thread.*"""
        if holder.closed or self.channel.runtime.closed:
            if not holder.closed:
                holder.sink.end(DisconnectedError(f"'{self.channel.name}': the context has been closed"))
            return
        self._keep(holder, -1)  # one that comes back after a pause counts on
        self._holders = (*self._holders, holder)
        if self._core_id is None or self._lost:
            self._attach(holder)
            self._settle()
        else:
            self._welcome(holder)

    def leave(self, holder: Holder) -> None:
        """Give its sink none any more; one that never came is no error. *Engine thread.*"""
        others = tuple(other for other in self._holders if other is not holder)
        entered, self._holders = len(others) < len(self._holders), others
        self._detach(holder)
        if entered:
            self._keep(holder, 1)
        self._settle()

    def _keep(self, holder: Holder, sign: int) -> None:
        """What its sink counted is told of after it has left."""
        sink: Any = holder.sink
        dropped, errors = sink.dropped, getattr(sink, "errors", 0)
        if dropped or errors:
            self.channel.runtime.tally.keep(dropped=sign * dropped, errors=sign * errors)

    def _wanted(self) -> bool:
        if self._holders or self.demands > 0:
            return True
        return self.keepers > 0 and self.channel.count < AUTO_MONITOR

    def _settle(self) -> None:
        """Have on the wire what is wanted, and nothing else."""
        if self._wanted():
            self._start()
        else:
            self._stop()

    def _settle_later(self) -> None:
        """What only fills a cache leaves room for channels that are being made."""
        self.channel.runtime.later(self._settle)

    def _attach(self, holder: Holder) -> None:
        """*The thread that reads the circuit, or the engine thread.*"""
        sink, lock = holder.sink, self.channel.runtime.lock
        while not holder.closed and sink not in (before := self.sinks):
            grown = (*before, sink)
            with lock:  # nothing is allocated in here: a finalizer could come between
                if self.sinks is before:
                    self.sinks = grown
        if holder.closed:  # perhaps since: whoever closed it may have looked before it was attached
            self._detach(holder)

    def _detach(self, holder: Holder) -> None:
        sink, lock = holder.sink, self.channel.runtime.lock
        while sink in (before := self.sinks):
            rest = tuple(other for other in before if other is not sink)
            with lock:
                if self.sinks is before:
                    self.sinks = rest

    def _welcome(self, holder: Holder) -> None:
        """Attach a sink that came later than the first, with the current value ahead of the updates.

        Both happen between two updates, on the thread that brings them: so the value comes once, and in its place.
        """

        def meet() -> None:
            told = self.told
            if self.fresh and told is not None and not holder.closed and not _skips(holder, told):
                holder.sink.one(told, _size(told))
            self._attach(holder)

        self._read(self.channel.native_type or ChannelType.CHAR, 1, Rendezvous(meet))

    # -- the wire: engine thread ---------------------------------------------------------------------------------------

    def serve(self, channel: Channel) -> None:
        """The channel can be used: subscribe, unless the server holds the subscription; then ask for a fresh value."""
        ride, lost = channel.ride, self._lost
        if ride is not self._ride:
            self._part()
        self._lost = False
        if self._core_id is not None:
            if lost:
                self._refresh()
        elif self._holders:
            self._settle()
        else:
            channel.runtime.later(self._settle)

    def lost(self) -> None:
        """The channel cannot be used for a while; if the ride is over, the subscription went with it."""
        self._lost = True
        self.fresh = self._renewing = False
        self._renewed = None
        self.refusal = ""
        if self._ride is not None and self._ride.over:
            self._part()

    def _part(self) -> None:
        """The ride is over."""
        ride, self._ride, self._core_id = self._ride, None, None
        if ride is not None:
            self.pauses += ride.circuit.pauses

    def end(self) -> None:
        """The channel was closed: there will be no updates any more."""
        holders, self._holders, self.sinks = self._holders, (), ()
        why = DisconnectedError(f"'{self.channel.name}': {self.channel.note}", pvname=self.channel.name)
        for holder in holders:
            self._keep(holder, 1)
            holder.sink.end(why)

    def orphan(self) -> None:
        """In a forked child: the subscription and the sinks are the parent's. *The only thread.*"""
        self._ride = self._core_id = None
        self._lost, self.fresh, self._renewing, self._renewed = True, False, False, None
        holders, self._holders, self.sinks = self._holders, (), ()
        for holder in holders:
            holder.orphan()

    @property
    def ride(self) -> Ride | None:
        """The ride that the subscription was made on. *Any thread.*"""
        return self._ride

    def thinned(self) -> int:
        """How often servers were asked to merge updates of this and other PVs, so far. *Any thread.*"""
        ride = self._ride
        return self.pauses + (0 if ride is None else ride.circuit.pauses)

    def _start(self) -> None:
        channel = self.channel
        ride = channel.ride
        if self._core_id is not None or ride is None or ride.core is None or not channel.connected:
            return
        self.refusal = ""
        form, shape = self.form, None if self.form is None else channel.shaped()
        self._asked_type, self._asked_count = ride.data_type, ride.count
        if form is not None and shape is not None:
            self._asked_type, self._asked_count = form(shape)
        pauses = -ride.circuit.pauses if ride is not self._ride else 0
        try:
            with ride.circuit.sending(LATER) as saying:
                data_type = ChannelType(self._asked_type)
                self._core_id = saying.subscribe(ride.core, data_type, self._asked_count, self.mask, self)
        except CAError:
            return  # the circuit has just gone; the channel comes back and starts this again
        self._ride = ride
        self.pauses += pauses
        channel.pool.flush_soon(ride.circuit)

    def _stop(self) -> None:
        core_id, ride = self._core_id, self._ride
        self._core_id = None
        self.fresh = False
        if core_id is not None and ride is not None and ride.core is not None and not ride.over:
            ride.circuit.dismiss(ride.core.unsubscribe(core_id))
            self.channel.pool.flush_soon(ride.circuit)

    def _refresh(self) -> None:
        """Read the value once: the server has been silent, but holds the subscription."""
        self._renewing = True
        self._read(self._asked_type, self._asked_count, FreshRequest(self.renew))

    def _read(self, data_type: int, count: int, request: FreshRequest | Rendezvous) -> None:
        """Have an answer sent; if there can be none, the request fails."""
        ride = self.channel.ride
        try:
            if ride is None:
                raise DisconnectedError("not connected")
            ride.circuit.ask(ReadNotifyRequest(data_type, count, ride.sid, 0), request)
        except CAError as error:
            request.fail(error)  # the circuit has just gone; the channel comes back with a value

    # -- the thread that reads the circuit -----------------------------------------------------------------------------

    def receive(self, item: Any) -> None:
        """An update, a run of them, or why there is none."""
        if type(item) is UpdateRun:
            self._take_run(item)
        elif type(item) is EventAddResponse:
            self.take(item)
        elif type(item) is ErrorResponse:
            self._refuse(f"the server refused the subscription: {item.status.name}: {item.status.description}")

    def take(self, update: Any) -> None:
        """A single update.

        Nothing happens if there is no value (no read access, or it cannot be had: access rights or the alarm tell).
        """
        if update.status.success:
            reading = self._shared_reading(update, self._reason())
        else:
            reading = None
            if update.status is ECA_TOLARGE:
                self._refuse_nonsense(DecodeError("more than the channel has, or than is permitted"))
        if reading is not None and (self._renewed is None or not self._is_past(reading, self._renewed)):
            self._tell(reading)

    def renew(self, reply: Any) -> None:
        """A fresh value, unless an update has been quicker."""
        reading = self._shared_reading(reply, "reconnect" if self._renewing else "update")
        if reading is not None and (self._renewing or self.told is None or not reading.repeats(self.told)):
            self._tell(reading)
            self._renewed = reading

    def _is_past(self, reading: Reading, renewed: Reading) -> bool:
        """Whether an update was on its way when a read overtook it; the first that was not ends the doubt."""
        past = reading.repeats(renewed) or _is_older(reading, renewed)
        if not past:
            self._renewed = None
        return past

    def _tell(self, reading: Reading) -> None:
        self.last = self.told = reading
        self.fresh, self._renewing = True, False
        self._mark()
        sinks = self.sinks
        if sinks:
            size = _size(reading)
            if reading.reason == "initial":
                sinks = self._without_those_who_skip(sinks, reading)
            for sink in sinks:
                sink.one(reading, size)

    def _mark(self) -> None:
        """Something was told: the circuit knows when."""
        if self._ride is not None:
            self.came = self._ride.circuit.heard_at

    def _without_those_who_skip(self, sinks: tuple[Sink, ...], reading: Reading) -> tuple[Sink, ...]:
        skip = [holder.sink for holder in self._holders if _skips(holder, reading)]
        return tuple(sink for sink in sinks if sink not in skip) if skip else sinks

    def keep_answer(self, reply: Any) -> Reading | None:
        """Remember the answer to a read, ahead of the update that will tell the sinks; None if it has no value."""
        if not reply.status.success:
            return None
        shape = self.channel.shape or self.channel.shaped()
        reading = None if shape is None else self._shared_reading(reply, "read", int(shape.time_type), 0)
        if self.fresh and reading is not None:  # or else nothing would bring the cache up to date again
            self.last = reading
        return reading

    def _reason(self) -> Reason:
        """Why there is an update now: it is the first at all, the first of this connection, or one more."""
        if self.fresh:
            return "update"
        return "initial" if self.last is None else "reconnect"

    def _shared_reading(
        self, reply: Any, reason: Reason, asked_type: int | None = None, asked_count: int = 0
    ) -> Reading | None:
        """What many will see, so that an array cannot be written to; None, and a word in the log, if it is nonsense."""
        shape = self.channel.shape or self.channel.shaped()
        if shape is None:
            return None
        if asked_type is None:
            asked_type, asked_count = self._asked_type, self._asked_count
        try:
            if reply.data_type != asked_type or reply.data_count != 1:
                shape.require(reply.data_type, reply.data_count, asked_type, asked_count)
            return _shared(shape.reading(reply, reason))
        except DecodeError as error:
            self._refuse_nonsense(error)
            return None

    def _take_run(self, run: UpdateRun) -> None:
        shape = self.channel.shape or self.channel.shaped()
        if shape is None:
            return
        if run.data_type != self._asked_type:
            self._refuse_nonsense(DecodeError(f"{run.data_type.name} for {ChannelType(self._asked_type).name}"))
            return
        rows = run.rows
        if self.last is None:
            self._tell(_shared(shape.readings(run.data_type, rows[:1], "initial")[0]))
            rows = rows[1:]
            if not len(rows):
                return
        self._renewed, self._renewing = None, False
        self.last = self.told = _shared(shape.readings(run.data_type, rows[-1:])[0])
        self.fresh = True
        self._mark()
        sinks = self.sinks
        if sinks:
            mine = owned(rows)
            for sink in sinks:
                sink.rows(run.data_type, mine, shape)

    @staticmethod
    def receive_mixed(run: MixedRun) -> None:
        """Updates of many monitors, decoded in one pass."""
        data_type, monitors = run.data_type, run.owners
        origins = [monitor.steady_origin(data_type) for monitor in monitors]
        if None in origins:  # one at least has something else to do than to take a further value
            for command in run.commands():
                command.owner.receive(command)
            return
        readings = decode_rows(data_type, run.rows, cast("list[Origin]", origins))
        for monitor, reading in zip(monitors, readings, strict=True):
            monitor.last = monitor.told = reading
            for sink in monitor.sinks:
                sink.one(reading)

    def steady_origin(self, data_type: int) -> Origin | None:
        """The origin of a further scalar of the type that was asked for; None if each update has to be looked at."""
        shape = self.channel.shape
        if shape is None or shape.count != 1 or data_type != self._asked_type:
            return None
        if not self.fresh or self.last is None or self._renewed is not None or self._renewing:
            return None
        return shape.origin("update")

    def _refuse_nonsense(self, error: DecodeError) -> None:
        self.refused += 1
        if not self.refusal:
            self._refuse(str(nonsense(self.channel, error)).removeprefix(f"'{self.channel.name}': "))

    def _refuse(self, why: str) -> None:
        self.refusal = why
        channel = self.channel
        channel.runtime.log.push(
            _log_refusal, (channel.name, why), f"updates refused by or from {channel.circuit_name}"
        )


def _shared(reading: Reading) -> Reading:
    """The same, for many to see: an array cannot be written to."""
    value = reading.value
    if type(value) is np.ndarray:
        value.flags.writeable = False
    return reading


def _skips(holder: Holder, reading: Reading) -> bool:
    """Whether it is not to be given its first reading: no update has come since it was made."""
    return holder.skip_initial and (holder.known is None or reading.repeats(holder.known))


def _is_older(reading: Reading, other: Reading) -> bool:
    mine, theirs = reading.stamp, other.stamp
    return mine is not None and theirs is not None and mine < theirs


def _size(reading: Reading) -> int:
    """The bytes of its array."""
    value = reading.value
    return value.nbytes if type(value) is np.ndarray else 0


def _log_refusal(what: tuple[str, str]) -> None:
    log.warning("'%s': %s", *what)
