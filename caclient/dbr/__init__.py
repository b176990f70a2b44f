"""Values of Channel Access: DBR types, alarms, time stamps, and their bytes."""

from __future__ import annotations

from caclient.dbr.alarms import AlarmSeverity, AlarmStatus
from caclient.dbr.decode import (
    decode,
    decode_array_inplace,
    decode_metadata,
    decode_reading,
    decode_rows,
    decode_run,
    run_dtype,
    run_values,
    scalar_decoder,
)
from caclient.dbr.encode import encode, encode_metadata
from caclient.dbr.metadata import Metadata
from caclient.dbr.reading import NOWHERE, ControlInfo, Limits, Origin, Reading, Reason
from caclient.dbr.stamps import EPICS_EPOCH, TimeStamp
from caclient.dbr.text import cut, to_bytes, to_text
from caclient.dbr.types import (
    LAYOUTS,
    ChannelType,
    Layout,
    ctrl_type,
    gr_type,
    native_type,
    padded,
    payload_size,
    sts_type,
    time_type,
)

__all__ = [
    "EPICS_EPOCH",
    "LAYOUTS",
    "NOWHERE",
    "AlarmSeverity",
    "AlarmStatus",
    "ChannelType",
    "ControlInfo",
    "Layout",
    "Limits",
    "Metadata",
    "Origin",
    "Reading",
    "Reason",
    "TimeStamp",
    "ctrl_type",
    "cut",
    "decode",
    "decode_array_inplace",
    "decode_metadata",
    "decode_reading",
    "decode_rows",
    "decode_run",
    "encode",
    "encode_metadata",
    "gr_type",
    "native_type",
    "padded",
    "payload_size",
    "run_dtype",
    "run_values",
    "scalar_decoder",
    "sts_type",
    "time_type",
    "to_bytes",
    "to_text",
]
