"""Callbacks in pyepics' form: values, connections and access rights of one PV, called in the order of what happened.

All of them share one feed, and so come one at a time. A connection or a change of rights is a note in it, among the
readings; when readings have to be pushed out, notes stay where they are.

What a callback is told seldom changes but for seven entries. So there is a template for each PV, made anew when
metadata, rights or the host have changed, and copied for each call.

A callback that falls behind by more than a second has its server merge updates until it has caught up, as libca does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from caclient.client.channel import Channel
from caclient.client.feed import PIECE, Rows, Stretch
from caclient.client.properties import fetch, want
from caclient.client.ride import Ride
from caclient.client.shape import Shape
from caclient.client.standing import ACCESS
from caclient.client.subscription import Calls, Hold
from caclient.dbr import EPICS_EPOCH, Reading
from caclient.dbr.mask import DEFAULT_MASK
from caclient.dbr.types import LIMITS
from caclient.engine.circuit import Circuit
from caclient.engine.lanes import report_error
from caclient.errors import CAError, WrongTypeError
from caclient.settings import shown

_NOTES: Final = 1000
"""Changes of the connection that wait for a callback at the most."""
_BEHIND: Final = 1.0
"""Seconds that a reading may wait before the server is asked to merge updates."""
_TICK: Final = 0.1
"""Seconds between two looks at how long readings have waited."""
_METADATA: Final = 1.0
"""Seconds that the first call waits for the metadata."""


class Note:
    """Something that happened between readings."""

    __slots__ = ("argument", "call", "connection", "taken")

    def __init__(self, call: Callable[[Any], None], argument: Any, connection: bool = False) -> None:
        self.call = call
        self.argument = argument
        self.connection = connection
        self.taken = False


class Events(Calls):
    """A feed with notes among its readings. Every tenth of a second the time is put in as well, as a float."""

    __slots__ = ("_channel", "_marked", "_noted", "_noted_taken", "_paused", "_reached", "_turn", "deliver")

    def __init__(self, channel: Channel, deliver: Callable[[Reading], None]) -> None:
        super().__init__(channel.runtime.lanes, channel.name, deliver)
        self.deliver = deliver
        self._channel = channel
        self._turn = threading.RLock()
        """Held while an item is taken out, on either side: never while a callback runs."""
        self._noted = 0
        self._noted_taken = 0
        self._marked = 0.0
        """When the time was last put in."""
        self._reached = 0.0
        """What waits is younger: the newest of these times that was taken out, or when the first came that waits."""
        self._paused: Any = None
        """The circuit that has been asked to merge updates."""

    # -- putting in ----------------------------------------------------------------------------------------------------

    def note(self, note: Note) -> None:
        """Queue a note behind what waits. *Any thread.*"""
        if self.stopped:
            return
        self._noted += 1
        if not self._items:
            self._reached = time.monotonic()
        self._items.append(note)
        if self._noted - self._noted_taken > _NOTES:
            self._forget_oldest_notes()
        if not self.scheduled:
            self.tell()

    def _forget_oldest_notes(self) -> None:
        """Drop "connected" and "disconnected" together: what comes after them goes on to make sense."""
        with self._turn:
            items = tuple(self._items)
            found = [place for place, item in enumerate(items) if type(item) is Note and item.connection]
            for place in reversed(found[:2]):
                del self._items[place]
            self._noted_taken += len(found[:2])

    def one(self, reading: Reading, size: int = 0) -> None:
        """Queue a reading; *size*: the bytes of its array."""
        self._look()
        super().one(reading, size)

    def rows(self, data_type: int, rows: Rows, shape: Shape) -> None:
        """Queue updates that came together."""
        self._look()
        super().rows(data_type, rows, shape)

    def _look(self) -> None:
        """Whether the oldest has waited for so long that the server is to merge updates until all is delivered."""
        now = time.monotonic()
        if not self._items:
            self._reached = now
        elif now - self._marked > _TICK:
            self._marked = now
            self._items.append(now)
        if now - self._reached > _BEHIND and (ride := self._channel.ride) is not None:
            self._fall_behind(ride.circuit)

    def _fall_behind(self, circuit: Circuit) -> None:
        if self._paused is circuit:
            return
        self._catch_up()  # the PV was served by another one before
        self._paused = circuit
        circuit.pause_updates(self)
        if self.stopped:  # meanwhile
            self._catch_up()

    def stop(self) -> None:
        """Call no more, forget what waits, and hold nobody's updates back for it. *Any thread.*"""
        super().stop()
        self._catch_up()

    def _catch_up(self) -> None:
        """All is delivered: let updates flow again. *Any thread.*"""
        circuit, self._paused = self._paused, None
        if circuit is not None:
            circuit.resume_updates(self)

    def _oldest(self) -> Any:
        """Take the oldest reading out, to be dropped; the notes ahead of it stay. None if there is none."""
        aside: list[Any] = []
        if not self._turn.acquire(blocking=False):
            return None  # something is being taken out right now
        try:
            while type(item := self._items.popleft()) in (Note, float):
                if type(item) is Note:
                    aside.append(item)
                else:
                    self._reached = item
        except IndexError:
            return None
        finally:
            self._items.extendleft(reversed(aside))
            self._turn.release()
        return item

    # -- the worker ----------------------------------------------------------------------------------------------------

    def serve(self, over: float) -> None:
        """Make calls until nothing waits or the monotonic moment *over* has passed."""
        items = self._items
        while items:
            try:
                with self._turn:
                    item = items.popleft()
            except IndexError:
                break
            if self.stopped:
                items.clear()
                break
            if type(item) is Reading:
                self.deliver(item)
            else:
                self._take(item)
            if time.monotonic() >= over:
                break
        if not items and self._paused is not None:
            self._catch_up()
        self.served_at = time.monotonic()

    def _take(self, item: Any) -> None:
        kind = type(item)
        if kind is Stretch:
            readings = item.take(PIECE)
            if len(item):
                with self._turn:
                    self._items.appendleft(item)
            for reading in readings:
                self.deliver(reading)
        elif kind is Note:
            self._noted_taken += 1
            item.taken = True
            self._attempt(item.call, item.argument)
        else:
            self._reached = item

    def _attempt(self, call: Callable[[Any], None], argument: Any) -> None:
        try:
            call(argument)
        except BaseException as error:  # noqa: BLE001  user code
            report_error(self, error, argument[0] if type(argument) is tuple else None)


class Entry:
    """A callback for values, and whether it has been told of them."""

    __slots__ = ("callback", "keywords", "since")

    def __init__(self, callback: Callable[..., Any], keywords: dict[str, Any], since: bool) -> None:
        self.callback = callback
        self.keywords = keywords
        self.since = since
        """It may be called: not before what waited when it came has passed."""


class Callbacks:
    """The callbacks of one PV, from the first one on; a dependent of its channel, which so keeps the PV."""

    __slots__ = (
        "_access",
        "_connected",
        "_connection",
        "_hold",
        "_mask",
        "_ride",
        "_rights",
        "_rights_note",
        "_shape",
        "_skips_initial",
        "_template",
        "_with_metadata",
        "channel",
        "delivered",
        "entries",
        "events",
        "pv",
        "running",
    )

    def __init__(self, pv: Any, channel: Channel, mask: int | None) -> None:
        self.pv = pv
        self.channel = channel
        self.events = Events(channel, self._deliver)
        self.entries: dict[int, Entry] = {}
        """Never changed, only replaced: whoever is calling goes on with the old one."""
        self.delivered: Reading | None = None
        """What the callbacks were last given."""
        self._mask = mask or DEFAULT_MASK
        self._hold: Hold | None = None
        self._connection: tuple[Callable[..., Any], ...] = ()
        self._access: tuple[Callable[..., Any], ...] = ()
        self._connected = channel.connected
        self._rights = (channel.can_read, channel.can_write)
        self._rights_note: Note | None = None
        self._ride: Ride | None = None
        self._shape: Shape | None = None
        self._template: dict[str, Any] = {}
        self._with_metadata = False
        self.running: Callable[..., Any] | None = None
        """Who is being called."""
        self._skips_initial = False
        """The first value that comes is one after that which was known when the first callback came."""

    @property
    def came(self) -> float:
        """When the server was last heard to tell what these are given; 0 if it never was."""
        hold = self._hold
        return 0.0 if hold is None else hold.monitor.came

    # -- adding and removing: any thread -------------------------------------------------------------------------------

    def add(
        self,
        callback: Callable[..., Any],
        index: int | None,
        run_now: bool,
        with_ctrlvars: bool,
        keywords: dict[str, Any],
    ) -> int:
        """Call it for every update from now on; with *run_now* for the newest value first. Its index."""
        channel = self.channel
        if with_ctrlvars:
            self._with_metadata = True
            want(channel)
        known = self.pv.reading
        entry = Entry(callback, keywords, False)
        while True:
            before = self.entries
            number = max(before, default=-1) + 1 if index is None else index
            after = {**before, number: entry}
            with channel.runtime.lock:  # nothing is allocated in here: a finalizer could come between
                if self.entries is before:
                    self.entries = after
                    break
        if self._hold is None:
            entry.since = known is None or run_now
            self._skips_initial = not entry.since
            hold = Hold(channel, self._mask, self.events, skip_initial=not entry.since, known=known)
            with channel.runtime.lock:
                first = self._hold is None
                if first:
                    self._hold = hold
            if first:
                hold.enter()
        self.events.note(Note(self._admit, (number, entry, run_now, known)))  # ahead of whatever comes from now on
        return number

    def remove(self, index: int) -> None:
        """Call it no more; an unknown index is no error. A call that runs is not waited for."""
        while index in (before := self.entries):
            after = {number: entry for number, entry in before.items() if number != index}
            with self.channel.runtime.lock:
                if self.entries is before:
                    self.entries = after
        self._end_unless_wanted()

    def clear(self) -> None:
        """Call none for values any more."""
        self.entries = {}
        self._end_unless_wanted()

    def _end_unless_wanted(self) -> None:
        hold = self._hold
        if hold is not None and not self.entries:
            self._hold = None
            hold.close()

    def add_connection(self, callback: Callable[..., Any]) -> None:
        """Call it on each change of the connection, and at once if there is one. *Engine thread.*"""
        self._connection = (*self._connection, callback)
        if self._connected:
            self.events.note(Note(self._call_connection, (callback, True)))

    def add_access(self, callback: Callable[..., Any]) -> None:
        """Call it on each change of the access rights, and at once if they are known. *Engine thread.*"""
        self._access = (*self._access, callback)
        if self._connected:
            self.events.note(Note(self._call_access, ((callback,), *self._rights)))

    def close(self) -> None:
        """Call nobody any more. Takes no lock that a finalizer could find taken. *Any thread.*"""
        self.events.stop()
        self.clear()
        self.channel.runtime.loop.call_soon(self.channel.leave, self)

    # -- what the channel tells: engine thread -------------------------------------------------------------------------

    def serve(self, channel: Channel) -> None:
        """The channel can be used, or there are other rights: changes are told."""
        self._shape = None
        self._tell_rights(again=self._connected)
        if not self._connected:
            self._connected = True
            self._tell_connection(True)

    def lost(self) -> None:
        """It cannot be used for a while."""
        self._shape = None
        if self._connected:
            self._connected = False
            self._tell_connection(False)
            self._tell_rights(again=False)

    def end(self) -> None:
        """It never will be used again."""

    def orphan(self) -> None:
        """In a forked child: the callbacks are the parent's. *The only thread.*"""
        self.events.stop()
        self.pv._orphan_callbacks()
        self.channel.leave(self)

    def _tell_connection(self, connected: bool) -> None:
        for callback in self._connection:
            self.events.note(Note(self._call_connection, (callback, connected), connection=True))

    def _tell_rights(self, again: bool) -> None:
        """*again*: they changed on a connection that is known; then the newest will do."""
        channel = self.channel
        rights = (channel.can_read, channel.can_write)
        if rights == self._rights and again:
            return
        self._rights = rights
        if not self._access:
            return
        note = self._rights_note
        if again and note is not None and not note.taken:
            note.argument = (self._access, *rights)
            return
        self._rights_note = note = Note(self._call_access, (self._access, *rights))
        self.events.note(note)

    # -- on a lane -----------------------------------------------------------------------------------------------------

    def _call_connection(self, what: tuple[Callable[..., Any], bool]) -> None:
        callback, connected = what
        callback(pvname=self.pv.pvname, conn=connected, pv=self.pv)

    def _call_access(self, what: tuple[tuple[Callable[..., Any], ...], bool, bool]) -> None:
        callbacks, can_read, can_write = what
        for callback in callbacks:
            try:
                callback(can_read, can_write, pv=self.pv)
            except BaseException as error:  # noqa: BLE001  user code: the others are called all the same
                report_error(self.events, error, callback)

    def _admit(self, newcomer: tuple[int, Entry, bool, Reading | None]) -> None:
        """What waited when it came has passed: from now on it is called."""
        index, entry, run_now, known = newcomer
        missed = entry.since
        entry.since = True
        newest = known if self.delivered is None and self._skips_initial else self.delivered
        if run_now and not missed and newest is not None and self.entries.get(index) is entry:
            self._call(index, entry, self._fields(newest))

    def _deliver(self, reading: Reading) -> None:
        self.delivered = reading
        entries = self.entries
        if not entries:
            return
        fields = self._fields(reading)
        for index in sorted(entries) if len(entries) > 1 else entries:
            entry = entries[index]
            if entry.since and (self.entries is entries or self.entries.get(index) is entry):
                self._call(index, entry, fields)

    def _call(self, index: int, entry: Entry, fields: dict[str, Any]) -> None:
        try:
            if self.events.stopped:
                return
            self.running = entry.callback
            if entry.keywords:
                entry.callback(**{**fields, "cb_info": (index, self.pv), **entry.keywords})
            else:
                fields["cb_info"] = index, self.pv
                entry.callback(**fields)
        except BaseException as error:  # noqa: BLE001  user code: the other callbacks of this PV are called all the same
            report_error(self.events, error, entry.callback)

    def _fields(self, reading: Reading) -> dict[str, Any]:
        """What a callback in pyepics' form is given."""
        shape = self.channel.shape
        if shape is not self._shape or shape is None:
            shape = self._draw()
        value, status, severity, seconds, nanoseconds, origin = reading.row
        if origin.control is not shape.control:
            reading = reading.with_control(shape.control)
        fields = self._template.copy()
        fields["value"] = value
        fields["char_value"] = reading.text
        fields["status"] = status
        fields["severity"] = severity
        if seconds is not None and nanoseconds is not None:
            seconds += EPICS_EPOCH
            fields["timestamp"] = seconds + nanoseconds * 1e-9
            fields["posixseconds"] = seconds + nanoseconds // 1_000_000_000  # more than that is sent by some
            fields["nanoseconds"] = nanoseconds
        if shape.count != 1:
            fields["count"] = reading.count
        return fields

    def _draw(self) -> Shape:
        """Make the template anew."""
        channel, pv = self.channel, self.pv
        shape = channel.shaped()
        assert shape is not None  # there is a reading
        if self._with_metadata and shape.control is None and channel.connected:
            try:
                fetch(channel, time.monotonic() + _METADATA, follow=False)
            except CAError:
                pass  # the call is made without them; the next one tries again
            shape = channel.shaped() or shape
        control, time_type = shape.control, shape.time_type
        rights = (channel.can_read, channel.can_write)
        self._template = {
            "pvname": pv.pvname,
            "value": None,
            "char_value": None,
            "count": 1,
            "nelm": shape.count,
            "ftype": int(time_type),
            "type": time_type.name.lower(),
            "status": 0,
            "severity": 0,
            "timestamp": None,
            "posixseconds": None,
            "nanoseconds": None,
            "precision": control and control.precision,
            "units": control and control.units,
            "enum_strs": (control and control.enum_strs) or None,
            **{name: control and getattr(control, name) for name in LIMITS},
            "access": ACCESS.get(rights, "no access"),
            "read_access": rights[0],
            "write_access": rights[1],
            "host": pv.host,
        }
        self._shape = shape
        return shape


def check(name: str, callback: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(callback):
        hint = ": give the function itself, not what it returns" if callback is None else ": give a function"
        raise WrongTypeError(f"'{name}': {shown(callback)} is not callable{hint}", pvname=name)
