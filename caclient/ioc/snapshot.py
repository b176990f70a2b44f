"""A record at one moment: never changes, and knows its bytes for every DBR type.

Queues and replies hold snapshots, not records, so a value, its alarm and its time stamp always belong together.
Payloads are kept once made: a thousand clients that watch one record cost one encoding.
"""

from __future__ import annotations

from caclient.dbr.convert import convert
from caclient.dbr.decode import Values
from caclient.dbr.encode import encode
from caclient.dbr.metadata import Metadata
from caclient.dbr.stamps import TimeStamp
from caclient.dbr.text import to_bytes
from caclient.dbr.types import ChannelType, layout_of
from caclient.errors import BadValueError

from .properties import Properties

_MOST_SCALARS = 100
_MOST_ARRAYS = 8
"""Encodings that are kept: clients ask for few, unless they mean to fill the memory."""
_UNREADABLE = (ChannelType.PUT_ACKT, ChannelType.PUT_ACKS)


class Snapshot:
    """Values with alarm, time stamp and properties. Any thread."""

    __slots__ = (
        "native", "capacity", "values", "status", "severity", "stamp", "properties", "ackt", "acks", "record_type",
        "_payloads",
    )  # fmt: skip

    def __init__(
        self,
        native: ChannelType,
        capacity: int,
        values: Values,
        status: int,
        severity: int,
        stamp: TimeStamp,
        properties: Properties,
        *,
        ackt: int = 1,
        acks: int = 0,
        record_type: str = "",
    ) -> None:
        self.native = native
        self.capacity = capacity
        self.values = values
        self.status = status
        self.severity = severity
        self.stamp = stamp
        self.properties = properties
        self.ackt = ackt
        self.acks = acks
        self.record_type = record_type
        self._payloads: dict[tuple[int, int], tuple[bytes, int]] = {}

    def payload(self, data_type: int, count: int) -> tuple[bytes, int]:
        """Padded payload and its element count; `count` 0 is the current length, zeros fill up what is missing.

        BadValueError if the record cannot be read as that type.
        """
        key = (data_type, count)
        known = self._payloads.get(key)
        if known is None:
            known = self._encode(data_type, count)
            if len(self._payloads) < (_MOST_ARRAYS if self.capacity > 1 else _MOST_SCALARS) and count <= self.capacity:
                self._payloads[key] = known
        return known

    def _encode(self, data_type: int, count: int) -> tuple[bytes, int]:
        if data_type in _UNREADABLE:
            raise BadValueError(f"{ChannelType(data_type).name} can only be written")
        values = self._converted(data_type)
        return encode(data_type, count or None, values[:count] if count else values, self._metadata(data_type))

    def _converted(self, data_type: int) -> Values:
        if data_type == ChannelType.CLASS_NAME:
            return (to_bytes(self.record_type),)
        names, precision = self.properties.wire_enum_strings, self.properties.precision
        return convert(self.values, self.native, layout_of(data_type).native, names, precision)

    def _metadata(self, data_type: int) -> Metadata | None:
        """Everything the type's struct may ask for."""
        layout = layout_of(data_type)
        if not layout.fields:
            return None
        metadata = Metadata(self.status, self.severity, self.stamp, ackt=self.ackt, acks=self.acks)
        properties = self.properties
        if "units" in layout.fields:
            metadata.units = properties.wire_units
            metadata.precision = properties.precision
            for name, limit in properties.wire_limits().items():
                setattr(metadata, name, limit)
        elif "enum_strings" in layout.fields:
            metadata.enum_strings = properties.wire_enum_strings if self.native == ChannelType.ENUM else ()
            metadata.no_str = len(metadata.enum_strings or ())
        return metadata
