"""What is open between two peers, by its ids; whom to blame for what is not; how large an answer can be.

``ledger`` files and closes it, command by command.
"""

from __future__ import annotations

from typing import Any

from caclient.dbr.types import payload_size
from caclient.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from caclient.protocol.channel import Channel, Subscription
from caclient.protocol.command import SERVER, Command, Role
from caclient.protocol.commands import EventAddResponse
from caclient.protocol.header import Header
from caclient.protocol.states import NEW_CIRCUIT, Standing

MAX_TYPE = 38
"""Servers close the circuit without a word to a client that asks for another."""
_IDS = 1 << 32
_UNASKED = 4096
"""Bytes of an answer that nobody waits for, or of a type that there is not."""
_BEYOND = 16 * 1024 * 1024
"""Bytes more than its channel has that are skipped if a message claims them; one that claims more is a lie."""
_SLACK = 64
"""Bytes by which servers may pad what they send."""


class Books:
    """What is open on one circuit, by its ids."""

    def __init__(self, our_role: Role, priority: int) -> None:
        self.our_role = our_role
        self.priority = priority
        self.version = 0
        self.standing = NEW_CIRCUIT
        self.channels: dict[int, Any] = {}
        self.channels_sid: dict[int, Channel] = {}
        self.ioids: dict[int, Any] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.late: dict[str, int] = {}
        self._departed: dict[int, None] = {}
        self._asked: dict[int, list[int]] = {}  # sid -> its ioids, as they were at the moment below
        self._asked_at = (0, 0)
        self._filed = 0  # requests of a client, whose ids it chose
        self._next_cid = 1
        self._next_id = 1
        self._is_server = our_role is SERVER

    # ---- ids and owners

    def new_cid(self) -> int:
        """A cid that no channel of this circuit has."""
        while self._next_cid in self.channels:
            self._next_cid = (self._next_cid + 1) % _IDS
        return self._next_cid

    def new_cids(self, count: int) -> int:
        """The first of `count` consecutive cids that no channel has."""
        first = self.new_cid()
        while first + count > _IDS or not self.channels.keys().isdisjoint(range(first, first + count)):
            self._next_cid = (first + count) % _IDS if first + count <= _IDS else 1
            first = self.new_cid()
        self._next_cid = (first + count) % _IDS
        return first

    def new_ioid(self) -> int:
        """An id that no request and no subscription has: one number space for both."""
        number = self._next_id
        while number in self.ioids or number in self.subscriptions:
            number = (number + 1) % _IDS
        self._next_id = (number + 1) % _IDS
        return number

    def new_ioids(self, count: int) -> int:
        """The first of `count` consecutive ids that nobody has."""
        first = self.new_ioid()
        while first + count > _IDS or self._any_in_use(range(first, first + count)):
            if first + count > _IDS:
                self._next_id = 1
            first = self.new_ioid()
        self._next_id = (first + count) % _IDS
        return first

    def _any_in_use(self, numbers: range) -> bool:
        return not (self.ioids.keys().isdisjoint(numbers) and self.subscriptions.keys().isdisjoint(numbers))

    def forget(self, ioid: int) -> Any:
        """Give a request up: its owner, or None if it has been answered; a reply from now on is late."""
        request = self.ioids.pop(ioid, None)
        return None if request is None else request.owner

    def abandon_requests(self) -> list[Any]:
        """Give all requests up: each owner once, in the order of asking."""
        owners = {id(request.owner): request.owner for request in self.ioids.values() if request.owner is not None}
        self.ioids.clear()
        return list(owners.values())

    # ---- blame

    def fault(self, command: Command, why: str) -> ProtocolError:
        """The error for a command that broke a rule: ours if we were to send it."""
        name = command.__class__.__name__
        if command.SENDER is self.our_role:
            return LocalProtocolError(f"cannot send {name}: {why}")
        return RemoteProtocolError(f"received {name}: {why}")

    def illegal(self, command: Command, what: str, standing: Standing) -> ProtocolError:
        """The error for a command that no table allows."""
        return self.fault(command, f"{what} is at: {standing}; legal: {standing.legal}")

    def too_late(self, command: Command, why: str) -> None:
        """For an id in no book: count what we received, raise for what we send."""
        if command.SENDER is self.our_role:
            raise self.fault(command, why)
        self.count_late(command.__class__)

    def count_late(self, command: type[Command], number: int = 1) -> None:
        """Replies that nobody waits for any more."""
        self.late[command.__name__] = self.late.get(command.__name__, 0) + number

    # ---- sizes

    def largest_payload(self, header: Header) -> int:
        """Bytes of payload that an answer can have: as many values as its channel has, of the type that it says.

        What nobody waits for may be no larger than what is copied anyway.

        :raises RemoteProtocolError: for a claim so far beyond that the rest of it will hardly ever come.
        """
        ours = header.parameter2
        if header.command == EventAddResponse.ID:
            subscription = self.subscriptions.get(ours)
            channel = None if subscription is None else subscription.channel
        else:
            request = self.ioids.get(ours)
            channel = None if request is None else self.channels_sid.get(request.sid_of(ours))
        if channel is None or header.data_type > MAX_TYPE:
            return _UNASKED
        most = payload_size(header.data_type, max(channel.native_data_count, 1)) + _SLACK
        if header.payload_size > most + _BEYOND:
            raise RemoteProtocolError(
                f"received an answer of {header.payload_size} bytes for channel {channel.name!r}, "
                f"which has {channel.native_data_count} elements: {header}"
            )
        return most
