"""Bytes as text: never an error, and nothing lost on the way out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from caclient.dbr.text import cut, to_bytes, to_text


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
