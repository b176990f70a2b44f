"""What a traceback shows: the user's lines and the public call; the machinery only if that may be at fault."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import caclient
from caclient import (
    PV,
    CAError,
    CATimeoutError,
    Context,
    RemoteProtocolError,
    caget,
    caget_many,
    cainfo,
    caput,
)
from caclient.client import get
from caclient.ioc import Completion, Record

INSIDE = str(Path(caclient.__file__).parent)


@pytest.fixture
def context(serve) -> Context:
    _, context = serve(Record("x", 1.5), Record("slow", 1.0, on_put=lambda record, value: Completion()))
    return context


def functions(frames: TracebackType | None) -> list[str]:
    """Where a traceback leads: functions, those of caclient in brackets."""
    return [
        f"[{frame.name}]" if frame.filename.startswith(INSIDE) else frame.name for frame in traceback.extract_tb(frames)
    ]


def expect(pv: PV) -> None:
    with pv.expect(1, timeout=0.01):
        pass


FAILING: dict[str, Callable[[PV, Context], object]] = {
    "get": lambda pv, _: pv.get(timeout=0.01),
    "read": lambda pv, _: pv.read(timeout=0.01),
    "value": lambda pv, _: pv.value,
    "put": lambda pv, _: pv.put(1, timeout=0.01),
    "wait_for": lambda pv, _: pv.wait_for(1, timeout=0.01),
    "put_and_wait": lambda pv, _: pv.put_and_wait(1, timeout=0.01),
    "describe": lambda pv, _: pv.describe(timeout=0.01),
    "result": lambda pv, _: pv.begin_put(1).result(),
    "__next__": lambda pv, _: next(pv.updates(timeout=0.01)),
    "caget": lambda _, context: caget("nowhere", timeout=0.01, context=context),
    "caput": lambda _, context: caput("nowhere", 1, timeout=0.01, context=context),
    "cainfo": lambda _, context: cainfo("nowhere", timeout=0.01, context=context),
}


@pytest.mark.parametrize("name", FAILING)
def test_one_frame_of_ours_that_of_the_call(context, name):
    with context.pv("nowhere", timeout=0.01) as pv, pytest.raises(CAError) as raised:
        FAILING[name](pv, context)
    assert functions(raised.value.__traceback__)[-2:] == ["<lambda>", f"[{name}]"]


def test_a_block_has_one_frame_of_ours(context):
    with context.pv("nowhere", timeout=0.01) as pv, pytest.raises(CATimeoutError) as raised:
        expect(pv)
    assert functions(raised.value.__traceback__)[-2:] == ["expect", "[__enter__]"]
    with context.pv("x") as pv, pytest.raises(CATimeoutError) as raised:
        expect(pv)
    assert functions(raised.value.__traceback__)[-2:] == ["expect", "[__exit__]"]


def test_a_completion_that_is_waited_for_twice_shows_the_line_once(context):
    with context.pv("slow") as pv:
        assert pv.wait_for_connection(5)
        begun = pv.begin_put(2.0)
        for _ in range(2):
            with pytest.raises(CATimeoutError, match=r"not completed: 'slow' after .*give a longer timeout") as raised:
                begun.result(0.01)
            assert functions(raised.value.__traceback__).count("[result]") == 1
            assert raised.value.why.pvname == "slow"


def test_a_users_function_in_the_middle_is_shown(context):
    def condition(value: float) -> bool:
        return bool(caget("nowhere", timeout=0.01, context=context))

    with context.pv("x") as pv, pytest.raises(CATimeoutError, match="'nowhere'") as raised:
        pv.wait_for(condition, timeout=5)
    assert functions(raised.value.__traceback__)[-2:] == ["condition", "[caget]"]


class Bug(Exception):
    pass


@pytest.mark.parametrize("error", [Bug, RemoteProtocolError])
def test_all_is_shown_of_what_may_be_a_mistake_of_ours(context, monkeypatch, error):
    def broken(*_: object) -> None:
        raise error("oh")

    with context.pv("x") as pv:
        assert pv.wait_for_connection(5)
        monkeypatch.setattr(get, "read", broken)
        with pytest.raises(error) as raised:
            pv.get(use_monitor=False)
    assert functions(raised.value.__traceback__)[-3:] == ["[get]", "[_ask]", "broken"]
    if isinstance(raised.value, CAError):
        assert "_ask" in "".join(raised.value._render_traceback_())


# ---------------------------------------------------------------- IPython and notebooks


@pytest.fixture
def shell():
    shell = InteractiveShell.instance(colors="nocolor", config=Config({"HistoryManager": {"enabled": False}}))
    try:
        yield shell
    finally:
        InteractiveShell.clear_instance()


@pytest.mark.parametrize("mode", ["Context", "Plain", "Verbose", "Minimal"])
def test_a_notebook_shows_the_users_line_and_the_text_alone(context, shell, capsys, mode):
    shell.run_line_magic("xmode", mode)
    shell.user_ns.update(caget=caget, caget_many=caget_many, context=context)
    for call in (
        "caget('nowhere', timeout=0.01, context=context)",
        "caget_many(['nowhere'], timeout=0.01, context=context)",
    ):
        capsys.readouterr()
        done = shell.run_cell(f"def mine():\n    {call}\nmine()")
        shown = capsys.readouterr().out
        assert isinstance(done.error_in_exec, CAError)
        assert "'nowhere' not connected after" in shown
        assert INSIDE not in shown
        assert "shorten" not in shown
        if mode != "Minimal":
            assert "mine()" in shown
            assert call in shown


def test_a_notebook_shows_what_came_before(context, shell, capsys):
    shell.user_ns.update(caget=caget, context=context)
    shell.run_cell("try:\n    1 / 0\nfinally:\n    caget('nowhere', timeout=0.01, context=context)")
    shown = capsys.readouterr().out
    assert "ZeroDivisionError" in shown
    assert "During handling of the above exception" in shown
    assert INSIDE not in shown


def test_without_a_shell_there_is_a_plain_traceback(context):
    with pytest.raises(CATimeoutError) as raised:
        caget("nowhere", timeout=0.01, context=context)
    text = "".join(raised.value._render_traceback_())
    assert "test_without_a_shell" in text
    assert INSIDE not in text
