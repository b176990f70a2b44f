"""Searches of our own: whoever answers is remembered, where a client takes the first."""

from __future__ import annotations

import math
import select
import socket
import time
from collections.abc import Sequence

from caclient.config import Config
from caclient.engine.sockets import Address, bcast_socket, resolve, search_addresses
from caclient.errors import LocalProtocolError, RemoteProtocolError
from caclient.protocol.broadcaster import Broadcaster, extract_address
from caclient.protocol.command import CLIENT
from caclient.protocol.commands import SearchResponse

_FIRST_WAIT, _MOST_WAIT = 0.1, 1.0
_DATAGRAM = 1400
_OVERHEAD = 16 + 16 + 8
_LARGEST = 65536


def answers(names: Sequence[str], seconds: float, config: Config) -> list[list[Address]]:
    """Each server that has said within so many seconds to have a name, in the order of their answers."""
    found: list[list[Address]] = [[] for _ in names]
    broadcaster = Broadcaster(CLIENT)
    destinations = [(resolve(host) or host, port) for host, port in search_addresses(config)]
    with bcast_socket(config.mcast_ttl) as sock:
        sock.setblocking(False)
        deadline, delay = time.monotonic() + seconds, _FIRST_WAIT
        while (now := time.monotonic()) < deadline:
            for batch in _batches(names):
                datagram = broadcaster.search(*batch)
                for destination in destinations:
                    _send(sock, datagram, destination)
            _listen(sock, broadcaster, found, min(now + delay, deadline))
            delay = min(delay * 2, _MOST_WAIT)
    return found


def _batches(names: Sequence[str]) -> list[list[tuple[int, str]]]:
    """(number, name) pairs, as many together as one datagram carries."""
    batches: list[list[tuple[int, str]]] = []
    room = -math.inf
    for number, name in enumerate(names):
        size = _OVERHEAD + len(name.encode("utf-8", "surrogateescape"))
        if room < size:
            batches.append([])
            room = _DATAGRAM
        batches[-1].append((number, name))
        room -= size
    return batches


def _send(sock: socket.socket, datagram: bytes, destination: Address) -> None:
    try:
        sock.sendto(datagram, destination)
    except OSError:
        pass  # a destination that cannot be reached answers nothing


def _listen(sock: socket.socket, broadcaster: Broadcaster, found: list[list[Address]], deadline: float) -> None:
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([sock], [], [], left)[0]:
            return
        try:
            data, sender = sock.recvfrom(_LARGEST)
            commands = broadcaster.receive(data, sender)
        except (OSError, RemoteProtocolError):
            continue  # nobody listens there, or it is no datagram of ours
        for command in commands:
            if isinstance(command, SearchResponse):
                _note(command, found)


def _note(answer: SearchResponse, found: list[list[Address]]) -> None:
    try:
        address = extract_address(answer)
    except LocalProtocolError:
        return
    if answer.cid < len(found) and address not in found[answer.cid]:
        found[answer.cid].append(address)
