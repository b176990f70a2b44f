"""Masks: numbers, names and camonitor's letters."""

from __future__ import annotations

import pytest

from caclient.dbr.mask import DEFAULT_MASK, Mask, event_mask
from caclient.errors import BadValueError


@pytest.mark.parametrize(
    "given, mask",
    [
        (Mask.VALUE | Mask.ALARM, DEFAULT_MASK),
        (5, DEFAULT_MASK),
        ("va", DEFAULT_MASK),
        ("l", Mask.LOG),
        ("p", Mask.PROPERTY),
        ("valp", Mask.VALUE | Mask.ALARM | Mask.LOG | Mask.PROPERTY),
    ],
)
def test_given(given, mask):
    assert event_mask(given) == mask
    assert isinstance(event_mask(given), Mask)


@pytest.mark.parametrize("given", [0, -1, "", "x", "VA", None, True, 1.0, 1 << 20, ["v"]])
def test_what_is_no_mask_is_told_what_is(given):
    with pytest.raises(BadValueError, match=r"^mask=.*give Mask.VALUE \| Mask.ALARM"):
        event_mask(given)
