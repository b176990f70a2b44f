"""Every kind of record in every form, asked for in every way."""

from __future__ import annotations

import time

from _say import epics, names, say, shown, until

RECORDS = (
    "lim never unset p0 p1 p2 p3 pm1 p15 li lo i64in bi bo0 m m0 md si so so0 lsi lso calc w_char w_uchar w_short "
    "w_ushort w_long w_ulong w_int64 w_float w_double w_enum w_string e_double e_uchar e_string e_enum e_long o_double "
    "o_float o_long o_short o_enum o_string s_double s_uchar s_string s_enum f_double f_string text big bigc asub.A "
    "sub hist comp m.ZRST lim.PREC lim.DESC lim.NAME$ m.ZRSV lim.HHSV lim.SCAN lim.PROC readonly wreadonly "
    "w_string.NELM w_double.NORD"
).split()
WAYS = (
    {},
    {"as_numpy": False},
    {"count": 1},
    {"count": 3},
    {"count": 0},
    {"count": 10**6},
    {"count": 2, "as_numpy": False},
    {"as_string": True},
    {"as_string": True, "count": 1},
    {"as_string": True, "as_numpy": False, "count": 2},
    {"use_monitor": False},
    {"use_monitor": False, "count": 1},
    {"use_monitor": False, "count": 2},
    {},
    {"use_monitor": False, "as_numpy": False},
    {"use_monitor": False, "as_string": True},
    {"with_ctrlvars": True},
)
FIELDS = (
    "status severity char_status char_severity timestamp posixseconds nanoseconds host access read_access write_access "
    "precision units enum_strs upper_disp_limit lower_disp_limit upper_alarm_limit lower_alarm_limit upper_warning_limit "
    "lower_warning_limit upper_ctrl_limit lower_ctrl_limit monitor_delta put_complete"
).split()
INFO_RAISES = ("m0", "md", "w_enum", "e_enum", "o_enum", "s_enum", "o_string", "s_uchar", "s_char", "lim.PROC")


def look(record, form, monitored):
    events = []
    pv = epics.PV("X:" + record, form=form, auto_monitor=monitored, callback=lambda **words: events.append(words))
    label = f"{record} {form} {monitored}:"
    say(f"{label} connects", pv.wait_for_connection, 5)
    if pv.auto_monitor and not (form == "native" and record.startswith(("e_", "lso", "text"))):
        until(lambda: events)
    else:
        time.sleep(0.02)
    print(label, "events", len(events), shown(events[0]) if events else "")
    say(f"{label} type", lambda: (pv.type, pv.typefull, pv.ftype, pv.count, pv.nelm, pv.auto_monitor))
    say(f"{label} mask", lambda: (pv.auto_monitor_mask, repr(pv), str(pv)))
    for way in WAYS:
        say(f"{label} get {way}", pv.get, **way)
    for field in ("value", "char_value", "count", "nelm"):
        say(f"{label} {field}", getattr, pv, field)
    say(f"{label} with metadata", pv.get_with_metadata)
    for other in ("time", "ctrl", "native", "zzz"):
        say(f"{label} with metadata as {other}", pv.get_with_metadata, form=other)
    say(f"{label} with metadata, asked for", pv.get_with_metadata, use_monitor=False)
    say(f"{label} with all metadata", pv.get_with_metadata, use_monitor=False, with_ctrlvars=True)
    say(f"{label} ctrlvars", pv.get_ctrlvars)
    say(f"{label} timevars", pv.get_timevars)
    say(f"{label} fields", lambda: [getattr(pv, field) for field in FIELDS])
    del events[:]
    say(f"{label} add_callback", pv.add_callback, lambda **words: events.append(words), run_now=True, extra=3)
    print(label, "run now", len(events), shown(events[0]) if events else "")
    empty = form == "native" and record.startswith(("e_", "lso"))  # if the first value has come, pyepics' info raises
    if record not in INFO_RAISES and pv.auto_monitor and not empty:
        say(f"{label} info", lambda: pv.info)
    pv.disconnect()


for record in names() or RECORDS:
    for form, monitored in (("time", None), ("time", False), ("time", True), ("ctrl", None), ("native", None)):
        look(record, form, monitored)
