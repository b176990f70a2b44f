"""A virtual circuit: one TCP connection between a client and a server, from either side.

`send` turns commands into bytes and `receive` turns bytes into commands; both look every command up in the law first.
What we must not say raises LocalProtocolError before a byte leaves, and changes nothing if it was the first command
of its call. What the peer must not say raises RemoteProtocolError, and the circuit is in ERROR for good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any, TypeAlias

from caclient.errors import LocalProtocolError, RemoteProtocolError
from caclient.protocol.books import MAX_TYPE
from caclient.protocol.channel import ClientChannel
from caclient.protocol.command import CLIENT, Command, Payload, Role
from caclient.protocol.commands import (
    CIRCUIT,
    AccessRightsResponse,
    CreateChanRequest,
    CreateChanResponse,
    EventAddResponse,
    EventCancelResponse,
    ReadNotifyRequest,
)
from caclient.protocol.crowds import CreatedRun, Made, Pairs, create_requests
from caclient.protocol.header import EXTENDED_SINCE, EXTENDED_SIZE, MARK
from caclient.protocol.ledger import Ledger, as_cancel
from caclient.protocol.runs import (
    MixedRun,
    ReadRows,
    ReplyRun,
    Run,
    UpdateRun,
    by_id,
    by_request,
    chosen,
    read_requests,
)
from caclient.protocol.states import (
    CLOSED_CIRCUIT,
    ENDING_SUBSCRIPTION,
    NEW_CHANNEL,
    OPEN_CHANNEL,
    Standing,
    State,
    broken,
)
from caclient.protocol.stream import Stream

Address: TypeAlias = "tuple[str, int]"
Item: TypeAlias = "Command | UpdateRun | MixedRun | ReplyRun | CreatedRun"

JOINED = 16384
"""Messages up to this size are joined into one buffer with their neighbours."""


class VirtualCircuit(Ledger):
    """The rules of one connection. Not thread-safe: its caller holds a lock."""

    def __init__(
        self, our_role: Role, address: Address | None = None, priority: int = 0, max_payload: int | None = None
    ) -> None:
        super().__init__(our_role, priority)
        self.address = address
        largest = self.largest_payload if our_role is CLIENT else None
        self._stream = Stream(CIRCUIT[our_role.peer], max_payload, largest)
        self._deaf = ""  # why nothing more is heard
        self._cancel_replies: set[int] = set()  # subscription ids: replies that recv has seen, not yet processed

    @property
    def states(self) -> dict[Role, State]:
        """Where each peer stands."""
        return self.standing.states

    @property
    def missing(self) -> int:
        """Bytes still to come of a message that has partly come; 0 between messages."""
        return self._stream.needed

    def permit(self, max_payload: int | None) -> None:
        """Bytes of payload that a message may have from now on; None: as many as 32 bits can say."""
        self._stream.permit(max_payload)

    # ---- out

    def send(self, *commands: Command) -> list[Payload]:
        """The buffers to transmit for these commands.

        :raises LocalProtocolError: if one is illegal. If that was not the first, those before it cannot be unsaid, and
            the circuit is in ERROR.
        """
        if len(commands) == 1:
            return self._said(commands[0])
        buffers: list[Payload] = []
        for command in commands:
            try:
                buffers += self._said(command)
            except LocalProtocolError:
                if buffers:
                    self.standing = broken(self.standing, self.our_role)
                raise
        return _gathered(buffers)

    def send_reads(
        self, rows: tuple[Sequence[int], Sequence[int], Sequence[int]], owner: Any = None
    ) -> tuple[int, Payload]:
        """Many READ_NOTIFY requests at once, of (sids, types, counts): the first of their ioids, and the bytes."""
        sids, types, counts = rows
        if ReadNotifyRequest not in self.standing.moves or self.our_role is not CLIENT:
            raise LocalProtocolError(f"cannot send reads: circuit is at: {self.standing}")
        channels = self.channels_sid
        for sid in sids:
            channel = channels.get(sid)
            if channel is None or channel.standing is not OPEN_CHANNEL:
                raise LocalProtocolError(f"cannot send reads: no channel with sid {sid} is open: {channel}")
        if self.version < EXTENDED_SINCE and max(counts, default=0) >= MARK:
            raise LocalProtocolError(f"cannot send reads: minor version {self.version} knows no extended header")
        if max(types, default=0) > MAX_TYPE:
            raise LocalProtocolError(f"cannot send reads: {max(types)} is no DBR type")
        first = self.new_ioids(len(sids))
        try:
            buffer = read_requests(sids, types, counts, first)
        except (ValueError, OverflowError) as error:
            raise LocalProtocolError(f"cannot send reads: {error}") from None
        self.ioids.update(dict.fromkeys(range(first, first + len(sids)), ReadRows(first, sids, owner)))
        return first, buffer

    def send_creates(self, wanted: Sequence[tuple[str, Any]]) -> tuple[list[ClientChannel], Payload]:
        """Many CREATE_CHAN requests at once, of (name, owner): the channels, and the bytes."""
        following = self.standing.moves.get(CreateChanRequest)
        if following is None or self.our_role is not CLIENT:
            raise LocalProtocolError(f"cannot create channels: circuit is at: {self.standing}")
        first = self.new_cids(len(wanted))
        buffer = create_requests([name for name, _ in wanted], range(first, first + len(wanted)))
        channels = []
        asked = NEW_CHANNEL.moves[CreateChanRequest]
        for cid, (name, owner) in enumerate(wanted, first):
            channel = ClientChannel(name, self, cid, owner)
            channel.standing = asked
            channels.append(channel)
        self.standing = following
        return channels, buffer

    def _said(self, command: Command) -> list[Payload]:
        """Police one command of ours and encode it."""
        kind = command.__class__
        following = self.standing.moves.get(kind)
        if following is None or kind.SENDER is not self.our_role:
            raise self._unsayable(command)
        head = command.header_bytes()
        if len(head) == EXTENDED_SIZE and self.version < EXTENDED_SINCE:
            raise self.fault(command, f"minor version {self.version} of the peer knows no extended header")
        judge = self._judges.get(kind)
        if judge is not None:
            judge(command)
        self.standing = following
        payload = command.payload
        if not payload:
            return [head]
        if payload.__class__ is not bytes:
            payload = command.wire_payload()
        return [head + payload] if len(payload) <= JOINED else [head, payload]

    def _unsayable(self, command: Command) -> Exception:
        if command.SENDER is not self.our_role:
            return LocalProtocolError(f"cannot send {type(command).__name__}: a {self.our_role.value} never does")
        return self.illegal(command, "circuit", self.standing)

    # ---- in, at once

    def receive(self, data: bytes) -> list[Item]:
        """What `data` completes: parsed, policed, each with its owner. `data` belongs to the circuit from then on.

        Replies that nobody waits for any more are counted in `late` instead.

        :raises RemoteProtocolError: for what the peer must not say; its `heard` is what `data` held before that.
        """
        if self._deaf:
            return self._unheard()
        return self._heard(self._stream.feed(data, True))

    def receive_buffer(self) -> memoryview | None:
        """Where to receive the rest of a large payload into; None if there is none under way."""
        return self._stream.receive_buffer()

    def received(self, number: int) -> list[Item]:
        """What the `number` bytes complete that were received into `receive_buffer()`."""
        if self._deaf:
            return self._unheard()
        command = self._stream.received(number)
        return [] if command is None else self._heard((command,))

    def _unheard(self) -> list[Item]:
        """After the end what comes is nobody's; after an error nothing can be understood."""
        if self.standing is CLOSED_CIRCUIT:
            return []
        raise RemoteProtocolError(f"the circuit has ended by an error: {self._deaf}")

    def _heard(self, messages: Iterable[Any]) -> list[Item]:
        items: list[Item] = []
        judge_of = self._judges.get
        try:
            for message in messages:
                kind = message.__class__
                if kind is Run:
                    self._hear_run(message, items)
                    continue
                if kind is Pairs:
                    self._hear_pairs(message, items)
                    continue
                standing = self.standing
                following = standing.moves.get(kind)
                if following is None:
                    raise self.illegal(message, "circuit", standing)
                judge = judge_of(kind)
                if judge is not None:
                    message = judge(message)
                    if message is None:
                        continue
                if following is not standing:
                    self.standing = following
                items.append(message)
        except RemoteProtocolError as error:
            error.heard = [*items, *error.heard]
            self._break(error)
            raise
        return items

    def _break(self, error: RemoteProtocolError) -> None:
        if " is at: " not in str(error):  # no state forbade it: it could not be read, or says what nobody may say
            legal = self.standing.legal_from(self.our_role.peer)
            error.args = (f"{error}; circuit is at: {self.standing}; legal: {legal}",)
        self.standing = broken(self.standing, self.our_role.peer)
        self._deaf = str(error)

    def _hear_run(self, run: Run, items: list[Item]) -> None:
        """A run is split by owner; where that would leave too little of it, its messages go the general way."""
        following = self.standing.moves.get(run.command)
        if following is not None and self.our_role is CLIENT:
            self.standing = following
            taken = self._updates(run, items) if run.command is EventAddResponse else self._replies(run, items)
            if taken:
                return
        items += self._heard(run.commands())

    def _hear_pairs(self, pairs: Pairs, items: list[Item]) -> None:
        """Channels that were made: those that cannot be, and what follows them, go the general way."""
        made: list[Made] = []
        if self.our_role is CLIENT and _moves_nothing(self.standing):
            self.make_channels(pairs.rows, made)
        if made:
            items.append(CreatedRun(made))
        if len(made) < len(pairs.rows):
            items += self._heard(pairs.commands(len(made)))

    def _updates(self, run: Run, items: list[Item]) -> bool:
        parts = by_id(run.rows)
        if parts is None:
            self._mixed_updates(run, items)
            return True
        for number, rows in parts:
            subscription = self.subscriptions.get(number)
            if subscription is None or subscription.standing is ENDING_SUBSCRIPTION:
                self.count_late(EventAddResponse, len(rows))
                continue
            items.append(UpdateRun(subscription.owner, run.data_type, rows, number))
        return True

    def _mixed_updates(self, run: Run, items: list[Item]) -> None:
        """Each id is looked at once; what came too late is left out."""
        rows = run.rows
        found = list(map(self.subscriptions.get, rows["p2"].tolist()))
        living = [each is not None and each.standing is not ENDING_SUBSCRIPTION for each in found]
        if not all(living):
            self.count_late(EventAddResponse, living.count(False))
            rows = chosen(rows, living)
            found = list(compress(found, living))
        if found:
            owners = [each.owner for each in found]  # type: ignore[union-attr]  # none is None
            items.append(MixedRun(run.data_type, rows, owners))

    def _replies(self, run: Run, items: list[Item]) -> bool:
        ioids: list[int] = run.rows["p2"].tolist()
        find = self.ioids.get
        requests = [find(ioid) for ioid in ioids]
        parts = by_request(requests)
        if parts is None or len(set(ioids)) < len(ioids):
            return False
        for request, part in parts:
            if request.__class__ is not ReadRows:
                items += self._heard(Run(run.command, run.data_type, run.rows[part]).commands())
                continue
            for ioid in ioids[part]:
                del self.ioids[ioid]
            items.append(ReplyRun(request.owner, run.data_type, run.rows[part], ioids[part]))
        return True

    # ---- in, in two steps

    def recv(self, data: bytes) -> tuple[deque[Any], int]:
        """The commands that `data` completes, not yet policed, and how many bytes of the next are missing."""
        if self._deaf:
            return deque(self._unheard()), 0
        try:
            commands = deque(map(self._recognised, self._stream.feed(data)))
        except RemoteProtocolError as error:
            self._break(error)
            raise
        return commands, self._stream.needed

    def process_command(self, command: Command) -> bool:
        """Police a command that `recv` gave: whether it is to be heeded, false if it came too late."""
        if command.__class__ is EventCancelResponse:
            self._cancel_replies.discard(command.parameter2)
        return bool(self._heard((command,)))

    def _recognised(self, command: Any) -> Any:
        """Tell the reply to a cancel from an update without payload."""
        number = command.parameter2
        if command.__class__ is not EventAddResponse or number in self._cancel_replies:
            return command
        if not self.is_cancel_reply(command):
            return command
        self._cancel_replies.add(number)
        return as_cancel(command)

    # ---- the end

    def disconnect(self) -> list[Any]:
        """The connection is gone: the owners of what will not be answered, each once. All books are closed."""
        owners = self.abandon_requests()
        self.standing = CLOSED_CIRCUIT
        self._deaf = "disconnected"
        self.channels.clear()
        self.channels_sid.clear()
        self.subscriptions.clear()
        return owners


def _moves_nothing(standing: Standing) -> bool:
    """Whether channels may be made any number of times without moving the circuit."""
    moves = standing.moves
    return moves.get(AccessRightsResponse) is standing and moves.get(CreateChanResponse) is standing


def _gathered(buffers: list[Payload]) -> list[Payload]:
    """Buffers with neighbouring small ones joined."""
    gathered: list[Payload] = []
    small: list[Payload] = []
    for buffer in buffers:
        if len(buffer) <= JOINED:
            small.append(buffer)
            continue
        gathered += [b"".join(small), buffer] if small else [buffer]
        small = []
    return [*gathered, b"".join(small)] if small else gathered
