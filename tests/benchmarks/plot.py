"""The picture: how many times better than each peer, row by row."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite
from pathlib import Path

from tests.benchmarks.cases import PEERS
from tests.benchmarks.report import Line


def draw(lines: Iterable[Line], file: Path) -> None:
    """Write the picture (needs matplotlib): one line of dots a row, one colour a peer, on a logarithmic scale."""
    from matplotlib.figure import Figure

    shown = [line for line in lines if line.advantages][::-1]
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(shown)), layout="constrained")
    axes = figure.add_subplot()
    for peer in PEERS:
        dots = [(times, i) for i, line in enumerate(shown) if isfinite(times := line.advantages.get(peer, inf))]
        if dots:
            axes.scatter(*zip(*dots, strict=True), s=28, label=peer)
    axes.set_xscale("log")
    axes.axvline(1.0, color="grey", linewidth=1)
    axes.set_yticks(range(len(shown)), [line.row.title for line in shown])
    axes.set_xlabel("times better than the peer")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(file, dpi=120)
