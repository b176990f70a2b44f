"""What all commands share: the six header fields under the names of their own class, the payload, and who asked.

A command is its header fields as they stand on the wire. A class gives them their names by aliasing the slots
(`sid = PARAMETER1`), which costs nothing to read; what has to be decoded (text, data, status) is a property that
decodes when it is asked. So building a command from received bytes is seven assignments whatever its class.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import Any, ClassVar, TypeAlias

from caclient.dbr.decode import Values, decode, decode_array_inplace, decode_metadata
from caclient.dbr.encode import encode
from caclient.dbr.metadata import Metadata
from caclient.dbr.text import cut, to_bytes, to_text
from caclient.dbr.types import ChannelType
from caclient.errors import DecodeError, LocalProtocolError, RemoteProtocolError
from caclient.protocol.header import ALIGNMENT, EXTENDED, MARK, SHORT, Header
from caclient.protocol.status import CAStatusCode, status_of

Payload: TypeAlias = "bytes | bytearray | memoryview"

MAX_TEXT = 0xFFF0
"""Bytes of the longest payload that a command without data may have; a name is far shorter."""
NOBODY = 0xFFFFFFFF
"""In place of a cid: no channel in particular. In place of an address: the one that this came from."""

_CHANNEL_TYPES: dict[int, ChannelType] = {int(t): t for t in ChannelType}


class Role(Enum):
    """The side of a circuit that a program is on."""

    CLIENT = "client"
    SERVER = "server"

    def __repr__(self) -> str:
        return self.name

    @property
    def peer(self) -> Role:
        """The other side."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT


CLIENT = Role.CLIENT
SERVER = Role.SERVER


class Command:
    """A message of Channel Access; its subclasses are all there is, one for each command and direction.

    `owner` says who asked: the circuit sets it on what it receives from what it was given to send.
    `extended` asks for the long header where the short one would do.
    """

    __slots__ = ("count_field", "extended", "owner", "parameter1", "parameter2", "payload", "type_field")

    ID: ClassVar[int]
    SENDER: ClassVar[Role]
    FIELDS: ClassVar[tuple[str, ...]] = ()
    CARRIES_DATA: ClassVar[bool] = False

    type_field: int
    count_field: int
    parameter1: int
    parameter2: int
    payload: Payload
    extended: bool
    owner: Any

    def __init__(
        self,
        type_field: int = 0,
        count_field: int = 0,
        parameter1: int = 0,
        parameter2: int = 0,
        payload: Payload = b"",
    ) -> None:
        self.type_field = type_field
        self.count_field = count_field
        self.parameter1 = parameter1
        self.parameter2 = parameter2
        self.payload = payload
        self.extended = False
        self.owner = None

    @classmethod
    def from_header(cls, header: Header, payload: Payload = b"") -> Any:
        """The command that a received header and its payload are; `header.command` is taken to be right."""
        command = cls.__new__(cls)
        Command.__init__(command, header.data_type, header.data_count, header.parameter1, header.parameter2, payload)
        command.extended = header.extended
        return command

    @property
    def header(self) -> Header:
        """The header as it goes over the wire."""
        size, count = len(self.payload), self.count_field
        extended = self.extended or size >= MARK or count >= MARK
        return Header(self.ID, size, self.type_field, count, self.parameter1, self.parameter2, extended)

    def header_bytes(self) -> bytes:
        """The header packed; LocalProtocolError if a number does not fit its field."""
        size, count = len(self.payload), self.count_field
        try:
            if size < MARK and count < MARK and not self.extended:
                return SHORT.pack(self.ID, size, self.type_field, count, self.parameter1, self.parameter2)
            return EXTENDED.pack(self.ID, MARK, self.type_field, 0, self.parameter1, self.parameter2, size, count)
        except struct.error as error:
            raise LocalProtocolError(f"a number does not fit its field: {error}: {self!r}") from None

    def to_bytes(self) -> bytes:
        """The whole message."""
        payload = self.wire_payload()
        return self.header_bytes() + payload if payload else self.header_bytes()

    def wire_payload(self) -> Payload:
        """The payload as it goes over the wire."""
        return self.payload

    def shown(self) -> tuple[str, ...]:
        """Names of the fields that `repr` shows."""
        return self.FIELDS

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Command):
            return NotImplemented
        return self.__class__ is other.__class__ and self._content() == other._content()

    def __hash__(self) -> int:
        return hash((self.ID, self.type_field, self.count_field, self.parameter1, self.parameter2))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={self._shown(name)}' for name in self.shown())})"

    def _content(self) -> tuple[object, ...]:
        payload = bytes(self.wire_payload())
        return self.type_field, self.count_field, self.parameter1, self.parameter2, payload

    def _shown(self, name: str) -> str:
        try:
            return repr(getattr(self, name))
        except RemoteProtocolError as error:
            return f"<{error}>"


def _slot(name: str) -> int:
    """A slot of Command, to be given another name in a subclass; to a type checker, the number in it."""
    return Command.__dict__[name]  # type: ignore[no-any-return]


TYPE_FIELD = _slot("type_field")
COUNT_FIELD = _slot("count_field")
PARAMETER1 = _slot("parameter1")
PARAMETER2 = _slot("parameter2")


class Typed(Command):
    """A command that speaks of values: its type and count."""

    __slots__ = ()

    data_count = COUNT_FIELD

    @property
    def data_type(self) -> ChannelType | int:
        """The DBR type; a plain number if there is no such type."""
        number = self.type_field
        return _CHANNEL_TYPES.get(number, number)


class WithStatus(Typed):
    """A reply that says how its request went."""

    __slots__ = ()

    @property
    def status(self) -> CAStatusCode:
        """What the server says."""
        return status_of(self.parameter1)

    @property
    def successful(self) -> bool:
        """Whether the status is one of success."""
        return self.parameter1 & 1 == 1


class WithData(Typed):
    """A command that carries values, decoded when they are first asked for.

    A payload that was received into a buffer of its own is decoded in place: from then on `payload` is the array's
    memory and no longer what was on the wire.
    """

    __slots__ = ("_decoded",)

    CARRIES_DATA = True
    _decoded: tuple[Metadata | None, Values]

    @property
    def data(self) -> Values:
        """The values: an array in native byte order, or a tuple of bytes; DecodeError if the payload is short."""
        return self._decode()[1]

    @property
    def metadata(self) -> Metadata | None:
        """Alarm, time stamp and the rest; None for a plain type."""
        return self._decode()[0]

    def wire_payload(self) -> Payload:
        """The payload as it goes over the wire, made anew if it has been decoded in place."""
        if not (_is_writable(self.payload) and hasattr(self, "_decoded")):
            return self.payload
        metadata, data = self._decoded
        payload = encode(self.type_field, self.count_field, data, metadata)[0]
        return payload.ljust(len(self.payload), b"\0")

    def let_go(self) -> None:
        """Keep no values, for one whose header is all that is still needed."""
        self.payload = b""
        if hasattr(self, "_decoded"):
            del self._decoded

    def _decode(self) -> tuple[Metadata | None, Values]:
        try:
            return self._decoded
        except AttributeError:
            pass
        if _is_writable(self.payload):
            metadata = decode_metadata(self.type_field, self.payload)
            self._decoded = metadata, decode_array_inplace(self.payload, self.type_field, self.count_field)
        else:
            self._decoded = decode(self.type_field, self.count_field, self.payload)
        return self._decoded


class WithName(Command):
    """A command whose payload is text."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The text up to its NUL."""
        return to_text(cut(bytes(self.payload)))


class WithChannel(Command):
    """A message about one channel, named by the client's id."""

    __slots__ = ()

    FIELDS: ClassVar[tuple[str, ...]] = ("cid",)
    cid = PARAMETER1

    def __init__(self, cid: int) -> None:
        super().__init__(0, 0, cid)


def text_payload(text: str) -> bytes:
    """Text with its NUL, padded; LocalProtocolError if it holds a NUL or is beyond any measure."""
    raw = to_bytes(text)
    if b"\0" in raw:
        raise LocalProtocolError(f"text with a NUL in it cannot be sent: {text[:80]!r}")
    if len(raw) >= MAX_TEXT:
        raise LocalProtocolError(f"text of {len(raw)} bytes cannot be sent: {text[:40]!r}...")
    return raw.ljust(len(raw) + ALIGNMENT & -ALIGNMENT, b"\0")


def data_payload(
    data: Any, data_type: int, data_count: int | None, metadata: Metadata | None, shorten: bool = False
) -> tuple[bytes, int]:
    """Values as a payload and their count; None stands for zeros, as a server sends with a failure."""
    try:
        return encode(data_type, data_count, () if data is None else data, metadata, shorten)
    except DecodeError as error:  # no such type: on our side that is our fault
        raise LocalProtocolError(str(error)) from None


def status_number(status: int | CAStatusCode) -> int:
    """A status as it goes over the wire."""
    return status if isinstance(status, int) else status.code_with_severity


def _is_writable(payload: Payload) -> bool:
    return type(payload) is memoryview and not payload.readonly
