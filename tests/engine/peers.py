"""What engine tests talk to: a loop that runs, an IOC's socket with the core in the server role, riders and askers."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections import deque
from contextlib import contextmanager

from caclient.engine.circuit import Circuit, State
from caclient.errors import DisconnectedError, RemoteProtocolError
from caclient.protocol.channel import ClientChannel
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.commands import (
    SERVER,
    AccessRightsResponse,
    CreateChanRequest,
    CreateChanResponse,
    EchoRequest,
    EchoResponse,
    ReadNotifyRequest,
    ReadNotifyResponse,
    VersionRequest,
    VersionResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
)

PATIENCE = 10.0
NORMAL = 1
CHAR = 4
LONG = 5
MIB = 1 << 20


def on_engine(loop, call, *args):
    """Make a call on the engine thread and give what it returns or raises."""
    done: queue.SimpleQueue = queue.SimpleQueue()

    def make():
        try:
            done.put((call(*args), None))
        except BaseException as error:
            done.put((None, error))

    loop.call_soon(make)
    result, error = done.get(timeout=PATIENCE)
    if error is not None:
        raise error
    return result


def settle(loop):
    """Have everything served that has been filed so far, and what that files."""
    for _ in range(3):
        on_engine(loop, lambda: None)


def until(loop, condition):
    """Serve rounds of the loop until a condition holds."""
    deadline = threading.Event()
    timer = threading.Timer(PATIENCE, deadline.set)
    timer.start()
    try:
        while not condition():
            assert not deadline.is_set(), "it did not come to that"
            settle(loop)
    finally:
        timer.cancel()
        timer.join()


class Rider:
    """Who lives on a circuit, and notes what he is told."""

    def __init__(self):
        self.told: queue.SimpleQueue = queue.SimpleQueue()

    def circuit_open(self):
        self.told.put("open")

    def circuit_closed(self, reason):
        self.told.put("closed: " + reason)

    def circuit_unresponsive(self):
        self.told.put("unresponsive")

    def circuit_responsive(self):
        self.told.put("responsive")

    def hears(self):
        return self.told.get(timeout=PATIENCE)


class Asker:
    """Who asks, as `request.Request` does."""

    follows = True

    def __init__(self):
        self.done = False
        self.signal = threading.Lock()
        self.signal.acquire()
        self.ioid = -1
        self.sent_at = 0.0
        self.reply = self.error = None

    def receive(self, command):
        command.owner = None
        self.reply = command
        self._finish()

    def fail(self, error):
        self.error = error
        self._finish()

    def _finish(self):
        if not self.done:
            self.done = True
            self.signal.release()

    def wait(self):
        assert self.done or self.signal.acquire(timeout=PATIENCE)
        return self


class Sink:
    """Who subscribes."""

    def __init__(self):
        self.items: queue.SimpleQueue = queue.SimpleQueue()

    def receive(self, item):
        self.items.put(item)

    def next(self):
        return self.items.get(timeout=PATIENCE)


class Peer:
    """A listening socket, and the server's end of the last connection made to it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.address = self.listener.getsockname()
        self.sock = None
        self.connections = []
        self.accepted = 0
        self.over = False

    def accept(self):
        self.sock, _ = self.listener.accept()
        self.sock.settimeout(PATIENCE)
        self.connections.append(self.sock)
        self.core = VirtualCircuit(our_role=SERVER)
        self.heard: deque = deque()
        self.accepted += 1
        return self

    def hear(self, kind):
        """The next command of a kind; those before it are let pass."""
        while True:
            while self.heard:
                command = self.heard.popleft()
                if type(command) is kind:
                    return command
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError
            self.heard.extend(self.core.receive(data))

    def say(self, *commands):
        for buffer in self.core.send(*commands):
            self.sock.sendall(buffer)

    def make_channel(self, data_type=LONG, count=1, sid=7):
        """Answer the request for a channel."""
        request = self.hear(CreateChanRequest)
        self.say(
            AccessRightsResponse(request.cid, 3),
            CreateChanResponse(data_type, count, request.cid, sid),
            VersionResponse(),
        )

    def answer(self, command):
        """What an IOC would say to a command."""
        kind = type(command)
        if kind is ReadNotifyRequest:
            self.say(ReadNotifyResponse(42, command.data_type, 1, NORMAL, command.ioid))
        elif kind is WriteNotifyRequest:
            self.say(WriteNotifyResponse(command.data_type, command.data_count, NORMAL, command.ioid))
        elif kind is EchoRequest:
            self.say(EchoResponse())
        elif kind is CreateChanRequest:
            self.heard.appendleft(command)
            self.make_channel(sid=command.cid + 100)
        elif kind is VersionRequest:
            self.say(VersionResponse())

    def _serve(self, again):
        while self.listener.fileno() != -1:
            try:
                self.accept()
                while True:
                    while self.heard:
                        self.answer(self.heard.popleft())
                    data = self.sock.recv(1 << 20)
                    if not data:
                        break
                    self.heard.extend(self.core.receive(data))
            except (OSError, RemoteProtocolError):
                pass  # the listener was closed, or a client has broken off in the middle of a message
            if not again or self.over:
                return

    @contextmanager
    def serving(self, again=False):
        """Answer whatever is asked, from a thread; *again*: accept whoever comes next as well."""
        thread = threading.Thread(target=self._serve, args=(again,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.over = True
            self.hang_up()
            thread.join(PATIENCE)

    def hang_up(self):
        for sock in (self.listener, *self.connections):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        for sock in (self.listener, *self.connections):
            sock.close()


def soon(seconds=PATIENCE):
    return time.monotonic() + seconds


class Made:
    """A circuit, who lives on it, and what it told."""

    def __init__(self, loop, address, conn_timeout=30.0, priority=0, **options):
        self.loop = loop
        self.closed = queue.SimpleQueue()
        self.commands = queue.SimpleQueue()
        self.rider = Rider()
        self.circuit = Circuit(
            loop,
            address,
            priority,
            conn_timeout,
            self.closed.put,
            lambda _, command: self.commands.put(command),
            **options,
        )
        self.circuit.riders[self.rider] = None
        on_engine(loop, self.circuit.open, [VersionRequest(priority, 13)])

    def channel(self, peer, **kind):
        """A channel of cid 1 and sid 7."""
        channel = ClientChannel("x:y", self.circuit.core, cid=1, owner=Sink())
        self.circuit.post(channel.create())
        peer.make_channel(**kind)
        for _ in range(2):
            channel.owner.next()
        self.sent = self.circuit.bytes_out
        return channel


def in_thread(call, *args):
    """Make a call that waits in another thread; the result waits for it and gives what it raised."""
    results = queue.SimpleQueue()

    def make():
        try:
            results.put((call(*args), None))
        except BaseException as error:
            results.put((None, error))

    thread = threading.Thread(target=make)
    thread.start()

    def result():
        value, error = results.get(timeout=3 * PATIENCE)
        thread.join()
        if error is not None:
            raise error
        return value

    return result


def read(count=1):
    return ReadNotifyRequest(LONG, count, 7, 0)


def get(circuit, seconds=PATIENCE):
    asker = Asker()
    circuit.exchange(read(), asker, soon(seconds))
    return asker


def subscribe(circuit, channel, owner):
    with circuit.sending() as core:
        return core.subscribe(channel, LONG, 1, 5, owner)


def answer(peer, value=42):
    request = peer.hear(ReadNotifyRequest)
    peer.say(ReadNotifyResponse(value, request.data_type, 1, NORMAL, request.ioid))


def usable(circuit, where):
    """Whether a circuit with a channel still answers; if not, it was closed because an interrupt had torn a stream."""
    asker = Asker()
    with contextlib.suppress(DisconnectedError):
        in_thread(circuit.exchange, ReadNotifyRequest(LONG, 1, 101, 0), asker, soon())()
    if asker.reply is not None:
        return True
    until(circuit._loop, lambda: circuit.state is State.CLOSED)
    assert "interrupted halfway" in circuit.reason or "EINTR" in circuit.reason, where
    return False
