"""Calls by lot on every kind of record, with odd arguments too: ``probes.py SEED NUMBER``."""

from __future__ import annotations

import random
import sys

from _say import epics, np, say

lot = random.Random(int(sys.argv[1]))
RECORDS = (
    "lim ai li lo i64out bi bo bo0 mbbi m md si so so0 lsi lso calc w_char w_short w_long w_float w_double "
    "w_string e_double e_string e_uchar o_double o_string o_uchar s_double s_string s_char text wput_double "
    "wput_string wput_char readonly wreadonly lim.DESC lim.NAME$ lim.SCAN"
).split()
VALUES = (
    *(0, 1, -1, 3, 2.5, True, None, "1", "one", "2.5", b"7", [], [1], [1, 2.5], (3,), "x" * 39, "x" * 45, ["a", "b"]),
    *(np.float64(2), np.int32(3), np.arange(3), {"a": 1}, float("nan"), 1e300, 70000),
)
OPTIONS = {
    "count": (None, 0, 1, 2, 5, 100),
    "as_string": (True, False),
    "as_numpy": (True, False),
    "use_monitor": (True, False),
    "with_ctrlvars": (True, False),
}


def options(*names):
    return {name: lot.choice(OPTIONS[name]) for name in names if lot.random() < 0.4}


pvs = {}


def unmonitored(record, form):
    """Without a monitor, so that no update can come before or after its turn."""
    if (record, form) not in pvs:
        pvs[record, form] = epics.PV("X:" + record, form=form, auto_monitor=False)
        pvs[record, form].wait_for_connection(5)
    return pvs[record, form]


for number in range(int(sys.argv[2])):
    record, value = lot.choice(RECORDS), lot.choice(VALUES)
    form = lot.choice(("time", "ctrl", "native"))
    pv = unmonitored(record, form)
    label = f"{number} {record} {form}"
    what = lot.randrange(6)
    if what == 0:
        words = options(*OPTIONS)
        say(f"{label} get {words}", pv.get, **words)
    elif what == 1:
        words = options(*OPTIONS)
        other = lot.choice((None, "time", "ctrl", "native"))
        say(f"{label} get_with_metadata {other} {words}", pv.get_with_metadata, form=other, **words)
    elif what == 2:
        say(f"{label} put {value!r}", pv.put, value, wait=True, timeout=2)
        say(f"{label} then", pv.get)
    elif what == 3:
        say(f"{label} vars", lambda pv=pv: (pv.get_ctrlvars(), pv.get_timevars()))
    elif what == 4:
        words = options("count", "as_string", "as_numpy")
        ftype = lot.choice((None, 1, 6, 15, 20, 34))
        say(f"{label} ca.get {ftype} {words}", epics.ca.get, pv.chid, ftype=ftype, **words)
    else:
        say(f"{label} ca.put {value!r}", epics.ca.put, pv.chid, value, wait=True, timeout=2)
