"""Updates built beforehand, so that a server can send them as fast as TCP takes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from caclient.dbr.decode import run_dtype
from caclient.ioc.monitor import Monitor
from caclient.ioc.snapshot import Snapshot
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from caclient.protocol.status import ECA_NORMAL

BLOCK = 2000
"""Updates in a block; between two blocks the server sees whether the client has had enough."""


def prebuilt(monitor: Monitor, snapshot: Snapshot, updates: int) -> Iterator[bytes]:
    """Blocks of updates of a scalar subscription with the values 0, 1, 2, ... as far as its type goes."""
    payload, count = snapshot.payload(monitor.data_type, 1)
    number = ECA_NORMAL.code_with_severity
    header = Header(ca.EventAddResponse.ID, len(payload), monitor.data_type, count, number, monitor.subscription_id)
    rows = np.frombuffer(header.to_bytes() + payload, run_dtype(monitor.data_type)).repeat(BLOCK)
    for start in range(0, updates, BLOCK):
        block = rows[: min(BLOCK, updates - start)]
        block["value"] = np.arange(start, start + len(block))
        yield block.tobytes()
