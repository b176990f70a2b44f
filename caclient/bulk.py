"""Many PVs at once: one deadline for all, and a reason for each that failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caclient.channel import Channel
from caclient.channel import State as ChannelState
from caclient.dbr import Reading
from caclient.engine.circuits import Circuit
from caclient.errors import CAError, CATimeoutError
from caclient.protocol.runs import ReplyRun
from caclient.pv import PV
from caclient.request import BulkRequest, failure, unanswered


class ConnectResult(Mapping[str, PV]):
    """What ``connect_all`` came to: the connected PVs by name, and why the others are not in ``failed``."""

    def __init__(self, pvs: dict[str, PV], failed: dict[str, Exception]) -> None:
        self.pvs = pvs
        self.failed = failed

    def __getitem__(self, name: str) -> PV:
        return self.pvs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.pvs)

    def __len__(self) -> int:
        return len(self.pvs)

    @property
    def ok(self) -> bool:
        """Whether all are connected."""
        return not self.failed

    def __repr__(self) -> str:
        lines = [f"<{len(self.pvs)} connected, {len(self.failed)} failed>"]
        return "\n".join(lines + [f"  {reason}" for reason in list(self.failed.values())[:10]])


class _Latch:
    """A signal that is given when the last of many channels is ready."""

    __slots__ = ("_left", "_lock", "_signal")

    def __init__(self) -> None:
        self._left = 1
        self._lock = threading.Lock()
        self._signal = threading.Lock()
        self._signal.acquire()

    def expect(self) -> None:
        """One more is to come."""
        with self._lock:
            self._left += 1

    def release(self) -> None:
        """One has come."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._signal.release()

    def wait(self, deadline: float) -> None:
        """Wait for the last, or the monotonic *deadline*."""
        self.release()
        self._signal.acquire(timeout=max(0.0, min(deadline - time.monotonic(), threading.TIMEOUT_MAX)))


def wait_all(channels: Sequence[Channel], deadline: float) -> None:
    """Wait until all are ready, or the monotonic *deadline*. *Any thread but the engine's.*"""
    waiting = [channel for channel in channels if channel.state is not ChannelState.READY]
    if not waiting:
        return
    latch = _Latch()
    for channel in waiting:
        channel.context.wake()
        latch.expect()
        if not channel.await_ready(latch):
            latch.release()
    try:
        with waiting[0].context.lanes.blocking():
            latch.wait(deadline)
    finally:
        for channel in waiting:
            if channel.state is not ChannelState.READY:
                channel.leave(latch)


def get_all(pvs: Sequence[PV], deadline: float) -> list[Reading | Exception]:
    """A reading of each PV, or why there is none, from the servers and in the order given."""
    channels = [pv.channel for pv in pvs]
    wait_all(channels, deadline)
    results: list[Any] = [None] * len(channels)
    asked = []
    for circuit, places in _by_circuit(channels, results).items():
        asked.append(_ask(circuit, channels, places, results))
    try:
        for request, circuit, places in asked:
            if request is not None:
                request.wait(circuit, deadline)
                _collect(request, circuit, channels, places, results)
    finally:
        for request, circuit, _ in asked:
            if request is not None:
                request.forget(circuit)
    return results


def _by_circuit(channels: Sequence[Channel], results: list[Any]) -> dict[Circuit, list[int]]:
    circuits: dict[Circuit, list[int]] = {}
    for place, channel in enumerate(channels):
        circuit = channel.circuit
        if channel.state is not ChannelState.READY or circuit is None:
            results[place] = channel.unready(time.monotonic() - channel.since)
        elif not channel.can_read:
            results[place] = channel.denied("read")
        else:
            circuits.setdefault(circuit, []).append(place)
    return circuits


def _ask(
    circuit: Circuit, channels: Sequence[Channel], places: list[int], results: list[Any]
) -> tuple[BulkRequest | None, Circuit, list[int]]:
    request = BulkRequest(len(places))
    try:
        rows = [channels[place].read_row() for place in places]
        request.first = circuit.send_reads([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], request)
    except CAError as error:
        for place in places:
            results[place] = channels[place].ended(error)
        return None, circuit, places
    return request, circuit, places


def _collect(
    request: BulkRequest, circuit: Circuit, channels: Sequence[Channel], places: list[int], results: list[Any]
) -> None:
    first = request.first
    for answer in request.answers:
        if type(answer) is ReplyRun:
            readings = channels[places[answer.ioids[0] - first]].readings(answer.data_type, answer.rows)
            for ioid, reading in zip(answer.ioids, readings, strict=True):
                results[places[ioid - first]] = reading
        else:
            place = places[_ioid_of(answer) - first]
            results[place] = _result(channels[place], answer)
    for place in places:
        if results[place] is None:
            results[place] = _missing(request, circuit, channels[place])


def _missing(request: BulkRequest, circuit: Circuit, channel: Channel) -> Exception:
    if request.error is not None:
        return channel.ended(request.error)
    return CATimeoutError(unanswered(channel.name, request.sent_at, circuit))


def _ioid_of(answer: Any) -> int:
    ioid = getattr(answer, "ioid", None)
    return int(answer.original_request.parameter2 if ioid is None else ioid)


def _result(channel: Channel, answer: Any) -> Reading | Exception:
    if not answer.status.success:
        return failure(channel.name, answer.status)
    try:
        return channel.reading(answer)
    except CAError as error:
        return error
