"""Names from files and standard input."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from caclient.cli.names import collect, parse
from caclient.cli.options import UsageError


def test_blanks_lines_and_comments() -> None:
    assert parse(["# motors\n", "m1 m2\n", "\n", "  m3  \n", "   # more\n"]) == ["m1", "m2", "m3"]


def test_a_dash_is_standard_input_in_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("b c\n"))
    file = tmp_path / "names.txt"
    file.write_text("e\nf g\n")
    assert collect(["a", "-", "d"], [str(file)]) == ["a", "b", "c", "d", "e", "f", "g"]


def test_a_file_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"/nowhere/names\.txt.*No such file") as caught:
        collect([], ["/nowhere/names.txt"])
    assert caught.value.status == 2
