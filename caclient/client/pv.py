"""PV: what users hold. Cached state, get, put, callbacks; any thread, callbacks included, may use it.

Here it is made and ends, and here are the callbacks in pyepics' form, ``why`` and ``describe``. What else it does is in
the rooms that it is built on, each of which knows only those before it: ``tenancy``, ``writing``, ``values``,
``watching``, ``known``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FunctionType
from typing import Any, ClassVar, Final

from typing_extensions import Never, Self

from caclient.client import get
from caclient.client.arguments import by_name, surplus, unknown
from caclient.client.bulk import get_all, wait_some
from caclient.client.callbacks import Callbacks, check
from caclient.client.causes import SILENT
from caclient.client.default import Handle, current, lease_like, settings_of
from caclient.client.description import FIELDS, Description, record_of
from caclient.client.facts import Facts
from caclient.client.home import Settings
from caclient.client.known import KnownPV
from caclient.client.monitor import Monitor
from caclient.client.picture import Line, card
from caclient.client.properties import fetch
from caclient.client.subscription import Subscription
from caclient.client.tenancy import Tenant
from caclient.client.timeout import DEFAULT, Timeout, own, remaining
from caclient.client.why import Diagnosis
from caclient.dbr import Reading
from caclient.dbr.mask import MaskLike, event_mask
from caclient.engine.lanes import named
from caclient.errors import CAError, WrongTypeError, shorten
from caclient.settings import flag, shown

_LOOK: Final = 0.5
"""Seconds that a notebook may wait for the first value, instead of showing that there is none yet."""
_FIELDS: Final = 0.5
"""Seconds within which one field of a record has to be found for others to be waited for."""
_GATHER: Final = 0.1
"""Seconds for which they are."""


class PV(KnownPV):
    """A process variable by name. Creating one never blocks; it connects in the background and stays connected.

    :param auto_monitor: keep the newest reading in memory, so that ``get()`` costs no network. None decides at the
        connection: yes for channels of fewer than 65,536 elements. A mask says for which events.
    :param connection_callback: called as ``fn(pvname=, conn=, pv=)`` on each change.
    :param access_callback: called as ``fn(read_access, write_access, pv=)`` on each change.
    :param callback: like ``add_callback``, and called for the value of now, too.
    :param timeout: seconds that calls may take unless they are given their own; by default the context's.
    """

    _odd_names: ClassVar[bool] = False
    """Whether names are taken that no record has: a drop-in must wait for them as what it replaces does."""

    __slots__ = ()

    @by_name
    def __init__(
        self,
        pvname: str,
        *more: Never,
        connection_callback: Callable[..., Any] | None = None,
        access_callback: Callable[..., Any] | None = None,
        callback: Callable[..., Any] | None = None,
        auto_monitor: bool | MaskLike | None = None,
        priority: int = 0,
        timeout: Timeout = DEFAULT,
        context: Handle | None = None,
        **others: Never,
    ) -> None:
        self._closed = True  # until there is something to close
        if more:
            hint = "the others go by name, as in callback=..., timeout=5"
            raise surplus("PV", 1, more, "auto_monitor", hint=hint)
        if others:
            raise unknown("PV", PV.__init__, others)
        name: Any = pvname  # whatever it is: what is no text is refused below
        self.pvname = name.strip() if isinstance(name, str) else name
        self.priority = priority
        self._timeout = own(timeout)
        self._wanted = auto_monitor
        self._born = time.monotonic()
        self._begun = None
        self._lease = (current() if context is None else context)._lease
        self._callbacks = None
        self._newest = self._wants = self._monitor = None
        self._home.names.join(self, self.pvname, priority, self._odd_names)
        self._open = True
        monitor, demanding = self._monitor_for(auto_monitor)
        if monitor is not None:
            self._monitor = monitor
            monitor.keep(demanding)
        if connection_callback is not None:
            self.add_connection_callback(connection_callback)
        if access_callback is not None:
            self.add_access_callback(access_callback)
        if callback is not None:
            self.add_callback(callback, run_now=True)  # no value was there before it, as in pyepics

    # -- callbacks in pyepics' form ------------------------------------------------------------------------------------

    def add_callback(
        self,
        callback: Callable[..., Any],
        *,
        index: int | None = None,
        run_now: bool = False,
        with_ctrlvars: bool = True,
        **keywords: Any,
    ) -> int:
        """Call ``callback(pvname=, value=, char_value=, timestamp=, severity=, ..., cb_info=(index, pv), **keywords)``.

        For every update, in order, together with the connection callbacks, and once the metadata are known. A PV that
        has a value already makes no call for it unless *run_now*. Returns the index for ``remove_callback``. A PV with
        callbacks stays alive until ``close()``. *Any thread.*
        """
        flag("run_now", run_now)
        flag("with_ctrlvars", with_ctrlvars)
        self._open_channel()
        check(self.pvname, callback)
        return self._own_callbacks().add(callback, index, run_now, with_ctrlvars, keywords)

    def remove_callback(self, index: int) -> None:
        """Call it no more; an unknown index is no error. A call that runs is not waited for. *Any thread.*"""
        if type(index) is not int:
            text = f"index={shown(index)}: give what add_callback() has returned"
            raise WrongTypeError(f"'{self.pvname}': {text}", pvname=self.pvname)
        if self._callbacks is not None:
            self._callbacks.remove(index)

    def clear_callbacks(self) -> None:
        """Remove all value callbacks. *Any thread.*"""
        if self._callbacks is not None:
            self._callbacks.clear()

    @property
    def callbacks(self) -> dict[int, tuple[Callable[..., Any], dict[str, Any]]]:
        """Index -> (callback, keywords): a copy."""
        own = self._callbacks
        entries = {} if own is None else own.entries
        return {index: (entry.callback, entry.keywords) for index, entry in entries.items()}

    def add_connection_callback(self, callback: Callable[..., Any]) -> None:
        """Call ``callback(pvname=, conn=, pv=)`` on each change, and at once if the PV is connected. *Any thread.*"""
        self._open_channel()
        check(self.pvname, callback)
        self._channel.runtime.on_engine(self._own_callbacks().add_connection, callback)

    def add_access_callback(self, callback: Callable[..., Any]) -> None:
        """Call ``callback(read_access, write_access, pv=)`` on each change, and at once if connected. *Any thread.*"""
        self._open_channel()
        check(self.pvname, callback)
        self._channel.runtime.on_engine(self._own_callbacks().add_access, callback)

    def _own_callbacks(self) -> Callbacks:
        """Those of this PV, from the first on; in a forked child they begin anew."""
        channel = self._channel
        channel.runtime.wake()
        wanted = self._wanted
        mask = None if wanted is None or isinstance(wanted, bool) else event_mask(wanted)
        while True:
            own = self._callbacks
            if own is not None:
                return own
            made = Callbacks(self, channel, mask)
            with channel.runtime.lock:  # nothing is allocated in here: a finalizer could come between
                if self._callbacks is None:
                    self._callbacks = made
            if self._callbacks is made:
                while not channel.join(made, channel.dependents, ahead=True):
                    pass
                if self._closed:  # since
                    made.close()

    def _orphan_callbacks(self) -> None:
        """In a forked child: they are the parent's. *The only thread.*"""
        self._callbacks = None

    # -- what there is to know -----------------------------------------------------------------------------------------

    def why(self) -> Diagnosis:
        """Why it does not answer, or that all is well: from what is known, without waiting. *Any thread.*"""
        return Diagnosis(self._facts())

    def _facts(self, everybody: bool = False) -> Facts:
        facts = self._channel.facts()
        if self._closed:
            facts.closed = "this PV has been closed"
        lanes = self._runtime.lanes
        for calls, callback in self._calls_of_all() if everybody else self._calls():
            facts.queued += calls.pending
            facts.dropped += calls.dropped
            busy = lanes.busy_for(calls)
            if busy > facts.busy_for:
                facts.busy, facts.busy_for = named(callback), busy
        if self._monitor is not None:
            facts.thinned = self._monitor.thinned()
        return facts

    def _calls(self) -> list[tuple[Any, Any]]:
        """What waits for callbacks of this PV, and a callback of each."""
        found = [(each._calls, each.callback) for each in list(self._wants or ()) if isinstance(each, Subscription)]
        callbacks = self._callbacks
        if callbacks is not None and callbacks.entries:
            found.append((callbacks.events, callbacks.running or next(iter(callbacks.entries.values())).callback))
        return found

    def _calls_of_all(self) -> list[tuple[Any, Any]]:
        """What waits for callbacks of any PV of this name, and a callback of each."""
        found: list[tuple[Any, Any]] = []
        for dependent in self._channel.dependents:
            if isinstance(dependent, Callbacks) and dependent.entries:
                callback = dependent.running or next(iter(dependent.entries.values())).callback
                found.append((dependent.events, callback))
            elif isinstance(dependent, Monitor):
                owners = [getattr(holder.sink, "owner", None) for holder in dependent.holders]
                found += [(each._calls, each.callback) for each in owners if isinstance(each, Subscription)]
        return found

    def _examine(self, limit: float) -> Diagnosis:
        """Why, after having waited for it, and asked it something; whoever's callbacks of this name are stuck."""
        if not self._closed:
            deadline = time.monotonic() + limit
            try:
                if self._channel.wait_ready(deadline) and self._channel.can_read:
                    get.read(self._channel, min(deadline, time.monotonic() + max(limit, SILENT + 0.1)))
            except CAError:
                pass  # which is what is to be told
        return Diagnosis(self._facts(everybody=True))

    @by_name
    def describe(self, *more: Never, timeout: Timeout = DEFAULT) -> Description:
        """What there is to know about it, as a table: record, value, metadata, limits with severities. *Any thread.*"""
        if more:
            raise surplus("PV.describe", 0, more)
        try:
            return self._described(self._limit(timeout))
        except CAError as error:
            shorten(error)
            raise

    def _described(self, limit: float) -> Description:
        deadline = time.monotonic() + limit
        channel = self._open_channel()
        record = record_of(self.pvname)
        tenant = Tenant(self._lease)
        fields = {name: PV(f"{record}.{name}", auto_monitor=False, context=tenant) for name in FIELDS}
        try:
            reading = self.read(timeout=remaining(deadline))
            told = self._told(list(fields.values()), deadline)
        finally:
            for pv in fields.values():
                pv.close()
        known = dict(zip(fields, told, strict=True))
        return Description(
            reading,
            self.type or "",
            channel.count,
            self.access,
            self.host,
            {name: each.with_control(None).text for name, each in known.items() if isinstance(each, Reading)},
        )

    @staticmethod
    def _told(pvs: list[PV], deadline: float) -> list[Any]:
        """What the fields of a record say: those that are there come together, the others never."""
        channels = [pv.channel for pv in pvs]
        wait_some(channels, min(deadline, time.monotonic() + _FIELDS), _GATHER)
        return get_all(channels, min(deadline, time.monotonic() + _GATHER))

    # -- the end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End all that came from it, and let the server forget the channel if nobody else uses it. *Any thread.*"""
        try:
            del self._open  # one step in C, which only one can take
        except AttributeError:
            return
        self._closed = True
        if self._callbacks is not None:
            self._callbacks.close()
        for wanted in list(self._wants or ()):
            wanted.close()
        self._wants = None
        self._release()

    disconnect = close

    def _release(self) -> None:
        """Give back what this PV has used. Takes no lock. *Any thread.*"""
        self._forgo(self._monitor, self._wanted is not None)
        self._home.names.leave(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._release()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.pvname, self.priority, self._wanted, self._timeout, settings_of(self._lease))

    def __repr__(self) -> str:
        channel = self._channel
        state = "closed" if self._closed else channel.state.value
        if channel.native_type is None:
            return f"<PV {self.pvname!r}: {state}>"
        shape = f"{channel.native_type.name.lower()}[{channel.count}]"
        return f"<PV {self.pvname!r}: {state}, {shape}, {self.access}, {self.host}>"

    def _repr_html_(self) -> str:
        """For notebooks: may wait half a second for the first value and the metadata."""
        channel, deadline = self._channel, time.monotonic() + _LOOK
        try:
            if not self._closed and channel.wait_ready(deadline) and channel.can_read:
                fetch(channel, deadline)
                if self._last() is None:
                    self._ask(deadline)
        except CAError:
            pass  # what is known is shown
        state = "closed" if self._closed else channel.state.value
        return card(Line(self.pvname, self.reading, self.age, self.connected), state, self.host)


def _name_as_users_do() -> None:
    """A call that does not fit is told as one of ``PV``: Python names it by where it was written."""
    for room in PV.__mro__[1:-1]:
        for name, function in vars(room).items():
            if isinstance(function, FunctionType):
                function.__qualname__ = f"PV.{name}"


_name_as_users_do()


def _rebuild(
    pvname: str, priority: int, auto_monitor: bool | MaskLike | None, timeout: Timeout, settings: Settings | None
) -> PV:
    """What a pickled PV becomes: the same name in a home of the same settings, without its callbacks."""
    context = Tenant(lease_like(settings))
    return PV(pvname, priority=priority, auto_monitor=auto_monitor, timeout=timeout, context=context)
