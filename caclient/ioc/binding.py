"""A client's channel on a record."""

from __future__ import annotations

from .monitor import Monitor
from .record import Record


class Binding:
    """The record behind a server id on one circuit, and the subscriptions that the client made on it."""

    __slots__ = ("cid", "monitors", "name", "record", "sid")

    def __init__(self, name: str, cid: int, sid: int, record: Record) -> None:
        self.name = name
        self.cid = cid
        self.sid = sid
        self.record = record
        self.monitors: dict[int, Monitor] = {}

    def subscribe(self, monitor: Monitor) -> None:
        """Add a subscription; its first value waits in it at once."""
        self.monitors[monitor.subscription_id] = monitor
        self.record.attach(monitor)

    def unsubscribe(self, subscription_id: int) -> Monitor:
        """End a subscription; KeyError if there is none of that id."""
        monitor = self.monitors.pop(subscription_id)
        self.record.detach(monitor)
        return monitor

    def release(self) -> None:
        """End everything that the channel has with its record."""
        for subscription_id in tuple(self.monitors):
            self.unsubscribe(subscription_id)
