"""What is known of a PV, by pyepics' names; what is not is asked for."""

from __future__ import annotations

import time
from typing import Any

from caclient.pyepics import answers, ca, channels, dbr, failures, formats
from caclient.pyepics.channels import _CacheItem
from caclient.pyepics.errors import ChannelAccessException
from caclient.pyepics.updates import Queue
from caclient.pyepics.values import unpacked
from caclient.pyepics.wire import Reading, metadata


class KnownPV:
    """A PV of which something is known."""

    _fields = (
        "pvname",
        "value",
        "char_value",
        "status",
        "ftype",
        "chid",
        "host",
        "count",
        "access",
        "write_access",
        "read_access",
        "severity",
        "timestamp",
        "posixseconds",
        "nanoseconds",
        "precision",
        "units",
        "enum_strs",
        "monitor_delta",
        "upper_disp_limit",
        "lower_disp_limit",
        "upper_alarm_limit",
        "lower_alarm_limit",
        "lower_warning_limit",
        "upper_warning_limit",
        "upper_ctrl_limit",
        "lower_ctrl_limit",
    )

    pvname: str
    form: str
    connected: bool
    connection_timeout: float
    context: Any
    ftype: Any
    _conn_started: bool
    _item: _CacheItem | None
    _known: dict[str, Any]
    _live: bool
    """Updates are delivered one by one."""
    _number: int
    _plain: bool | None
    """Whether updates come with a time stamp; None until it has been connected."""
    _queue: Queue | None
    _turn: Any
    """Held while an update is taken in, never while somebody is called; so a few do for all."""
    _updated: bool

    @property
    def _args(self) -> dict[str, Any]:
        """All that is known, by name."""
        queue = self._queue
        if queue is not None:
            if queue.holds:
                self._merge(queue)
            if self._known["host"] is None and self._plain is not None:
                self._look_up_host()
        return self._known

    @_args.setter
    def _args(self, known: dict[str, Any]) -> None:
        self._known = known

    def _look_up_host(self) -> None:
        """The name of the server, which may take a moment the first time."""
        item = self._item
        if item is not None:
            self._known["host"] = item.wire.host

    def _merge(self, queue: Queue) -> None:
        """Take in what came while nobody was to be called."""
        with self._turn:
            self._take(queue)

    def _take(self, queue: Queue) -> None:
        reading = queue.take()
        if reading is not None and not self._live and self._apply(reading):
            self._set_charval(self._known["value"], call_ca=False)

    def _heed(self) -> None:
        """From now on every update is delivered: there is somebody to be called."""
        queue = self._queue
        if queue is not None and queue.quiet:
            with self._turn:
                queue.quiet = False
                self._take(queue)

    def _apply(self, reading: Reading) -> bool:
        """Take an update in; false if it is none."""
        known, ftype = self._known, self.ftype
        count = reading.count
        if count == 0 and ftype < dbr.TIME_STRING:
            return False  # no elements and no metadata: libca takes it for the end of the subscription
        known.update(metadata(reading, ftype))
        if not dbr.TIME_STRING <= ftype < dbr.CTRL_STRING:
            known["timestamp"], known["posixseconds"], known["nanoseconds"] = time.time(), 0, 0
        known["count"] = count
        known["chid"] = self._number
        known["value"] = unpacked(reading.value, ca.HAS_NUMPY)
        self._updated = True
        return True

    def _channel(self) -> _CacheItem:
        """The channel, for a call that needs it.

        :raises RuntimeError: if the PV has been released.
        :raises ChannelAccessException: if its channel has been cleared.
        """
        if self.context is None:
            raise RuntimeError("Expected CA context is unset")
        item = self._item
        if item is None or item.cleared:
            raise ChannelAccessException("Unexpected channel ID")
        if channels.current() is None:
            channels.attach(self.context)
        item.wire  # noqa: B018  in a forked child this begins the search
        return item

    def wait_for_connection(self, timeout: float | None = None) -> bool:
        """Wait until connected; whether it is."""
        item = self._item
        if self.connected and item is not None and item.conn:
            return True
        if self.context is None:
            raise RuntimeError("Expected CA context is unset")
        if item is None or item.cleared or not self._conn_started:
            return self._not_connected(self.connection_timeout if timeout is None else timeout)
        self._channel()
        wanted = self.connection_timeout if timeout is None else timeout
        return item.wait(lambda: self.connected, wanted) or failures.failed(
            False, self.pvname, f"not connected after {wanted:.3f} s"
        )

    def _not_connected(self, timeout: float) -> bool:
        time.sleep(max(timeout, 0.0))
        return failures.failed(False, self.pvname, "this PV has been disconnected")

    def connect(self, timeout: float | None = None) -> bool:
        """Wait until connected; whether it is."""
        return self.wait_for_connection(timeout)

    def _take_rights(self, read_access: bool, write_access: bool) -> None:
        args = self._known
        args["read_access"], args["write_access"] = read_access, write_access
        args["access"] = ca.ACCESS[int(read_access), int(write_access)]

    def force_read_access_rights(self) -> None:
        """Look up what the server lets us do."""
        item = self._channel()
        if item.conn:
            self._take_rights(*item.wire.access)

    def get_ctrlvars(self, timeout: float = 5, warn: bool = True) -> dict[str, Any] | None:
        """Units, limits, precision, names of states, from the server."""
        if not self.wait_for_connection():
            return None
        return self._vars(self._channel(), timeout, use_ctrl=True)

    def get_timevars(self, timeout: float = 5, warn: bool = True) -> dict[str, Any] | None:
        """Time stamp and alarm, from the server."""
        if not self.wait_for_connection():
            return None
        return self._vars(self._channel(), timeout, use_time=True)

    def _vars(self, item: _CacheItem, timeout: float, **promotion: bool) -> dict[str, Any] | None:
        found: dict[str, Any] | None = answers.get_vars(item.chid, timeout, **promotion)
        if found is not None:
            self._args.update(found)
        if promotion.get("use_ctrl"):
            self.force_read_access_rights()
        return found

    def _set_charval(self, val: Any, call_ca: bool = True, force_long_string: bool = False) -> Any:
        """The value as text, which is kept; *call_ca* lets it ask the server for what it needs."""
        text = self._args["char_value"] = self._text_of(val, call_ca, force_long_string)
        return text

    def _text_of(self, val: Any, call_ca: bool, force_long_string: bool) -> Any:
        if val is None:
            return "None"
        native = dbr.native_type(self.ftype)
        if native == dbr.STRING:
            return val
        args = self._args
        count = args["count"] or 0
        if native == dbr.CHAR and (count < ca.AUTOMONITOR_MAXLENGTH or force_long_string):
            return formats.characters(val)
        if count > 1:
            return f"<array size={len(val) if hasattr(val, '__len__') else 1:d}, type={args['typefull']}>"
        if native in (dbr.FLOAT, dbr.DOUBLE):
            if call_ca and args["precision"] is None:
                self.get_ctrlvars()
            return formats.number(val, args["precision"])
        if native == dbr.ENUM:
            if call_ca and args["enum_strs"] in ((), None):
                self.get_ctrlvars()
            return formats.state(val, args["enum_strs"])
        return repr(val)
