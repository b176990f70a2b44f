"""Connections: made, never made, lost and found; callbacks and their order; access rights; what stays known."""

from __future__ import annotations

import sys
import time

from _say import epics, say, shown, until

ca = epics.ca
script = sys.stdin


def ask(what):
    """Have the test do something to the IOC."""
    print(f"ASK {what}", flush=True)
    script.readline()


events = []


def on_connect(pvname=None, conn=None, pv=None, **rest):
    events.append(f"connection {conn} {pv.connected} {pv.type} {pv.nelm} {rest}")


def on_access(read_access, write_access, pv=None):
    events.append(f"access {read_access} {write_access}")


def on_value(value=None, **_):
    events.append(f"value {value}")


pv = epics.PV("X:b", callback=on_value, connection_callback=on_connect, access_callback=on_access)
say("connects", pv.wait_for_connection, 5)
until(lambda: len(events) >= 3)
print("events", events)
del events[:]
quiet = epics.PV("X:a")
quiet.wait_for_connection(5)
until(lambda: quiet.get() is not None)
say("units", lambda: quiet.units)
never = epics.PV("X:never:there", connection_timeout=0.4)
for field in ("connected", "type", "ftype", "nelm", "auto_monitor", "put_complete", "auto_monitor_mask"):
    say(f"never connected: {field}", getattr, never, field)
say("never connected: get", never.get, timeout=0.4)
say("never connected: put", never.put, 3)
say("never connected: ctrlvars", never.get_ctrlvars)
say("never connected: info", lambda: never.info)
say("never connected: repr", lambda: repr(never))
say("never connected: wait", never.wait_for_connection, 0.4)
say("never connected: access", lambda: never.access)
say("never connected: caget", epics.caget, "X:not:there", connection_timeout=0.4)
say("never connected: caput", epics.caput, "X:not:there", 3, connection_timeout=0.4)
say("never connected: cainfo", epics.cainfo, "X:not:there", connection_timeout=0.4)
say("never connected: camonitor", epics.camonitor, "X:not:there", connection_timeout=0.4)
say("never connected: caget_many", epics.caget_many, ["X:a", "X:not:there"], connection_timeout=0.4)
say("never connected: caput_many", epics.caput_many, ["X:b", "X:not:there"], [1, 2], connection_timeout=0.4)
say("never connected: get_pv", lambda: epics.get_pv("X:nor:there", connect=True, timeout=0.4))
del events[:]

ask("stop")
until(lambda: not pv.connected and not quiet.connected, 10)
until(lambda: len(events) >= 2)
print("events", [event for event in events if not event.startswith("value")])
del events[:]
for field in ("value", "char_value", "units", "type", "count", "host", "status", "access", "read_access", "nelm"):
    say(f"lost: {field}", getattr, quiet, field)
say("lost: repr", lambda: repr(quiet))
say("lost: get", quiet.get, timeout=0.4)
say("lost: put", quiet.put, 3)
say("lost: ctrlvars", quiet.get_ctrlvars)
say("lost: info", lambda: quiet.info)
say("lost: ca", lambda: [ca.state(pv.chid), ca.host_name(pv.chid), ca.field_type(pv.chid), ca.access(pv.chid)])

ask("start")
until(lambda: pv.connected, 30)
until(lambda: any(event.startswith("value") for event in events))
print("events", events)
del events[:]
until(lambda: quiet.connected)
say("found: get", quiet.get)

locked = epics.PV("X:lockable", access_callback=on_access)
say("lockable", locked.wait_for_connection, 5)
until(lambda: len(events) >= 1)
del events[:]
epics.caput("X:lock", 1, wait=True)
until(lambda: events)
print("events", [event for event in events if event.startswith("access")])
say("locked: access", lambda: (locked.access, locked.read_access, locked.write_access))
say("locked: put", locked.put, 3)
say("locked: put and wait", locked.put, 3, wait=True)
del events[:]
epics.caput("X:lock", 0, wait=True)
until(lambda: events)
print("events", [event for event in events if event.startswith("access")])
say("unlocked: put", locked.put, 4, wait=True)
say("no access", lambda: epics.PV("X:noaccess").wait_for_connection(5))
hidden = epics.get_pv("X:noaccess", connect=True)
say("no access: access", lambda: hidden.access)
say("no access: put", hidden.put, 3)

again = epics.PV("X:b", connection_callback=on_connect)
say("made on a channel that is connected", lambda: (again.connected, len(events) >= 1))
time.sleep(0.1)
pv.disconnect()
say("disconnected", lambda: (pv.connected, pv.callbacks, pv.connection_callbacks, pv.access_callbacks))
say("disconnected: get", pv.get, timeout=0.4)
say("disconnected: repr", lambda: repr(pv))
say("reconnect", pv.reconnect)
until(lambda: pv.get() is not None)
say("reconnected: get", pv.get)
say("equal", lambda: (again == again, again == quiet, again == 3))
print(shown(None))
