"""The same record read, written and watched by us and by pyepics on libca gives the same, on a real IOC."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest

from caclient import Context, Mask
from tests.interop.libca_peer import LibcaPeer
from tests.interop.softioc import RECORDS, SoftIoc
from tests.recorder import Recorder
from tests.resilience.watching import eventually

pytestmark = pytest.mark.interop

MOVING = {"counter", "toggle"}
HIDDEN = {"noaccess", "wf:big"}
WRITTEN_HERE = {"lock", "hide", "slow", "slow:delay", "slow:rbv", "pulse", "pulse:fan", "pulse:up", "pulse:down"}
ALL = re.findall(r'"\$\(P\)([^"]+)"\) \{', RECORDS.read_text())
STILL = [name for name in ALL if name not in MOVING | HIDDEN | WRITTEN_HERE]
LIMITS = ("disp", "alarm", "warning", "ctrl")

# What is written, and with which text, number or array; what comes back must be equal on both sides.
WRITES: dict[str, Any] = {
    "ao": 12.25,
    "bo": 1,
    "mbbo": "Done",
    "longout": -7,
    "int64out": 2**40 + 1,
    "stringout": "\u00b5-beam, 39 bytes of UTF-8 at the most",
    "wf:char": [1, 2, 3],
    "wf:uchar": [1, 2, 255],
    "wf:short": [-5, 5],
    "wf:ushort": [40000],
    "wf:long": [-70000, 70000],
    "wf:ulong": [3_000_000_000],
    "wf:int64": [-5, 2**33],
    "wf:uint64": [5, 2**33],
    "wf:float": [0.5, -0.25, 8.0],
    "wf:double": [1e-300, 2.5],
    "wf:string": ["a", "", "c"],
    "wf:enum": [3, 1],
    "wf:text": "characters in an array",
    "wf:part": np.arange(10.0),
}


@pytest.fixture(scope="module")
def written_ioc(request: pytest.FixtureRequest) -> Any:
    """A real IOC whose records these tests write to."""
    with SoftIoc(prefix="w:") as ioc:
        yield ioc


EPICS_EPOCH = 631152000.0


@pytest.fixture(scope="module")
def seen_by_libca(libca: LibcaPeer) -> dict[str, dict[str, Any]]:
    return libca.get_all([f"t:{name}" for name in STILL])


@pytest.mark.parametrize("name", STILL)
def test_reads_what_libca_reads(name: str, context: Context, seen_by_libca: dict[str, dict[str, Any]]) -> None:
    theirs = seen_by_libca[f"t:{name}"]
    pv = context.pv(f"t:{name}")
    reading = pv.read()
    assert same(reading.value, theirs["value"])
    assert (reading.severity, reading.status) == (theirs["severity"], theirs["status"])
    assert_same_time(reading, theirs)
    assert (pv.nelm, pv.read_access, pv.write_access) == (theirs["nelm"], theirs["read_access"], theirs["write_access"])
    assert pv.type == theirs["type"].partition("_")[2].replace("short", "int")  # pyepics' name for the native type
    assert list(reading.enum_strs) == list(theirs["enum_strs"] or [])
    assert_same_metadata(reading, theirs)


def assert_same_time(reading: Any, theirs: dict[str, Any]) -> None:
    if theirs["timestamp"] == EPICS_EPOCH:  # never processed: 1990 for libca, undefined for us
        assert reading.timestamp_ns is None
    else:
        assert reading.timestamp == pytest.approx(theirs["timestamp"], abs=2e-6)  # theirs is cut at 1 us


def assert_same_metadata(reading: Any, theirs: dict[str, Any]) -> None:
    if theirs["units"] is not None:
        assert reading.units == theirs["units"]
    if theirs["type"] in ("ctrl_double", "ctrl_float"):
        assert reading.precision == theirs["precision"]
    if theirs["upper_disp_limit"] is not None:
        for kind in LIMITS:
            for side in ("upper", "lower"):
                limit = f"{side}_{kind}_limit"
                assert same(getattr(reading, limit), theirs[limit]), limit


@pytest.mark.parametrize("name", WRITES)
def test_libca_reads_what_we_write(name: str, written_ioc: SoftIoc, make_context: Any) -> None:
    pv = make_context(written_ioc).pv(f"w:{name}")
    pv.put(WRITES[name], wait=True, timeout=5)
    theirs = LibcaPeer(written_ioc.client_environment()).run(f"result = connected('w:{name}').get()")
    assert same(pv.get(use_monitor=False), theirs)
    assert same_as_written(theirs, WRITES[name])


def test_we_are_told_what_libca_writes(written_ioc: SoftIoc, make_context: Any) -> None:
    context = make_context(written_ioc)
    watched = {
        name: context.pv(f"w:{name}").updates(timeout=10) for name in ("longout", "stringout", "wf:long", "mbbo")
    }
    first = {name: next(updates).value for name, updates in watched.items()}
    LibcaPeer(written_ioc.client_environment()).run("""
        for name, value in (("longout", 91), ("stringout", "by libca"), ("wf:long", [9, 8, 7]), ("mbbo", 3)):
            connected("w:" + name).put(value, wait=True)
    """)
    seen = {name: next(updates).value for name, updates in watched.items()}
    for updates in watched.values():
        updates.close()
    assert first.keys() == seen.keys()
    assert (seen["longout"], seen["stringout"], seen["mbbo"]) == (91, "by libca", 3)
    assert seen["wf:long"].tolist() == [9, 8, 7]


@pytest.mark.parametrize("name", sorted(MOVING))
def test_records_that_move_are_watched(name: str, context: Context) -> None:
    with context.pv(f"t:{name}").updates(timeout=5) as updates:
        readings = list(islice(updates, 4))
    assert len({reading.timestamp_ns for reading in readings}) == 4
    assert readings[-1].value != readings[-2].value


def test_a_million_elements_go_there_and_back(written_ioc: SoftIoc, make_context: Any) -> None:
    pv = make_context(written_ioc).pv("w:wf:big")
    sent = np.arange(1_000_000.0)
    pv.put(sent, wait=True, timeout=20)
    assert np.array_equal(pv.get(timeout=20, use_monitor=False), sent)


def same(ours: Any, theirs: Any) -> bool:
    """Equal values, and arrays where the other has arrays."""
    if isinstance(theirs, np.ndarray):
        return list(ours) == theirs.tolist()
    return bool(ours == theirs) or (ours != ours and theirs != theirs)


def same_as_written(theirs: Any, written: Any) -> bool:
    if isinstance(theirs, np.ndarray) and isinstance(written, str):
        return bytes(theirs.tolist()).rstrip(b"\0").decode() == written
    if isinstance(theirs, np.ndarray):
        return theirs.tolist() == list(written)
    if isinstance(theirs, float | int) and isinstance(written, list):
        return [theirs] == written
    return bool(theirs == written) or written == "Done"


def test_metadata_are_seen_to_change(own_softioc: SoftIoc, make_context: Callable[..., Context]) -> None:
    context = make_context(own_softioc)
    ai, mbbi = context.pv("t:ai"), context.pv("t:mbbi")
    heard = Recorder()
    assert ai.wait_for_connection(10) and mbbi.wait_for_connection(10)
    assert (ai.units, ai.precision, mbbi.enum_strs[1]) == ("mm", 3, "Moving")
    with ai.subscribe(lambda reading: heard(reading.units), mask=Mask.PROPERTY):
        assert heard.wait(1) == ["mm"]
        for field, text in {"ai.EGU": "furlong", "ai.PREC": "5", "mbbi.ONST": "Away"}.items():
            context.pv(f"t:{field}").put(text, wait=True)
        eventually(lambda: (ai.units, ai.precision, mbbi.enum_strs[1]) == ("furlong", 5, "Away"))
        assert heard.wait(2)[1] == "furlong"
