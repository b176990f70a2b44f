"""The database of the benchmark's IOC, as text."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks import names

CLOCK = "bench:clock"
EVENT = "tick"


def database(scalar_count: int) -> str:
    return "\n".join(_records(scalar_count))


def _records(scalar_count: int) -> Iterator[str]:
    kinds = ("ai", "ao", "calc")
    for i, name in enumerate(names.scalars(scalar_count)):
        yield _scalar(kinds[i % 3], name, i)
    for name in names.ticks(names.TICK_COUNT):
        yield _tick(name)
    yield f'record(calcout, "{CLOCK}") {{ field(CALC, "1") field(OEVT, "{EVENT}") }}'
    yield f'record(ao, "{names.PUT}") {{ field(VAL, "0") field(PINI, "YES") }}'
    yield f'record(waveform, "{names.WAVEFORM}") {{ field(FTVL, "DOUBLE") field(NELM, "{names.WAVEFORM_COUNT}") }}'


def _scalar(kind: str, name: str, value: int) -> str:
    start = f'field(CALC, "{value}")' if kind == "calc" else f'field(VAL, "{value}")'
    return f'record({kind}, "{name}") {{ {start} field(PINI, "YES") field(EGU, "mm") field(PREC, "3") }}'


def _tick(name: str) -> str:
    scan = f'field(SCAN, "Event") field(EVNT, "{EVENT}")'
    return f'record(calc, "{name}") {{ {scan} field(INPA, "{name}") field(CALC, "A+1") }}'
