"""Subscriptions of ``epics.ca``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import channels, dbr, scripted
from .channels import _CacheItem
from .errors import ChannelAccessException, complain
from .facts import field_type, promote_fieldtype
from .guards import withCA, withCHID
from .updates import Wanted
from .values import unpacked
from .wire import Reading, metadata


class _Events:
    """What gives each update to a callback."""

    __slots__ = ("callback", "ftype", "item")

    def __init__(self, item: _CacheItem, ftype: int, callback: Callable[..., Any] | None) -> None:
        self.item = item
        self.ftype = ftype
        self.callback = callback

    def __call__(self, reading: Reading) -> None:
        callback = self.callback
        if callback is None or (reading.count == 0 and self.ftype < dbr.TIME_STRING):
            return  # no elements and no metadata: libca takes it for the end of the subscription
        try:
            callback(
                value=unpacked(reading.value, scripted.ca.HAS_NUMPY),
                ftype=self.ftype,
                count=reading.count,
                chid=self.item.chid_int,
                pvname=self.item.pvname,
                **metadata(reading, self.ftype),
            )
        except BaseException as error:  # noqa: BLE001  user code
            complain(callback, error)


@withCHID
def create_subscription(
    chid: Any,
    use_time: bool = False,
    use_ctrl: bool = False,
    ftype: int | None = None,
    mask: int | None = None,
    callback: Callable[..., Any] | None = None,
    count: int = 0,
    timeout: float | None = None,
) -> tuple[Any, Any, Any]:
    """Have *callback* told of each update; the last item of what is returned ends it."""
    item = channels.find(chid)
    wanted = scripted.ca.DEFAULT_CONNECTION_TIMEOUT if timeout is None else timeout
    if ftype is None:
        if not item.connect(wanted):
            raise ChannelAccessException(
                f"create_subscription() timed out waiting '{chid}' to connect ({wanted:.0f} seconds)"
            )
        ftype = field_type(chid)
    ftype = promote_fieldtype(ftype, use_time=use_time, use_ctrl=use_ctrl)
    events = _Events(item, ftype, callback)
    wire = item.wire
    queue = wire.queue(events)
    watch = wire.watch(Wanted(ftype, "", count or 0), mask or scripted.ca.DEFAULT_SUBSCRIPTION_MASK, queue)
    item.watches[id(watch)] = watch
    return events, callback, watch


@withCA
def clear_subscription(event_id: Any) -> int:
    """End a subscription."""
    event_id.close()
    return dbr.ECA_NORMAL
