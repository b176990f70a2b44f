"""What the four tools have in common."""

from __future__ import annotations

import pytest

from caclient.cli import tool
from caclient.cli.options import Call, Options, UsageError
from caclient.cli.session import Session


@pytest.mark.parametrize(
    ("call", "status", "stream"),
    [(Call.USAGE, 0, "err"), (Call.MISUSE, 1, "err"), (Call.HELP, 0, "out"), (Call.VERSION, 0, "out")],
)
def test_texts(call: Call, status: int, stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.answer_call("get", "caget", call) == status
    said = capsys.readouterr()
    assert "caget" in getattr(said, stream) or call is Call.VERSION
    assert not getattr(said, "out" if stream == "err" else "err")


def test_versions_as_base_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    tool.answer_call("get", "caget", Call.VERSIONS)
    assert capsys.readouterr().out.startswith("\ncaclient ")


def test_no_name_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="No pv name specified"):
        tool.run("get", "caget", Options(), lambda names, options: 0)


def test_the_missing_one_is_named_if_it_is_the_only_one() -> None:
    assert tool.not_found(["a"]) == "Channel connect timed out: 'a' not found."
    assert tool.not_found(["a", "b"]) == "Channel connect timed out: some PV(s) not found."


def test_every_bad_name_is_told() -> None:
    with Session() as session, pytest.raises(UsageError) as caught:
        tool.create(session, ["", "a", " "], 0)
    said = "CA error Invalid string occurred while trying to create channel '{}'."
    assert str(caught.value) == said.format("") + "\n" + said.format(" ")
