"""One meaning of `timeout`, and what is none."""

from __future__ import annotations

import copy
import math
import pickle
import time
from decimal import Decimal

import numpy as np
import pytest

from caclient.client.timeout import DEFAULT, deadline, limit, own, remaining, seconds
from caclient.errors import BadValueError


@pytest.mark.parametrize("given", [0, 0.0, 2, 2.5, math.inf, np.float64(2.5), np.int64(3)])
def test_seconds(given):
    assert seconds(given) == given
    assert type(seconds(given)) is float


@pytest.mark.parametrize("given", [-1, -0.001, math.nan, -math.inf, "5", None, True, [1], Decimal(1), 1j, object()])
def test_what_is_no_timeout_is_refused_with_what_to_give(given):
    for check in (seconds, own, lambda timeout: limit(timeout, 5.0), lambda timeout: deadline(timeout, 5.0)):
        with pytest.raises(BadValueError, match=r"^timeout=.*give seconds, as in timeout=2.5; math.inf waits for ever"):
            check(given)


def test_none_is_told_how_the_default_is_had():
    with pytest.raises(BadValueError, match="timeout=None: leave it out for the default"):
        seconds(None)


def test_default_is_the_fallback():
    assert limit(DEFAULT, 5.0) == 5.0
    assert limit(1, 5.0) == 1.0
    assert own(DEFAULT) is DEFAULT
    assert 4.9 < deadline(DEFAULT, 5.0) - time.monotonic() <= 5.0
    assert deadline(math.inf, 5.0) == math.inf


def test_default_is_one_object_that_reads_as_its_name():
    assert repr(DEFAULT) == str(DEFAULT) == "DEFAULT"
    assert copy.deepcopy(DEFAULT) is pickle.loads(pickle.dumps(DEFAULT)) is DEFAULT


def test_what_remains():
    assert remaining(math.inf) == math.inf
    assert remaining(time.monotonic() - 1) == 0.0
    assert 0.9 < remaining(time.monotonic() + 1) <= 1.0
