"""Processes that begin with a Channel Access of their own, however they are started."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import multiprocessing.pool
from typing import Any

from . import ca
from .ca import clear_cache

__all__ = ["CAPool", "CAProcess", "clear_cache"]


class CAProcess(multiprocessing.Process):
    """A process that forgets the channels of its parent before it runs."""

    def __init__(self, *args: Any, **kws: Any) -> None:
        super().__init__(*args, **kws)

    def run(self) -> None:
        """Forget, and run."""
        begin()
        super().run()


def begin(initializer: Any = None, arguments: tuple[Any, ...] = ()) -> None:
    """In a new process: a fresh context."""
    ca.initial_context = None
    clear_cache()
    ca.initialize_libca()
    ca.initial_context = ca.working_context()
    if initializer is not None:
        initializer(*arguments)


class CAPool(multiprocessing.pool.Pool):
    """A pool of such processes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        names = ("processes", "initializer", "initargs", "maxtasksperchild", "context")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        initializer, arguments = given.pop("initializer", None), given.pop("initargs", ())
        given.setdefault("context", multiprocessing.get_context())
        super().__init__(initializer=begin, initargs=(initializer, tuple(arguments)), **given)
