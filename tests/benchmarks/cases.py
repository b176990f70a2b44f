"""What is measured: the cases, and the rows of the table that each gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

CLIENTS = ("caclient", "dropin", "pyepics", "pyepics_ca", "caproto", "aioca", "repics", "raw")
PEERS = ("pyepics", "pyepics_ca", "caproto", "aioca", "repics")

Better = Literal["lower", "higher"]
HIGHER: Better = "higher"
LOWER: Better = "lower"


@dataclass(frozen=True)
class Task:
    """How much work one run does: each kind of work takes what it needs from here."""

    pvs: int = 1
    calls: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class Row:
    """One line of the table: `key` is the number's name in what a worker reports."""

    name: str
    title: str
    key: str
    unit: str
    better: Better


@dataclass(frozen=True)
class Case:
    """One run of a worker: which function of the client's module, with how much work, beside which servers."""

    name: str
    work: str
    task: Task
    quick: Task
    rows: tuple[Row, ...]
    servers: tuple[str, ...] = ("ioc",)
    ticking: bool = False
    full_only: bool = False
    timeout: float = 60.0


def _growth(count: int, full_only: bool = False) -> tuple[Case, Case]:
    """Connecting and reading `count` PVs."""
    few = min(count, 1_000)
    sweeps = max(1, 20_000 // count)
    connect = Row(f"connect_{count}", f"connect {count:,} PVs", "rate", "/s", HIGHER)
    read = Row(f"bulk_get_{count}", f"bulk get of {count:,} scalars", "rate", "/s", HIGHER)
    return (
        Case(connect.name, "connect", Task(count), Task(few), (connect,), full_only=full_only, timeout=120),
        Case(read.name, "bulk_get", Task(count, sweeps), Task(few, 1), (read,), full_only=full_only, timeout=120),
    )


def _ticks(name: str, title: str, work: str, pvs: int, servers: tuple[str, ...] = ("ioc",)) -> Case:
    """Updates at 10 Hz a PV: what they cost, and how late they reach the callback."""
    rows = (
        Row(f"{name}_p50", f"{title}: callback latency, median", "p50", "ms", LOWER),
        Row(f"{name}_p99", f"{title}: callback latency, 99 %", "p99", "ms", LOWER),
    )
    return Case(name, work, Task(pvs, seconds=5), Task(pvs, seconds=1), rows, servers, ticking=True)


def _threads(number: int) -> Case:
    """Gets one after the other in each of so many threads."""
    name = "threads" if number == 8 else f"threads_{number}"
    row = Row(name, f"{number} thread{'s' * (number > 1)}, sequential gets", "rate", "/s", HIGHER)
    return Case(name, "threads", Task(number, calls=1_000), Task(number, calls=100), (row,))


def _in_turn(pvs: int) -> tuple[Case, ...]:
    """Updates of many PVs, one each in turn: readings, and all keywords of pyepics' callbacks."""
    plain = Row(f"flood_{pvs}", f"updates of {pvs:,} PVs in turn, into callbacks", "rate", "/s", HIGHER)
    words = Row(f"keywords_{pvs}", f"updates of {pvs:,} PVs in turn, in pyepics' form", "rate", "/s", HIGHER)
    task, quick = Task(pvs, seconds=2), Task(min(pvs, 1_000), seconds=0.5)
    return (
        Case(plain.name, "flood", task, quick, (plain,), ("flood",)),
        Case(words.name, "keywords", task, quick, (words,), ("flood",)),
    )


def _paced(pvs: int) -> tuple[Case, ...]:
    """Many PVs at 100 Hz: how many updates arrive, how late, at what cost."""
    return tuple(
        Case(
            name,
            work,
            Task(pvs, seconds=3),
            Task(100, seconds=1),
            (
                Row(f"{name}_updates", f"{pvs:,} PVs at 100 Hz{form}: delivered", "updates", "/s", HIGHER),
                Row(f"{name}_p50", f"{pvs:,} PVs at 100 Hz{form}: latency, median", "p50", "ms", LOWER),
                Row(f"{name}_p99", f"{pvs:,} PVs at 100 Hz{form}: latency, 99 %", "p99", "ms", LOWER),
                Row(f"{name}_cpu", f"{pvs:,} PVs at 100 Hz{form}: CPU per update", "cpu_us", "us", LOWER),
            ),
            ("flood",),
        )
        for name, work, form in (("paced", "paced", ""), ("paced_words", "paced_keywords", " in pyepics' form"))
    )


def _with(row: Row, case: Case) -> Case:
    return replace(case, rows=(row, *case.rows))


_COST = Row("update_cost", "1,000 updates/s: CPU of one core", "cpu", "%", LOWER)
_BESIDE_CAMERA = Row("camera_updates", "100 PVs at 10 Hz beside an 8 MB camera: delivered", "updates", "/s", HIGHER)
_BESIDE_SLOW = Row("slow_updates", "100 PVs at 10 Hz beside a slow callback: delivered", "updates", "/s", HIGHER)


_IDLE_ROWS = (
    Row("idle_cpu", "1,000 quiet monitored PVs: CPU of one core", "cpu", "%", LOWER),
    Row("idle_wakeups", "1,000 quiet monitored PVs: wake-ups", "wakeups", "/s", LOWER),
)

CASES: tuple[Case, ...] = (
    Case(
        "sequential_get",
        "sequential_get",
        Task(calls=3_000),
        Task(calls=300),
        (Row("sequential_get", "sequential uncached get, scalar", "us", "us", LOWER),),
    ),
    Case(
        "put_wait",
        "put_wait",
        Task(calls=3_000),
        Task(calls=300),
        (Row("put_wait", "put with completion", "us", "us", LOWER),),
    ),
    Case(
        "puts",
        "puts",
        Task(calls=30_000),
        Task(calls=3_000),
        (Row("puts", "puts without waiting, then a confirming get", "rate", "/s", HIGHER),),
    ),
    *_growth(100),
    *_growth(1_000),
    *_growth(10_000),
    *_growth(100_000, full_only=True),
    Case(
        "flood",
        "flood",
        Task(seconds=2),
        Task(seconds=0.5),
        (Row("flood", "updates of one PV into a Python callback", "rate", "/s", HIGHER),),
        ("flood",),
    ),
    Case(
        "flood_100",
        "flood",
        Task(100, seconds=2),
        Task(100, seconds=0.5),
        (Row("flood_100", "updates of 100 PVs, mixed, into callbacks", "rate", "/s", HIGHER),),
        ("flood",),
    ),
    *_in_turn(1_000),
    *_in_turn(10_000),
    *_paced(1_000),
    Case(
        "busy",
        "paced_beside_sorts",
        Task(100, seconds=4),
        Task(20, seconds=1),
        (
            Row("busy_updates", "100 PVs at 100 Hz beside sorts of 70 ms: delivered", "updates", "/s", HIGHER),
            Row("busy_p50", "100 PVs at 100 Hz beside sorts of 70 ms: latency, median", "p50", "ms", LOWER),
        ),
        ("flood",),
    ),
    Case(
        "waveform_get",
        "waveform_get",
        Task(calls=30),
        Task(calls=5),
        (Row("waveform_get", "8 MB waveform get", "rate", "MB/s", HIGHER),),
    ),
    *(_threads(number) for number in (1, 2, 8)),
    Case(
        "memory",
        "memory",
        Task(10_000),
        Task(1_000),
        (Row("memory", "memory per connected PV", "kB", "kB", LOWER),),
    ),
    Case(
        "memory_monitored",
        "memory_monitored",
        Task(10_000),
        Task(1_000),
        (Row("memory_monitored", "memory per PV with a monitor (10,000 PVs)", "kB", "kB", LOWER),),
    ),
    _with(_COST, _ticks("ticks", "100 PVs at 10 Hz", "ticks", 100)),
    _ticks("ticks_500", "500 PVs at 10 Hz", "ticks", 500),
    _with(
        _BESIDE_CAMERA,
        _ticks("camera", "100 PVs at 10 Hz beside an 8 MB camera", "ticks_beside_camera", 100, ("ioc", "flood")),
    ),
    _with(
        _BESIDE_SLOW,
        _ticks("slow", "100 PVs at 10 Hz beside a slow callback", "ticks_beside_slow_callback", 100),
    ),
    Case("idle", "idle", Task(1_000, seconds=5), Task(1_000, seconds=1), _IDLE_ROWS),
    Case(
        "import_time",
        "import_time",
        Task(calls=5),
        Task(calls=2),
        (Row("import_time", "import", "ms", "ms", LOWER),),
    ),
    Case(
        "cold_get",
        "cold_get",
        Task(calls=5),
        Task(calls=2),
        (Row("cold_get", "first value from a cold process", "ms", "ms", LOWER),),
    ),
)


def chosen(names: tuple[str, ...] | None, full: bool) -> tuple[Case, ...]:
    """The cases of these names, or all (those of the full run only if `full`)."""
    if names is None:
        return tuple(case for case in CASES if full or not case.full_only)
    known = {case.name: case for case in CASES}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no case named {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in names)


def arguments(task: Task) -> dict[str, float]:
    return asdict(task)
