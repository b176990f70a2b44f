"""Many channels at once: one deadline for all, and a reason for each that failed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from caclient.client.channel import Channel
from caclient.client.get import nonsense, reading_of
from caclient.client.request import BulkRequest, failure
from caclient.client.ride import Ride
from caclient.client.standing import SETTLED, State as ChannelState
from caclient.client.waiting import Latch
from caclient.dbr import ChannelType, Reading, decode_rows, run_values
from caclient.engine.circuit import Circuit
from caclient.engine.signals import seconds_to
from caclient.errors import CAError, DecodeError
from caclient.protocol.runs import ReplyRun

_GATHER: Final = 0.005
"""Seconds for which channels that become ready are gathered, at the least, before they are asked together."""


def wait_all(channels: Sequence[Channel], deadline: float) -> None:
    """Wait until all are ready at once, or the monotonic *deadline*. *Any thread but the engine's.*"""
    while waiting := [each for each in channels if each.state not in SETTLED and not each.runtime.closed]:
        _await(waiting, deadline, math.inf)
        if seconds_to(deadline) == 0.0:  # else one may have been ready, and was lost while others were waited for
            return


def wait_some(channels: Sequence[Channel], deadline: float, gather: float) -> bool:
    """Wait until one is ready, and *gather* seconds longer for more; false if there is nothing to wait for any more."""
    waiting = [channel for channel in channels if channel.state not in SETTLED]
    if len(waiting) < len(channels) and any(channel.connected for channel in channels):
        return True
    if not waiting or seconds_to(deadline) == 0.0:
        return False
    _await(waiting, deadline, gather)
    return True


def _await(waiting: Sequence[Channel], deadline: float, gather: float) -> None:
    latch = Latch(len(waiting))
    waiting[0].runtime.wake()
    for channel in waiting:
        if not channel.await_ready(latch):
            latch.release()
    try:
        latch.wait(waiting[0].runtime, deadline, gather)
    finally:
        for channel in waiting:
            if channel.state is not ChannelState.READY:
                channel.forgo(latch)


def in_turn(channels: Sequence[Channel], deadline: float) -> Iterator[list[int]]:
    """The places of channels as they become ready, many at a time, until all are or the monotonic *deadline*.

    So those that are there need not wait for those that never will be.
    """
    started = time.monotonic()
    waiting = list(range(len(channels)))
    while True:
        ready = [place for place in waiting if channels[place].connected]
        if ready:
            yield ready
            waiting = [place for place in waiting if not channels[place].connected]
        gather = max(_GATHER, (time.monotonic() - started) / 4)
        if not waiting or not wait_some([channels[place] for place in waiting], deadline, gather):
            return


def get_all(channels: Sequence[Channel], deadline: float) -> list[Reading | CAError]:
    """A reading of each channel, or why there is none, from the servers and in the order given."""
    return _answers(channels, deadline, _Share.readings, _as_reading)


def get_values(channels: Sequence[Channel], deadline: float) -> list[Any]:
    """The values alone, for those who want nothing else; an exception in the place of each that cannot be had."""
    return _answers(channels, deadline, _Share.values, _as_value)


def _as_reading(share: _Share, place: int, answer: Any) -> Reading:
    ride = share.rides[place]
    return reading_of(share.channels[place], answer, ride.data_type, ride.count)


def _as_value(share: _Share, place: int, answer: Any) -> Any:
    return _as_reading(share, place, answer).value


class _Share:
    """What one circuit is asked for: the places among all, the rides, and the request if it could be sent."""

    __slots__ = ("channels", "circuit", "data_type", "places", "request", "rides", "scalar")

    def __init__(self, circuit: Circuit, places: list[int], channels: list[Channel], rides: list[Ride]) -> None:
        self.circuit = circuit
        self.places = places
        self.channels = channels
        self.rides = rides
        types = [ride.data_type for ride in rides]
        counts = [ride.count for ride in rides]
        self.scalar = set(counts) == {1}
        self.data_type = types[0] if len(set(types)) == 1 else None
        self.request = BulkRequest(len(places))
        self.request.first = circuit.ask_all(([ride.sid for ride in rides], types, counts), self.request)

    def readings(self, run: ReplyRun) -> list[Any]:
        """A run of answers, each as its own channel has it; an error in the place of each of the wrong type."""
        kind, places = run.data_type, [ioid - self.request.first for ioid in run.ioids]
        shapes = [self.channels[place].shaped() for place in places]
        origins = [shape.origin("read") for shape in shapes if shape is not None]
        readings = decode_rows(kind, run.rows, origins)
        return [
            shape.own(reading, kind)
            if shape is not None and self.rides[place].data_type == kind
            else self._of_another_type(place, kind)
            for place, shape, reading in zip(places, shapes, readings, strict=True)
        ]

    def _of_another_type(self, place: int, kind: ChannelType) -> DecodeError:
        asked = ChannelType(self.rides[place].data_type)
        return nonsense(self.channels[place], DecodeError(f"{kind.name} for {asked.name}"))

    def values(self, run: ReplyRun) -> list[Any]:
        """The values of a run of answers."""
        if self.scalar and self.data_type == run.data_type:
            return run_values(run.data_type, run.rows)
        return [getattr(reading, "value", reading) for reading in self.readings(run)]


def _answers(
    channels: Sequence[Channel],
    deadline: float,
    of_run: Callable[[_Share, ReplyRun], list[Any]],
    of_reply: Callable[[_Share, int, Any], Any],
) -> list[Any]:
    results: list[Any] = [None] * len(channels)
    shares: list[_Share] = []
    try:
        started = time.monotonic()
        unready = _ask(channels, range(len(channels)), shares, results)
        while unready:  # those that are ready have been asked: they do not wait for a name that nobody has
            gather = max(_GATHER, (time.monotonic() - started) / 4)
            if not wait_some([channels[place] for place in unready], deadline, gather):
                break
            unready = _ask(channels, unready, shares, results)
        for place in unready:
            results[place] = channels[place].unready(time.monotonic() - started)
        for share in shares:
            with share.channels[0].runtime.lanes.blocking():
                share.request.wait(share.circuit, deadline)
            _collect(share, results, of_run, of_reply)
    finally:
        for share in shares:
            share.request.forget(share.circuit)
    return results


def _ask(channels: Sequence[Channel], places: Sequence[int], shares: list[_Share], results: list[Any]) -> list[int]:
    """Ask each circuit for its share, and return the places of the channels that are not ready.

    Why another cannot be asked is its result.
    """
    unready = []
    asked: dict[Circuit, tuple[list[int], list[Channel], list[Ride]]] = {}
    for place in places:
        channel = channels[place]
        ride = channel.readable
        if ride is not None:
            mine = asked.get(ride.circuit)
            if mine is None:
                mine = asked[ride.circuit] = [], [], []
            mine[0].append(place)
            mine[1].append(channel)
            mine[2].append(ride)
        elif channel.state is ChannelState.READY and not channel.can_read:
            results[place] = channel.denied("read")
        else:
            unready.append(place)
    for circuit, mine in asked.items():
        try:
            shares.append(_Share(circuit, *mine))
        except CAError as error:
            for place in mine[0]:
                results[place] = channels[place].ended(error)
    return unready


def _collect(
    share: _Share,
    results: list[Any],
    of_run: Callable[[_Share, ReplyRun], list[Any]],
    of_reply: Callable[[_Share, int, Any], Any],
) -> None:
    places, first = share.places, share.request.first
    for answer in share.request.answers:
        if type(answer) is ReplyRun:
            for ioid, result in zip(answer.ioids, of_run(share, answer), strict=True):
                results[places[ioid - first]] = result
        else:
            number = _ioid_of(answer) - first
            results[places[number]] = _result(share, number, answer, of_reply)
    if share.request.left > 0:
        for place, channel in zip(places, share.channels, strict=True):
            if results[place] is None:
                results[place] = _missing(share, channel)


def _missing(share: _Share, channel: Channel) -> Exception:
    if share.request.error is not None:
        return channel.ended(share.request.error)
    return channel.unanswered(share.request.sent_at, share.circuit)


def _ioid_of(answer: Any) -> int:
    ioid = getattr(answer, "ioid", None)
    return int(answer.original_request.parameter2 if ioid is None else ioid)


def _result(share: _Share, number: int, answer: Any, of_reply: Callable[[_Share, int, Any], Any]) -> Any:
    if not answer.status.success:
        return failure(share.channels[number].name, answer.status)
    try:
        return of_reply(share, number, answer)
    except CAError as error:
        return error
