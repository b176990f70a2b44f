"""No client at all: bare sockets and numpy, to show what the machine and the servers allow."""

from __future__ import annotations

import os
import socket
import struct
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks import measure, names
from tests.benchmarks.cases import Task
from tests.benchmarks.flood import CREATE_CHAN, EVENT_ADD, HEADER, READ_NOTIFY, VERSION, WRITE_NOTIFY, message, parse
from tests.benchmarks.measure import Counter, Numbers

WRITE, CLIENT_NAME, HOST_NAME = 4, 20, 21
DOUBLE, TIME_DOUBLE = 6, 20
HEAD_FIELDS = [("command", ">u2"), ("size", ">u2"), ("type", ">u2"), ("count", ">u2"), ("p1", ">u4"), ("p2", ">u4")]
VALUE_FIELDS = [("status", ">u2"), ("severity", ">u2"), ("seconds", ">u4"), ("nano", ">u4"), ("pad", ">u4")]
REQUEST = np.dtype(HEAD_FIELDS)
UPDATE = np.dtype([*HEAD_FIELDS, *VALUE_FIELDS, ("value", ">f8")])


class Circuit:
    """A TCP connection to the one server of the case, and a channel."""

    def __init__(self, *pvnames: str) -> None:
        host, port = os.environ["EPICS_CA_ADDR_LIST"].split()[0].split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = (
            message(VERSION, 0, 13) + message(CLIENT_NAME, payload=b"bench\0") + message(HOST_NAME, payload=b"host\0")
        )
        create = b"".join(message(CREATE_CHAN, 0, 0, i, 13, name.encode() + b"\0") for i, name in enumerate(pvnames, 1))
        self.socket.sendall(hello + create)
        self.sids = self._created(len(pvnames))

    def _created(self, count: int) -> list[int]:
        sids: dict[int, int] = {}
        rest = b""
        while len(sids) < count:
            found, rest = parse(rest + self.socket.recv(65536))
            sids.update({p1: p2 for command, _, _, p1, p2, _ in found if command == CREATE_CHAN})
        return [sids[i] for i in range(1, count + 1)]

    def exchange(self, request: bytes, size: int) -> bytearray:
        """Send, and receive an answer of that many bytes."""
        self.socket.sendall(request)
        buffer = bytearray(size)
        self.receive(buffer)
        return buffer

    def receive(self, buffer: bytearray | memoryview) -> None:
        """Fill the buffer."""
        view, have = memoryview(buffer), 0
        while have < len(view):
            have += self.socket.recv_into(view[have:])


def sequential_get(task: Task) -> Numbers:
    circuit = Circuit(*names.scalars(1))
    request = message(READ_NOTIFY, TIME_DOUBLE, 1, circuit.sids[0], 1)
    value = struct.Struct(">d")
    return measure.latency(lambda: value.unpack_from(circuit.exchange(request, UPDATE.itemsize), 32), task.calls)


def put_wait(task: Task) -> Numbers:
    circuit = Circuit(names.PUT)
    request = message(WRITE_NOTIFY, DOUBLE, 1, circuit.sids[0], 1, struct.pack(">d", 1.5))
    return measure.latency(lambda: circuit.exchange(request, 16), task.calls)


def puts(task: Task) -> Numbers:
    """One write for each put, then a confirming get."""
    circuit = Circuit(names.PUT)
    head = HEADER.pack(WRITE, 8, DOUBLE, 1, circuit.sids[0], 1)
    number = struct.Struct(">d").pack

    def work() -> None:
        for i in range(task.calls):
            circuit.socket.sendall(head + number(i))
        circuit.exchange(message(READ_NOTIFY, DOUBLE, 1, circuit.sids[0], 1), 24)

    return measure.rate(task.calls, work)


def bulk_get(task: Task) -> Numbers:
    """All requests as one array, all answers as one array."""
    circuit = Circuit(*names.scalars(task.pvs))

    def sweep() -> list[float]:
        requests = np.zeros(task.pvs, REQUEST)
        requests["command"], requests["type"], requests["count"] = READ_NOTIFY, TIME_DOUBLE, 1
        requests["p1"], requests["p2"] = circuit.sids, np.arange(task.pvs)
        answers = circuit.exchange(requests.tobytes(), task.pvs * UPDATE.itemsize)
        values: list[float] = np.frombuffer(answers, UPDATE)["value"].tolist()
        return values

    return measure.sweep_rate(task.pvs, task.calls, sweep)


def flood(task: Task) -> Numbers:
    """Decoded with numpy, then a call for each update."""
    counter = Counter()

    def on_update(value: float) -> None:
        counter.count += 1
        counter.total += value

    def take(updates: NDArray[Any]) -> None:
        for value in updates["value"].tolist():
            on_update(value)

    return _flooded(task, counter, take)


def record(task: Task) -> Numbers:
    counter = Counter()
    last = np.empty(0)

    def take(updates: NDArray[Any]) -> None:
        nonlocal last
        last = updates["value"].astype(float)
        counter.count += len(updates)

    return _flooded(task, counter, take)


def _flooded(task: Task, counter: Counter, take: Any) -> Numbers:
    circuit = Circuit(*names.floods(task.pvs))
    payload = struct.pack(">fffHH", 0, 0, 0, 1, 0)
    requests = [message(EVENT_ADD, TIME_DOUBLE, 1, sid, sid, payload) for sid in circuit.sids]
    circuit.socket.sendall(b"".join(requests))
    _receiving(circuit, take)
    return measure.flow_rate(counter, task.seconds)


def _receiving(circuit: Circuit, take: Any) -> None:
    buffer = bytearray(6400 * UPDATE.itemsize)

    def work() -> None:
        while True:
            circuit.receive(buffer)
            take(np.frombuffer(buffer, UPDATE))

    threading.Thread(target=work, daemon=True).start()


def waveform_get(task: Task) -> Numbers:
    circuit = Circuit(names.WAVEFORM)
    request = message(READ_NOTIFY, TIME_DOUBLE, names.WAVEFORM_COUNT, circuit.sids[0], 1)

    def get() -> NDArray[np.float64]:
        circuit.exchange(request, 24 + 16)
        data = np.empty(names.WAVEFORM_COUNT)
        circuit.receive(data.data.cast("B"))
        data.byteswap(inplace=True)
        return data

    return measure.waveform_rate(get, task.calls)
