"""The class that holds what the dbr_* structs carry beside the values."""

from __future__ import annotations

import pytest

from caclient.dbr.metadata import Metadata
from caclient.dbr.stamps import TimeStamp


def test_absent_fields_are_none_and_not_shown():
    metadata = Metadata(status=0, severity=2, units=b"mm")
    assert metadata.precision is None
    assert metadata.present() == {"status": 0, "severity": 2, "units": b"mm"}
    assert repr(metadata) == "Metadata(status=0, severity=2, units=b'mm')"


def test_equality():
    assert Metadata(stamp=TimeStamp(1, 2)) == Metadata(stamp=TimeStamp(1, 2))
    assert Metadata(enum_strings=[b"a"]) == Metadata(enum_strings=(b"a",))
    assert Metadata(status=0) != Metadata()
    assert Metadata() != "metadata"


def test_mutable_so_not_hashable():
    with pytest.raises(TypeError):
        hash(Metadata())
