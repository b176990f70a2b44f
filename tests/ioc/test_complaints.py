"""What clients can cause without end is logged once a second."""

from __future__ import annotations

import pytest

from caclient.ioc import complaints
from caclient.ioc.complaints import Complaints


def test_once_a_second_with_a_count(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(complaints.time, "monotonic", lambda: now[0])
    told = Complaints()
    for moment in (0.0, 0.1, 0.2, 1.5):
        now[0] = moment
        told.failed("the hook failed", KeyError("x"), f" of client {moment}")
        told.warn("no room")
    assert [record.getMessage() for record in caplog.records] == [
        "the hook failed of client 0.0",
        "no room",
        "the hook failed of client 1.5 (2 times more since the last line)",
        "no room (2 times more since the last line)",
    ]
    assert "KeyError: 'x'" in caplog.text
