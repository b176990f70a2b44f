"""The deadband rule."""

from __future__ import annotations

from math import inf, nan

import pytest

from caclient.ioc.deadband import has_moved


@pytest.mark.parametrize(
    ("old", "new", "deadband", "moved"),
    [
        (1.0, 1.0, 0.0, False),
        (1.0, 1.1, 0.0, True),
        (1.0, 2.0, 1.0, False),
        (1.0, 2.5, 1.0, True),
        (1.0, 1.0, -1.0, True),
        (nan, nan, 0.0, False),
        (nan, 1.0, 5.0, True),
        (1.0, nan, 5.0, True),
        (inf, inf, 0.0, False),
        (inf, -inf, 5.0, True),
        (1.0, inf, 5.0, True),
    ],
)
def test_moved(old: float, new: float, deadband: float, moved: bool) -> None:
    assert has_moved(old, new, deadband) is moved
