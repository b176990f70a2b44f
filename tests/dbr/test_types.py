"""Numbers, families and layouts of the 39 DBR types."""

from __future__ import annotations

import numpy as np
import pytest

from caclient.dbr import types
from caclient.dbr.types import LAYOUTS, ChannelType, layout_of, padded, payload_size
from caclient.errors import DecodeError
from tests.vectors import table

ROWS = table("dbr_types")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_layout_is_that_of_db_access_h(row):
    layout = LAYOUTS[int(row["id"])]
    name = row["name"].removeprefix("DBR_")
    assert layout.data_type is ChannelType[name]
    assert layout.value_offset == int(row["value offset"])
    assert layout.value_size == int(row["value size"])
    assert payload_size(layout.data_type, 1) == int(row["struct size"])
    assert layout.padded_scalar_size == padded(int(row["struct size"]))
    if row["native"] != "USHORT":
        assert layout.native is ChannelType[row["native"]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_members_and_formats_are_in_order(row):
    layout = LAYOUTS[int(row["id"])]
    formats, _, members = row["layout"].split(" ; ")
    members = members.replace("sec+nsec", "seconds nanoseconds").replace("strs@", "enum_strings@")
    names = [name for member in members.split() if not member.startswith("pad@") for name in [member.split("@")[0]]]
    named = [name for name in names if name != "seconds" or "nanoseconds" in names]
    assert list(layout.fields) == [name for name in named if name != "value"]
    assert layout.metadata.size == types.struct.calcsize(formats.split()[1])


def test_every_number_has_a_layout():
    assert [layout.data_type for layout in LAYOUTS] == list(ChannelType) == list(range(39))
    assert repr(ChannelType.DOUBLE) == "<ChannelType.DOUBLE: 6>"
    assert ChannelType.SHORT is ChannelType.INT
    assert ChannelType.TIME_SHORT is ChannelType.TIME_INT
    assert repr(LAYOUTS[20]) == "<Layout TIME_DOUBLE: >2h2I4x d>"


def test_value_dtypes_differ_in_byte_order_only():
    for layout in LAYOUTS:
        assert layout.wire_dtype.newbyteorder("=") == layout.value_dtype
        assert layout.value_dtype.isnative
        assert layout.wire_dtype.itemsize == layout.value_size
    assert LAYOUTS[6].wire_dtype == np.dtype(">f8")


@pytest.mark.parametrize("number", [-1, 39, 65535])
def test_unknown_type_is_a_decode_error(number):
    for function in (layout_of, types.native_type, types.time_type, lambda t: payload_size(t, 1)):
        with pytest.raises(DecodeError, match=f"no such DBR type: {number}"):
            function(number)


def test_families():
    families = (types.native_type, types.sts_type, types.time_type, types.gr_type, types.ctrl_type)
    for number in range(35):
        assert [family(number) for family in families] == [number % 7 + 7 * step for step in range(5)]
    for family in families:
        assert isinstance(family(6), ChannelType)


def test_special_types_stay_or_are_text():
    assert types.native_type(35) is types.time_type(35) is ChannelType.PUT_ACKT
    assert types.ctrl_type(36) is ChannelType.PUT_ACKS
    assert types.native_type(37) is types.native_type(38) is ChannelType.STRING
    assert types.time_type(38) is ChannelType.TIME_STRING


def test_sizes():
    assert payload_size(20, 0) == 16
    assert payload_size(15, 3) == 20
    assert [padded(size) for size in (0, 1, 7, 8, 9)] == [0, 8, 8, 8, 16]
