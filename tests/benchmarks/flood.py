"""The flood server: a small Channel Access server that sends updates as fast as TCP takes them.

`python -m tests.benchmarks.flood PORT REPEATER_PORT` writes `ready` when it serves and ends at the end of its standard
input. It stands on sockets and struct alone, so that no client is measured against its own code. The updates are built
once per set of subscriptions and replayed. It also holds the repeater's port and confirms every registration, so that
no client starts a repeater of its own.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = struct.Struct(">HHHHII")
EXTENSION = struct.Struct(">II")
VERSION, EVENT_ADD, EVENT_CANCEL, SEARCH, EVENTS_OFF, EVENTS_ON, CLEAR = 0, 1, 2, 6, 8, 9, 12
READ_NOTIFY, REPEATER_CONFIRM, CREATE_CHAN, WRITE_NOTIFY, ACCESS_RIGHTS, ECHO = 15, 17, 18, 19, 22, 23
MINOR = 13
NORMAL = 1
DOUBLE = 6
TIME_DOUBLE = 20
PREFIX = b"flood:"
CAMERA = b"flood:camera"
CAMERA_COUNT = 1_000_000
PACED = b"flood:paced"
PACE = 0.01  # seconds between two updates of a paced PV
ROUND = 4096  # scalar updates in one replayed block
EPICS_EPOCH = 631152000


def message(command: int, data_type: int = 0, count: int = 0, p1: int = 0, p2: int = 0, payload: bytes = b"") -> bytes:
    payload += bytes(-len(payload) % 8)
    if len(payload) < 0xFFFF and count < 0xFFFF:
        return HEADER.pack(command, len(payload), data_type, count, p1, p2) + payload
    return HEADER.pack(command, 0xFFFF, data_type, 0, p1, p2) + EXTENSION.pack(len(payload), count) + payload


def parse(data: bytes) -> tuple[list[tuple[int, int, int, int, int, bytes]], bytes]:
    """The whole messages at the head of `data`, and the rest."""
    found, at = [], 0
    while len(data) - at >= 16:
        command, size, data_type, count, p1, p2 = HEADER.unpack_from(data, at)
        start = at + 16
        if size == 0xFFFF:
            if len(data) - at < 24:
                break
            size, count = EXTENSION.unpack_from(data, start)
            start += 8
        if len(data) - start < size:
            break
        found.append((command, data_type, count, p1, p2, data[start : start + size]))
        at = start + size
    return found, data[at:]


def double_payload(data_type: int, count: int, value: float) -> bytes:
    """`count` doubles from `value` on, in the plain, STS, TIME, GR or CTRL form."""
    form, native = divmod(data_type, 7)
    if native != DOUBLE or form > 4:
        raise ValueError(f"the flood server has doubles only, not type {data_type}")
    values = struct.pack(f">{count}d", *(value + i for i in range(count)))
    return _head(form) + values


def _head(form: int) -> bytes:
    if form == 0:
        return b""
    if form == 1:
        return bytes(8)
    if form == 2:
        now = time.time()
        return struct.pack(">HHII4x", 0, 0, int(now) - EPICS_EPOCH, int(now % 1 * 1e9))
    limits = 6 if form == 3 else 8
    return struct.pack(f">HHh2x8s{limits}d", 0, 0, 3, b"mm", *([0.0] * limits))


@dataclass(frozen=True)
class Subscription:
    subscription_id: int
    sid: int
    data_type: int
    count: int
    camera: bool
    paced: bool = False


def block(subscriptions: list[Subscription]) -> bytes:
    """The updates to replay: the scalars in turn, `ROUND` in all, and one picture of each camera."""
    scalars = [s for s in subscriptions if not s.camera and not s.paced]
    cameras = [s for s in subscriptions if s.camera]
    rounds = range(max(1, ROUND // len(scalars))) if scalars else range(0)
    parts = [_update(s, float(i)) for i in rounds for s in scalars]
    return b"".join(parts + [_update(s, 0.0) for s in cameras])


def _update(subscription: Subscription, value: float) -> bytes:
    payload = double_payload(subscription.data_type, subscription.count, value)
    s = subscription
    return message(EVENT_ADD, s.data_type, s.count, NORMAL, s.subscription_id, payload)


class Beat:
    """One update of each paced PV, sent again and again with the time of day: for subscriptions with time stamps."""

    def __init__(self, subscriptions: list[Subscription]) -> None:
        parts = [_update(s, 0.0) for s in subscriptions]
        self.data = bytearray(b"".join(parts))
        ends = list(itertools.accumulate(map(len, parts)))
        self.stamps = [end - len(part) + HEADER.size + 4 for end, part in zip(ends, parts, strict=True)]
        self.stamped = [s.data_type == TIME_DOUBLE for s in subscriptions]

    def now(self) -> bytes:
        """The updates, stamped."""
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        stamp = struct.pack(">II", seconds - EPICS_EPOCH, rest)
        for at, stamped in zip(self.stamps, self.stamped, strict=True):
            if stamped:
                self.data[at : at + 8] = stamp
        return bytes(self.data)


class Circuit:
    """One client: a thread that answers, one that floods, and one that keeps the pace."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.writing = threading.Lock()
        self.changed = threading.Condition()
        self.channels: dict[int, bytes] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.edition = 0
        self.flowing = True
        self.open = True

    def serve(self) -> None:
        for work in (self.flood, self.pace):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()
        self._guarded(self.answer)

    def _guarded(self, work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except OSError:
            pass  # the client has gone
        finally:
            self.close()

    def close(self) -> None:
        with self.changed:
            self.open = False
            self.changed.notify()
        self.connection.close()

    def send(self, data: bytes) -> None:
        with self.writing:
            self.connection.sendall(data)

    def answer(self) -> None:
        self.send(message(VERSION, 0, MINOR))
        rest = b""
        while data := self.connection.recv(65536):
            requests, rest = parse(rest + data)
            if answers := b"".join(answer for request in requests for answer in self.answers(*request)):
                self.send(answers)

    def answers(self, command: int, data_type: int, count: int, p1: int, p2: int, payload: bytes) -> Iterator[bytes]:
        if command == CREATE_CHAN:
            yield from self.create(p1, payload.split(b"\0")[0])
        elif command == READ_NOTIFY:
            data = double_payload(data_type, count or self.count(p1), 0.0)
            yield message(READ_NOTIFY, data_type, count or self.count(p1), NORMAL, p2, data)
        elif command == EVENT_ADD:
            name = self.channels[p1]
            kind = name == CAMERA, name.startswith(PACED)
            self.subscribe(Subscription(p2, p1, data_type, count or self.count(p1), *kind))
        elif command == EVENT_CANCEL:
            self.unsubscribe(p2)
            yield message(EVENT_ADD, data_type, count, p1, p2)
        elif command in (EVENTS_OFF, EVENTS_ON):
            self.flow(command == EVENTS_ON)
        elif command in (CLEAR, ECHO):
            yield message(command, 0, 0, p1, p2)
        elif command == WRITE_NOTIFY:
            yield message(WRITE_NOTIFY, data_type, count, NORMAL, p2)

    def create(self, cid: int, name: bytes) -> Iterator[bytes]:
        sid = len(self.channels) + 1
        self.channels[sid] = name
        yield message(ACCESS_RIGHTS, 0, 0, cid, 3)
        yield message(CREATE_CHAN, DOUBLE, self.count(sid), cid, sid)

    def count(self, sid: int) -> int:
        return CAMERA_COUNT if self.channels[sid] == CAMERA else 1

    def subscribe(self, subscription: Subscription) -> None:
        with self.changed:
            self.subscriptions[subscription.subscription_id] = subscription
            self.edition += 1
            self.changed.notify()

    def unsubscribe(self, subscription_id: int) -> None:
        with self.writing, self.changed:  # no update may follow the answer
            del self.subscriptions[subscription_id]
            self.edition += 1

    def flow(self, flowing: bool) -> None:
        with self.changed:
            self.flowing = flowing
            self.changed.notify()

    def flood(self) -> None:
        edition, data = -1, b""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: not self.open or (self.flowing and self.flooded()))
                if not self.open:
                    return
                current, subscriptions = self.edition, list(self.subscriptions.values())
            if current != edition:
                edition, data = current, block(subscriptions)
            with self.writing:
                if edition == self.edition:
                    self.connection.sendall(data)

    def flooded(self) -> bool:
        """Whether anything is to come as fast as it can."""
        return any(not subscription.paced for subscription in self.subscriptions.values())

    def pace(self) -> None:
        edition, beat, due = -1, Beat([]), time.monotonic()
        while self.open:
            with self.changed:
                if self.edition != edition:
                    edition = self.edition
                    beat = Beat([s for s in self.subscriptions.values() if s.paced])
            if beat.data and self.flowing:
                with self.writing:
                    if edition == self.edition:
                        self.connection.sendall(beat.now())
            due = max(due + PACE, time.monotonic() - 1.0)
            time.sleep(max(0.0, due - time.monotonic()))


def search_answers(request: bytes, port: int) -> bytes:
    found, _ = parse(request)
    answers = [message(VERSION, 0, MINOR)]
    for command, _type, _count, cid, _p2, payload in found:
        if command == VERSION:
            answers = [message(VERSION, _type, MINOR, cid)]
        elif command == SEARCH and payload.startswith(PREFIX):
            answers.append(message(SEARCH, port, 0, 0xFFFFFFFF, cid, struct.pack(">H6x", MINOR)))
    return b"".join(answers) if len(answers) > 1 else b""


def serve_searches(udp: socket.socket, port: int) -> None:
    while True:
        request, client = udp.recvfrom(65536)
        if answer := search_answers(request, port):
            udp.sendto(answer, client)


def serve_repeater(udp: socket.socket) -> None:
    confirmation = message(REPEATER_CONFIRM, p2=int.from_bytes(socket.inet_aton("127.0.0.1"), "big"))
    while True:
        _, client = udp.recvfrom(65536)
        udp.sendto(confirmation, client)


def serve_circuits(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Circuit(connection).serve, daemon=True).start()


def bound(kind: socket.SocketKind, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.bind(("127.0.0.1", port))
    return made


def main() -> None:
    port, repeater_port = int(sys.argv[1]), int(sys.argv[2])
    listener = bound(socket.SOCK_STREAM, port)
    listener.listen(64)
    jobs = (
        (serve_circuits, (listener,)),
        (serve_searches, (bound(socket.SOCK_DGRAM, port), port)),
        (serve_repeater, (bound(socket.SOCK_DGRAM, repeater_port),)),
    )
    for job, arguments in jobs:
        threading.Thread(target=job, args=arguments, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
