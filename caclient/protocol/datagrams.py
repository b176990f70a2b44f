"""What servers, repeaters and their clients say in datagrams beside VERSION and SEARCH."""

from __future__ import annotations

from caclient.protocol.command import CLIENT, COUNT_FIELD, PARAMETER1, SERVER, TYPE_FIELD, Command
from caclient.protocol.responses import address_number, address_text

_UNSAID = "0.0.0.0"


class RepeaterRegisterRequest(Command):
    """Pass beacons on to me. An empty datagram says the same, and is what libca sends."""

    __slots__ = ()
    ID = 24
    SENDER = CLIENT
    FIELDS = ("client_address",)

    def __init__(self, client_address: str = _UNSAID) -> None:
        super().__init__(parameter2=address_number(client_address or _UNSAID))

    @property
    def client_address(self) -> str:
        """What the client says it is; repeaters look at the datagram's source instead."""
        return address_text(self.parameter2)


class RepeaterConfirmResponse(Command):
    """You are registered, from this address."""

    __slots__ = ()
    ID = 17
    SENDER = SERVER
    FIELDS = ("repeater_address",)

    def __init__(self, repeater_address: str = _UNSAID) -> None:
        super().__init__(parameter2=address_number(repeater_address or _UNSAID))

    @property
    def repeater_address(self) -> str:
        """The address that the registration came from."""
        return address_text(self.parameter2)


class Beacon(Command):
    """A server is up. Address 0.0.0.0 is the one that this came from: a repeater writes it in."""

    __slots__ = ()
    ID = 13
    SENDER = SERVER
    FIELDS = ("version", "server_port", "beacon_id", "address")
    version = TYPE_FIELD
    server_port = COUNT_FIELD
    beacon_id = PARAMETER1

    def __init__(self, version: int, server_port: int, beacon_id: int, address: str = _UNSAID) -> None:
        super().__init__(version, server_port, beacon_id, address_number(address or _UNSAID))

    @property
    def address(self) -> str:
        """The server's address; 0.0.0.0 for the one that this came from."""
        return address_text(self.parameter2)
