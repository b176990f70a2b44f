"""Every kind of value into every kind of record."""

from __future__ import annotations

import decimal
import fractions

import numpy as np
from _say import epics, names, say

VALUES = {
    "int": 3,
    "float": 2.7,
    "negative": -1,
    "large": 2**40,
    "true": True,
    "int16": np.int16(5),
    "float32": np.float32(1.5),
    "0-d int": np.array(7),
    "0-d float": np.array(1.25),
    "nan": float("nan"),
    "inf": float("inf"),
    "text 3": "3",
    "text 0x3": "0x3",
    "text 2.5": "2.5",
    "text ' 2.5 '": " 2.5 ",
    "bytes 3": b"3",
    "bytes 2.5": b"2.5",
    "text abc": "abc",
    "bytes nope": b"nope",
    "state one": "one",
    "state One": "One",
    "empty text": "",
    "none": None,
    "list 1": [1],
    "list 3": [1, 2, 3],
    "list of floats": [1.5, 2.5],
    "tuple": (4, 5),
    "range": range(4),
    "array": np.arange(3),
    "array of floats": np.array([1.5, 2.5]),
    "array of one": np.array([9]),
    "list of texts": ["a", "bb"],
    "list of bytes": [b"x", b"y"],
    "empty list": [],
    "empty array": np.array([]),
    "long list": list(range(12)),
    "long text": "abcdefghijklmnop",
    "39 characters": "x" * 39,
    "40 characters": "x" * 40,
    "41 characters": "x" * 41,
    "not ASCII": "é°C",
    "NUL inside": "a\0b",
    "nested": [[1, 2], [3, 4]],
    "mixed": [1, "a", 2.5],
    "numbers as texts": ["1", "2"],
    "array of texts": np.array(["q", "rr"]),
    "array of bytes": np.array([b"q", b"rr"]),
    "list of none": [None],
    "large items": [2**40, 1],
    "wrapping items": [-1, 300],
    "set": {1, 2},
    "dict": {"a": 1},
    "bytearray": bytearray(b"hi"),
    "numpy bool": np.bool_(True),
    "2-d": np.arange(4).reshape(2, 2),
    "int64": np.arange(3, dtype="i8"),
    "uint8": np.arange(65, 68, dtype="u1"),
    "bools": np.array([True, False]),
    "complex": 1j,
    "decimal": decimal.Decimal("1.5"),
    "fraction": fractions.Fraction(1, 2),
    "beyond 32 bits": -(2**31) - 1,
    "beyond 16 bits": 65536,
    "numpy text": np.str_("3"),
    "numpy bytes": np.bytes_(b"5"),
}
RECORDS = (
    *("a", "n", "m", "bo", "so", "wput_double", "wput_long", "wput_char", "wput_string", "wput_float"),
    *("s_char", "s_double", "s_short", "s_string", "s_float", "text", "m.ZRVL", "a.DESC", "a.PREC", "a.HHSV"),
)
for record in names() or RECORDS:
    pv = epics.PV("X:" + record, auto_monitor=False)
    pv.wait_for_connection(5)
    for how in ("pv", "ca"):
        for name, value in VALUES.items():
            if how == "pv":
                say(f"{record}: put {name}", pv.put, value, wait=True, timeout=3)
            else:
                say(f"{record}: ca.put {name}", epics.ca.put, pv.chid, value, wait=True, timeout=3)
            say(f"{record}: get after {how} {name}", pv.get)
    say(f"{record}: no wait", pv.put, 1 if pv.nelm == 1 and "string" not in pv.type else ["1"])
    epics.ca.poll(1e-2)
