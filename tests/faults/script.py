"""What goes wrong: an ordered list of faults, through which every reply passes before it is sent. No I/O.

A `Parcel` is one reply on its way: its bytes, when to send them, in what pieces, what becomes of the connection then.
Each fault changes the parcels of the replies that it is about; a fault with a number of `times` is used up by them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from caclient.protocol import commands as ca
from caclient.protocol.header import EXTENDED, MARK, Header
from tests.faults.kinds import KINDS, is_kind


@dataclass(frozen=True)
class Parcel:
    """One reply on its way; `then` is what happens to the connection behind it: "", "reset", "close" or "stall"."""

    command: ca.Command
    data: bytes
    delay: float = 0.0
    piece: int = 0
    copies: int = 1
    then: str = ""

    @property
    def pieces(self) -> list[bytes]:
        """What to hand to the socket, write by write."""
        data = self.data * self.copies
        step = self.piece or len(data) or 1
        return [data[i : i + step] for i in range(0, len(data), step)]


Change = Callable[[Parcel], Parcel]


@dataclass
class Fault:
    """A change to replies of one kind, `times` often (None: for ever), after the first `skip` of them."""

    kind: str
    change: Change
    times: int | None = 1
    skip: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no kind {self.kind!r} of reply: {', '.join(KINDS)}")

    def apply(self, parcel: Parcel) -> Parcel:
        """The parcel as it is after this fault."""
        if self.times == 0 or not is_kind(parcel.command, self.kind):
            return parcel
        if self.skip:
            self.skip -= 1
            return parcel
        if self.times is not None:
            self.times -= 1
        return self.change(parcel)


@dataclass
class Script:
    """The faults in force. Any thread adds them, the server's uses them."""

    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> Fault:
        """Bring one more into force; `remove` it, or let its times run out."""
        with self.lock:
            self.faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Put one out of force."""
        with self.lock:
            self.faults.remove(fault)

    def clear(self) -> None:
        """Put all out of force."""
        with self.lock:
            self.faults.clear()

    def parcel(self, command: ca.Command, data: bytes) -> Parcel:
        """A reply as the faults leave it."""
        parcel = Parcel(command, data)
        with self.lock:
            for fault in self.faults:
                parcel = fault.apply(parcel)
            self.faults = [fault for fault in self.faults if fault.times != 0]
        return parcel


def delayed(seconds: float) -> Change:
    """Sent that much later; what was to follow overtakes it."""
    return lambda parcel: replace(parcel, delay=parcel.delay + seconds)


def dropped(parcel: Parcel) -> Parcel:
    """Never sent."""
    return replace(parcel, data=b"")


def repeated(copies: int) -> Change:
    """Sent that often."""
    return lambda parcel: replace(parcel, copies=copies)


def split(size: int) -> Change:
    """Written in pieces of that many bytes."""
    return lambda parcel: replace(parcel, piece=size)


def truncated(keep: int | None, then: str) -> Change:
    """Only the first bytes (None: half of them), and then the connection is reset, closed or stalled."""
    return lambda parcel: replace(
        parcel, data=parcel.data[: len(parcel.data) // 2 if keep is None else keep], then=then
    )


def ended(then: str) -> Change:
    """Sent, and then the connection is reset, closed or stalled."""
    return lambda parcel: replace(parcel, then=then)


def rewritten(rewrite: Callable[[bytes], bytes]) -> Change:
    """Other bytes."""
    return lambda parcel: replace(parcel, data=rewrite(parcel.data))


def lying(**fields: int) -> Change:
    """A header that says something else (fields of Header, `command` included) before the same payload."""

    def lie(data: bytes) -> bytes:
        header = Header.from_bytes(data)
        return pack(header._replace(**fields)) + data[header.size :]

    return rewritten(lie)


def pack(header: Header) -> bytes:
    """A header with whatever it says, in the long form if the numbers need it."""
    if header.extended or header.payload_size >= MARK or header.data_count >= MARK:
        command, size, data_type, count, p1, p2, _ = header
        return EXTENDED.pack(command, MARK, data_type, 0, p1, p2, size, count)
    return header.to_bytes()
