"""The IOC that is watched, in a process of its own."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

from caclient import Config
from caclient.ioc import IOC, Record


def serve(pvs: int, orders: Connection) -> None:
    """``"run"`` has every record counted up once a second, any other order none; ``"end"`` is the end."""
    with IOC([Record(f"soak:{n}", 0.0) for n in range(pvs)], Config.isolated()) as ioc:
        orders.send(ioc.address)
        order = ""
        while order != "end":
            if order == "run":
                _count(ioc, orders)
            order = orders.recv()


def _count(ioc: IOC, orders: Connection) -> None:
    began, value = time.monotonic(), 0
    while not orders.poll(max(0.0, began + value - time.monotonic())):
        value += 1
        for record in ioc.database:
            record.post(float(value))
