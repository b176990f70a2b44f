"""Records of every type, for tests of PVs."""

from __future__ import annotations

from caclient import ChannelType
from caclient.ioc import Record

STATES = ("Idle", "Moving", "Done")


def every_type() -> list[Record]:
    return [
        Record("double", 1.5, precision=2, units="mm", display=(-10.0, 10.0)),
        Record("float", 0.25, data_type=ChannelType.FLOAT),
        Record("long", 7),
        Record("int", 3, data_type=ChannelType.INT),
        Record("char", 5, data_type=ChannelType.CHAR),
        Record("enum", 1, enum_strings=STATES),
        Record("string", "text"),
        Record("doubles", [1.0, 2.0], count=4),
        Record("floats", [0.5], data_type=ChannelType.FLOAT, count=4),
        Record("longs", [1, 2], count=4),
        Record("ints", [1, 2], data_type=ChannelType.INT, count=4),
        Record("chars", b"abc", count=8),
        Record("enums", [0, 2], data_type=ChannelType.ENUM, count=4),
        Record("strings", ["a", "b"], count=4),
    ]
