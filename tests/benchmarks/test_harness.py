"""The harness's own arithmetic, database and wire format. No timing, no server."""

from __future__ import annotations

import struct
from math import inf

import pytest

from tests.benchmarks import cases, flood, goals, measure, names, report
from tests.benchmarks.cases import CASES, HIGHER, LOWER
from tests.benchmarks.database import database
from tests.benchmarks.goals import BEST, GOALS, ITSELF, AtLeast, Goal, Limit, Verdict, judge
from tests.benchmarks.runs import Outcome


def test_advantage_is_above_one_when_ours_is_better():
    assert goals.advantage(10.0, 40.0, LOWER) == 4.0
    assert goals.advantage(10.0, 40.0, HIGHER) == 0.25


def test_advantage_over_nothing_is_endless():
    assert goals.advantage(10.0, 0.0, HIGHER) == float("inf")
    assert goals.advantage(0.0, 1.0, LOWER) == float("inf")


def test_best_peer_is_never_ourselves_nor_raw():
    medians = {"caclient": 1.0, "raw": 2.0, "repics": 30.0, "aioca": 20.0}
    assert goals.best_peer(medians, LOWER) == "aioca"
    assert goals.best_peer(medians, HIGHER) == "repics"
    assert goals.best_peer({"caclient": 1.0}, LOWER) is None


@pytest.mark.parametrize(
    ("ours", "verdict"), [(44.0, Verdict.REACHED), (44.1, Verdict.MISSED), (None, Verdict.UNKNOWN)]
)
def test_goal_of_at_most_a_factor_over_the_best_peer(ours, verdict):
    goal = Goal("row", "", (AtLeast(1 / 1.1, BEST),))
    medians = {"row": {"repics": 40.0, "pyepics": 90.0} | ({"caclient": ours} if ours else {})}
    assert judge(goal, medians, LOWER) == verdict


def test_all_bounds_of_a_goal_count():
    goal = Goal("row", "", (AtLeast(2.5, "repics"), AtLeast(20.0, "pyepics")))
    assert judge(goal, {"row": {"caclient": 500.0, "repics": 200.0, "pyepics": 25.0}}, HIGHER) == Verdict.REACHED
    assert judge(goal, {"row": {"caclient": 500.0, "repics": 200.0, "pyepics": 26.0}}, HIGHER) == Verdict.MISSED
    assert judge(goal, {"row": {"caclient": 499.0, "repics": 200.0}}, HIGHER) == Verdict.MISSED
    assert judge(goal, {"row": {"caclient": 500.0, "repics": 200.0}}, HIGHER) == Verdict.UNKNOWN


def test_limit_is_in_the_rows_unit():
    goal = Goal("row", "", (Limit(3.0),))
    assert judge(goal, {"row": {"caclient": 3.0}}, LOWER) == Verdict.REACHED
    assert judge(goal, {"row": {"caclient": 3.1}}, LOWER) == Verdict.MISSED
    assert judge(goal, {"row": {"caclient": 2.9}}, HIGHER) == Verdict.MISSED


def test_growth_is_judged_against_our_own_smaller_row():
    goal = Goal("large", "", (AtLeast(0.8, ITSELF, "small"),))
    medians = {"small": {"caclient": 100.0, "repics": 900.0}, "large": {"caclient": 80.0}}
    assert judge(goal, medians, HIGHER) == Verdict.REACHED
    assert judge(goal, {**medians, "large": {"caclient": 79.0}}, HIGHER) == Verdict.MISSED


def test_goals_name_rows_that_exist_and_peers_that_are_measured():
    rows = {row.name for case in CASES for row in case.rows}
    for goal in GOALS:
        assert goal.row in rows
        for bound in goal.bounds:
            if isinstance(bound, AtLeast):
                assert bound.peer in (*cases.PEERS, BEST, ITSELF)
                assert bound.row is None or bound.row in rows


def test_names_of_cases_and_rows_are_unique():
    assert len({case.name for case in CASES}) == len(CASES)
    rows = [row.name for case in CASES for row in case.rows]
    assert len(set(rows)) == len(rows)


def test_cases_are_chosen_by_name():
    assert [case.name for case in cases.chosen(("puts", "flood"), full=False)] == ["puts", "flood"]
    with pytest.raises(ValueError, match="no case named nonsense"):
        cases.chosen(("nonsense",), full=False)
    assert len(cases.chosen(None, full=False)) < len(cases.chosen(None, full=True))


def test_lines_hold_medians_over_rounds_and_advantages():
    case = next(case for case in CASES if case.name == "puts")
    outcomes = [Outcome(case, "caclient", {"rate": rate}) for rate in (100.0, 300.0, 200.0)]
    outcomes += [Outcome(case, "repics", {"rate": 100.0}), Outcome(case, "caproto", error="not done in 60 s")]
    (line,) = report.lines_of(case.rows, report.collect(outcomes))
    assert line.medians == {"caclient": 200.0, "repics": 100.0}
    assert line.advantages == {"repics": 2.0}
    assert line.best == "repics"
    assert line.verdict == Verdict.REACHED
    assert report.failures(outcomes) == ["puts, caproto: not done in 60 s"]


def test_table_shows_a_dash_for_what_is_missing():
    case = next(case for case in CASES if case.name == "puts")
    (line,) = report.lines_of(case.rows, report.collect([Outcome(case, "repics", {"rate": 12345.0})]))
    head, _rule, body = report.table([line], ("caclient", "repics")).splitlines()
    assert [cell.strip() for cell in head.split("|")][3:5] == ["caclient", "repics"]
    assert [cell.strip() for cell in body.split("|")][3:8] == ["-", "12,300", "-", "-", "-"]
    assert "not measured" in body


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0123, "0.0123"),
        (39.44, "39.4"),
        (999.0, "999"),
        (999.9, "1,000"),
        (1234567.0, "1,230,000"),
        (inf, "inf"),
    ],
)
def test_numbers_have_three_digits_that_count(value, text):
    assert report.number(value) == text


def test_percentile_is_a_value_that_was_measured():
    assert measure.percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert measure.percentile(list(range(1, 101)), 0.99) == 99
    assert measure.percentile([7.0], 0.99) == 7.0


def test_ramp_check_finds_a_value_in_the_wrong_place():
    measure.check_ramp([0.0, 1.0, 2.0], 3)
    with pytest.raises(AssertionError, match="wrong values"):
        measure.check_ramp([0.0, 2.0, 1.0], 3)
    with pytest.raises(AssertionError, match="wrong values"):
        measure.check_ramp([0.0], 3)


def test_threads_all_run_to_their_end():
    seen: list[int] = []
    measure.run_threads(3, seen.append)
    assert sorted(seen) == [0, 1, 2]


def test_database_has_each_record_once():
    text = database(7)
    for name in (*names.scalars(7), *names.ticks(names.TICK_COUNT), names.PUT, names.WAVEFORM):
        assert text.count(f', "{name}") {{') == 1


def test_messages_survive_any_split():
    data = flood.message(flood.ECHO) + flood.message(flood.SEARCH, 5, 13, 7, 7, b"flood:s1\0")
    found, rest = flood.parse(data)
    assert [item[0] for item in found] == [flood.ECHO, flood.SEARCH]
    assert rest == b""
    for cut in range(len(data)):
        head, rest = flood.parse(data[:cut])
        tail, left = flood.parse(rest + data[cut:])
        assert (head + tail, left) == (found, b"")


def test_large_messages_have_the_long_header():
    data = flood.message(flood.EVENT_ADD, 6, 10_000, 1, 2, bytes(80_000))
    assert data[2:4] == b"\xff\xff"
    ((command, data_type, count, p1, p2, payload),), rest = flood.parse(data)
    assert (command, data_type, count, p1, p2, len(payload), rest) == (1, 6, 10_000, 1, 2, 80_000, b"")


@pytest.mark.parametrize(("data_type", "size"), [(6, 8), (13, 16), (20, 24), (27, 72), (34, 88)])
def test_doubles_of_every_form_have_the_size_of_their_type(data_type, size):
    payload = flood.double_payload(data_type, 1, 2.5)
    assert len(payload) == size
    assert struct.unpack_from(">d", payload, size - 8) == (2.5,)


def test_flood_server_has_doubles_only():
    with pytest.raises(ValueError, match="doubles only"):
        flood.double_payload(0, 1, 0.0)


def test_block_mixes_the_subscriptions():
    both = [flood.Subscription(i, 1, 20, 1, camera=False) for i in (5, 6)]
    found, rest = flood.parse(flood.block(both))
    assert [item[4] for item in found[:4]] == [5, 6, 5, 6]
    assert (len(found), rest) == (flood.ROUND, b"")


def test_search_is_answered_for_flooded_names_only():
    request = flood.message(flood.VERSION, 1, 13, 42)
    request += flood.message(flood.SEARCH, 5, 13, 1, 1, b"flood:s1\0")
    request += flood.message(flood.SEARCH, 5, 13, 2, 2, b"other\0")
    found, _ = flood.parse(flood.search_answers(request, 5064))
    assert [(item[0], item[4]) for item in found] == [(flood.VERSION, 0), (flood.SEARCH, 1)]
    assert flood.search_answers(flood.message(flood.SEARCH, 5, 13, 2, 2, b"other\0"), 5064) == b""
