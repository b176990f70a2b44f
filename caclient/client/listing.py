"""What lives in this process and calls back: subscriptions and callbacks, listed and ended."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, overload

from typing_extensions import Self

from caclient.client.callbacks import Callbacks
from caclient.client.channel import Channel
from caclient.client.home import Home
from caclient.client.monitor import Monitor
from caclient.client.subscription import Calls
from caclient.client.waiting import give, wait
from caclient.engine.lanes import named
from caclient.engine.runtime import Runtime
from caclient.engine.signals import new_signal

_FILED: Final = 1.0
"""Seconds that what has just begun may take to be listed."""


class Living(Protocol):
    """What is listed: a ``Subscription``, or a callback in pyepics' form."""

    callback: Any

    @property
    def pvname(self) -> str:
        """The name of the PV."""

    @property
    def pending(self) -> int:
        """Updates that wait."""

    @property
    def dropped(self) -> int:
        """Updates that were pushed out."""

    def close(self) -> None:
        """Call no more."""


class Attached:
    """A callback that was given to ``add_callback``."""

    def __init__(self, callbacks: Callbacks, index: int, callback: Any) -> None:
        self._callbacks = callbacks
        self.index = index
        self.callback = callback

    @property
    def pvname(self) -> str:
        """The name of the PV."""
        return str(self._callbacks.pv.pvname)

    @property
    def pending(self) -> int:
        """Updates that wait, for all callbacks of the PV."""
        return self._callbacks.events.pending

    @property
    def dropped(self) -> int:
        """Updates that were pushed out."""
        return self._callbacks.events.dropped

    def close(self) -> None:
        """Call it no more."""
        self._callbacks.remove(self.index)

    def __repr__(self) -> str:
        return f"<callback {self.index} of {self.pvname!r}: {named(self.callback)}>"


class Iterating:
    """An iterator that somebody holds."""

    callback = None

    def __init__(self, holder: Any, pvname: str) -> None:
        self._holder = holder
        self.pvname = pvname

    @property
    def pending(self) -> int:
        """Updates that wait."""
        return int(getattr(self._holder.sink, "pending", 0))

    @property
    def dropped(self) -> int:
        """Updates that were pushed out."""
        return int(getattr(self._holder.sink, "dropped", 0))

    def close(self) -> None:
        """End it."""
        self._holder.sink.end(None)
        self._holder.close()


class Subscriptions(Sequence[Any]):
    """Subscriptions and callbacks, as a table: PV, function and line, age, what waits, dropped, thinned.

    ``close()`` ends them all; also a context manager.
    """

    __slots__ = ("_living",)

    def __init__(self, living: Iterable[Any]) -> None:
        self._living = tuple(living)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> Subscriptions: ...

    def __getitem__(self, index: int | slice) -> Any:
        return Subscriptions(self._living[index]) if isinstance(index, slice) else self._living[index]

    def __len__(self) -> int:
        return len(self._living)

    def close(self) -> None:
        """End them all."""
        for each in self._living:
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def to_dict(self) -> list[dict[str, Any]]:
        """As what JSON can say, one for each."""
        return [
            {
                "pvname": each.pvname,
                "callback": None if each.callback is None else named(each.callback),
                "age": getattr(each, "age", None),
                "pending": each.pending,
                "dropped": each.dropped,
                "thinned": getattr(each, "thinned", None),
            }
            for each in self._living
        ]

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("PV", "callback", "age", "waiting", "dropped", "thinned")]
        for facts in self.to_dict():
            age = "" if facts["age"] is None else f"{facts['age']:.0f} s"
            rows.append(
                (
                    facts["pvname"],
                    facts["callback"] or "(iterator)",
                    age,
                    str(facts["pending"]),
                    str(facts["dropped"]),
                    "" if facts["thinned"] is None else str(facts["thinned"]),
                )
            )
        return rows

    def __repr__(self) -> str:
        if not self._living:
            return "<no subscriptions>"
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    def _repr_html_(self) -> str:
        cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self._rows()]
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def subscriptions_of(homes: Iterable[Home], iterators: bool = False) -> Subscriptions:
    """What lives in these homes; *iterators*: these too, though their user alone holds them. *Any thread.*

    What has just begun is on its way to its monitor: it is waited for, a second at the most.
    """
    open_homes = [home for home in homes if not home.runtime.closed]
    for home in open_homes:
        _await_filed(home.runtime)
    return Subscriptions(
        living for home in open_homes for channel in home.names.all() for living in _living(channel, iterators)
    )


def _await_filed(runtime: Runtime) -> None:
    """Wait until the engine has made the calls that are filed; not where it is this thread, or there is none yet."""
    if runtime.asleep or threading.current_thread() is runtime.loop.thread:
        return
    done = new_signal()
    runtime.loop.call_soon(give, done)
    wait(runtime, done, time.monotonic() + _FILED)


def _living(channel: Channel, iterators: bool) -> Iterator[Any]:
    for dependent in channel.dependents:
        if isinstance(dependent, Callbacks):
            for index, entry in sorted(dependent.entries.items()):
                yield Attached(dependent, index, entry.callback)
        elif isinstance(dependent, Monitor):
            for holder in dependent.holders:
                owner = getattr(holder.sink, "owner", None) if isinstance(holder.sink, Calls) else None
                if owner is not None:
                    yield owner
                elif iterators and not isinstance(holder.sink, Calls):
                    yield Iterating(holder, channel.name)
