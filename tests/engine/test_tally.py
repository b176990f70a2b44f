"""Sums that only grow."""

from __future__ import annotations

from caclient.engine.tally import Tally


def test_who_has_left_still_counts():
    tally, living = Tally(), {"dropped": 3, "errors": 1}
    assert tally.totals(lambda: living) == living
    tally.keep(dropped=3)
    assert tally.totals(lambda: {"dropped": 2, "errors": 1}) == {"dropped": 5, "errors": 1}


def test_one_that_leaves_while_it_is_summed_is_neither_lost_nor_counted_twice():
    tally, living = Tally(), {"dropped": 3}
    assert tally.totals(lambda: living) == {"dropped": 3}

    def off_the_list() -> dict[str, int]:
        tally.keep(dropped=3)
        return {"dropped": 0}

    assert tally.totals(off_the_list) == {"dropped": 3}
    assert tally.totals(lambda: {"dropped": 1}) == {"dropped": 4}
