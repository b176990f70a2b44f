"""A PV's channel: how it begins, is connected, lost and begun again, and who is called for it."""

from __future__ import annotations

from typing import Any

from caclient.pyepics import ca, channels, dbr
from caclient.pyepics.channels import _CacheItem
from caclient.pyepics.errors import complain
from caclient.pyepics.variable.monitored import MonitoredPV


class ConnectedPV(MonitoredPV):
    """A PV that comes and goes."""

    access_callbacks: list[Any]
    chid: Any
    connection_callbacks: list[Any]
    _listener: channels.Listener | None

    def _begin(self) -> None:
        """Have the channel searched."""
        if not ca._started():
            return
        self.context = ca.working_context()
        item = channels.create(self.context, self.pvname)
        self._item = item
        self.chid = self._args["chid"] = item.chid
        self._number = item.chid_int
        self.ftype = ca.promote_fieldtype(-1, use_time=self.form == "time", use_ctrl=self.form == "ctrl")
        self._conn_started = True
        self._join(item)

    def _join(self, item: _CacheItem) -> None:
        told = item.conn
        wire = item.wire
        self._queue = wire.queue(self._on_changes, quiet=not (self.callbacks or self.verbose))
        self._listener = channels.Listener(
            self._queue, self._on_connection, self._on_access, self._on_lost, told, self._silent
        )
        if told:
            self._on_connect()
            self._on_access(*wire.access)
        item.admit(self._listener)

    def _on_connection(self, conn: bool) -> None:
        self._on_connect(conn=conn)
        item = self._item
        if item is not None:
            item.signals.tell()

    def _on_connect(self, pvname: Any = None, chid: Any = None, conn: bool = True, **_kws: Any) -> None:
        item = self._item
        if item is None:
            return
        if conn:
            self._adopt(item)
        for callback in list(self.connection_callbacks):
            if callable(callback):
                try:
                    callback(pvname=self.pvname, conn=conn, pv=self)
                except BaseException as error:  # noqa: BLE001  user code
                    complain(callback, error)
        if conn:
            self.connected = True
            self._decide()

    def _adopt(self, item: _CacheItem) -> None:
        """Take what the server has."""
        wire = item.wire
        native, nelm = wire.native_type, wire.count
        self.ftype = ca.promote_fieldtype(native, use_time=self.form == "time", use_ctrl=self.form == "ctrl")
        name = dbr.Name(self.ftype).lower()
        most = self._user_max_count
        args = self._known
        args["host"] = wire.known_host
        self._take_rights(*wire.access)
        args["ftype"] = self.ftype
        args["type"] = args["typefull"] = name
        args["nelm"] = nelm
        self._plain = dbr.TIME_STRING <= self.ftype < dbr.CTRL_STRING
        self._double = native in (dbr.FLOAT, dbr.DOUBLE)
        args["count"] = min(most, nelm) if most else nelm

    def _silent(self) -> bool:
        """Whether nobody is to be called for connections and rights."""
        return not (self.connection_callbacks or self.access_callbacks)

    def _on_lost(self) -> None:
        item = self._item
        if item is not None and not item.conn:
            self.connected = False
            item.signals.tell()

    def _on_access(self, read_access: Any, write_access: Any) -> None:
        self._take_rights(bool(read_access), bool(write_access))
        for callback in list(self.access_callbacks):
            if callable(callback):
                try:
                    callback(bool(read_access), bool(write_access), pv=self)
                except BaseException as error:  # noqa: BLE001  user code
                    complain(callback, error)

    def reconnect(self) -> bool:
        """Begin anew: drop the subscription, take what the server has, subscribe; whether it is connected."""
        item = self._channel()
        self._unsubscribe()
        if self._listener is None:
            self._conn_started = True
            self._join(item)
        else:
            self.force_connect()
        return self.wait_for_connection()

    def force_connect(self, pvname: Any = None, chid: Any = None, conn: bool = True, **kws: Any) -> None:
        """Do what is done at a connection."""
        item = self._channel()
        self.chid = self._args["chid"] = item.chid
        self._conn_started = True
        if self._listener is None:
            self._join(item)
        else:
            self._on_connect(conn=conn, **kws)

    def poll(self, evt: float = 1.0e-4, iot: float = 1.0) -> None:
        """Give waiting callbacks the time to run."""
        ca.poll(evt=evt, iot=iot)
