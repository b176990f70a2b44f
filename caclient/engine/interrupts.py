"""Ctrl-C held back for the moment in which it would leave something half done.

Python runs the handler of a signal in the main thread, between any two bytecodes. The queue of outgoing bytes is made
so that this does no harm (``outbox``). A parser cannot be made so: what it has taken from the socket and not yet filed
would be lost, and the rest of the stream misunderstood. So a thread that reads a circuit has its handler of SIGINT
stand aside until it has read once, which takes microseconds. It never does so while it waits.

Only the main thread is concerned, and only if the handler is a Python callable; what else may be in its place
(``SIG_IGN``, ``SIG_DFL``) stays in force. Handlers of other signals are not held back.

The handler is swapped by the C functions below ``signal.signal`` and ``signal.getsignal``, whose wrappers look each
number up among the members of an enum: 0.4 us for a swap instead of 5, in a get of 40.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # no stubs
from collections.abc import Callable
from threading import get_ident, main_thread
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _Note:
    """Stands in for the handler of SIGINT: keeps what it is called with."""

    __slots__ = ("called_with",)

    def __init__(self) -> None:
        self.called_with: tuple[Any, ...] | None = None

    def __call__(self, *called_with: Any) -> None:
        self.called_with = called_with


def whole(call: Callable[[], _Result]) -> _Result:
    """Make a call that Ctrl-C does not break off; if it was pressed meanwhile, its handler is called afterwards.

    The call is to be short, and must not wait. Code of the user must not run in it: he could not stop it.
    """
    if get_ident() != main_thread().ident:
        return call()
    handler = _signal.getsignal(_signal.SIGINT)
    if not callable(handler):
        return call()
    note = _Note()
    try:
        _signal.signal(_signal.SIGINT, note)
        result = call()
        _put_back(handler, note)
    except BaseException:
        try:
            _put_back(handler, note)
        finally:  # once more, for the handler of another signal may have raised in there
            _put_back(handler, note)
        if note.called_with is not None:
            handler(*note.called_with)
        raise
    if note.called_with is not None:
        handler(*note.called_with)
    return result


def _put_back(handler: Callable[..., Any], note: _Note) -> None:
    if _signal.getsignal(_signal.SIGINT) is note:
        _signal.signal(_signal.SIGINT, handler)


__all__ = ["whole"]
