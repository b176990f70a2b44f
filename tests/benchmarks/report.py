"""The report: medians, ratios and verdicts as a table, and everything as JSON."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import caclient
from tests.benchmarks.cases import PEERS, Row
from tests.benchmarks.goals import GOALS, OURS, Medians, Verdict, advantage, best_peer, judge
from tests.benchmarks.runs import Outcome
from tests.benchmarks.servers import ROOT

PACKAGES = ("pyepics", "caproto", "aioca", "repics", "epicscorelibs", "numpy")
Samples = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Line:
    """One row of the table, judged."""

    row: Row
    medians: Mapping[str, float]
    samples: Mapping[str, list[float]]
    advantages: Mapping[str, float]
    best: str | None
    goal: str
    verdict: Verdict | None


def collect(outcomes: Iterable[Outcome]) -> Samples:
    """Row name -> client -> the numbers of all rounds."""
    samples: Samples = {}
    for outcome in outcomes:
        for row in outcome.case.rows:
            if row.key in outcome.numbers:
                of_row = samples.setdefault(row.name, {})
                of_row.setdefault(outcome.client, []).append(outcome.numbers[row.key])
    return samples


def medians_of(samples: Samples) -> dict[str, dict[str, float]]:
    return {row: {client: median(values) for client, values in found.items()} for row, found in samples.items()}


def lines_of(rows: Iterable[Row], samples: Samples) -> list[Line]:
    medians = medians_of(samples)
    return [_line(row, medians, samples.get(row.name, {})) for row in rows]


def _line(row: Row, medians: Medians, samples: Mapping[str, list[float]]) -> Line:
    found = medians.get(row.name, {})
    ours = found.get(OURS)
    rivals = [peer for peer in PEERS if peer in found] if ours is not None else []
    advantages = {peer: advantage(ours, found[peer], row.better) for peer in rivals if ours is not None}
    goal = next((goal for goal in GOALS if goal.row == row.name), None)
    verdict = judge(goal, medians, row.better) if goal else None
    return Line(row, found, samples, advantages, best_peer(found, row.better), goal.text if goal else "", verdict)


def table(lines: Iterable[Line], clients: tuple[str, ...]) -> str:
    """The table as Markdown: a median for each client, our advantage, and the goal with its verdict."""
    head = ["", "unit", *clients, "x best peer", "x repics", "x pyepics", "goal", ""]
    body = [_cells(line, clients) for line in lines]
    widths = [max(len(cells[i]) for cells in (head, *body)) for i in range(len(head))]
    rule = ["-" * width for width in widths]
    return "\n".join(_joined(cells, widths) for cells in (head, rule, *body))


def _joined(cells: list[str], widths: list[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _cells(line: Line, clients: tuple[str, ...]) -> list[str]:
    found = [number(line.medians.get(client)) for client in clients]
    compared = [number(line.advantages.get(peer or "")) for peer in (line.best, "repics", "pyepics")]
    return [line.row.title, line.row.unit, *found, *compared, line.goal, line.verdict.value if line.verdict else ""]


def number(value: float | None) -> str:
    """Three digits that count, thousands apart; a dash for nothing, inf for the advantage of none over some."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "inf"
    if abs(value) >= 999.5:
        digits = 3 - len(str(int(abs(value))))
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}"


def failures(outcomes: Iterable[Outcome]) -> list[str]:
    return [f"{o.case.name}, {o.client}: {o.error}" for o in outcomes if o.error]


def as_json(lines: Iterable[Line], outcomes: Iterable[Outcome], options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **surroundings(),
        "options": dict(options),
        "rows": [_row_as_json(line) for line in lines],
        "failures": failures(outcomes),
    }


def _row_as_json(line: Line) -> dict[str, Any]:
    return {
        "name": line.row.name,
        "title": line.row.title,
        "unit": line.row.unit,
        "better": line.row.better,
        "medians": dict(line.medians),
        "samples": {client: list(values) for client, values in line.samples.items()},
        "advantages": dict(line.advantages),
        "goal": line.goal,
        "verdict": line.verdict.value if line.verdict else None,
    }


def surroundings() -> dict[str, Any]:
    """Where, when and with what was measured."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "load": os.getloadavg(),
        },
        "versions": {
            "python": platform.python_version(),
            "caclient": f"{caclient.__version__} ({_commit()})",
            **{name: _version(name) for name in PACKAGES},
        },
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """What exactly was measured: a checkout between two releases has no other name."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no checkout"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
