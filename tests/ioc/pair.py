"""A client's circuit and a server's session back to back: every byte crosses, and nothing but bytes."""

from __future__ import annotations

from caclient.ioc import Database
from caclient.ioc.session import Session
from caclient.protocol import commands as ca
from caclient.protocol.circuit import VirtualCircuit


class Pair:
    """What the client says is answered at once; `news` is what the server says of itself."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.session = Session(database, 5064)
        self.client = VirtualCircuit(our_role=ca.CLIENT)
        self.server = VirtualCircuit(our_role=ca.SERVER)
        self.told = 0
        self.session.on_ready = self._count
        self.to_client([ca.VersionResponse()])
        self.ask(ca.VersionRequest())

    def ask(self, *commands: ca.Command) -> list[ca.Command]:
        """The replies to the client's commands."""
        replies: list[ca.Command] = []
        for command in self.server.receive(b"".join(map(bytes, self.client.send(*commands)))):
            replies += self.to_client(self.session.answer(command))
        return replies

    def news(self) -> list[ca.Command]:
        """What the server has to say, as the client hears it."""
        return self.to_client(list(self.session.news()))

    def to_client(self, replies: list[ca.Command]) -> list[ca.Command]:
        heard = self.client.receive(b"".join(map(bytes, self.server.send(*replies)))) if replies else []
        return [command for command in heard if isinstance(command, ca.Command)]

    def open(self, name: str, cid: int = 1) -> int:
        """The sid of a new channel."""
        _rights, created = self.ask(ca.CreateChanRequest(name, cid))
        assert isinstance(created, ca.CreateChanResponse)
        return created.sid

    def _count(self) -> None:
        self.told += 1
