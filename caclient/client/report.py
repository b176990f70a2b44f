"""What a context is doing, as figures: for people at 3 a.m. and for their monitoring."""

from __future__ import annotations

import html
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from caclient.client.monitor import Monitor

if TYPE_CHECKING:
    from caclient.client.home import Home
    from caclient.engine.circuit import Circuit


@dataclass(frozen=True, slots=True)
class CircuitReport:
    """One TCP connection; times in seconds, None where nothing has been measured."""

    address: tuple[str, int]
    priority: int
    state: str
    version: int
    channels: int
    bytes_in: int
    bytes_out: int
    bytes_pending: int
    age: float | None
    last_heard: float | None
    round_trip: float | None
    late_replies: int
    pauses: int

    @classmethod
    def of(cls, circuit: Circuit, now: float) -> Self:
        """A circuit as it stands."""
        return cls(
            address=circuit.address,
            priority=circuit.priority,
            state=circuit.state.value,
            version=circuit.core.version,
            channels=len(circuit.core.channels),
            bytes_in=circuit.bytes_in,
            bytes_out=circuit.bytes_out,
            bytes_pending=circuit.pending,
            age=now - circuit.opened_at if circuit.opened_at else None,
            last_heard=now - circuit.heard_at if circuit.bytes_in else None,
            round_trip=circuit.round_trip or None,
            late_replies=sum(circuit.core.late.values()),
            pauses=circuit.pauses,
        )

    def __str__(self) -> str:
        heard = "never heard" if self.last_heard is None else f"last heard {self.last_heard:.1f} s ago"
        trip = "" if self.round_trip is None else f", round trip {self.round_trip * 1e3:.2f} ms"
        return (
            f"{self.address[0]}:{self.address[1]} priority {self.priority}: {self.state}, CA 4.{self.version}, "
            f"{self.channels} channels, {self.bytes_in} bytes in, {self.bytes_out} out, {heard}{trip}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """A context at one moment; it shows itself as text that is meant to be read. *Any thread.*"""

    circuits: tuple[CircuitReport, ...]
    channels: dict[str, int]
    searching: tuple[str, ...]
    searches_sent: int
    destinations: tuple[str, ...]
    name_servers: tuple[str, ...]
    search_failures: dict[str, str]
    duplicates: dict[str, tuple[tuple[str, int], tuple[str, int]]]
    refusing: dict[str, int]
    lanes_waiting: int
    workers: int
    subscriptions: int
    pending: int
    dropped: int
    callback_errors: int
    wakeups: int
    engine_lag: float
    beacons_from: int
    repeater: str
    bytes_in: int
    bytes_out: int
    circuits_opened: int

    @classmethod
    def _of(cls, home: Home) -> Self:
        """A home as it stands. *Any thread.*"""
        now = time.monotonic()
        totals = home.runtime.tally.totals(lambda: _living(home))
        channels = home.names.all()
        states: dict[str, int] = {}
        for channel in channels:
            states[channel.state.value] = states.get(channel.state.value, 0) + 1
        sinks = _sinks(home)
        waiting, workers = home.runtime.lanes.depth()
        searches = home.searches
        circuits = tuple(CircuitReport.of(circuit, now) for circuit in home.pool.all())
        return cls(
            circuits=circuits,
            channels=states,
            searching=tuple(channel.name for channel in channels if channel.state.value == "searching"),
            searches_sent=searches.datagrams_sent,
            destinations=tuple(f"{host}:{port}" for host, port in searches.destinations),
            name_servers=tuple(home.name_servers.describe()),
            search_failures={f"{host}:{port}": why for (host, port), why in list(searches.failures.items())},
            duplicates=dict(home.names.duplicates),
            refusing={f"{host}:{port}": count for (host, port), count in home.pool.refusing().items()},
            lanes_waiting=waiting,
            workers=workers,
            subscriptions=len(sinks),
            pending=sum(sink.pending for sink in sinks),
            dropped=totals["dropped"],
            callback_errors=totals["errors"],
            wakeups=home.runtime.loop.wakeups,
            engine_lag=home.runtime.loop.lag,
            beacons_from=len(searches.beacons),
            repeater="serving" if home.repeater.serving else "registered" if home.repeater.confirmed else "none",
            bytes_in=totals["bytes_in"],
            bytes_out=totals["bytes_out"],
            circuits_opened=home.pool.opened,
        )

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can say, by the names of the fields."""
        facts = asdict(self)
        facts["duplicates"] = {
            name: [f"{host}:{port}" for host, port in pair] for name, pair in self.duplicates.items()
        }
        facts["circuits"] = [
            {**asdict(each), "address": f"{each.address[0]}:{each.address[1]}"} for each in self.circuits
        ]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()}

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        rows = [line.partition(": ") for line in str(self).splitlines()]
        cells = "".join(
            f'<tr><th style="text-align:left">{html.escape(name)}</th>'
            f'<td style="text-align:left">{html.escape(text)}</td></tr>'
            for name, _, text in rows
        )
        return f"<table><caption>Channel Access context</caption>{cells}</table>"

    def __str__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.channels.items())) or "none"
        lines = [
            f"channels: {states}",
            f"searches: {len(self.searching)} names, {self.searches_sent} datagrams to {', '.join(self.destinations)}",
            f"callbacks: {self.subscriptions} subscriptions, {self.pending} updates waiting, {self.dropped} dropped",
            f"workers: {self.workers}, {self.callback_errors} callback errors",
            f"engine: {self.wakeups} wake-ups, lag {self.engine_lag * 1e3:.1f} ms",
            f"traffic: {self.bytes_in} bytes in, {self.bytes_out} out, {self.circuits_opened} circuits opened so far",
            f"beacons: from {self.beacons_from} servers; repeater: {self.repeater}",
            *self.name_servers,
            *(f"search to {where} fails: {why}" for where, why in self.search_failures.items()),
            *(f"{where} answers searches, does not serve: {count} attempts" for where, count in self.refusing.items()),
            *(f"circuit {circuit}" for circuit in self.circuits),
        ]
        return "\n".join(lines)


def _sinks(home: Home) -> list[Any]:
    monitors = [each for channel in home.names.all() for each in channel.dependents if isinstance(each, Monitor)]
    return [sink for monitor in monitors for sink in monitor.sinks]


def _living(home: Home) -> dict[str, int]:
    """What those count who are there: callbacks, iterators, circuits."""
    sinks, circuits = _sinks(home), home.pool.all()
    return {
        "dropped": sum(sink.dropped for sink in sinks),
        "errors": sum(getattr(sink, "errors", 0) for sink in sinks),
        "bytes_in": sum(circuit.bytes_in for circuit in circuits),
        "bytes_out": sum(circuit.bytes_out for circuit in circuits),
    }
