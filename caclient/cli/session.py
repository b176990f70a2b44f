"""What the verbs want of the client, in the forms that they want it: the only file here that knows its inner API.

Requests of explicit types and counts, answers as they lay on the wire, refusals as the texts of EPICS Base's tools.
"""

from __future__ import annotations

import logging
import math
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import Self

from caclient.client import default, put
from caclient.client.bulk import wait_all
from caclient.client.channel import Channel
from caclient.client.home import Settings
from caclient.client.report import Report
from caclient.client.request import Request
from caclient.client.ride import Ride
from caclient.config import Config
from caclient.dbr.decode import HEADER_SIZE, decode
from caclient.dbr.metadata import Metadata
from caclient.dbr.reading import ControlInfo, Origin, Reading, Reason
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.text import to_text
from caclient.dbr.types import LAYOUTS, STRING_SIZE, ChannelType, ctrl_type, padded, payload_size, time_type
from caclient.engine.sending import LATER
from caclient.engine.signals import await_signal, new_signal
from caclient.engine.sockets import Address
from caclient.errors import AccessDeniedError, BadValueError, CAError, CATimeoutError, ChannelAccessError
from caclient.protocol.commands import EventAddResponse, ReadNotifyRequest
from caclient.protocol.runs import UpdateRun
from caclient.protocol.status import CAStatusCode

from .blocks import dbr_name
from .escapes import visible
from .formats import Answer
from .output import complain
from .stamps import present

_REPORTS = {
    "ECA_PUTFAIL": "Channel write request failed",
    "ECA_GETFAIL": "Channel read request failed",
    "ECA_NORDACCESS": "Read access denied",
    "ECA_NOWTACCESS": "Write access denied",
    "ECA_BADCOUNT": "Invalid element count requested",
    "ECA_BADTYPE": "The data type specifed is invalid",
    "ECA_NOCONVERT": "No reasonable data conversion between client and server types",
    "ECA_BADSTR": "Invalid string",
    "ECA_DISCONN": "Virtual circuit disconnect",
    "ECA_TIMEOUT": "User specified timeout on IO operation expired",
}
"""The statuses that scripts may look for, in the words that EPICS Base's tools have for them."""

INVALID_STRING = _REPORTS["ECA_BADSTR"]
NO_WRITE_ACCESS = _REPORTS["ECA_NOWTACCESS"]
BAD_COUNT = _REPORTS["ECA_BADCOUNT"]
READ_ONLY = "nothing is written while CACLIENT_READ_ONLY is set"
DISCONNECTED = _REPORTS["ECA_DISCONN"]


_PATIENCE = 5.0
"""Seconds that a put waits for a server that takes nothing."""
_SETTLE = 1.0
_QUEUE_BYTES = 256_000_000
_WAITING = 64 << 20
"""Bytes of events that wait to be printed at the most."""
_EVENT = 500


class NoAnswer(NamedTuple):
    """Why there is no value."""

    reason: str
    """``disconnected``, ``access``, ``timeout`` or ``refused``."""
    text: str = ""
    """What the server said if it refused."""

    @property
    def words(self) -> str:
        """The reason for people."""
        known = {"disconnected": "not connected", "access": "no read access", "timeout": "no answer in time"}
        return known.get(self.reason, self.text)


@dataclass(frozen=True, slots=True)
class Question:
    """What to read of a channel."""

    channel: Channel
    data_type: ChannelType
    count: int
    """0 is whatever there is."""


@dataclass(slots=True)
class Event:
    """What a subscription brings: an answer, or the news that the channel has gone."""

    place: int
    answer: Answer | None
    moment: TimeStamp

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        values = () if self.answer is None else self.answer.values
        return _EVENT + (len(values) * STRING_SIZE if isinstance(values, tuple) else values.nbytes)


class Session:
    """One command's contact with the IOCs."""

    def __init__(self, config: Config | None = None) -> None:
        self._handler = _Complaints()
        logging.getLogger("caclient").addHandler(self._handler)
        self._lease = default.open_home(Settings(config or Config.from_env(), _PATIENCE, _QUEUE_BYTES))
        self._home = self._lease.home

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._home.close()
        logging.getLogger("caclient").removeHandler(self._handler)

    def channels(self, names: Sequence[str], priority: int = 0) -> list[Channel]:
        """The channels of these names, searched from now on.

        :raises BadNames: for those that can be no names.
        """
        channels, bad = [], []
        for name in names:
            try:
                channels.append(self._home.names.stay(name, priority))
            except BadValueError:
                bad.append(name)
        if bad:
            raise BadNames(bad)
        return channels

    def connect(self, channels: Sequence[Channel], wait: float) -> bool:
        """Wait for all of them for so many seconds; whether they are all there."""
        wait_all(channels, deadline_of(wait))
        return all(channel.connected for channel in channels)

    def ask(self, questions: Sequence[Question], wait: float) -> list[Answer | NoAnswer]:
        """All answers, the questions being put at once."""
        asked = [_ask(question) for question in questions]
        deadline = deadline_of(wait)
        return [one if isinstance(one, NoAnswer) else _answer(one, deadline) for one in asked]

    def readings(self, channels: Sequence[Channel], wait: float) -> list[Reading | NoAnswer]:
        """All there is to know of each channel, everything being asked for at once."""
        values = [Question(channel, time_type(channel.native_type or 0), 0) for channel in channels]
        about = [Question(channel, ctrl_type(channel.native_type or 0), 1) for channel in channels]
        answers = self.ask([*values, *about], wait)
        origins = map(_origin, channels, answers[len(channels) :])
        return [
            answer if isinstance(answer, NoAnswer) else reading_of(answer, channel.count == 1, origin)
            for channel, answer, origin in zip(channels, answers, origins, strict=False)
        ]

    def origins(self, channels: Sequence[Channel], wait: float) -> list[Origin]:
        """Name and metadata of each channel, as far as they can be had."""
        about = [Question(channel, ctrl_type(channel.native_type or 0), 1) for channel in channels]
        return list(map(_origin, channels, self.ask(about, wait)))

    def put(self, channel: Channel, data_type: ChannelType, data: Sequence[Any]) -> None:
        """Send values; a refusal by the server is told on standard error by ``settle`` at the latest.

        :raises PutFailed: if they cannot be sent.
        """
        self._check_put(channel, len(data))
        try:
            put.send(channel, data_type, len(data), data, time.monotonic() + _PATIENCE)
        except CAError as error:
            raise _put_failure(error) from None

    def put_and_wait(self, channel: Channel, data_type: ChannelType, data: Sequence[Any], wait: float) -> bool:
        """Send values; whether the record has finished processing within so many seconds.

        :raises PutFailed: if they cannot be sent, or the server refuses them.
        """
        self._check_put(channel, len(data))
        try:
            put.send_and_wait(channel, data_type, len(data), data, time.monotonic() + _PATIENCE, deadline_of(wait))
        except CATimeoutError:
            return False
        except CAError as error:
            raise _put_failure(error) from None
        return True

    def _check_put(self, channel: Channel, count: int) -> None:
        if self._home.config.read_only:
            raise PutFailed(READ_ONLY, sent=False)
        if channel.connected and not channel.can_write:
            raise PutFailed(NO_WRITE_ACCESS, sent=False)
        if count > channel.count:
            raise PutFailed(BAD_COUNT, sent=False)

    def settle(self) -> None:
        """Have said on standard error what was to be said so far."""
        runtime, said = self._home.runtime, new_signal()
        # by way of the engine thread, where what was heard of refusals may still be waiting
        runtime.loop.call_soon(lambda: runtime.log.lane.push(lambda _: said.release(), None))
        await_signal(said, time.monotonic() + _SETTLE)

    def subscribe(
        self, channels: Sequence[Channel], wanted: Callable[[Channel], tuple[ChannelType, int]], mask: int
    ) -> Events:
        """Every event of all channels, in the order in which they come; *wanted* chooses type and count of each."""
        events = Events()
        for place, channel in enumerate(channels):
            self._home.runtime.on_engine(_watch, channel, place, wanted, mask, events)
        return events

    def servers(self) -> list[Address]:
        """The servers whose beacons have been heard."""
        return self._home.searches.beacons.addresses()

    def report(self) -> str:
        """What the client knows of itself."""
        return str(Report._of(self._home))

    def host_name(self, channel: Channel) -> str:
        """``host:port`` of a channel's server, by name where the system knows one."""
        address = channel.address
        return "<disconnected>" if address is None else f"{_host(address[0])}:{address[1]}"


class BadNames(Exception):
    """Some names can be none."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(*names)
        self.names = tuple(names)


class PutFailed(Exception):
    """A put came to nothing; ``sent`` tells whether it was the server that refused it."""

    def __init__(self, text: str, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class Events:
    """What comes, for one thread to take.

    If that is slow, because nobody reads what it prints, the oldest are left out, and counted.
    """

    def __init__(self, limit: int = _WAITING) -> None:
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._limit = limit
        self._bytes = 0
        self.left_out = 0

    def add(self, event: Event) -> None:
        """One more. *The thread that reads the circuit.*"""
        self._weigh(event.size)
        self._queue.put(event)
        while self._bytes > self._limit:
            try:
                oldest = self._queue.get_nowait()
            except queue.Empty:
                return  # the other thread was quicker
            self._weigh(-oldest.size)
            self.left_out += 1

    def next(self, deadline: float = math.inf) -> Event | None:
        """The next event; None if none comes until the monotonic *deadline*."""
        try:
            if deadline == math.inf:
                event = self._queue.get()
            else:
                event = self._queue.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            return None
        self._weigh(-event.size)
        return event

    def _weigh(self, size: int) -> None:
        with self._lock:
            self._bytes += size


class Readings:
    """Events as readings, with their channels' metadata, which are asked for at each connection."""

    def __init__(self, session: Session, channels: Sequence[Channel], wait: float) -> None:
        self._session = session
        self._channels = channels
        self._wait = wait
        self._origins: dict[int, Origin] = {}
        self._seen: set[int] = set()

    def take(self, event: Event) -> Reading | None:
        """The reading of an event; None if it is that the channel has gone."""
        place, answer = event.place, event.answer
        if answer is None:
            self._origins.pop(place, None)
            return None
        channel, origin = self._channels[place], self._origins.get(place)
        if origin is not None:
            return reading_of(answer, channel.count == 1, origin)
        (about,) = self._session.origins([channel], self._wait)
        self._origins[place] = Origin(about.name, about.native_type, about.control, "update")
        reason: Reason = "reconnect" if place in self._seen else "initial"
        self._seen.add(place)
        first = Origin(about.name, about.native_type, about.control, reason)
        return reading_of(answer, channel.count == 1, first)


def deadline_of(wait: float) -> float:
    """Until when to wait, in monotonic seconds: 0 is without end, a negative wait not at all."""
    if wait == 0:
        return math.inf
    return time.monotonic() + (wait if wait > 0 else 0.0)


def zeros(data_type: ChannelType, count: int) -> Answer:
    """What the tools take for the answer where the server has refused to give one."""
    metadata, values = decode(data_type, count, bytes(padded(payload_size(data_type, count))))
    return Answer(data_type, values, metadata)


def filled(answer: Answer, count: int) -> Answer:
    """An answer brought to so many elements: zeros at the end."""
    missing = count - answer.count
    if missing <= 0:
        return answer
    if isinstance(answer.values, tuple):
        return Answer(answer.data_type, (*answer.values, *[b""] * missing), answer.metadata)
    values = np.concatenate([answer.values, np.zeros(missing, answer.values.dtype)])
    return Answer(answer.data_type, values, answer.metadata)


def reading_of(answer: Answer, scalar: bool, origin: Origin) -> Reading:
    """An answer as users of the library hold it."""
    values: Any = answer.values
    if isinstance(values, tuple):
        texts = list(map(to_text, values))
        value: Any = texts[0] if scalar and texts else np.array(texts, dtype=np.str_)
    else:
        value = values[0].item() if scalar and len(values) else values
    metadata = answer.metadata or Metadata()
    seconds, nanoseconds = metadata.stamp or (None, None)
    return Reading(value, metadata.status or 0, metadata.severity or 0, seconds, nanoseconds, origin)


def _origin(channel: Channel, answer: Answer | NoAnswer) -> Origin:
    control = None if isinstance(answer, NoAnswer) else ControlInfo.from_metadata(answer.metadata)
    return Origin(channel.name, channel.native_type, control)


def status_text(status: CAStatusCode) -> str:
    """A status in words."""
    return _REPORTS.get(status.name, f"{status.name}: {status.description}")


def refusal_report(what: str, question: Question, reason: str) -> str:
    """What the tools have the C library say when a server refuses a request that nobody is called back for."""
    data_type = dbr_name(question.data_type)
    return (
        f"CA.Client.Exception: {reason} ({what} of {visible(question.channel.name)} as {data_type}[{question.count}])"
    )


# -- reading -----------------------------------------------------------------------------------------------------------


def _ask(question: Question) -> tuple[Any, Request] | NoAnswer:
    channel = question.channel
    ride = channel.ride
    if ride is None or ride.core is None or not channel.connected:
        return NoAnswer("disconnected")
    if not ride.can_read:
        return NoAnswer("access")
    request = Request(channel.name)
    count = ride.core.count_for(question.count)
    try:
        ride.circuit.ask(ReadNotifyRequest(question.data_type, count, ride.sid, 0), request)
    except CAError:
        return NoAnswer("disconnected")
    return ride.circuit, request


def _answer(asked: tuple[Any, Request], deadline: float) -> Answer | NoAnswer:
    circuit, request = asked
    try:
        request.wait(circuit, deadline)
        if not request.done:
            circuit.forget(request.ioid)
        reply = request.result(circuit)
    except CATimeoutError:
        return NoAnswer("timeout")
    except AccessDeniedError:
        return NoAnswer("access")
    except ChannelAccessError as error:
        return NoAnswer("refused", status_text(error.status) if isinstance(error.status, CAStatusCode) else str(error))
    except CAError:
        return NoAnswer("disconnected")
    return _decoded(reply)


def _decoded(reply: Any) -> Answer:
    metadata, values = decode(reply.data_type, reply.data_count, reply.payload)
    return Answer(LAYOUTS[reply.data_type].data_type, values, metadata)


# -- writing -----------------------------------------------------------------------------------------------------------


def _put_failure(error: CAError) -> PutFailed:
    if isinstance(error, ChannelAccessError) and isinstance(error.status, CAStatusCode):
        return PutFailed(status_text(error.status), sent=True)
    if isinstance(error, AccessDeniedError):
        return PutFailed(NO_WRITE_ACCESS, sent=False)
    return PutFailed(str(error), sent=False)


# -- watching: engine thread -------------------------------------------------------------------------------------------


def _watch(
    channel: Channel, place: int, wanted: Callable[[Channel], tuple[ChannelType, int]], mask: int, events: Events
) -> None:
    watch = _Watch(place, wanted, mask, events)
    while not channel.join(watch, channel.dependents):
        pass
    if channel.connected:
        watch.serve(channel)


class _Watch:
    """A subscription of a chosen type and count that hands on what comes as it came; a dependent of its channel."""

    def __init__(
        self, place: int, wanted: Callable[[Channel], tuple[ChannelType, int]], mask: int, events: Events
    ) -> None:
        self._place = place
        self._wanted = wanted
        self._mask = mask
        self._events = events
        self._ride: Ride | None = None

    def serve(self, channel: Channel) -> None:
        """The channel can be used."""
        ride = channel.ride
        if ride is None or ride.core is None or ride is self._ride:
            return  # the updates go on by themselves
        data_type, count = self._wanted(channel)
        try:
            with ride.circuit.sending(LATER) as saying:
                saying.subscribe(ride.core, data_type, ride.core.count_for(count), self._mask, self)
        except CAError:
            return
        self._ride = ride
        channel.pool.flush_soon(ride.circuit)

    def lost(self) -> None:
        """The channel went."""
        self._events.add(Event(self._place, None, present()))

    def end(self) -> None:
        """It never comes again."""

    def orphan(self) -> None:
        """In a forked child."""

    def receive(self, item: Any) -> None:
        """Something came. *The thread that reads the circuit.*"""
        if type(item) is EventAddResponse and item.status.success:
            self._events.add(Event(self._place, _decoded(item), present()))
        elif type(item) is UpdateRun:
            for row in item.rows:
                payload = row.tobytes()[HEADER_SIZE:]
                metadata, values = decode(item.data_type, 1, payload)
                answer = Answer(LAYOUTS[item.data_type].data_type, values, metadata)
                self._events.add(Event(self._place, answer, present()))


# -- the rest ----------------------------------------------------------------------------------------------------------


class _Complaints(logging.Handler):
    """What the client has to say beside its answers, as lines on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        complain(visible(f"caclient: {record.getMessage()}"))


def _host(address: str) -> str:
    """The name of a host, or its address where it has none."""
    try:
        return socket.gethostbyaddr(address)[0]
    except OSError:
        return address
