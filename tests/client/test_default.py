"""The homes of the process: the default, the end of the program, a fork."""

from __future__ import annotations

import gc
import threading

import pytest

import caclient
from caclient import Config, Context
from caclient.client import default as module
from caclient.client.context import close_default_context, set_default_context, using
from caclient.engine.runtime import Runtime
from tests.recorder import PATIENCE, Recorder


@pytest.fixture(autouse=True)
def no_default(monkeypatch):
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "127.0.0.1:1")
    monkeypatch.setenv("EPICS_CA_AUTO_ADDR_LIST", "NO")
    close_default_context()
    yield
    close_default_context()
    set_default_context(None)


def test_a_context_of_ones_own_as_the_default():
    with Context(Config.isolated()) as context:
        set_default_context(context)
        assert caclient.default_context() is context
        assert caclient.PV("x")._home is context._home
    assert caclient.default_context() is not context  # it has been closed


def test_in_a_block_and_its_thread_only():
    seen = Recorder()
    with Context(Config.isolated()) as context:
        with using(context) as chosen:
            assert chosen is context
            assert caclient.default_context() is context
            thread = threading.Thread(target=lambda: seen(caclient.default_context()))
            thread.start()
            thread.join(PATIENCE)
        assert seen.items[0] is caclient.default_context() is not context


def test_a_finalizer_that_wants_the_default_while_it_is_made(monkeypatch):
    class Device:
        def __init__(self):
            self.me = self

        def __del__(self):
            caclient.PV("x").close()

    Device()
    real = module.make_handle

    def making():
        gc.collect()
        return real()

    monkeypatch.setattr(module, "make_handle", making)
    assert caclient.default_context() is caclient.default_context()
    gc.collect()


def test_all_homes_end_within_one_limit(monkeypatch):
    monkeypatch.setattr(Runtime, "exiting", False)
    contexts = [Context(Config.isolated()) for _ in range(3)]
    dropped = Context(Config.isolated())._home
    module._at_exit()
    assert all(context.closed for context in contexts)
    assert dropped.runtime.closed
    assert module._homes == {}


def test_a_home_that_was_closing_is_forgotten_by_a_forked_child(monkeypatch):
    context = Context(Config.isolated())
    home = context._home
    context.close()
    module._homes[home] = lambda: None
    module._after_fork_in_child()
    assert home not in module._homes
