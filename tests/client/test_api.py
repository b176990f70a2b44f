"""The functions for those who do not want to hold a PV."""

from __future__ import annotations

import pytest

import caclient
from caclient import (
    AccessRights,
    AlarmSeverity,
    AlarmStatus,
    BadValueError,
    CATimeoutError,
    ChannelAccessError,
    Context,
    caget,
    caget_many,
    cainfo,
    camonitor,
    caput,
    caput_many,
    connect_all,
)
from caclient.ioc import IOC, Completion, Record
from tests.recorder import PATIENCE, Recorder


@pytest.fixture
def ioc(serve, monkeypatch) -> IOC:
    """An IOC that the default context sees."""
    ioc, context = serve(
        Record("x", 1.5, precision=2, units="mm", display=(-10.0, 10.0)),
        Record("state", 1, enum_strings=("Idle", "Moving")),
        Record("text", "words"),
        Record("array", [1.0, 2.0, 3.0]),
        Record("fixed", 1.0, access=AccessRights.READ),
        Record("slow", 1.0, on_put=lambda record, value: Completion()),
    )
    context.close()
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"127.0.0.1:{ioc.port}")
    return ioc


def test_get_and_put_by_name(ioc):
    assert caget("x") == 1.5
    assert caget("x", as_string=True) == "1.50"
    assert caget("array", count=2).tolist() == [1.0, 2.0]
    caput("x", 2.5)
    assert caget("x") == 2.5
    caput("state", "Idle", wait=True)
    assert caget("state", use_monitor=False) == 0
    with pytest.raises(CATimeoutError, match=r"'nowhere' not connected after 0.0"):
        caget("nowhere", timeout=0.05)
    with pytest.raises(CATimeoutError, match="'slow': no answer"):
        caput("slow", 2.0, wait=True, timeout=0.05)


def test_many_calls_make_one_context_and_one_channel_each(ioc):
    for _ in range(20):
        caget("x"), caget_many(["x", "text"]), caput("x", 1.0)
    assert ioc.connection_count() == 1
    assert ioc.channel_count() == 2


def test_monitor_with_a_callback_or_as_lines(ioc, capsys):
    heard, lines = Recorder(), Recorder()
    with camonitor("x", heard), camonitor("x", writer=lines):
        heard.wait(1)
        lines.wait(1)
        ioc["x"].post(2.0)
        assert [reading.value for reading in heard.wait(2)] == [1.5, 2.0]
        ioc["x"].post(status=AlarmStatus.READ, severity=AlarmSeverity.INVALID)
        first, _, last = lines.wait(3)
    assert first.startswith("x 2")
    assert first.endswith(" 1.5\n")
    assert last.endswith(" 2.0 INVALID READ\n")


def test_monitor_prints_unless_told_otherwise(ioc, monkeypatch):
    printed = Recorder()

    class Terminal:
        write = printed

        def flush(self) -> None:
            printed("flushed")

    monkeypatch.setattr("sys.stdout", Terminal())
    with camonitor("text", policy="latest"):
        line, flushed = printed.wait(2)
    assert line.endswith(" words\n")
    assert flushed == "flushed"


def test_what_is_known_as_text(ioc):
    assert cainfo("x").splitlines()[:5] == [
        "          name: x",
        "         value: 1.50",
        "          type: double, 1 element",
        f"          host: 127.0.0.1:{ioc.tcp_port}",
        "        access: read/write",
    ]
    text = cainfo("x")
    for line in ("units: mm", "precision: 2", "display limits: -10.0 to 10.0", "alarm: NO_ALARM, NO_ALARM"):
        assert line in [each.strip() for each in text.splitlines()]
    assert "nan" not in text
    assert "states: Idle, Moving" in cainfo("state")
    assert "type: double, 3 elements" in cainfo("array")


def test_many_at_once(ioc):
    values = caget_many(["x", "text", "array", "x"])
    assert (values[0], values[1], values[2].tolist(), values[3]) == (1.5, "words", [1.0, 2.0, 3.0], 1.5)
    assert caget_many([]) == []
    assert caput_many(["x", "text"], [3.5, "new"], wait=True) == [None, None]
    assert caput_many(["x"], [4.5]) == [None]
    assert caget_many(["x", "text"]) == [4.5, "new"]


def test_many_of_which_some_fail(ioc):
    good, bad = caget_many(["x", "nowhere"], timeout=0.2, raises=False)
    assert good == 1.5
    assert isinstance(bad, CATimeoutError)
    with pytest.raises(CATimeoutError, match="1 of 2 failed: 'nowhere' not connected after"):
        caget_many(["x", "nowhere"], timeout=0.1)
    names = ["x", "fixed", "state", "slow", "nowhere"]
    for wait in (False, True):
        results = caput_many(names, [1.0, 1.0, "Nonsense", 1.0, 1.0], wait=wait, timeout=0.3, raises=False)
        kinds = [None if error is None else type(error).__name__ for error in results]
        late, refused = ("CATimeoutError", "ChannelAccessError") if wait else (None, None)
        assert kinds == [None, "AccessDeniedError", refused, late, "CATimeoutError"]
    with pytest.raises(
        caclient.AccessDeniedError, match=r"4 of 5 failed: 'fixed': .*; 'state': .*; 'slow': .*; and 1 more"
    ):
        caput_many(names, [1.0, 1.0, "Nonsense", 1.0, 1.0], wait=True, timeout=0.1)
    with pytest.raises(ChannelAccessError, match="1 of 1 failed: 'state': ECA_PUTFAIL"):
        caput_many(["state"], ["Nonsense"], wait=True)
    with pytest.raises(BadValueError, match="2 names but 1 values"):
        caput_many(["x", "text"], [1.0])


def test_connecting_many(ioc):
    with Context(ioc.client_config()) as context:
        mine = context.pv("x")
        result = connect_all([mine, "text", "nowhere"], timeout=0.3, context=context)
        assert (set(result), len(result), result.ok) == ({"x", "text"}, 2, False)
        assert result["x"] is mine
        assert set(result.failed) == {"nowhere"}
        assert repr(result).startswith("<2 connected, 1 failed>\n  'nowhere' not connected after 0.3")
    assert connect_all(["x", "text"], PATIENCE).ok
    result = connect_all(["x", "nowhere"], timeout=0.1)  # some are connected already
    assert str(result.failed["nowhere"]).startswith("'nowhere' not connected after 0.1")
