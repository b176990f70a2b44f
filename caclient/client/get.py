"""Reads: begin, wait, and if the circuit ended before anything had left, ask again on the next ride.

All take a channel; *deadline* is a monotonic moment. Any thread but the engine's may wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caclient.client.channel import Channel
from caclient.client.request import Request, SharedRequest
from caclient.client.ride import Ride
from caclient.client.standing import State
from caclient.dbr import Reading
from caclient.engine.circuit import Circuit
from caclient.errors import CAError, CATimeoutError, DecodeError, DisconnectedError, LocalProtocolError
from caclient.protocol.command import Command
from caclient.protocol.commands import ReadNotifyRequest


def read(
    channel: Channel,
    deadline: float,
    data_type: int | None = None,
    count: int | None = None,
    keep: Callable[[Any], Reading | None] | None = None,
) -> Reading:
    """Ask the server, by default for all there is with its time stamp; *keep* takes the answer among the updates."""
    while True:
        ride = channel.readable
        if ride is None:
            ride = _readable(channel, deadline)
        wanted = ride.data_type if data_type is None else data_type
        length = ride.count if count is None else count
        request = Request(channel.name) if keep is None else SharedRequest(channel.name, keep)
        try:
            reply = exchange(channel, ride.circuit, request, ReadNotifyRequest(wanted, length, ride.sid, 0), deadline)
        except (DisconnectedError, LocalProtocolError) as error:
            if request.ioid < 0 and ride.await_end(deadline) and not channel.runtime.closed:
                continue  # nothing has left: ask on the next ride
            raise channel.ended(error) from None
        except CATimeoutError:
            raise channel.unanswered(request.sent_at, ride.circuit) from None
        if isinstance(request, SharedRequest) and request.reading is not None:
            return request.reading  # large arrays are decoded where they lie, so only once
        return reading_of(channel, reply, wanted, length)


def read_some(channel: Channel, deadline: float, count: int) -> Reading:
    """At most *count* elements, and none invented.

    A real IOC that has fewer fills up with zeros what was asked for. So if the last element could be such, all there
    is, is asked for once more, and cut.
    """
    channel.require(deadline)
    most = channel.count
    if count < most:
        reading = read(channel, deadline, None, count)
        if not _may_be_filled(reading.value, count):
            return reading
    reading = read(channel, deadline)
    return reading if most == 1 else reading.with_value(reading.value[:count])


def _may_be_filled(value: Any, asked: int) -> bool:
    """Whether the last element may be none that the channel has."""
    return len(value) >= asked and not value[-1]


def exchange(channel: Channel, circuit: Circuit, request: Request, command: Command, deadline: float) -> Any:
    """The answer to a request; a callback that waits for it gives its place on the lanes to another."""
    lanes = channel.runtime.lanes
    if not lanes.on_worker():
        return request.exchange(circuit, command, deadline)
    with lanes.blocking():
        return request.exchange(circuit, command, deadline)


def reading_of(channel: Channel, reply: Any, data_type: int, count: int) -> Reading:
    """An answer as a user holds it; *data_type* and *count* are what was asked for.

    :raises DecodeError: if the server has not sent what it said, or not what it was asked for.
    """
    shape = channel.shape or channel.shaped()
    assert shape is not None  # or it could not have been asked
    try:
        if reply.data_type != data_type or reply.data_count > 1:
            shape.require(reply.data_type, reply.data_count, data_type, count)
        return shape.reading(reply)
    except DecodeError as error:
        raise nonsense(channel, error) from None


def nonsense(channel: Channel, error: DecodeError) -> DecodeError:
    """An error in an answer, with the server's name."""
    return DecodeError(f"'{channel.name}': {channel.circuit_name} sent nonsense: {error}", pvname=channel.name)


def _readable(channel: Channel, deadline: float) -> Ride:
    """Wait for a ride that may be read."""
    ride = channel.require(deadline)
    if ride.can_read:
        return ride
    if channel.state is State.READY and not ride.over:
        raise channel.denied("read")
    raise _gone(channel)


def _gone(channel: Channel) -> CAError:
    return channel.ended(channel.note or channel.state.value)
