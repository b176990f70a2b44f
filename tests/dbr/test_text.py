"""Bytes as text: never an error, and nothing lost on the way out."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from caclient.dbr.text import cut, fixed, to_bytes, to_text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_round_trip(text):
    assert to_text(to_bytes(text)) == text


@given(st.binary())
def test_any_bytes_are_text(data):
    assert isinstance(to_text(data), str)
    assert to_text(memoryview(data)) == to_text(bytearray(data)) == to_text(data)


def test_what_is_no_utf8_is_latin1_as_a_whole():
    assert to_text(b"\xb0C") == "°C"
    assert to_text("°C µm".encode()) == "°C µm"
    assert to_text("µ".encode() + b"\xb0") == "Âµ°"


def test_surrogates_become_bytes():
    assert to_bytes(b"\xff".decode("utf-8", "surrogateescape")) == b"\xff"
    assert to_bytes("\ud800") == b"\xed\xa0\x80"


def test_cut():
    assert cut(b"abc\0old") == b"abc"
    assert cut(b"abc") == b"abc"
    assert cut(b"\0") == b""


@pytest.fixture(scope="module")
def c_text():
    """What EPICS Base makes of a double and a precision."""
    epicscorelibs = pytest.importorskip("epicscorelibs")
    [path] = (Path(epicscorelibs.__file__).parent / "lib").glob("libCom.so.*")
    convert = ctypes.CDLL(str(path)).cvtDoubleToString
    convert.argtypes = [ctypes.c_double, ctypes.c_char_p, ctypes.c_ushort]
    buffer = ctypes.create_string_buffer(400)

    def text(value, precision):
        convert(value, buffer, precision)
        return buffer.value.decode().strip().replace("-nan", "nan")

    return text


@example(0.5, 0)
@example(2.5, 0)
@example(-0.4, 0)
@example(-0.0, 2)
@example(0.125, 2)
@example(9.9999999, 2)
@example(1e7, 8)
@example(1e16, 5)
@example(-2e12, 5)
@given(st.floats(allow_nan=True), st.integers(0, 20))
def test_floats_are_written_as_epics_writes_them(c_text, value, precision):
    assert fixed(value, precision) == c_text(value, precision)


@given(st.floats(-1e7, 1e7), st.integers(0, 8))
def test_ordinary_floats_too(c_text, value, precision):
    assert fixed(value, precision) == c_text(value, precision)


def test_a_precision_below_zero_is_none():
    assert fixed(1.5, -3) == "2"
