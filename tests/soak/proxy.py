"""Between clients and a real IOC: a process that answers searches, and hands on what is said with something amiss.

Each slot has a conversation at a time, with a port and a seed of its own; orders come through a pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from multiprocessing.connection import Connection

from tests.soak.mutations import SHORT, Mutator

_HOST = "127.0.0.1"
_SEARCH, _VERSION, _MINOR = 6, 0, 13
_THE_SENDER = 0xFFFFFFFF
_RESET = struct.pack("ii", 1, 0)


def serve(upstream: tuple[str, int], prefix: str, slots: int, orders: Connection) -> None:
    """Run until ``None`` comes; an order is (slot, seed), answered when that conversation can begin."""
    asyncio.run(_Proxy(upstream, prefix, slots, orders).run())


class _Proxy:
    def __init__(self, upstream: tuple[str, int], prefix: str, slots: int, orders: Connection) -> None:
        self._upstream = upstream
        self._prefix = prefix.encode()
        self._orders = orders
        self._servers: list[asyncio.Server | None] = [None] * slots
        self._writers: list[set[asyncio.StreamWriter]] = [set() for _ in range(slots)]
        self._seeds = [0] * slots
        self._kinds: Counter[str] = Counter()
        self._over = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setblocking(False)
            udp.bind((_HOST, 0))
            loop.add_reader(udp.fileno(), self._answer, udp)
            queue: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()
            loop.add_reader(self._orders.fileno(), self._order, queue)
            self._orders.send(udp.getsockname()[1])
            while (order := await queue.get()) is not None:
                await self._begin(*order)
            loop.remove_reader(udp.fileno())
            loop.remove_reader(self._orders.fileno())
        for slot in range(len(self._servers)):
            await self._end(slot)
        self._orders.send(dict(self._kinds))

    def _order(self, queue: asyncio.Queue[tuple[int, int] | None]) -> None:
        queue.put_nowait(self._orders.recv())

    async def _begin(self, slot: int, seed: int) -> None:
        await self._end(slot)
        self._seeds[slot] = seed
        self._servers[slot] = await asyncio.start_server(lambda r, w: self._converse(slot, r, w), _HOST, 0)
        self._orders.send(slot)

    async def _end(self, slot: int) -> None:
        server, self._servers[slot] = self._servers[slot], None
        if server is not None:
            server.close()
        for writer in tuple(self._writers[slot]):
            writer.transport.abort()

    def _answer(self, udp: socket.socket) -> None:
        """Tell whoever asks for a slot's names of the slot's port."""
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram, address = udp.recvfrom(1 << 16)
                replies = b"".join(self._replies(datagram))
                if replies:
                    version = SHORT.pack(_VERSION, 0, 0, _MINOR, 0, 0)
                    udp.sendto(version + replies, address)

    def _replies(self, datagram: bytes) -> list[bytes]:
        replies, offset = [], 0
        while offset + SHORT.size <= len(datagram):
            command, size, _, _, cid, _ = SHORT.unpack_from(datagram, offset)
            name = datagram[offset + SHORT.size : offset + SHORT.size + size].rstrip(b"\0")
            offset += SHORT.size + size
            if command == _SEARCH and name.startswith(self._prefix):
                server = self._servers[int(name.removeprefix(self._prefix).partition(b":")[0])]
                if server is not None and server.sockets:
                    port = server.sockets[0].getsockname()[1]
                    replies.append(SHORT.pack(_SEARCH, 8, port, 0, _THE_SENDER, cid) + SHORT.pack(_MINOR, *[0] * 5)[:8])
        return replies

    async def _converse(self, slot: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seed = self._seeds[slot]
        dice = random.Random(seed)
        theirs, ours = Mutator(seed, dice.choice((1, 1, 2, 4))), Mutator(seed + 1, dice.choice((0, 0, 0, 1)))
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, upstream_writer}
        self._writers[slot] |= both
        pumps = [
            asyncio.ensure_future(_pump(upstream_reader, writer, theirs)),
            asyncio.ensure_future(_pump(reader, upstream_writer, ours)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._kinds.update(theirs.kinds + ours.kinds)
        for each in both:
            each.transport.close()
            self._writers[slot].discard(each)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mutator: Mutator) -> None:
    """Hand on what comes until one of the two has had enough."""
    silent = False
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            for step in () if silent else mutator.feed(data):
                writer.write(step.data)
                await writer.drain()
                if step.then == "breathe":
                    await asyncio.sleep(0)
                elif step.then == "silence":
                    silent = True
                    break
                elif step.then == "reset":
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    writer.transport.abort()
                    return
                elif step.then == "close":
                    return
