"""Records by name."""

from __future__ import annotations

import pytest

from caclient.ioc import Database, Record


def test_find() -> None:
    records = [Record("a", 1), Record("b", 2)]
    database = Database(records)
    assert database.find("a") is database.find("a.VAL") is database["a"] is records[0]
    assert database.find("a.DESC") is database.find("c") is None
    assert (list(database), len(database)) == (records, 2)


def test_replace_and_remove() -> None:
    database = Database([Record("a", 1)])
    new = Record("a", 2)
    database.add(new)
    assert database["a"] is new
    assert database.remove("a") is new
    with pytest.raises(KeyError):
        database.remove("a")


def test_sids_count_from_zero() -> None:
    database = Database()
    assert [database.new_sid() for _ in range(3)] == [0, 1, 2]


def test_largest_put_follows_the_largest_record() -> None:
    database = Database([Record("a", 1)])
    assert 16_384 < database.largest_put < 20_000
    database.add(Record("b", [0.0], count=1000))
    assert 40_000 <= database.largest_put < 60_000
