"""Two peers back to back: what one sends the other receives, and both must agree on where they stand."""

from __future__ import annotations

from typing import Any

from caclient.protocol.channel import ClientChannel, ServerChannel
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.commands import CLIENT, SERVER, Command, VersionRequest, VersionResponse


class CircuitPair:
    """A client's and a server's circuit. `to_server` and `to_client` deliver at once and return what arrives."""

    def __init__(self, max_payload: int | None = None) -> None:
        self.client = VirtualCircuit(CLIENT, ("127.0.0.1", 5064), 0, max_payload)
        self.server = VirtualCircuit(SERVER, ("127.0.0.1", 5064))

    def to_server(self, *commands: Command) -> list[Any]:
        return self.server.receive(joined(self.client.send(*commands)))

    def to_client(self, *commands: Command) -> list[Any]:
        return self.client.receive(joined(self.server.send(*commands)))

    def greet(self, client: int = 13, server: int | None = 13) -> CircuitPair:
        """Exchange versions; a server of None stays silent."""
        if server is not None:
            self.to_client(VersionResponse(server))
        self.to_server(VersionRequest(0, client))
        return self

    def channel(
        self, name: str = "pv", data_type: int = 6, count: int = 1, sid: int | None = None, owner: Any = None
    ) -> tuple[ClientChannel, ServerChannel]:
        """An open channel, from both sides."""
        ours = ClientChannel(name, self.client, owner=owner)
        self.to_server(ours.create())
        theirs = self.server.channels[ours.cid]
        sid = len(self.server.channels_sid) if sid is None else sid
        self.to_client(theirs.rights(3), theirs.create(data_type, count, sid))
        return ours, theirs

    def agree(self) -> bool:
        """Whether both have the same books: states, channels, requests, subscriptions."""
        return books(self.client) == books(self.server)


def books(circuit: VirtualCircuit) -> Any:
    """What a circuit knows of both peers, as plain values."""
    return (
        circuit.states,
        {cid: (channel.sid, channel.states) for cid, channel in circuit.channels.items()},
        {number: entry.standing.states for number, entry in circuit.subscriptions.items()},
        {ioid: request.sid_of(ioid) for ioid, request in circuit.ioids.items()},
    )


def joined(buffers: list[Any]) -> bytes:
    """Buffers as the bytes on the wire."""
    return b"".join(bytes(buffer) for buffer in buffers)
