"""Ctrl-C held back: in the main thread only, for one call only, and nothing left of it whatever happens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from caclient.engine.hold import held
from tests.striking import each_strike


@pytest.fixture(autouse=True)
def handlers_put_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_a_call_is_made_and_its_result_given() -> None:
    assert held(lambda: 5) == 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_comes_after_the_call() -> None:
    done: list[int] = []

    def call() -> None:
        press()
        done.append(1)
        press()
        done.append(2)

    with pytest.raises(KeyboardInterrupt):
        held(call)
    assert done == [1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_is_called_once_with_what_it_would_have_been_given() -> None:
    calls: list[Any] = []
    signal.signal(signal.SIGINT, lambda *given: calls.append(given))

    def call() -> str:
        press()
        press()
        assert calls == []
        return "result"

    assert held(call) == "result"
    ((number, frame),) = calls
    assert number == signal.SIGINT
    assert frame.f_code.co_filename == __file__


def test_what_the_call_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        held(lambda: 1 // 0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_is_no_python_handler_stays(handler: Any) -> None:
    signal.signal(signal.SIGINT, handler)
    assert held(lambda: signal.getsignal(signal.SIGINT)) is handler


def test_other_threads_need_nothing_held_back() -> None:
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(held(lambda: signal.getsignal(signal.SIGINT))))
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_a_handler_that_the_call_installs_stays() -> None:
    def handler(*_given: Any) -> None:
        raise AssertionError

    held(lambda: signal.signal(signal.SIGINT, handler))
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGUSR1])
def test_our_handler_is_never_left_behind(signum: signal.Signals) -> None:
    """Struck at every place; another signal's handler may raise at any of them, in the putting back too."""

    def fail(*_given: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGUSR1, fail)
    for strike in each_strike(watched="engine/hold.py", signum=signum):
        try:
            with strike:
                held(lambda: None)
        except (KeyboardInterrupt, TimeoutError):
            assert strike.struck
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, strike.where
