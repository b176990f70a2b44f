"""Bytes as they come -> messages: single commands, and runs of equal ones.

A buffer is cut where it lies: small payloads are copied out of it, large ones are views that keep it alive. What is
left of a message at the end of a buffer waits in one of three ways. A part of a small message is kept as pieces and
joined once the rest is there. A large one gets a buffer of its own, into which the caller may receive directly
(`receive_buffer`, `received`). And one that is larger than permitted is skipped, and handed on as a failure.

So every byte is copied at most twice however the bytes are split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from caclient.errors import RemoteProtocolError
from caclient.protocol.command import MAX_TEXT, Command, Payload, WithStatus
from caclient.protocol.commands import EventAddResponse, ReadNotifyResponse
from caclient.protocol.crowds import CREATION, PAIR_SIZE, RIGHTS_ID, Pairs, find_pairs
from caclient.protocol.header import ALIGNMENT, EXTENDED_SIZE, MARK, SHORT, SHORT_SIZE, Header
from caclient.protocol.runs import MIN_RUN, NORMAL, Run, find_run
from caclient.protocol.status import ECA_TOLARGE

Item: TypeAlias = "Command | Run | Pairs"

SMALL = 4096
"""Payloads up to this size are copied out of the receive buffer, so that they do not keep all of it alive."""
LARGE = 65536
"""Messages from this size on get a buffer of their own while they are incomplete."""
MAX_PAYLOAD = 0xFFFFFFFF
"""What 32 bits can say."""
_MARK = MARK.to_bytes(2, "big")
_MISALIGNED = ALIGNMENT - 1
_RUN_COMMANDS = (EventAddResponse.ID, ReadNotifyResponse.ID)
_AHEAD = MIN_RUN - 1
_HEAD = 12  # bytes of a header before the id
_NOTHING = bytes(ALIGNMENT)


class Stream:
    """One direction of a circuit. After an error it must not be fed again.

    :param largest: bytes of payload that a message can have by what is known of its channel; asked for large ones only.
    """

    __slots__ = (
        "_buffer",
        "_classes",
        "_filled",
        "_held",
        "_largest",
        "_max_payload",
        "_needed",
        "_ordinary",
        "_pieces",
        "_skip",
        "_unfinished",
    )

    def __init__(
        self,
        classes: dict[int, type[Command]],
        max_payload: int | None = None,
        largest: Callable[[Header], int] | None = None,
    ) -> None:
        self._classes = classes
        self._largest = largest
        self.permit(max_payload)
        self._pieces: list[bytes] = []
        self._held = 0  # bytes in _pieces
        self._needed = 0  # bytes that _pieces must reach to go on
        self._unfinished: Command | None = None  # whose payload is received into _buffer, or skipped
        self._buffer: memoryview | None = None
        self._filled = 0  # bytes in _buffer
        self._skip = 0  # bytes still to be skipped

    def permit(self, max_payload: int | None) -> None:
        """Bytes of payload that a message may have; None: as many as 32 bits can say."""
        self._max_payload = max_payload
        self._ordinary = SMALL if max_payload is None else min(SMALL, max_payload)

    @property
    def needed(self) -> int:
        """Bytes missing to the end of what is known of the next message; 0 between messages."""
        if self._buffer is not None:
            return len(self._buffer) - self._filled
        return self._skip or self._needed - self._held

    def receive_buffer(self) -> memoryview | None:
        """Where the rest of a large payload may be received into directly; None if there is none under way."""
        return None if self._buffer is None else self._buffer[self._filled :]

    def received(self, number: int) -> Command | None:
        """Take note of `number` bytes received into `receive_buffer()`: the command, if that completes it."""
        assert self._buffer is not None
        assert self._unfinished is not None
        self._filled += number
        if self._filled < len(self._buffer):
            return None
        command, self._unfinished = self._unfinished, None
        command.payload, self._buffer = self._buffer, None
        return command

    def feed(self, data: bytes, runs: bool = False) -> Iterator[Item]:
        """The messages that end in `data`, equal ones as runs if asked for; RemoteProtocolError if one is malformed."""
        if self._held or self._unfinished is not None:
            data, waited = self._continued(data)
            if waited is not None:
                yield waited
        offset, end, singles_until = 0, len(data), 0
        classes, unpack, ordinary = self._classes, SHORT.unpack_from, self._ordinary
        while end - offset >= SHORT_SIZE:
            number, size, type_field, count, parameter1, parameter2 = unpack(data, offset)
            stop = offset + SHORT_SIZE + size
            if runs and count == 1 and parameter1 == NORMAL and number in _RUN_COMMANDS and offset >= singles_until:
                ahead = offset + _AHEAD * (SHORT_SIZE + size)
                if ahead < end and data[offset : offset + _HEAD] == data[ahead : ahead + _HEAD]:
                    run = find_run(classes[number], data, offset, type_field, size)
                    if run is not None:
                        yield run
                        offset += len(run) * (SHORT_SIZE + size)
                        continue
                    singles_until = ahead
            if number == RIGHTS_ID and runs and data[stop : stop + len(CREATION)] == CREATION:
                pairs = find_pairs(data, offset)
                if pairs is not None:
                    yield pairs
                    offset += len(pairs.rows) * PAIR_SIZE
                    continue
            kind = classes.get(number)
            if kind is None or size & _MISALIGNED or size > ordinary or stop > end:
                unusual, offset = self._unusual(data, offset)
                if unusual is None:
                    return
                yield unusual
                continue
            command = kind.__new__(kind)
            command.type_field = type_field
            command.count_field = count
            command.parameter1 = parameter1
            command.parameter2 = parameter2
            command.payload = data[offset + SHORT_SIZE : stop] if size else b""
            command.extended = False
            command.owner = None
            offset = stop
            yield command
        if offset < end:
            self._keep(data[offset:], SHORT_SIZE)

    # ---- the general path: any header, any size, malformed or incomplete

    def _unusual(self, data: bytes, offset: int) -> tuple[Command | None, int]:
        """The command at `offset` and where it ends; None if its end has not come, and it is waited for."""
        have = len(data) - offset
        if data[offset + 2 : offset + 4] == _MARK and have < EXTENDED_SIZE:
            self._keep(data[offset:], EXTENDED_SIZE)
            return None, len(data)
        header = Header.from_bytes(data, offset)
        kind = self._checked(header)
        body = offset + header.size
        stop = body + header.payload_size
        if header.payload_size > self._permitted(kind, header):
            return self._skipped(kind, header, len(data) - body), min(stop, len(data))
        if stop <= len(data):
            return kind.from_header(header, _cut(data, body, stop)), stop
        if stop - offset < LARGE:
            self._keep(data[offset:], stop - offset)
        else:
            self._begin(kind.from_header(header), memoryview(data)[body:], header.payload_size)
        return None, len(data)

    def _checked(self, header: Header) -> type[Command]:
        """The class of a message; RemoteProtocolError if there is none, or it cannot be as long as it says."""
        kind = self._classes.get(header.command)
        if kind is None:
            raise RemoteProtocolError(f"received an unknown command: {header}")
        if header.payload_size % ALIGNMENT:
            raise RemoteProtocolError(f"received {kind.__name__} with a payload that is no multiple of 8: {header}")
        if header.payload_size > MAX_TEXT and not kind.CARRIES_DATA:
            raise RemoteProtocolError(f"received {kind.__name__} with an impossible payload: {header}")
        return kind

    def _permitted(self, kind: type[Command], header: Header) -> int:
        if not kind.CARRIES_DATA:
            return MAX_PAYLOAD
        permitted = MAX_PAYLOAD if self._max_payload is None else self._max_payload
        if self._largest is None or header.payload_size <= SMALL:
            return permitted
        return min(permitted, self._largest(header))

    def _skipped(self, kind: type[Command], header: Header, have: int) -> Command | None:
        """Leave a payload out that is larger than permitted: the failure to hand on, once all of it has come."""
        if not issubclass(kind, WithStatus):
            raise RemoteProtocolError(
                f"received {kind.__name__} with a payload over the maximum of {self._permitted(kind, header)} bytes: "
                f"{header}"
            )
        failure = header._replace(data_count=0, parameter1=ECA_TOLARGE.code_with_severity)
        command: Command = kind.from_header(failure, _NOTHING)
        self._skip = max(header.payload_size - have, 0)
        if self._skip:
            self._unfinished = command
            return None
        return command

    def _begin(self, command: Command, have: memoryview, size: int) -> None:
        """Take a buffer for a large payload of which `have` has come."""
        try:
            self._buffer = np.empty(size, np.uint8).data
        except MemoryError:
            raise RemoteProtocolError(f"received {command.header}: no memory for {size} bytes") from None
        self._unfinished = command
        self._filled = len(have)
        self._buffer[: self._filled] = have

    def _keep(self, data: bytes, needed: int) -> None:
        """Keep the part of a message that has come until it has `needed` bytes."""
        self._pieces = [data]
        self._held = len(data)
        self._needed = needed

    def _continued(self, data: bytes) -> tuple[bytes, Command | None]:
        """What to go on with when `data` follows what was kept, and the command that it completes."""
        if self._unfinished is None:
            return self._joined(data), None
        if self._buffer is None:
            return self._skip_more(data)
        number = min(len(data), len(self._buffer) - self._filled)
        self._buffer[self._filled : self._filled + number] = data[:number]
        return data[number:], self.received(number)

    def _joined(self, data: bytes) -> bytes:
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._needed:
            return b""
        data = b"".join(self._pieces)
        self._pieces = []
        self._held = self._needed = 0
        return data

    def _skip_more(self, data: bytes) -> tuple[bytes, Command | None]:
        number = min(len(data), self._skip)
        self._skip -= number
        if self._skip:
            return b"", None
        command, self._unfinished = self._unfinished, None
        return data[number:], command


def _cut(data: bytes, start: int, stop: int) -> Payload:
    return data[start:stop] if stop - start <= SMALL else memoryview(data)[start:stop]
