"""The goals, as data, and the arithmetic that judges them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tests.benchmarks.cases import LOWER, PEERS, Better

OURS = "caclient"
BEST = "best peer"
ITSELF = "itself"
Medians = Mapping[str, Mapping[str, float]]
"""Row name -> client -> median."""


class Verdict(Enum):
    REACHED = "reached"
    MISSED = "MISSED"
    UNKNOWN = "not measured"


@dataclass(frozen=True)
class AtLeast:
    """We must have `factor` times the advantage over this peer (1: as good as it; its row, unless another is named)."""

    factor: float
    peer: str
    row: str | None = None


@dataclass(frozen=True)
class Limit:
    """We must be on the right side of this number, in the row's own unit."""

    value: float


@dataclass(frozen=True)
class Goal:
    row: str
    text: str
    bounds: tuple[AtLeast | Limit, ...]


def _share(factor: float, peer: str, row: str | None = None) -> AtLeast:
    """At most `factor` of what a peer needs."""
    return AtLeast(1 / factor, peer, row)


GOALS: tuple[Goal, ...] = (
    Goal("sequential_get", "at most 0.7 x repics", (_share(0.7, "repics"),)),
    Goal("put_wait", "at most 0.7 x the best peer", (_share(0.7, BEST),)),
    Goal("puts", "at least 1.6 x repics", (AtLeast(1.6, "repics"),)),
    Goal("bulk_get_1000", "at least 10 x repics", (AtLeast(10.0, "repics"),)),
    Goal("flood", "at least 1,000 k/s, 30 x pyepics", (Limit(1e6), AtLeast(30.0, "pyepics"))),
    Goal("flood_1000", "at least 1.5 x repics", (AtLeast(1.5, "repics"),)),
    Goal("flood_10000", "at least 2.5 x repics", (AtLeast(2.5, "repics"),)),
    Goal("keywords_1000", "at least 7 x pyepics", (AtLeast(7.0, "pyepics"),)),
    Goal("keywords_10000", "at least 4.5 x pyepics", (AtLeast(4.5, "pyepics"),)),
    Goal("waveform_get", "at least 1.3 x the best peer", (AtLeast(1.3, BEST),)),
    Goal("connect_10000", "at least repics", (AtLeast(1.0, "repics"),)),
    Goal("bulk_get_10000", "no slower a PV than 1,000 (within 20 %)", (AtLeast(0.8, ITSELF, "bulk_get_1000"),)),
    Goal("connect_100000", "no slower a PV than 1,000 (within 10 %)", (AtLeast(0.9, ITSELF, "connect_1000"),)),
    Goal("bulk_get_100000", "no slower a PV than 1,000 (within 20 %)", (AtLeast(0.8, ITSELF, "bulk_get_1000"),)),
    Goal("threads", "at least 0.7 x repics", (AtLeast(0.7, "repics"),)),
    Goal("threads_2", "no slower than one", (AtLeast(1.0, ITSELF, "threads_1"),)),
    Goal("memory", "at most 1.6 kB", (Limit(1.6),)),
    Goal("update_cost", "at most 1.2 x repics", (_share(1.2, "repics"),)),
    Goal("ticks_500_p50", "at most repics", (AtLeast(1.0, "repics"),)),
    Goal("ticks_500_p99", "at most repics", (AtLeast(1.0, "repics"),)),
    Goal("idle_wakeups", "less than one a second", (Limit(1.0),)),
    Goal("import_time", "at most 1.15 x pyepics", (_share(1.15, "pyepics"),)),
    Goal("camera_p99", "at most the best peer", (AtLeast(1.0, BEST),)),
    Goal("slow_updates", "as without the slow callback (within 1 %)", (Limit(990.0),)),
    Goal("slow_p99", "as without the slow callback (within 2 x)", (AtLeast(0.5, ITSELF, "ticks_p99"),)),
)


def advantage(ours: float, theirs: float, better: Better) -> float:
    """How many times better `ours` is than `theirs`; below 1 it is worse."""
    over, under = (theirs, ours) if better == LOWER else (ours, theirs)
    return over / under if under else float("inf")


def best_peer(medians: Mapping[str, float], better: Better) -> str | None:
    """The peer with the best median of a row, if any has one."""
    measured = [peer for peer in PEERS if peer in medians]
    if not measured:
        return None
    return (min if better == LOWER else max)(measured, key=medians.__getitem__)


def judge(goal: Goal, medians: Medians, better: Better) -> Verdict:
    """Whether the goal is reached: all of its bounds must be; a number that is missing leaves it open."""
    ours = medians.get(goal.row, {}).get(OURS)
    if ours is None:
        return Verdict.UNKNOWN
    verdicts = [_judge_bound(bound, goal.row, ours, medians, better) for bound in goal.bounds]
    if Verdict.MISSED in verdicts:
        return Verdict.MISSED
    return Verdict.UNKNOWN if Verdict.UNKNOWN in verdicts else Verdict.REACHED


def _judge_bound(bound: AtLeast | Limit, row: str, ours: float, medians: Medians, better: Better) -> Verdict:
    if isinstance(bound, Limit):
        return _verdict(advantage(ours, bound.value, better) >= 1.0)
    theirs = _reference(bound, medians.get(bound.row or row, {}), better)
    if theirs is None:
        return Verdict.UNKNOWN
    return _verdict(advantage(ours, theirs, better) >= bound.factor)


def _reference(bound: AtLeast, medians: Mapping[str, float], better: Better) -> float | None:
    named = {ITSELF: OURS, BEST: best_peer(medians, better)}
    client = named.get(bound.peer, bound.peer)
    return medians.get(client) if client else None


def _verdict(good: bool) -> Verdict:
    return Verdict.REACHED if good else Verdict.MISSED
