"""Puts: begin, wait, and if the circuit ended before anything had left, send on the next ride.

All take a channel; *deadline* is a monotonic moment. Any thread but the engine's may wait.
"""

from __future__ import annotations

from typing import Any, Final

from caclient.client.channel import Channel
from caclient.client.get import exchange
from caclient.client.request import Request
from caclient.client.ride import Ride
from caclient.client.standing import State
from caclient.engine.sending import HURRIED, LATER
from caclient.errors import BadValueError, CATimeoutError, DisconnectedError, LocalProtocolError
from caclient.protocol.commands import WriteNotifyRequest, WriteRequest

_FATE: Final = ("; the put was not sent", "; the put had been sent, and may have been carried out")
"""What became of a put whose connection was lost."""


def send(channel: Channel, data_type: int, count: int, data: Any, deadline: float) -> None:
    """Send a value without asking for an answer; a refusal by the server is logged."""
    while True:
        ride = _writable(channel, deadline)
        try:
            ride.circuit.post(WriteRequest(data, data_type, count, ride.sid, ride.cid), deadline)
        except BadValueError as error:
            raise BadValueError(f"'{channel.name}': {error}", pvname=channel.name) from None
        except DisconnectedError as error:
            if ride.await_end(deadline) and not channel.runtime.closed:
                continue  # nothing has left: send it on the next ride
            raise channel.ended(error) from None
        except LocalProtocolError as error:
            raise channel.ended(error) from None
        except BaseException:  # Ctrl-C, or another signal's handler
            channel.puts += 1  # it may have been sent; one too many only has the server asked once more
            raise
        channel.puts += 1
        return


def send_and_wait(channel: Channel, data_type: int, count: int, data: Any, connection: float, deadline: float) -> None:
    """Send a value and wait until the record has finished processing; *connection*: the deadline for sending."""
    while True:
        ride = _writable(channel, connection)
        request = Request(channel.name)
        try:
            command = WriteNotifyRequest(data, data_type, count, ride.sid, 0)
            exchange(channel, ride.circuit, request, command, deadline)
        except BadValueError as error:
            raise BadValueError(f"'{channel.name}': {error}", pvname=channel.name) from None
        except (DisconnectedError, LocalProtocolError) as error:
            if request.ioid < 0 and ride.await_end(connection) and not channel.runtime.closed:
                continue
            raise channel.ended(error, _FATE[request.ioid >= 0]) from None
        except CATimeoutError:
            raise channel.unanswered(request.sent_at, ride.circuit, "processing") from None
        finally:
            if request.ioid >= 0:
                channel.puts += 1
        return


class Sent:
    """A put whose completion may be waited for. Any number that were begun together leave together (``leave``)."""

    __slots__ = ("_channel", "_request", "_ride")

    def __init__(self, channel: Channel, ride: Ride, request: Request) -> None:
        self._channel = channel
        self._ride = ride
        self._request = request

    @property
    def done(self) -> bool:
        """Whether it is known how it ended. *Any thread.*"""
        return self._request.done

    def leave(self) -> None:
        """See that it leaves now. *Any thread.*"""
        self._ride.circuit.flush()

    def wait(self, deadline: float) -> None:
        """Wait until the record has finished processing; after a timeout it may be waited for again.

        :raises CATimeoutError: if it has not by then.
        """
        channel, circuit = self._channel, self._ride.circuit
        try:
            with channel.runtime.lanes.blocking():
                self._request.wait(circuit, deadline)
            self._request.result(circuit)
        except DisconnectedError as error:
            raise channel.ended(error, _FATE[True]) from None
        except CATimeoutError:
            raise channel.unanswered(self._request.sent_at, circuit, "processing") from None

    def finish(self, deadline: float) -> None:
        """Wait as ``wait`` does, and after a timeout never again."""
        try:
            self.wait(deadline)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Wait for it no more: a late completion is told to nobody. *Any thread.*"""
        if not self._request.done:
            self._ride.circuit.forget(self._request.ioid)


def begin(channel: Channel, data_type: int, count: int, data: Any, *, later: bool = False) -> Sent:
    """Send a value on the present ride; what is returned can be waited for. Never waits.

    :param later: it leaves with what is sent next on its circuit, or by ``Sent.leave``.
    """
    ride = _writable(channel, 0.0)
    request = Request(channel.name)
    try:
        ride.circuit.ask(WriteNotifyRequest(data, data_type, count, ride.sid, 0), request, LATER if later else HURRIED)
    except BadValueError as error:
        raise BadValueError(f"'{channel.name}': {error}", pvname=channel.name) from None
    except (DisconnectedError, LocalProtocolError) as error:
        raise channel.ended(error) from None
    channel.puts += 1
    return Sent(channel, ride, request)


def _writable(channel: Channel, deadline: float) -> Ride:
    ride = channel.ride
    if ride is None or channel.state is not State.READY:
        ride = channel.require(deadline)
    if not ride.can_write:
        raise channel.denied("write")
    return ride
