"""Bytes that no honest server sends: answers of another shape, claims without end, storms. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice

from caclient.dbr.types import layout_of, padded, payload_size
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from tests.faults.script import Change, pack, rewritten

BLOCK = 1 << 16
"""Bytes of a block; between two blocks the server looks at its client."""


def reshaped(data_type: int | None, count: int | None, payload: bytes | None = None) -> Change:
    """A reply with values of another type, or with that many elements: well-formed, and not what was asked for."""

    def reshape(data: bytes) -> bytes:
        header = Header.from_bytes(data)
        kind = header.data_type if data_type is None else data_type
        number = header.data_count if count is None else count
        size = padded(payload_size(kind, number))
        body = (payload or b"")[:size].ljust(size, b"\0")
        return pack(header._replace(data_type=kind, data_count=number, payload_size=size)) + body

    return rewritten(reshape)


def claiming(size: int = 0xFFFF_FFF8) -> Change:
    """A header that claims that many bytes of payload, with as many elements as that makes, before what there is."""

    def claim(data: bytes) -> bytes:
        header = Header.from_bytes(data)
        layout = layout_of(header.data_type)
        count = (size - layout.value_offset) // layout.value_size
        return pack(header._replace(payload_size=size, data_count=count, extended=True)) + data[header.size :]

    return rewritten(claim)


def zeros(size: int) -> Iterator[bytes]:
    """That many bytes, block by block: what follows a claim."""
    block = bytes(BLOCK)
    for start in range(0, size, BLOCK):
        yield block[: size - start]


def repeated(commands: list[ca.Command | bytes], times: int) -> Iterator[bytes]:
    """The messages again and again, `times` altogether, in blocks."""
    wire = [each if isinstance(each, bytes) else each.to_bytes() for each in commands]
    each_block = max(1, BLOCK // max(map(len, wire)))
    source = islice(cycle(wire), times)
    while block := b"".join(islice(source, each_block)):
        yield block
