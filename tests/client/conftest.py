"""PVs of an IOC in this process."""

from __future__ import annotations

from typing import Any

import pytest

from caclient import PV
from caclient.ioc import Record
from tests.client.records import every_type
from tests.recorder import PATIENCE


@pytest.fixture
def pv_of(serve):
    """PVs by name of an IOC with a record of every type."""
    ioc, context = serve(*every_type())

    def make(name: str, **options: Any) -> PV:
        pv = context.pv(name, **options)
        assert pv.wait_for_connection(PATIENCE)
        return pv

    make.ioc, make.context = ioc, context
    return make


@pytest.fixture
def pair(serve):
    """One record ``x`` and a connected PV of it."""
    ioc, context = serve(Record("x", 1.0))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    return ioc, pv
