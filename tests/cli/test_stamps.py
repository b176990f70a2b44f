"""Time stamps and differences."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from caclient.cli.stamps import StampPrinter, difference, present, stamp_text
from caclient.dbr.stamps import EPICS_EPOCH, TimeStamp


def local(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds + EPICS_EPOCH):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ006  local time is printed


@pytest.mark.parametrize(
    ("nanoseconds", "fraction"),
    [
        (0, "000000"), (499, "000000"), (500, "000001"), (1500, "000002"), (123456789, "123457"),
        (999999499, "999999"), (999999500, "999999"), (999999999, "999999"), (1000000000, "OVF"),
    ],
)  # fmt: skip
def test_rounded_to_microseconds_but_never_to_the_next_second(nanoseconds: int, fraction: str) -> None:
    assert stamp_text(TimeStamp(1000, nanoseconds)) == f"{local(1000)}.{fraction}"


def test_never_set() -> None:
    assert stamp_text(TimeStamp(0, 0)) == "<undefined>"
    assert stamp_text(TimeStamp(0, 1)) == f"{local(0)}.000000"


def test_the_present_is_now() -> None:
    assert abs(present().timestamp - time.time()) < 5.0


def test_differences_are_exact() -> None:
    assert difference(TimeStamp(5, 100_000_000), TimeStamp(4, 900_000_000)) == pytest.approx(0.2)
    assert difference(TimeStamp(1, 0), TimeStamp(4, 0)) == -3.0


def at(tenths: int) -> TimeStamp:
    return TimeStamp(1000, tenths * 100_000_000)


def test_both_stamps_or_none() -> None:
    assert StampPrinter(server=False).text("a", at(1), at(2)) == ""
    both = StampPrinter(client=True).text("a", at(1), at(2))
    assert both == f"{local(1000)}.100000({local(1000)}.200000)"


BLANKS = " " * 14


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("r", ["+0.300000", "+0.500000", "+0.600000"]),
        ("i", ["+0.100000", "+0.200000", "+0.100000"]),
        ("I", ["+0.300000", "+0.300000", "+0.300000"]),
    ],
)
def test_since_the_first_the_one_before_or_the_one_before_of_the_same(kind: str, expected: list[str]) -> None:
    printer = StampPrinter(kind=kind)
    assert printer.text("a", at(0), at(9)) == f"{local(1000)}.000000"
    assert printer.text("b", at(2), at(9)) == f"{local(1000)}.200000"
    texts = [printer.text(*event, at(9)) for event in (("a", at(3)), ("b", at(5)), ("a", at(6)))]
    assert texts == [f"{BLANKS}{text:>12}" for text in expected]


def test_the_clients_are_in_parentheses() -> None:
    printer = StampPrinter(client=True, kind="I")
    printer.text("a", at(0), at(1))
    assert printer.text("a", at(2), at(5)) == f"{BLANKS}   +0.200000{BLANKS}(   +0.400000)"
