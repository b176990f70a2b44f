"""Writing to a channel of ``epics.ca``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from . import channels, dbr, failures
from .channels import _CacheItem
from .errors import MESSAGES, CASeverityException, complain, message
from .guards import withConnectedCHID
from .updates import Queue
from .values import packed
from .wire import AccessDeniedError, CAError, ChannelAccessError, status_of


@withConnectedCHID
def put(
    chid: Any,
    value: Any,
    wait: bool = False,
    timeout: float = 30,
    callback: Callable[..., Any] | None = None,
    callback_data: Any = None,
    ftype: int | None = None,
) -> int:
    """Write; 1, or -1 if *wait* has run out of time."""
    return put_item(channels.find(chid), value, wait, timeout, callback, callback_data, ftype)


def put_item(
    item: _CacheItem,
    value: Any,
    wait: bool,
    timeout: float,
    callback: Callable[..., Any] | None,
    callback_data: Any,
    ftype: int | None = None,
    queue: Queue | None = None,
) -> int:
    """``put`` for a channel that is connected."""
    wire = item.wire
    ftype = wire.native_type if ftype is None else ftype
    count, data = packed(ftype, wire.count, value)
    try:
        if callback is None and not wait:
            wire.send(ftype, count, data)
            done = True
        elif callback is None:
            done = wire.send_and_wait(ftype, count, data, timeout)
        else:
            completion = Completion(item, callback, callback_data)
            sent = wire.begin_send(ftype, count, data, queue or item.own().queue, completion)
            done = True
            if wait:
                deadline = time.monotonic() + timeout
                done = sent.over(timeout)
                if done:
                    completion.before(deadline)
    except AccessDeniedError:
        raise CASeverityException("put", MESSAGES[376]) from None
    except ChannelAccessError as error:
        raise CASeverityException("put", message(status_of(error))) from None
    except CAError:
        raise CASeverityException("put", MESSAGES[192]) from None
    return dbr.ECA_NORMAL if done else _too_slow(item, timeout)


def _too_slow(item: _CacheItem, timeout: float) -> int:
    return failures.failed(-1, item.pvname, f"put not completed after {timeout:.3f} s")


class Completion:
    """Tells a put's callback that it is over, also when the server has gone."""

    __slots__ = ("callback", "data", "item", "turn")

    def __init__(self, item: _CacheItem, callback: Callable[..., Any] | None, data: Any) -> None:
        self.item = item
        self.callback = callback
        self.data = data
        self.turn = threading.Lock()

    def __call__(self, _sent: Any) -> None:
        if self.turn.acquire(blocking=False):  # or else who waited is at it
            try:
                self._tell()
            finally:
                self.turn.release()

    def before(self, deadline: float) -> None:
        """For who has waited: tell at once, also from a callback, or wait until that has been done."""
        if self.turn.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            try:
                self._tell()
            finally:
                self.turn.release()

    def _tell(self) -> None:
        callback, self.callback = self.callback, None
        if callback is None:
            return
        data = self.data if isinstance(self.data, dict) else {"data": self.data}
        try:
            callback(**{"pvname": self.item.pvname, **data})
        except BaseException as error:  # noqa: BLE001  user code
            complain(callback, error)
