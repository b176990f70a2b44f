"""Time stamps as the tools print them: local time with microseconds, or differences."""

from __future__ import annotations

import time

from caclient.dbr.stamps import EPICS_EPOCH, TimeStamp

NEVER = TimeStamp(0, 0)
UNDEFINED = "<undefined>"
_NS = 1_000_000_000
_CAPACITY = 16
_seconds: dict[int, str] = {}


def stamp_text(stamp: TimeStamp) -> str:
    """A moment in local time, rounded to microseconds but never up to the next second."""
    if stamp == NEVER:
        return UNDEFINED
    if stamp.nanoseconds >= _NS:
        return f"{_second(stamp.seconds)}.OVF"
    return f"{_second(stamp.seconds)}.{min(stamp.nanoseconds + 500, _NS - 1) // 1000:06d}"


def _second(seconds: int) -> str:
    """A second in local time; most lines share theirs with the one before."""
    text = _seconds.get(seconds)
    if text is None:
        if len(_seconds) >= _CAPACITY:
            _seconds.clear()
        local = time.localtime(seconds + EPICS_EPOCH)
        _seconds[seconds] = text = time.strftime("%Y-%m-%d %H:%M:%S", local)
    return text


def present() -> TimeStamp:
    """This moment."""
    return TimeStamp.from_ns(time.time_ns())


def difference(later: TimeStamp, earlier: TimeStamp) -> float:
    """Seconds from one moment to another."""
    return (later.seconds - earlier.seconds) + (later.nanoseconds - earlier.nanoseconds) / _NS


class StampPrinter:
    """What stands in the time column of ``monitor``: the server's stamp, the client's, both or none.

    *kind* is ``r`` (since the first), ``i`` (since the event before), ``I`` (since the event before of the same PV), or
    empty for absolute times. The first event of each PV has an absolute time in any case.
    """

    def __init__(self, *, server: bool = True, client: bool = False, kind: str = "") -> None:
        self.server = server
        self.client = client
        self.kind = kind
        self._started = present()
        self._first: TimeStamp | None = None
        self._before: tuple[TimeStamp, TimeStamp] | None = None
        self._before_of: dict[object, tuple[TimeStamp, TimeStamp]] = {}

    def text(self, pv: object, stamp: TimeStamp, now: TimeStamp) -> str:
        """The column for an event of a PV with its stamp, seen at a moment."""
        self._first = self._first or stamp
        seen = (stamp, now)
        if not self.kind or pv not in self._before_of:
            text = self._absolute(*seen)
        else:
            text = self._relative(*seen, *self._reference(pv))
        self._before = self._before_of[pv] = seen
        return text

    def _reference(self, pv: object) -> tuple[TimeStamp, TimeStamp]:
        if self.kind == "r":
            assert self._first is not None
            return self._first, self._started
        reference = self._before if self.kind == "i" else self._before_of[pv]
        assert reference is not None
        return reference

    def _absolute(self, stamp: TimeStamp, now: TimeStamp) -> str:
        return (stamp_text(stamp) if self.server else "") + (f"({stamp_text(now)})" if self.client else "")

    def _relative(self, stamp: TimeStamp, now: TimeStamp, stamp_before: TimeStamp, before: TimeStamp) -> str:
        server = f"{' ' * 14}{difference(stamp, stamp_before):+12.6f}" if self.server else ""
        client = f"{' ' * 14}({difference(now, before):+12.6f})" if self.client else ""
        return server + client
