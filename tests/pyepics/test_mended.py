"""What the table of differences says, where pyepics crashes, hangs, races or raises."""

from __future__ import annotations

import pytest

from tests.pyepics.conftest import Program

pytestmark = pytest.mark.interop


def test_groups_wait_for_their_values(program: Program) -> None:
    source = """
from epics import ca
group = ca.sg_create()
a, b = (ca.create_channel(name, connect=True) for name in ("t:longin", "t:wf:double"))
print(ca.sg_get(group, a, as_string=False), len(ca.sg_get(group, b, as_string=False)))
print(ca.sg_block(group), ca.sg_test(group))
print(ca.sg_reset(group), ca.sg_delete(group))
try:
    ca.sg_delete(group)
except ca.CASeverityException as error:
    print(error)
"""
    assert program(source) == "-42 4\n1 339\n1 1\n sg_delete returned 'Invalid synchronous group identifier'\n"


def test_reading_without_access_raises_each_time(program: Program) -> None:
    source = """
import epics
pv = epics.PV("t:noaccess")
pv.wait_for_connection(5)
for _ in range(2):
    try:
        pv.get()
    except epics.ca.CASeverityException as error:
        print(error)
"""
    assert program(source) == " get returned 'Read access denied'\n" * 2


def test_callbacks_may_read_and_wait(program: Program) -> None:
    source = """
import threading, epics
done = threading.Event()
def on_value(value=None, pvname=None, **_):
    other = epics.PV("t:longin")
    print(other.wait_for_connection(5), other.get(use_monitor=False), epics.caput("t:wf:out", [1.0], wait=True))
    done.set()
pv = epics.PV("t:longout", callback=on_value)
print(done.wait(10))
"""
    assert program(source) == "True -42 1\nTrue\n"


def test_connection_callbacks_have_run_before_the_first_value_comes(program: Program) -> None:
    """As in pyepics, where one thread does both; though a callback takes its time, and may ask itself."""
    source = """
import threading, epics
from epics import ca
told = []
def on_connection(pvname=None, conn=None, chid=None, **_):
    value = ca.get(chid)
    threading.Event().wait(0.1)
    told.append((pvname, conn, value))
chid = ca.create_channel("t:longin", callback=on_connection)
print(ca.get(chid), told)
del told[:]
pv = epics.PV("t:longout", connection_callback=lambda conn=None, **_: (threading.Event().wait(0.1), told.append(conn)))
print(pv.get() is not None, told)
"""
    assert program(source) == "-42 [('t:longin', True, -42)]\nTrue [True]\n"


def test_a_blocked_callback_holds_nobody_else_back(program: Program) -> None:
    source = """
import threading, epics
blocked, free = threading.Event(), threading.Event()
a = epics.PV("t:longout", callback=lambda **_: (blocked.set(), free.wait(20)))
assert blocked.wait(5)
came = threading.Event()
b = epics.PV("t:longin", callback=lambda **_: came.set())
print(came.wait(5))
free.set()
"""
    assert program(source) == "True\n"


def test_nothing_that_describes_raises(program: Program) -> None:
    source = """
import epics
for name in ("t:wf:enum", "t:wf:text", "t:wf:string", "t:bo.HIGH", "t:ao.DISP"):
    pv = epics.PV(name, auto_monitor=False)
    pv.wait_for_connection(5)
    print(pv.info.startswith("== " + name), hash(pv) == hash(epics.PV(name)))
"""
    assert program(source) == "True True\n" * 5


def test_an_exception_of_a_callback_is_shown_and_the_next_update_comes(program: Program) -> None:
    source = """
import contextlib, io, threading, epics
came, errors = threading.Semaphore(0), io.StringIO()
def bad(**_):
    came.release()
    raise ValueError("of the user")
with contextlib.redirect_stderr(errors):
    pv = epics.PV("t:counter", callback=bad)
    print(came.acquire(timeout=5), came.acquire(timeout=5), pv.get() is not None)
    pv.disconnect()
print("ValueError: of the user" in errors.getvalue(), "Exception ignored on calling" in errors.getvalue())
"""
    assert program(source) == "True True True\nTrue True\n"


def test_fields_before_and_after_the_end(program: Program) -> None:
    source = """
import epics
pv = epics.PV("t:longout")
pv.wait_for_connection(5)
pv.disconnect()
print(pv.type, pv.connected, pv.callbacks)
print(epics.ca.pend_event(0), epics.caget(epics.get_pv("t:longin")))
"""
    assert program(source) == "unknown False {}\n80 -42\n"


def test_a_callback_that_is_a_second_behind_has_the_server_merge_updates_and_catches_up_in_order(
    program: Program,
) -> None:
    """As where libca reads no more: what was sent before is delivered all the same, and the newest value comes."""
    source = """
import threading, time
import epics
from caclient.pyepics.channels import contexts
pv, writer = epics.PV("t:int64out"), epics.PV("t:int64out", auto_monitor=False)
pv.wait_for_connection(5), writer.wait_for_connection(5)
entered, gate, last, seen = threading.Event(), threading.Event(), threading.Event(), []

def slow(value=None, **words):
    seen.append(value)
    entered.set()
    gate.wait(40)
    if value == -1:
        last.set()

pv.add_callback(slow)
pauses = lambda: sum(circuit.pauses for context in contexts.values() for circuit in context.report().circuits)
number, deadline = 0, time.monotonic() + 30
while not pauses() and time.monotonic() < deadline:
    number += 1
    writer.put(number, wait=True)
for more in range(number + 1, number + 201):
    writer.put(more)
writer.put(-1, wait=True)
gate.set()
print(pauses(), last.wait(30), seen[:-1] == sorted(set(seen[:-1])))
"""
    assert program(source) == "1 True True\n"
