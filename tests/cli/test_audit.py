"""``caclient audit``: the calls of a script that differ, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from caclient.cli.audit import audit, main

CLEAN = """
import epics
from epics import PV, caget as read, ca, devices
from epics.devices import ai
pv = PV("x", callback=print)
epics.caput("x", 1, wait=True)
ca.poll(); epics.ca.pend_event(0.1); read("x"); epics.dbr.DOUBLE; epics.pv.fmt_time()
time = pv.get() or epics.get_pv("x").value
"""


def test_a_usual_script_needs_no_change() -> None:
    assert audit(CLEAN) == []


@pytest.mark.parametrize(
    ("source", "line", "call", "word"),
    [
        ("import epics\nepics.ca.sg_get(1, 2)", 2, "epics.ca.sg_get", "waits"),
        ("from epics import ca as c\nc.pend_event(0)", 2, "c.pend_event", "for ever"),
        ("import epics.ca as e\ne.libca.ca_poll()", 2, "e.libca", "no C library"),
        ("import epics.wx", 1, "import epics.wx", "not there"),
        ("from epics.wx import wxlib", 1, "from epics.wx import wxlib", "not there"),
        ("from epics.dbr import Map", 1, "from epics.dbr import Map", "not there"),
        ("import epics\nepics.caget(b'x')", 2, "epics.caget", "bytes"),
        ("from epics import CAPool\np = CAPool(3)", 2, "CAPool", "works"),
        ("from epics.ca import sg_get\nx = sg_get(1, 2)", 2, "sg_get", "waits"),
        ("import epics\nepics.nonsense()", 2, "epics.nonsense", "not there"),
    ],
)
def test_what_differs_is_found(source: str, line: int, call: str, word: str) -> None:
    findings = [finding for finding in audit(source) if finding.line == line]
    assert [finding.call for finding in findings] == [call]
    assert word in findings[0].difference


def test_what_is_not_the_package_is_left_alone() -> None:
    assert audit("import other\nother.ca.sg_get(1)\nfrom .epics import wx\nepics = 3") == []


def test_the_command_lists_files_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text(CLEAN)
    (tmp_path / "b.py").write_text("import epics\nepics.ca.sg_get(1, 2)\n")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'b.py'}:2: epics.ca.sg_get: waits")
    assert main([str(tmp_path / "a.py")]) == 0
    assert capsys.readouterr().out == "nothing to change\n"


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.py").write_text("def (")
    assert main([str(tmp_path / "c.py"), str(tmp_path / "missing.py")]) == 1
    assert capsys.readouterr().err.count("cannot be read") == 2
