"""What is logged of a callback that raises: the PV, the function, its file and line; of any kind of callback."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest

from caclient import on_callback_error
from caclient.ioc import IOC, Record
from tests.recorder import Recorder


@pytest.fixture
def told():
    """The errors of callbacks, as they are told beside the log."""
    told = Recorder()
    on_callback_error(lambda pvname, callback, error: told((pvname, error)))
    yield told
    on_callback_error(None)


def breaks(*_: Any, **_keywords: Any) -> None:
    raise ZeroDivisionError("oh")


def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        return call(*arguments, **keywords)

    return wrapper


class Holder:
    def method(self, *_: Any, **_keywords: Any) -> None:
        breaks()

    def __call__(self, *_: Any, **_keywords: Any) -> None:
        breaks()


def line(function: Callable[..., Any]) -> str:
    return f"test_logged.py:{function.__code__.co_firstlineno}"


HOLDER = Holder()
KINDS: dict[str, tuple[Any, str]] = {
    "a function": (breaks, f"breaks ({line(breaks)})"),
    "a partial of a partial": (partial(partial(breaks, 1), 2), f"breaks ({line(breaks)})"),
    "a decorated function": (wrapped(breaks), f"breaks ({line(breaks)})"),
    "a method": (HOLDER.method, f"Holder.method ({line(Holder.method)})"),
    "an object": (HOLDER, f"Holder ({line(Holder.__call__)})"),
}

WAYS: dict[str, Callable[[IOC, Any, Any], Any]] = {
    "subscribe": lambda ioc, pv, callback: pv.subscribe(callback),
    "add_callback": lambda ioc, pv, callback: pv.add_callback(callback),
    "add_connection_callback": lambda ioc, pv, callback: pv.add_connection_callback(callback),
    "add_access_callback": lambda ioc, pv, callback: pv.add_access_callback(callback),
    "add_done_callback": lambda ioc, pv, callback: pv.begin_put(2.0).add_done_callback(callback),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_the_line_names_pv_function_file_and_line(serve, caplog, told, way, kind):
    callback, name = KINDS[kind]
    ioc, context = serve(Record("x", 1.5))
    with context.pv("x") as pv:
        WAYS[way](ioc, pv, callback)
        pvname, error = told.wait(1)[0]
        assert (pvname, type(error)) == ("x", ZeroDivisionError)
    record = caplog.records[0]
    assert record.name == "caclient.callbacks"
    assert record.getMessage() == f"x: callback raised (1 so far): {name}"
    assert record.exc_info is not None


def test_a_method_that_ends_with_its_object_is_named_too(serve, caplog, told):
    _, context = serve(Record("x", 1.5))
    with context.pv("x") as pv:
        pv.subscribe(weakref.WeakMethod(HOLDER.method))
        told.wait(1)
    assert caplog.records[0].getMessage().endswith(f": Holder.method ({line(Holder.method)})")


def test_callbacks_given_when_the_pv_is_made(serve, caplog, told):
    _, context = serve(Record("x", 1.5))
    with context.pv("x", connection_callback=breaks):
        told.wait(1)
    assert caplog.records[0].getMessage() == f"x: callback raised (1 so far): breaks ({line(breaks)})"
