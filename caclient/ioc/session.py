"""What a server says to one client: requests in, replies and updates out, as commands. No bytes, socket or clock.

Each request has one method (`_ANSWERS`), which returns its replies. Errors that leave the circuit usable are replies
like any other; those that do not raise RemoteProtocolError, and the caller closes the circuit after the `farewell`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from caclient.dbr.encode import encode
from caclient.dbr.text import cut
from caclient.dbr.types import ChannelType, layout_of
from caclient.errors import RemoteProtocolError
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from caclient.protocol.status import ECA, ECA_NORDACCESS, ECA_NORMAL, CAStatusCode

from .access import Refused, read, read_snapshot, write, zeros
from .binding import Binding
from .complaints import Complaints
from .database import Database
from .monitor import Monitor
from .record import Record

_MOST_PUTS = 1000
"""Put-callbacks that may be unanswered on one circuit."""
_MOST_MASK = 0xFF


class Session:
    """One client's channels and subscriptions on the server's side. Server thread.

    `on_ready` may be called by any thread: there is something in `news`.
    """

    def __init__(self, database: Database, port: int, complaints: Complaints | None = None) -> None:
        self.user = ""
        self.host = ""
        self.on_ready: Callable[[], None] = _nobody
        self._database = database
        self._port = port
        self._complaints = complaints or Complaints()
        self._bindings: dict[int, Binding] = {}
        self._channels_of: dict[Record, dict[int, Binding]] = {}
        self._ready: deque[Monitor] = deque()
        self._finished: deque[tuple[ca.WriteNotifyRequest, CAStatusCode]] = deque()
        self._changed: dict[Record, None] = {}
        self._reviewed: deque[tuple[Binding, Monitor | None]] = deque()
        self._events_on = True
        self._puts = 0

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The channels there are."""
        return tuple(self._bindings.values())

    def answer(self, command: ca.Command) -> list[ca.Command]:
        """The replies to a request that the circuit has found legal; RemoteProtocolError if the circuit must end."""
        return _ANSWERS[type(command)](self, command)

    @property
    def largest_payload(self) -> int:
        """Bytes that a request may carry."""
        return self._database.largest_put

    def next_news(self) -> ca.Command | None:
        """What is to be told next: late put replies, changed rights, then new values, each subscription in turn."""
        return self._late_reply() or self._new_right() or (self._next_update() if self._events_on else None)

    def news(self) -> Iterator[ca.Command]:
        """All of that."""
        while (command := self.next_news()) is not None:
            yield command

    def disconnect_channel(self, name: str) -> list[ca.Command]:
        """Take the channels of this name from the client, and tell it so."""
        gone = [binding for binding in self.bindings if binding.name == name]
        for binding in gone:
            self._forget(binding)
        return [ca.ServerDisconnResponse(binding.cid) for binding in gone]

    def close(self) -> None:
        """End every channel: the circuit is gone."""
        for binding in self.bindings:
            self._forget(binding)

    # ------------------------------------------------------------- requests, one method each

    def _heed(self, _command: ca.Command) -> list[ca.Command]:
        """The core has taken note, and there is nothing to say."""
        return []

    def _refuse(self, command: ca.Command) -> list[ca.Command]:
        raise RemoteProtocolError(f"no server does what {type(command).__name__} asks")

    def _on_client_name(self, command: ca.ClientNameRequest) -> list[ca.Command]:
        self.user = command.name
        return []

    def _on_host_name(self, command: ca.HostNameRequest) -> list[ca.Command]:
        self.host = command.name
        return []

    def _on_echo(self, command: ca.EchoRequest) -> list[ca.Command]:
        return [ca.copied(ca.EchoResponse, command)]

    def _on_read_sync(self, command: ca.ReadSyncRequest) -> list[ca.Command]:
        return [ca.copied(ca.ReadSyncResponse, command)]

    def _on_search(self, command: ca.SearchRequest) -> list[ca.Command]:
        if self._database.find(command.name) is not None:
            return [ca.SearchResponse(self._port, ca.THE_SENDER, command.cid, None)]
        if command.reply == ca.DO_REPLY:
            return [ca.NotFoundResponse(command.version, command.cid)]
        return []

    def _on_create(self, command: ca.CreateChanRequest) -> list[ca.Command]:
        record = self._database.find(command.name)
        if record is None:
            return [ca.CreateChFailResponse(command.cid)]
        binding = Binding(command.name, command.cid, self._database.new_sid(), record)
        self._bindings[binding.sid] = binding
        if record not in self._channels_of:
            self._channels_of[record] = {}
            record.observe(self._access_changed)
        self._channels_of[record][binding.sid] = binding
        return [
            ca.AccessRightsResponse(binding.cid, record.access),
            ca.CreateChanResponse(record.native, record.capacity, binding.cid, binding.sid),
        ]

    def _on_clear(self, command: ca.ClearChannelRequest) -> list[ca.Command]:
        self._forget(self._bindings[command.sid])
        return [ca.ClearChannelResponse(command.sid, command.cid)]

    def _on_read_notify(self, command: ca.ReadNotifyRequest) -> list[ca.Command]:
        record = self._bindings[command.sid].record
        status, payload, count = read(record, command.type_field, command.data_count)
        number = status.code_with_severity
        return [_told(ca.ReadNotifyResponse, command.type_field, count, number, command.ioid, payload)]

    def _on_read(self, command: ca.ReadRequest) -> list[ca.Command]:
        binding = self._bindings[command.sid]
        status, payload, count = read(binding.record, command.type_field, command.data_count)
        if not status.success:
            return [_failed(command, binding, status)]
        if command.type_field == ChannelType.STRING and count == 1:
            payload = encode(ChannelType.STRING, 1, cut(payload), shorten=True)[0]
        return [_told(ca.ReadResponse, command.type_field, count, binding.cid, command.ioid, payload)]

    def _on_write(self, command: ca.WriteRequest) -> list[ca.Command]:
        binding = self._bindings[command.sid]
        try:
            write(binding.record, command)
        except Refused as refused:
            return [_failed(command, binding, self._refusal(binding, refused))]
        return []

    def _on_write_notify(self, command: ca.WriteNotifyRequest) -> list[ca.Command]:
        if self._puts >= _MOST_PUTS:
            return [_written(command, ECA["PUTCBINPROG"])]
        binding = self._bindings[command.sid]
        try:
            completion = write(binding.record, command)
        except Refused as refused:
            return [_written(command, self._refusal(binding, refused))]
        if completion is None:
            return [_written(command, ECA_NORMAL)]
        self._puts += 1
        command.let_go()  # it is stored; a thousand of them that wait would keep a thousand arrays
        completion.then(lambda status: self._put_done(command, status))
        return []

    def _refusal(self, binding: Binding, refused: Refused) -> CAStatusCode:
        """The status to answer with; what user code raised is logged."""
        if refused.__cause__ is not None:
            self._complaints.failed(f"the put hook of {binding.record.name!r} failed", refused.__cause__)
        return refused.status

    def _on_event_add(self, command: ca.EventAddRequest) -> list[ca.Command]:
        binding = self._bindings[command.sid]
        layout_of(command.type_field)
        if not 0 < command.mask <= _MOST_MASK:
            raise RemoteProtocolError(f"no subscription has the event mask {command.mask}")
        monitor = Monitor(
            binding.sid, command.subscriptionid, command.type_field, command.data_count, command.mask, self._has_news
        )
        monitor.held = not self._events_on
        monitor.muted = not binding.record.access & ca.AccessRights.READ
        binding.subscribe(monitor)
        return [_denied(monitor)] if monitor.muted else []

    def _on_event_cancel(self, command: ca.EventCancelRequest) -> list[ca.Command]:
        monitor = self._bindings[command.sid].unsubscribe(command.subscriptionid)
        return [ca.EventCancelResponse(monitor.data_type, command.sid, monitor.subscription_id, monitor.data_count)]

    def _on_events_off(self, _command: ca.EventsOffRequest) -> list[ca.Command]:
        return self._hold(True)

    def _on_events_on(self, _command: ca.EventsOnRequest) -> list[ca.Command]:
        return self._hold(False)

    def _hold(self, held: bool) -> list[ca.Command]:
        if self._events_on is not held:  # said twice
            return []
        self._events_on = not held
        for binding in self._bindings.values():
            for monitor in binding.monitors.values():
                monitor.held = held
        return []

    # ------------------------------------------------------------- news

    def _has_news(self, monitor: Monitor) -> None:
        """A value waits in a subscription. Any thread."""
        self._ready.append(monitor)
        self.on_ready()

    def _next_update(self) -> ca.Command | None:
        """One update of the subscription whose turn it is."""
        while self._ready:
            monitor = self._ready.popleft()
            binding = self._bindings.get(monitor.sid)
            if binding is None or binding.monitors.get(monitor.subscription_id) is not monitor:
                continue
            snapshot = binding.record.take(monitor)
            if snapshot is None:
                continue
            self._ready.append(monitor)
            status, payload, count = read_snapshot(snapshot, monitor.data_type, monitor.data_count)
            number = status.code_with_severity
            return _told(ca.EventAddResponse, monitor.data_type, count, number, monitor.subscription_id, payload)
        return None

    def _put_done(self, command: ca.WriteNotifyRequest, status: CAStatusCode) -> None:
        """A put that went on has ended. Any thread."""
        self._finished.append((command, status))
        self.on_ready()

    def _access_changed(self, record: Record) -> None:
        """Rights of a record are others. Any thread."""
        self._changed[record] = None
        self.on_ready()

    def _late_reply(self) -> ca.Command | None:
        """The answer to a put that ended meanwhile, unless its channel has gone."""
        while self._finished:
            command, status = self._finished.popleft()
            self._puts -= 1
            if command.sid in self._bindings:
                return _written(command, status)
        return None

    def _new_right(self) -> ca.Command | None:
        """Rights as they are by now, and what follows from them for the subscriptions, one command at a time."""
        while self._changed:
            record, _ = self._changed.popitem()
            self._reviewed += ((binding, None) for binding in self._channels_of.get(record, {}).values())
        while self._reviewed:
            binding, monitor = self._reviewed.popleft()
            if self._bindings.get(binding.sid) is not binding:
                continue
            rights = binding.record.access
            muted = not rights & ca.AccessRights.READ
            if monitor is None:
                self._reviewed.extendleft((binding, each) for each in reversed(binding.monitors.values()))
                return ca.AccessRightsResponse(binding.cid, rights)
            was_muted, monitor.muted = monitor.muted, muted
            if not muted:
                binding.record.refresh(monitor)
            elif not was_muted and binding.monitors.get(monitor.subscription_id) is monitor:
                return _denied(monitor)
        return None

    def _forget(self, binding: Binding) -> None:
        record = binding.record
        del self._bindings[binding.sid]
        binding.release()
        del self._channels_of[record][binding.sid]
        if not self._channels_of[record]:
            del self._channels_of[record]
            record.unobserve(self._access_changed)


def farewell(asked: ca.Command | None, reason: str) -> ca.Command:
    """What a server says before it closes a circuit on which the client broke a rule."""
    failed = Header(0, 0, 0, 0, 0, 0) if asked is None else asked.header
    return ca.ErrorResponse(failed, status=ECA["INTERNAL"], error_message=reason.replace("\0", " ")[:200])


def _nobody() -> None:
    """Before a connection has taken the session over."""


def _told(
    cls: type[ca.ReadNotifyResponse | ca.ReadResponse | ca.EventAddResponse],
    data_type: int,
    count: int,
    parameter1: int,
    parameter2: int,
    payload: bytes,
) -> ca.Command:
    """A reply around a payload that is encoded already."""
    reply: ca.Command = cls.from_header(Header(cls.ID, len(payload), data_type, count, parameter1, parameter2), payload)
    return reply


def _denied(monitor: Monitor) -> ca.Command:
    """The one update that says that there will be no more until reading is allowed."""
    status, payload, count = zeros(ECA_NORDACCESS, monitor.data_type, monitor.data_count)
    number = status.code_with_severity
    return _told(ca.EventAddResponse, monitor.data_type, count, number, monitor.subscription_id, payload)


def _written(command: ca.WriteNotifyRequest, status: CAStatusCode) -> ca.Command:
    return ca.WriteNotifyResponse(command.type_field, command.data_count, status, command.ioid)


def _failed(command: ca.Command, binding: Binding, status: CAStatusCode) -> ca.Command:
    return ca.ErrorResponse(command, binding.cid, status, binding.name)


_ANSWERS: dict[type[ca.Command], Callable[[Session, Any], list[ca.Command]]] = {
    ca.VersionRequest: Session._heed,
    ca.ClientNameRequest: Session._on_client_name,
    ca.HostNameRequest: Session._on_host_name,
    ca.EchoRequest: Session._on_echo,
    ca.ReadSyncRequest: Session._on_read_sync,
    ca.SearchRequest: Session._on_search,
    ca.CreateChanRequest: Session._on_create,
    ca.ClearChannelRequest: Session._on_clear,
    ca.ReadNotifyRequest: Session._on_read_notify,
    ca.ReadRequest: Session._on_read,
    ca.WriteRequest: Session._on_write,
    ca.WriteNotifyRequest: Session._on_write_notify,
    ca.EventAddRequest: Session._on_event_add,
    ca.EventCancelRequest: Session._on_event_cancel,
    ca.EventsOffRequest: Session._on_events_off,
    ca.EventsOnRequest: Session._on_events_on,
    ca.SnapshotRequest: Session._refuse,
    ca.BuildRequest: Session._refuse,
    ca.ReadBuildRequest: Session._refuse,
    ca.SignalRequest: Session._refuse,
}
