"""Puts that were begun: standard futures, done when the record has finished processing.

A put that is begun on a PV without a connection waits for it, in order with all others of that PV. It is sent, and its
end is told, by a worker of the lanes: never by the engine thread, and never under a lock. So a done callback may do
what any callback may.
"""

from __future__ import annotations

import concurrent.futures
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import Any

from caclient.client.channel import Channel
from caclient.client.request import Request
from caclient.client.ride import Ride
from caclient.client.standing import State
from caclient.client.timeout import seconds
from caclient.client.waiting import give, wait
from caclient.dbr.put import Form
from caclient.engine.lanes import Lane, report_error
from caclient.engine.sending import GATHERED
from caclient.engine.signals import new_signal
from caclient.errors import BadValueError, CAError, DisconnectedError, ProtocolError, shorten
from caclient.protocol.commands import WriteNotifyRequest


class Put(Future[None]):
    """A put that was begun. ``result()`` raises what ``put(wait=True)`` would have; ``cancel()`` makes its end no news.

    A ``concurrent.futures.Future``: done callbacks run where callbacks run, ``asyncio.wrap_future`` takes it.
    """

    def __init__(self, pv: Any, convert: Callable[[], Form], lane: Lane) -> None:
        super().__init__()
        self._pv = pv  # which lives until it is known how this ends
        self._convert = convert
        self._lane = lane
        self._process = os.getpid()
        self._sent: tuple[Ride, Request] | None = None
        self._begun_at = time.monotonic()

    @property
    def pvname(self) -> str:
        """The name of the PV."""
        return str(self._pv.pvname)

    def cancel(self) -> bool:
        """Want to hear no more of it: what has been sent is not taken back. True unless it is known how it ended."""
        before = self.cancelled()
        if not super().cancel():
            return False
        if not before:
            self.set_running_or_notify_cancel()  # or ``concurrent.futures.wait`` would never count it
            if self._sent is not None:
                ride, request = self._sent
                ride.circuit.forget(request.ioid)
        return True

    def result(self, timeout: float | None = None) -> None:
        """Wait until the record has finished processing, for *timeout* seconds at the most (None: without a limit).

        :raises CATimeoutError: if it has not by then; it may be waited for again.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error if isinstance(error, ProtocolError) else error.with_traceback(None)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait as ``result``, and return what it would raise; None if all went well."""
        try:
            self._await(timeout)
        except CAError as error:
            shorten(error)
            raise
        return super().exception(0)

    def add_done_callback(self, fn: Callable[[Future[None]], object]) -> None:
        """Have ``fn(put)`` called where callbacks run, when it is known how it ended."""
        super().add_done_callback(partial(self._call_later, fn))

    def _call_later(self, fn: Callable[[Future[None]], Any], _future: Future[None]) -> None:
        self._lane.push(self._tell, fn)

    def _tell(self, fn: Callable[[Future[None]], Any]) -> None:
        try:
            fn(self)
        except BaseException as error:  # noqa: BLE001  user code
            report_error(self._lane, error, fn)

    def _await(self, timeout: float | None) -> None:
        if timeout is not None:
            timeout = seconds(timeout)
        if self.done():
            return
        if self._process != os.getpid():
            raise DisconnectedError(
                f"'{self.pvname}': the put was begun in the parent of this process", pvname=self.pvname
            )
        runtime = self._pv.channel.runtime
        runtime.require_other_thread()
        if self._sent is not None:
            self._sent[0].circuit.flush()  # what was begun closely behind others is gathered for a moment
        try:
            with runtime.lanes.blocking():
                super().exception(timeout)
        except concurrent.futures.TimeoutError:  # which is the builtin from Python 3.11 on
            channel, sent = self._pv.channel, self._sent
            if sent is None or not channel.connected:
                raise channel.unready(time.monotonic() - self._begun_at) from None
            ride, request = sent
            raise channel.unanswered(request.sent_at or self._begun_at, ride.circuit, "processing") from None

    # -- a worker ------------------------------------------------------------------------------------------------------

    def _send(self, channel: Channel) -> None:
        """Send it on the present ride; why that cannot be is its end. *The lane's worker, or who begins it.*"""
        if self.cancelled():
            return
        try:
            data_type, count, data = self._convert()
            ride = channel.require(0.0)
            if not ride.can_write:
                raise channel.denied("write")
            request = _Completion(self)
            self._sent = ride, request
            ride.circuit.ask(WriteNotifyRequest(data, data_type, count, ride.sid, 0), request, GATHERED)
            channel.puts += 1
        except BadValueError as error:
            self._sent = None
            self._end(error if error.pvname else BadValueError(_named(channel.name, str(error)), pvname=channel.name))
        except CAError as error:
            self._sent = None
            self._end(error)

    def _settle(self, request: Request) -> None:
        """It is known how it ended. *The lane's worker.*"""
        assert self._sent is not None
        channel = self._pv.channel
        try:
            request.result(self._sent[0].circuit)
        except DisconnectedError as error:
            self._end(channel.ended(error, "; the put had been sent, and may have been carried out"))
        except CAError as error:
            self._end(error)
        else:
            self._end(None)

    def _end(self, error: CAError | None) -> None:
        """Tell its end, unless it was cancelled. *The lane's worker, or who begins it.*"""
        try:
            if error is None:
                self.set_result(None)
            else:
                self.set_exception(error)
        except InvalidStateError:
            pass


def _named(name: str, text: str) -> str:
    return text if f"'{name}'" in text else f"'{name}': {text}"


class _Completion(Request):
    """The request of a put that was begun: a worker tells its end."""

    __slots__ = ("_put",)

    def __init__(self, put: Put) -> None:
        super().__init__(put.pvname)
        self._put = put

    def _finish(self) -> None:
        super()._finish()
        put = self._put
        if put._lane.lanes.ending:
            put._settle(self)  # soon there will be no worker any more
        else:
            put._lane.push(put._settle, self)


class _Barrier:
    """Somebody waits until all that was begun before has left."""

    __slots__ = ("signal",)

    def __init__(self) -> None:
        self.signal = new_signal()


class Begun:
    """The puts of one PV that wait for its connection, in order; a dependent of its channel.

    Only the worker of its lane takes them out.
    """

    __slots__ = ("_channel", "_waiting", "lane")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[tuple[float, Put | _Barrier]] = deque()
        self.lane = channel.runtime.lanes.lane(channel.name)

    @property
    def waits(self) -> bool:
        """Whether any has not left. *Any thread.*"""
        return bool(self._waiting)

    def add(self, put: Put, deadline: float) -> None:
        """Send it when the channel can be used, or fail it at the monotonic *deadline*. *Any thread.*"""
        self._waiting.append((deadline, put))
        self._channel.runtime.loop.call_soon(self._watch, deadline)
        self.lane.push(self._send, None)

    def await_all(self, deadline: float) -> bool:
        """Wait until all that was begun has left; false if that takes until the *deadline*."""
        barrier = _Barrier()
        self._waiting.append((deadline, barrier))
        self.lane.push(self._send, None)
        return wait(self._channel.runtime, barrier.signal, deadline)

    # -- engine thread -------------------------------------------------------------------------------------------------

    def _watch(self, deadline: float) -> None:
        if deadline != float("inf"):
            self._channel.runtime.loop.call_at(deadline, self._late)

    def _late(self) -> None:
        if self._waiting:
            self.lane.push(self._send, None)

    def serve(self, channel: Channel) -> None:
        """The channel can be used."""
        if self._waiting:
            self.lane.push(self._send, None)

    def lost(self) -> None:
        """It cannot be used for a while."""

    def end(self) -> None:
        """It is closed: nothing will be sent any more, and perhaps no worker come."""
        self._send(None)

    def orphan(self) -> None:
        """In a forked child: they are the parent's. *The only thread.*"""
        self._waiting.clear()
        self.lane = self._channel.runtime.lanes.lane(self._channel.name)

    # -- the lane's worker ---------------------------------------------------------------------------------------------

    def _send(self, _: None) -> None:
        channel, waiting = self._channel, self._waiting
        while waiting:
            deadline, put = waiting[0]
            if isinstance(put, _Barrier):
                give(put.signal)
            elif channel.connected:
                put._send(channel)
            elif time.monotonic() >= deadline or channel.runtime.closed or channel.state is State.CLOSED:
                put._end(channel.unready(time.monotonic() - put._begun_at))
            elif not put.cancelled():
                return
            waiting.popleft()
