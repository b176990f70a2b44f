"""Functions of the package, callbacks of every kind, puts with completion, alarms, devices, autosave."""

from __future__ import annotations

import os
import threading
import time

from _say import epics, say, shown, until

from epics.autosave import AutoSaver, restore_pvs, save_pvs
from epics.devices import ai, ao, bi

lines = []
for name, value in (("a", 1.5), ("b", 2.0), ("m", 1), ("n", 7), ("wput_double", [1.0, 2.0])):
    say(f"caput {name}", epics.caput, "X:" + name, value, wait=True)
time.sleep(0.1)
for name in ("a", "m", "lim", "so", "w_double", "w_string", "w_uchar", "lso"):
    for words in ({}, {"as_string": True}, {"count": 1}, {"as_numpy": False}, {"use_monitor": False}, {"timeout": 0.0}):
        say(f"caget {name} {words}", epics.caget, "X:" + name, **words)
    say(f"cainfo {name}", epics.cainfo, "X:" + name)
    say(f"cainfo {name} returned", epics.cainfo, "X:" + name, print_out=False)
say("caget of a PV", epics.caget, epics.get_pv("X:a"))
say("caget of None", epics.caget, None)
for words in ({}, {"as_string": True}, {"as_numpy": False}, {"count": 1}, {"count": 2}):
    say(
        f"caget_many {words}",
        epics.caget_many,
        ["X:a", "X:m", "X:so", "X:w_double", "X:w_uchar", "X:w_string"],
        **words,
    )
say("caget_many of none", epics.caget_many, [])
for wait in (False, None, True, "each", "all"):
    say(f"caput_many {wait}", epics.caput_many, ["X:a", "X:m"], [3.5, "two"], wait=wait, put_timeout=3)
say("caput_many of two lengths", epics.caput_many, ["X:a"], [1, 2])
say("caput a bad state", epics.caput, "X:m", "nope")
say("caput to a string", epics.caput, "X:so", "text", wait=True)
say("caput without access", epics.caput, "X:readonly", 3)

say("camonitor", epics.camonitor, "X:a", writer=lines.append)
time.sleep(0.1)
for value in (4.5, 5.5):
    epics.caput("X:a", value, wait=True)
    until(lambda: str(value) in " ".join(lines))
print("lines", [line.split()[0] + " " + line.split()[-1] for line in lines], [line.endswith("\n") for line in lines])
say("monitored", lambda: list(epics._PVmonitors_))
say("camonitor_clear", epics.camonitor_clear, "X:a")
say("camonitor_clear again", epics.camonitor_clear, "X:a")
epics.caput("X:a", 6.5, wait=True)
time.sleep(0.1)
print("lines", len(lines))
seen = []
say("camonitor with callback", epics.camonitor, "X:m", callback=lambda **words: seen.append(words))
epics.caput("X:m", 0, wait=True)
until(lambda: seen)
print("seen", [shown(words) for words in seen])

order = []
pv = epics.PV("X:b", callback=[lambda **_: order.append("0"), None, lambda **_: order.append("2")])
pv.wait_for_connection(5)
until(lambda: len(order) >= 2)
print("order", order)
say("callbacks", lambda: sorted(pv.callbacks))
say("add", pv.add_callback, lambda **_: order.append("next"))
say("add at -5", pv.add_callback, lambda **_: order.append("-5"), index=-5)
say("add again at -5", pv.add_callback, lambda **_: order.append("again"), index=-5)
say("add nothing", pv.add_callback)
say("add what cannot be called", pv.add_callback, 3, index=8)
say(
    "add with words",
    pv.add_callback,
    lambda **words: order.append(shown({k: words[k] for k in ("value", "x")})),
    x=3,
    value=4,
)
del order[:]
pv.put(9.0, wait=True)
until(lambda: len(order) >= 5)
print("order", order)
say("remove", pv.remove_callback, 2)
say("remove unknown", pv.remove_callback, 77)
say("remove none", pv.remove_callback)
say("callbacks", lambda: sorted(pv.callbacks))
del order[:]
say("run_callback", pv.run_callback, 0)
say("run_callback unknown", pv.run_callback, 55)
say("run_callbacks", pv.run_callbacks)
print("order", order)
say("clear", pv.clear_callbacks)
say("callbacks", lambda: pv.callbacks)

done = []
say("put with callback", pv.put, 1.0, callback=lambda **words: done.append(shown(words)), callback_data={"x": 3})
until(lambda: done)
say("put with callback", pv.put, 2.0, callback=lambda **words: done.append(shown(words)), callback_data="word")
until(lambda: len(done) > 1)
say("put with callback and wait", pv.put, 3.0, wait=True, callback=lambda **words: done.append(shown(words)))
print("called before put returns", len(done) > 2, pv.put_complete)
for value in range(20):
    pv.put(float(value), wait=True, use_complete=True)
    print("complete before put returns", pv.put_complete)
short = epics.PV("X:wput_double")
short.put([1.0, 2.0, 3.0, 4.0, 5.0], wait=True)
until(lambda: short.count == 5)
short.put([1.0, 2.0], wait=True)
until(lambda: short.count == 2)
say("more than there are", short.get, count=5)
say("info of fewer", lambda: short.info)
print("done", done)
say("put_complete", lambda: pv.put_complete)
say("put", pv.put, 4.0)
say("put_complete", lambda: pv.put_complete)
slow = epics.PV("X:slow")
slow.wait_for_connection(5)
say("slow, not waited for", slow.put, 1.0, use_complete=True)
say("slow: put_complete", lambda: slow.put_complete)
until(lambda: slow.put_complete)
say("slow: put_complete", lambda: slow.put_complete)
say("slow, waited for too shortly", slow.put, 2.0, wait=True, timeout=0.1)
time.sleep(0.6)
say("slow, waited for", slow.put, 3.0, wait=True)

say("auto_monitor", lambda: (pv.auto_monitor, pv.auto_monitor_mask))
say("clear_auto_monitor", pv.clear_auto_monitor)
say("auto_monitor", lambda: (pv.auto_monitor, pv.auto_monitor_mask, pv.get()))
again = []
pv.add_callback(lambda value=None, **_: again.append(value))
pv.auto_monitor = True
until(lambda: again)
print("again", again, pv.auto_monitor, pv.auto_monitor_mask)
pv.auto_monitor = epics.dbr.DBE_LOG
say("mask", lambda: (pv.auto_monitor, pv.auto_monitor_mask))
properties = []
meta = epics.PV(
    "X:meta", form="ctrl", auto_monitor=epics.dbr.DBE_PROPERTY, callback=lambda **w: properties.append(w["units"])
)
meta.wait_for_connection(5)
until(lambda: properties)
epics.caput("X:meta.EGU", "um", wait=True)
until(lambda: len(properties) > 1)
print("properties", properties)

tripped = []
alarm = epics.Alarm(
    "X:n", comparison="gt", trip_point=5, callback=lambda **words: tripped.append(shown(words)), alert_delay=0
)
say("alarm", lambda: (repr(alarm), alarm.comp_name, alarm.alarm_state))
for value in (1, 6, 7, 2, 8):
    epics.caput("X:n", value, wait=True)
    time.sleep(0.05)
print("tripped", [line for line in tripped])
say("alarm without", epics.Alarm, "X:n")
say("alarm unknown", lambda: epics.Alarm("X:n", comparison="zz", trip_point=3).comp_name)

device = epics.Device("X:", attrs=("a", "b", "m"), aliases={"alpha": "a"})
say("device", lambda: (repr(device), device.a is not None, device.alpha == device.a))
say("device put", device.put, "b", 3.25, wait=True)
time.sleep(0.1)
say("device get", device.get, "b")
say("device get as text", device.get, "m", as_string=True)
say("device new", lambda: device.n)
say("device state", device.save_state)
say("device pvs", lambda: sorted(device._pvs))
record = ao("X:a")
say("ao", lambda: (repr(record), record.get("PREC"), record.PV("EGU").pvname))
say("ai", lambda: (repr(ai("X:lim.")), len(bi.attrs)))

folder = "."  # the test gives it one
request, saved = os.path.join(folder, "x.req"), os.path.join(folder, "x.sav")
with open(os.path.join(folder, "sub.req"), "w") as file:
    file.write("$(P)b\n")
with open(request, "w") as file:
    file.write('# comment\nX:a\nX:m\nX:wput_double\nX:so\nfile "sub.req", P=X:\n')
epics.caput_many(["X:a", "X:b", "X:m"], [1.25, 2.5, 1], wait="each")
time.sleep(0.1)
say("save", lambda: save_pvs(request, saved) and None)
with open(saved) as file:
    print("saved", [line.rstrip() for line in file if not line.startswith("#")])
epics.caput_many(["X:a", "X:b", "X:m"], [0, 0, 0], wait="each")
say("restore", restore_pvs, saved)
time.sleep(0.2)
say("restored", epics.caget_many, ["X:a", "X:b", "X:m"])
say("missing", AutoSaver, os.path.join("no", "such", "file"))
say("nothing", AutoSaver().read_request_file)

for stamp in (0.0, 1234567890.123456, 1234567890.999994):
    say("fmt_time", epics.pv.fmt_time, stamp)
say("PV of a form", lambda: epics.PV("X:a", form="CTRL").form)
say("cached", lambda: epics.get_pv("X:a") is epics.get_pv("X:a"))
say("another form", lambda: epics.get_pv("X:a", form="zzz") is epics.get_pv("X:a"))
say("names of the cache", lambda: sorted({key[:2] for key in epics.pv._PVcache_})[:5])
held = threading.Event()
kept = epics.get_pv("X:a", callback=lambda **_: held.set())
say("get_pv with callback", lambda: held.wait(2))
