"""Sessions joined to a client's circuit without any socket."""

from __future__ import annotations

import pytest

from caclient.ioc import Database, Record
from tests.ioc.pair import Pair


@pytest.fixture
def pair() -> Pair:
    """A client and a server of two records, each at its end of nothing."""
    return Pair(Database([Record("x", 1.5), Record("state", 1, enum_strings=("off", "on"))]))
