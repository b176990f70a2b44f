"""Datagrams: searches, their answers, beacons and the repeater's words, from either side.

Every datagram is a world of its own: what it may hold is looked up in the law from its beginning, and one that breaks a
rule is the error of that datagram only, for anybody may send us one.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import TypeAlias

from caclient.errors import LocalProtocolError, RemoteProtocolError
from caclient.protocol.command import Command, Payload, Role
from caclient.protocol.commands import (
    DATAGRAM,
    MINOR_VERSION,
    THE_SENDER,
    RepeaterConfirmResponse,
    SearchRequest,
    SearchResponse,
    VersionRequest,
)
from caclient.protocol.header import MARK, MAX_UDP_SEND, SHORT, SHORT_SIZE
from caclient.protocol.states import NEW_DATAGRAM, Standing

Address: TypeAlias = "tuple[str, int]"

_REPLY_PAYLOAD = 8
_REPLY = Struct(f"{SHORT.format}{_REPLY_PAYLOAD}x")
_REPLIES_FROM = SHORT_SIZE + _REPLY.size
_VERSION_HEAD = bytes(4)  # command and payload size


class Broadcaster:
    """The rules of one UDP socket. Not thread-safe.

    `registered` tells whether a repeater has confirmed us; `malformed` counts datagrams whose end could not be read.
    """

    def __init__(self, our_role: Role) -> None:
        self.our_role = our_role
        self.registered = False
        self.malformed = 0
        self._classes = DATAGRAM[our_role.peer]
        self._sequence = 0

    # ---- out

    def send(self, *commands: Command) -> bytes:
        """One datagram of these commands; LocalProtocolError if they must not be said so, or do not fit."""
        standing, extended = NEW_DATAGRAM, False
        pieces: list[Payload] = []
        for command in commands:
            if command.SENDER is not self.our_role:
                raise LocalProtocolError(f"cannot send {type(command).__name__}: a {self.our_role.value} never does")
            following = standing.moves.get(command.__class__)
            if following is None:
                raise LocalProtocolError(f"cannot send {_reason(command, standing)}")
            standing = following
            head = command.header_bytes()
            extended = extended or len(head) > SHORT_SIZE
            pieces += head, command.payload
        datagram = b"".join(pieces)
        if len(datagram) > MAX_UDP_SEND or extended:
            raise LocalProtocolError(f"cannot send {len(datagram)} bytes in one datagram")
        return datagram

    def search(self, *names: tuple[int, str]) -> bytes:
        """One datagram that asks for (cid, name) pairs, with the next sequence number."""
        searches = [SearchRequest(name, cid, MINOR_VERSION) for cid, name in names]
        return self.send(VersionRequest(0, MINOR_VERSION, self._next_number()), *searches)

    def search_ready(self, messages: Iterable[bytes]) -> bytes:
        """The same from SEARCH messages as they go over the wire (``protocol.search``): a datagram is no more."""
        return SHORT.pack(0, 0, 1, MINOR_VERSION, self._next_number(), 0) + b"".join(messages)

    def _next_number(self) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        return self._sequence

    # ---- in

    def receive(self, data: bytes, address: Address) -> list[Command]:
        """The commands of a datagram, policed; RemoteProtocolError if it breaks a rule or cannot be read at all."""
        commands = self.recv(data, address)
        self.process_commands(commands)
        return commands

    @staticmethod
    def answers(data: bytes) -> list[tuple[int, int, int, int, int, int]] | None:
        """The headers of a datagram that is a version and search replies, as servers send it; None of any other.

        A reply's type field is the server's port, its first parameter the address, its second the cid. It needs no
        more policing, for a version and any number of replies are legal.
        """
        if len(data) < _REPLIES_FROM or (len(data) - SHORT_SIZE) % _REPLY.size or data[:4] != _VERSION_HEAD:
            return None
        rows = list(_REPLY.iter_unpack(memoryview(data)[SHORT_SIZE:]))
        for row in rows:
            if row[0] != SearchResponse.ID or row[1] != _REPLY_PAYLOAD:
                return None
        return rows

    def recv(self, data: bytes, address: Address) -> list[Command]:
        """The commands of a datagram, not yet policed. What cannot be read ends it: what came before it stands.

        :raises RemoteProtocolError: if not even its first command can be read.
        """
        commands: list[Command] = []
        offset, end = 0, len(data)
        while offset < end:
            command = self._parse(data, offset)
            if command is None:
                self.malformed += 1
                if not commands:
                    raise RemoteProtocolError(f"received {end} bytes from {address} that are no datagram of ours")
                break
            if command.__class__ is SearchResponse:
                command.sender = address
            offset += SHORT_SIZE + len(command.payload)
            commands.append(command)
        return commands

    def process_commands(self, commands: list[Command]) -> None:
        """Police the commands of one datagram; RemoteProtocolError if one is illegal."""
        standing = NEW_DATAGRAM
        for command in commands:
            kind = command.__class__
            following = standing.moves.get(kind)
            if following is None:
                raise RemoteProtocolError(f"received {_reason(command, standing)}")
            standing = following
            if kind is RepeaterConfirmResponse:
                self.registered = True

    def _parse(self, data: bytes, offset: int) -> Command | None:
        """The command at `offset`, None if it cannot be one. There is no extended header in datagrams."""
        body = offset + SHORT_SIZE
        if body > len(data):
            return None
        number, size, type_field, count, parameter1, parameter2 = SHORT.unpack_from(data, offset)
        kind = self._classes.get(number)
        if kind is None or size == MARK or size & 7 or body + size > len(data):
            return None
        command = kind.__new__(kind)
        command.type_field = type_field
        command.count_field = count
        command.parameter1 = parameter1
        command.parameter2 = parameter2
        command.payload = data[body : body + size]
        command.extended = False
        command.owner = None
        return command


def extract_address(response: SearchResponse) -> Address:
    """Where the server of a search reply listens; LocalProtocolError if it names its sender and that is not known."""
    if response.ip != THE_SENDER:
        return response.ip, response.port
    if response.sender is None:
        raise LocalProtocolError(f"{response!r} names the address that it came from, which is not known")
    return response.sender[0], response.port


def _reason(command: Command, standing: Standing) -> str:
    return f"{type(command).__name__}: datagram is at: {standing}; legal: {standing.legal}"
