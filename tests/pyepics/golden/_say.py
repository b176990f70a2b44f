"""What every golden script begins with: the package under test, and a way to say what a call does, word for word."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
import warnings

if os.environ["IMPLEMENTATION"] == "caclient":
    import caclient.pyepics

    caclient.pyepics.install()

import epics  # noqa: E402

import numpy as np  # noqa: E402

warnings.simplefilter("always")
SLOW = 0.5


def shown(value):
    """Types, dtypes and values."""
    if isinstance(value, np.ndarray):
        return f"array {value.dtype.str} {value.shape} {value.tolist()[:12]}"
    if hasattr(value, "_length_"):
        return f"{type(value).__name__} {list(value)[:12]}"
    if isinstance(value, list):
        return f"list of {len(value)} [{', '.join(map(shown, value[:12]))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))})"
    if isinstance(value, dict):
        hidden = ("chid", "cb_info")
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items() if key not in hidden) + "}"
    if isinstance(value, type):
        return f"class {value.__name__}"
    return f"{type(value).__name__} {value!r}"


def say(label, call, *args, **keywords):
    """Print what a call returns, raises, warns of and prints, and whether it takes its time."""
    output = io.StringIO()
    started = time.monotonic()
    with contextlib.redirect_stdout(output), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            told = shown(call(*args, **keywords))
        except BaseException as error:  # noqa: BLE001
            told = f"raises {type(error).__name__}: {error}"
    spent = time.monotonic() - started
    words = [label, "|", told]
    if spent > SLOW:
        words.append(f"| after {round(spent)} s")
    if output.getvalue():
        words.append(f"| prints {output.getvalue()!r}")
    words.extend(
        f"| warns {warning.category.__name__}: {warning.message}"
        for warning in caught
        if "pyparsing" not in str(warning.category).lower()  # of the parser that pyepics uses
    )
    print(" ".join(words), flush=True)


def until(condition, seconds=3.0):
    """Wait for what has to come."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def names():
    """What the script was asked to look at."""
    return sys.argv[1:]
