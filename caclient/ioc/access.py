"""What becomes of a read or a write: done, or refused with a status."""

from __future__ import annotations

from caclient.dbr.types import ChannelType, layout_of, padded, payload_size
from caclient.errors import BadValueError
from caclient.protocol import commands as ca
from caclient.protocol.status import (
    ECA_GETFAIL,
    ECA_NORDACCESS,
    ECA_NORMAL,
    ECA_NOWTACCESS,
    ECA_PUTFAIL,
    ECA_TOLARGE,
    CAStatusCode,
)

from .completion import Completion
from .record import Record
from .snapshot import Snapshot

_MOST_ZEROS = 1 << 20
"""Bytes of zeros that a client gets for asking for more elements than there are, whatever the claim."""

Told = tuple[CAStatusCode, bytes, int]
"""Status, payload and element count of a reply."""


class Refused(Exception):
    """A write that a record does not take; where user code failed, that is the cause (`__cause__`)."""

    def __init__(self, status: CAStatusCode) -> None:
        super().__init__(status.name)
        self.status = status


def read(record: Record, data_type: int, count: int) -> Told:
    """The reply to a read; DecodeError if there is no such type."""
    if not record.access & ca.AccessRights.READ:
        return zeros(ECA_NORDACCESS, data_type, count)
    return read_snapshot(record.snapshot, data_type, count)


def read_snapshot(snapshot: Snapshot, data_type: int, count: int) -> Told:
    """The same of values taken before."""
    if count > snapshot.capacity and payload_size(data_type, count) > _MOST_ZEROS:
        return zeros(ECA_TOLARGE, data_type, 0)
    try:
        return (ECA_NORMAL, *snapshot.payload(data_type, count))
    except BadValueError:
        return zeros(ECA_GETFAIL, data_type, count)


def zeros(status: CAStatusCode, data_type: int, count: int) -> Told:
    """What stands in for data that cannot be had: zeros, as many as were asked for within reason."""
    size = padded(payload_size(data_type, count))
    if size > _MOST_ZEROS:
        size, count = padded(layout_of(data_type).value_offset), 0
    return status, bytes(size), count


def write(record: Record, command: ca.WriteRequest | ca.WriteNotifyRequest) -> Completion | None:
    """Put what the command carries; Refused if the client may not, or the record will not have it."""
    if not record.access & ca.AccessRights.WRITE:
        raise Refused(ECA_NOWTACCESS)
    data_type = command.type_field
    compound = bool(layout_of(data_type).fields) or data_type == ChannelType.CLASS_NAME
    if compound and isinstance(command, ca.WriteNotifyRequest):  # as rsrv has it, which takes a plain WRITE of these
        raise Refused(ECA_PUTFAIL)
    data = command.data
    try:
        return record.put(data_type, data)
    except BadValueError:
        raise Refused(ECA_PUTFAIL) from None
    except Exception as error:
        raise Refused(ECA_PUTFAIL) from error
