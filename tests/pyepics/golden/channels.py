"""``epics.ca``: every kind of channel, asked in every type; subscriptions in every form; groups, contexts, texts."""

from __future__ import annotations

import threading
import time

from _say import epics, names, say, shown, until

ca, dbr = epics.ca, epics.dbr
RECORDS = (
    "a n m si lso w_double e_double o_double s_double w_string e_string o_string w_uchar e_uchar s_uchar w_enum "
    "w_short o_float f_double readonly i64in"
).split()
WAYS = (
    {},
    {"count": 1},
    {"count": 3},
    {"count": 0},
    {"count": 1000},
    {"as_numpy": False},
    {"as_numpy": False, "count": 1},
    {"as_numpy": False, "count": 2},
    {"as_string": True},
    {"as_string": True, "count": 1},
    {"as_string": True, "count": 3},
)
RAISES = ("s_uchar",)


def look(record):
    chid = ca.create_channel("X:" + record, connect=True)
    for way in WAYS:
        if not (record in RAISES and way.get("as_string")):
            say(f"{record}: get {way}", ca.get, chid, **way)
    say(f"{record}: the late answer", ca.get_complete, chid)
    for ftype in (*range(7), 7, 14, 17, 20, 21, 28, 31, 34, 37, 38, 39, 99):
        say(f"{record}: as {ftype}", ca.get, chid, ftype=ftype)
    for ftype in (None, 14, 20, 31, 34):
        say(f"{record}: metadata as {ftype}", ca.get_with_metadata, chid, ftype=ftype)
    say(f"{record}: no wait", ca.get, chid, wait=False)
    say(f"{record}: complete", ca.get_complete, chid)
    say(f"{record}: complete again", ca.get_complete, chid)
    if record not in RAISES:
        say(f"{record}: complete as text", ca.get_complete, chid, as_string=True)
    say(f"{record}: complete with metadata", ca.get_complete_with_metadata, chid)
    for function in ("get_enum_strings", "get_precision", "get_ctrlvars", "get_timevars", "get_timestamp"):
        say(f"{record}: {function}", getattr(ca, function), chid)
    for function in ("get_severity", "state", "name", "host_name", "element_count", "field_type", "access"):
        say(f"{record}: {function}", getattr(ca, function), chid)
    for function in ("read_access", "write_access", "isConnected", "promote_type", "connect_channel"):
        say(f"{record}: {function}", getattr(ca, function), chid.value)
    subscribe(record, chid)


def subscribe(record, chid):
    events = []
    for how in ({}, {"use_time": True}, {"use_ctrl": True}, {"mask": 0}, {"ftype": 0}, {"use_time": True, "count": 2}):
        if record == "w_uchar" and how.get("count") == 1:
            continue
        del events[:]
        told = ca.create_subscription(chid, callback=lambda **words: events.append(words), **how)
        until(lambda: events, 0.3)
        print(f"{record}: subscription {how}", len(told), len(events), shown(events[0]) if events else "")
        say(f"{record}: clear", ca.clear_subscription, told[-1])


for record in names() or RECORDS:
    look(record)

for ftype in range(-1, 40):
    say(f"promote {ftype}", lambda ftype=ftype: [ca.promote_fieldtype(ftype, *w) for w in ((), (True,), (False, True))])
    say(f"name {ftype}", lambda ftype=ftype: (dbr.Name(ftype), dbr.native_type(ftype)))
for status in (0, 1, 10, 80, 114, 152, 186, 192, 339, 347, 354, 368, 376, 410, 424, 480, -1, 9999):
    say(f"message {status}", ca.message, status)
    say(f"check {status}", ca.PySEVCHK, "function", status)
a, m = (ca.create_channel(name, connect=True) for name in ("X:a", "X:m"))
say("same", lambda: ca.create_channel("X:a") is a)
never = ca.create_channel("X:never:there")
for function in ("name", "state", "host_name", "element_count", "field_type", "access", "promote_type", "isConnected"):
    say(f"never connected: {function}", getattr(ca, function), never)
    for wrong in ("x", None, 12345):
        say(f"{function} of {wrong!r}", getattr(ca, function), wrong)
say("never connected: connect", ca.connect_channel, never, timeout=0.5)
say("never connected: get", ca.get, never, timeout=0.4)
say("never connected: put", ca.put, never, 3)

say("never connected: cache", lambda: (ca.get_cache("X:never:there").conn, ca.get_cache("no such name")))
say("poll", ca.poll)
say("pend_io", ca.pend_io)
say("pend_event", ca.pend_event, 0.01)
say("flush_io", ca.flush_io)
say("test_io", ca.test_io)
say("version", ca.version)
say("write", ca.write, "hello")
say("write without newline", ca.write, "hello", newline=False)
say("write a number", ca.write, 3)
say("printf", ca.replace_printf_handler, 3)
say("printf none", ca.replace_printf_handler)
say("messages", lambda: (ca.disable_ca_messages(), ca.enable_ca_messages(), ca.enable_ca_messages(None)))
say("messages nowhere", ca.enable_ca_messages, "nowhere")
say("attach", ca.attach_context, ca.current_context())
say("create_context", lambda: (ca.create_context(), ca.context_create()))
say("use_initial_context", ca.use_initial_context)
say("register", ca.register_clear_cache, 3)
say("empty name", ca.create_channel, "")
say("no name", ca.create_channel, None)
say("long name", ca.create_channel, "x" * 70000)
say("clear", ca.clear_channel, never)
say("clear again", ca.clear_channel, never)


def in_a_thread():
    say("thread: context", lambda: ca.current_context() is None)
    say("thread: detach", ca.detach_context)
    say("thread: name", ca.name, a)
    say("thread: use_initial_context", ca.use_initial_context)
    say("thread: same", lambda: ca.current_context() == ca.initial_context)
    say("thread: detach", ca.detach_context)
    say("thread: attach", ca.attach_context, ca.initial_context)
    say("thread: detach", ca.detach_context)
    say("thread: create", ca.create_context)
    say("thread: another", lambda: ca.current_context() != ca.initial_context)
    say("thread: use_initial_context", ca.use_initial_context)
    say("thread: destroy", ca.destroy_context)
    say("thread: context", ca.current_context)


thread = threading.Thread(target=in_a_thread)
thread.start()
thread.join()
ca_thread = ca.CAThread(target=lambda: say("CAThread", lambda: ca.current_context() == ca.initial_context))
ca_thread.start()
ca_thread.join()
say("in the initial context", ca.withInitialContext(lambda: ca.current_context() == ca.initial_context))
time.sleep(0.1)
say("clear_cache", ca.clear_cache)
say("after clear_cache", lambda: (dict(ca._cache), ca.current_context() == ca.initial_context))
say("name after clear_cache", ca.name, a)
say("caget after clear_cache", epics.caget, "X:a")
for name in ("no such PV here", "a\x07b", "pva://a"):
    say(f"{name!r}", lambda: (repr(epics.PV(name)), epics.PV(name).wait_for_connection(0.1)))
    say(f"{name!r}: many", lambda: epics.caput_many(["X:a", name], [1, 2], connection_timeout=0.1))
