"""A PV's subscription, its updates, and who is called for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from caclient.pyepics import ca, dbr, formats
from caclient.pyepics.errors import complain
from caclient.pyepics.formats import fmt_time
from caclient.pyepics.updates import Wanted
from caclient.pyepics.values import unpacked
from caclient.pyepics.variable.known import KnownPV
from caclient.pyepics.wire import Reading

_EPOCH = dbr.EPICS2UNIX_EPOCH


class MonitoredPV(KnownPV):
    """A PV that is monitored."""

    callbacks: dict[Any, tuple[Any, dict[str, Any]]]
    verbose: bool
    _auto_monitor: Any
    _double: bool
    """Whether its values are floats."""
    _monref: Any
    _monref_mask: Any
    _user_max_count: int | None

    @property
    def auto_monitor(self) -> Any:
        """Whether, or with which mask, it is monitored; None while that is not decided."""
        return self._auto_monitor

    @auto_monitor.setter
    def auto_monitor(self, value: Any) -> None:
        self._auto_monitor = value
        if not self.connected:
            self._unsubscribe()
            return
        self._choose()
        if self._monref_mask != self._mask():
            self._unsubscribe()
        self._decide()

    @property
    def auto_monitor_mask(self) -> Any:
        """The mask of the subscription there is; None if there is none."""
        return self._monref_mask

    def clear_auto_monitor(self) -> None:
        """Monitor no more."""
        self.auto_monitor = False

    def _decide(self) -> None:
        """Subscribe if that is wanted."""
        self._choose()
        if self._monref is None and self._auto_monitor:
            self._subscribe()

    def _choose(self) -> None:
        """Where nothing was said it is monitored unless that would be too much."""
        if self._auto_monitor is None:
            self._auto_monitor = (self._known["count"] or 0) < ca.AUTOMONITOR_MAXLENGTH

    def _mask(self) -> int | None:
        """The mask that is wanted, if any is."""
        wanted = self._auto_monitor
        return (ca.DEFAULT_SUBSCRIPTION_MASK if wanted is True else int(wanted)) if wanted else None

    def _subscribe(self) -> None:
        item = self._channel()
        wire = item.wire
        self._monref_mask = mask = self._mask()
        assert mask is not None
        assert self._queue is not None  # it has been connected
        watch = wire.watch(Wanted(-1, self.form, self._user_max_count or 0), mask, self._queue)
        item.watches[id(watch)] = watch
        self._monref = (self._on_changes, self.pvname, watch)

    def _unsubscribe(self) -> None:
        monref, self._monref = self._monref, None
        self._monref_mask = None
        if monref is not None:
            watch = monref[-1]
            watch.close()
            if self._item is not None:
                self._item.watches.pop(id(watch), None)

    def _await_update(self) -> None:
        """Wait for the update that a new subscription begins with."""
        item = self._item
        if item is not None and self._monref is not None:
            self._heed()
            queue = self._queue
            item.wait(lambda: self._updated or (queue is not None and queue.holds) or not self.connected, 1.0)

    def _on_changes(self, reading: Reading) -> None:
        """An update, in its turn."""
        known = self._known
        if known["host"] is None:
            self._look_up_host()
        if self._plain and known["nelm"] == 1 and not self.verbose:
            self._on_number(reading, known)
            return
        with self._turn:
            self._live = True
            applied = self._apply(reading)
        if not applied:
            return
        try:
            known = self._known
            self._set_charval(known["value"], call_ca=False)
            if self.verbose:
                ca.write(f"  {self.pvname}: {known['char_value']} ({fmt_time(known['timestamp'])})")
            self._run_all()
        except BaseException as error:  # noqa: BLE001  whatever comes: the queue goes on
            complain(self._on_changes, error)
        item = self._item
        if item is not None:
            item.signals.tell()

    def _on_number(self, reading: Reading, known: dict[str, Any]) -> None:
        """An update of a single number or text with its time stamp: what there is most of."""
        value, status, severity, since, nanoseconds, _ = reading.row
        kind = type(value)
        if kind is str:
            value = value.rstrip()
        elif kind is not float and kind is not int:
            value = unpacked(value, ca.HAS_NUMPY)
        seconds = _EPOCH + (since or 0)
        with self._turn:
            self._live = self._updated = True
            known["value"] = value
            known["status"] = status
            known["severity"] = severity
            known["timestamp"] = seconds + 1.0e-6 * ((nanoseconds or 0) // 1000)
            known["posixseconds"] = seconds
            known["nanoseconds"] = nanoseconds
            known["count"] = 1 if kind is not np.ndarray else reading.count
            known["chid"] = self._number
        callbacks = self.callbacks
        try:
            if kind is float and self._double:
                known["char_value"] = formats.number(value, known["precision"])
            else:
                self._set_charval(value, call_ca=False)
            if len(callbacks) == 1:
                for index, (callback, keywords) in callbacks.items():
                    found = known.copy()
                    if keywords:
                        found.update(keywords)
                    found["cb_info"] = (index, self)
                    callback(**found)
                    break
            else:
                self._run_all()
        except BaseException as error:  # noqa: BLE001  user code
            complain(next((function for function, _ in callbacks.values()), None), error)
        item = self._item
        if item is not None and item.signals.waited:
            item.signals.tell()

    def _run_all(self) -> None:
        """The callbacks, in order; what one raises is shown, and the others are left out."""
        callbacks = self.callbacks
        index = None
        try:
            for index in sorted(callbacks) if len(callbacks) > 1 else tuple(callbacks):
                self.run_callback(index)
        except BaseException as error:  # noqa: BLE001  user code
            complain(callbacks.get(index, (None,))[0], error)

    def run_callbacks(self) -> None:
        """Call all callbacks with what is known."""
        for index in sorted(self.callbacks):
            self.run_callback(index)

    def run_callback(self, index: Any) -> None:
        """Call one callback with what is known; an unknown index is no error."""
        entry = self.callbacks.get(index)
        if entry is None:
            return
        callback, keywords = entry
        if callable(callback):
            found = self._args.copy()
            if keywords:
                found.update(keywords)
            found["cb_info"] = (index, self)
            callback(**found)
