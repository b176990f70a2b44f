"""Tables and charts that follow PVs, where somebody looks and where nobody does."""

from __future__ import annotations

import sys
import threading

import pytest

import caclient.client.live as module
from caclient import BadValueError, close_all, live, plot, set_default_context
from caclient.ioc import Record
from tests.recorder import Recorder


@pytest.fixture
def served(serve):
    ioc, context = serve(
        Record("x", 1.0, units="mm", precision=2),
        Record("busy", 0, enum_strings=("Idle", "Moving")),
    )
    set_default_context(context)
    yield ioc, context
    set_default_context(None)


def shown_by(monkeypatch):
    """Every drawing of every display."""
    drawn = Recorder()
    monkeypatch.setattr(module, "_shown_where", lambda display: (lambda: drawn(repr(display)), lambda: drawn("end")))
    return drawn


def test_a_table_follows_until_it_is_closed(served, monkeypatch):
    ioc, _ = served
    drawn = shown_by(monkeypatch)
    with live("x", ["busy"], rate=50) as display:
        drawn.wait_for(lambda texts: any("1.00 mm" in text and "Idle" in text for text in texts))
        ioc["x"].post(2.5)
        ioc["busy"].post(1)
        drawn.wait_for(lambda texts: any("2.50 mm" in text and "Moving" in text for text in texts))
        assert display.active
    assert not display.active
    assert drawn.items[-1] == "end"
    ioc["x"].post(3.5)
    assert "2.50 mm" in repr(display)
    assert "<table>" in display._repr_html_()
    display.close()


def test_a_chart_remembers_every_value(served, monkeypatch):
    ioc, context = served
    drawn = shown_by(monkeypatch)
    with plot(context.pv("x"), seconds=30, rate=50) as display:
        drawn.wait_for(lambda texts: any("1.00 mm" in text for text in texts))
        for value in (2.0, 9.0, 2.0):
            ioc["x"].post(value)
        drawn.wait_for(lambda _: [value for _, value in display.lines()[0].points] == [1.0, 2.0, 9.0, 2.0, 2.0])
        assert "<polyline" in display._repr_html_()
        assert "last 30 s" in display._repr_html_()


def test_close_all_ends_displays(served, monkeypatch):
    drawn = shown_by(monkeypatch)
    display = live("x", rate=50)
    drawn.wait_for(lambda texts: any("1.00 mm" in text for text in texts))
    close_all()
    drawn.wait_for(lambda texts: "end" in texts)
    assert not display.active
    display.close()


def test_in_a_notebook_one_output_is_updated(served, monkeypatch):
    sent = Recorder()

    class Handle:
        def display(self, shown):
            sent(("display", shown.data))

        def update(self, shown):
            sent(("update", shown.data))

    display_module = pytest.importorskip("IPython.display")
    monkeypatch.setattr(display_module, "DisplayHandle", Handle)
    monkeypatch.setattr(module, "_in_notebook", lambda: True)
    with live("x", rate=50):
        sent.wait_for(lambda calls: any(kind == "update" and "1.00 mm" in text for kind, text in calls))
    kinds = [kind for kind, _ in sent.items]
    assert kinds[0] == "display"
    assert set(kinds[1:]) == {"update"}


def test_where_nobody_looks_nothing_is_shown(served, capsys):
    with live("x", rate=50) as display:
        display._followed[0].pv.get()
    assert capsys.readouterr() == ("", "")


def test_in_a_terminal_rich_draws(served, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    written = Recorder()
    monkeypatch.setattr("rich.live.Live.update", lambda self, text, refresh: written(text))
    with live("x", rate=50):
        written.wait_for(lambda texts: any("1.00 mm" in text for text in texts))
    monkeypatch.setitem(sys.modules, "rich.live", None)
    with pytest.raises(ImportError, match=r"pip install 'caclient\[cli\]'"):
        live("x")


@pytest.mark.parametrize("rate", [0, -1, 51, float("nan"), "4", True])
def test_wrong_rates(served, rate):
    with pytest.raises(BadValueError, match=r"rate=.*: give drawings a second"):
        live("x", rate=rate)


def test_wrong_seconds_and_no_pv(served):
    for seconds in (0, float("inf"), "60"):
        with pytest.raises(BadValueError, match=r"seconds=.*: give seconds, more than 0"):
            plot("x", seconds=seconds)
    with pytest.raises(BadValueError, match="at least one PV"):
        live()


def test_no_thread_is_left(served):
    display = live("x", rate=50)
    display.close()
    assert "caclient-live" not in [each.name for each in threading.enumerate()]
