"""What may happen to a message between two peers: bits, splits, duplicates, foreign ids, giant claims, silence, resets.

Sans-I/O, and with bytes written out here, so that no fault of the package under test can make a mutation tame. A
`Mutator` has one direction of one conversation: it is fed what one peer sends and says what the other is to get.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SHORT = struct.Struct(">HHHHII")
LONG = struct.Struct(">HHHHIIII")
_MARK = 0xFFFF
_NUMBERS = (0, 1, 2, 7, 8, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF)
_COMMANDS = tuple(range(28))
_AFTER_CLAIM = 2_000_000
"""Bytes that really follow a giant claim."""


@dataclass(frozen=True)
class Step:
    """What to do next: write `data`, then "" (go on), "breathe", "silence", "reset" or "close"."""

    data: bytes
    then: str = ""


Steps = list[Step]


class Mutator:
    """Lets messages through until the one that is to suffer; after it, all goes on as it came.

    `kinds` counts what was done to messages.
    """

    def __init__(self, seed: int, mutations: int, within: int = 24) -> None:
        self.kinds: list[str] = []
        self._random = random.Random(seed)
        self._due = sorted(self._random.randrange(within) for _ in range(mutations))
        self._seen: list[bytes] = []
        self._held = b""
        self._swapped = b""
        self._number = 0

    def feed(self, data: bytes) -> Iterator[Step]:
        """What becomes of these bytes."""
        self._held += data
        while message := self._next():
            number, self._number = self._number, self._number + 1
            if len(self._seen) < 100:
                self._seen.append(message[:4096])
            if self._due and number == self._due[0]:
                self._due.pop(0)
                yield from self._suffer(message)
            else:
                yield Step(message + self._swapped)
                self._swapped = b""

    def _next(self) -> bytes:
        """The first whole message of what has come; nothing if there is none yet."""
        held = self._held
        if len(held) < SHORT.size:
            return b""
        size = SHORT.unpack_from(held)[1]
        length = SHORT.size + size
        if size == _MARK:
            if len(held) < LONG.size:
                return b""
            length = LONG.size + LONG.unpack_from(held)[6]
        if len(held) < length:
            return b""
        self._held = held[length:]
        return held[:length]

    def _suffer(self, message: bytes) -> Steps:
        name = self._random.choice(sorted(KINDS))
        self.kinds.append(name)
        steps: Steps = getattr(self, f"_{name}")(message)
        return steps

    def _bits(self, message: bytes) -> Steps:
        changed = bytearray(message)
        reach = len(changed) if self._random.random() < 0.4 else SHORT.size  # headers are what matters most
        for _ in range(self._random.choice((1, 1, 2, 8))):
            changed[self._random.randrange(reach)] ^= 1 << self._random.randrange(8)
        return [Step(bytes(changed))]

    def _field(self, message: bytes) -> Steps:
        fields = list(SHORT.unpack_from(message))
        index = self._random.randrange(6)
        number = self._random.choice(_COMMANDS if index == 0 else _NUMBERS)
        fields[index] = number & (0xFFFF if index < 4 else 0xFFFFFFFF)
        return [Step(SHORT.pack(*fields) + message[SHORT.size :])]

    def _split(self, message: bytes) -> Steps:
        size = self._random.choice((1, 2, 5, 15, 17))
        pieces = [message[i : i + size] for i in range(0, len(message), size)]
        return [Step(piece, "breathe") for piece in pieces[:400]] + [Step(b"".join(pieces[400:]))]

    def _duplicate(self, message: bytes) -> Steps:
        return [Step(message * self._random.choice((2, 2, 3, 500)))]

    def _replay(self, message: bytes) -> Steps:
        return [Step(self._random.choice(self._seen)), Step(message)]

    def _lose(self, _message: bytes) -> Steps:
        return []

    def _swap(self, message: bytes) -> Steps:
        """It comes after the next one."""
        self._swapped = message
        return []

    def _foreign(self, message: bytes) -> Steps:
        """The ids are those of something else."""
        other = SHORT.unpack_from(self._random.choice(self._seen))
        command, size, kind, count, p1, p2 = SHORT.unpack_from(message)
        near = self._random.randrange(1, 9)
        p1, p2 = self._random.choice(((other[4], p2), (p1, other[5]), (other[4], other[5]), (p2, p1), (p1, p2 + near)))
        return [Step(SHORT.pack(command, size, kind, count, p1, p2 & 0xFFFFFFFF) + message[SHORT.size :])]

    def _giant(self, message: bytes) -> Steps:
        """A claim of up to 4 GB, of which something comes, and then no more."""
        command, _, kind, _, p1, p2 = SHORT.unpack_from(message)
        size = self._random.choice((1 << 20, 1 << 28, 0x7FFFFFF8, 0xFFFFFFF8))
        count = self._random.choice((size // 8, 1, 0, 0xFFFFFFFF))
        body = bytes(self._random.choice((0, 1000, _AFTER_CLAIM)))
        return [Step(LONG.pack(command, _MARK, kind, 0, p1, p2, size, count) + body, "silence")]

    def _more(self, message: bytes) -> Steps:
        """Other elements or another type than asked for, in a well-formed message."""
        command, _, _, _, p1, p2 = SHORT.unpack_from(message)
        kind, count = self._random.randrange(39), self._random.choice((0, 1, 2, 100))
        body = self._random.randbytes(8 * self._random.choice((0, 1, 5, 100)))
        return [Step(SHORT.pack(command, len(body), kind, count, p1, p2) + body)]

    def _garbage(self, message: bytes) -> Steps:
        return [Step(self._random.randbytes(self._random.randrange(1, 200))), Step(message)]

    def _cut(self, message: bytes) -> Steps:
        return [Step(message[: self._random.randrange(len(message))])]

    def _silence(self, message: bytes) -> Steps:
        return [Step(message[: self._random.choice((0, 8, len(message)))], "silence")]

    def _reset(self, message: bytes) -> Steps:
        return [Step(message[: self._random.choice((0, 8, len(message)))], "reset")]

    def _close(self, message: bytes) -> Steps:
        return [Step(message[: self._random.choice((0, 8, len(message)))], "close")]


KINDS = frozenset(
    (
        "bits", "field", "split", "duplicate", "replay", "lose", "swap", "foreign", "giant", "more", "garbage", "cut",
        "silence", "reset", "close",
    )
)  # fmt: skip
