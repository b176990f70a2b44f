"""ophyd's EPICS signals, and a device of them; then a Bluesky scan."""

import threading

from bluesky import RunEngine
from bluesky.plans import scan
from ophyd import Component, Device, EpicsSignal, EpicsSignalRO

signal = EpicsSignal("t:ao", name="signal", auto_monitor=True)
signal.wait_for_connection(timeout=10)
seen, came = [], threading.Event()
signal.subscribe(lambda value, **_: (seen.append(value), came.set() if value == 4.25 else None))
signal.set(4.25).wait(10)
assert came.wait(10) and signal.get() == 4.25, seen
read_only = EpicsSignalRO("t:ai", name="read_only")
read_only.wait_for_connection(timeout=10)
assert read_only.describe()["read_only"]["source"] == "PV:t:ai" and not read_only.write_access
state = EpicsSignal("t:mbbo", name="state", string=True)
state.wait_for_connection(timeout=10)
state.put("Done", wait=True)
assert state.get() == "Done" and "Moving" in state.enum_strs
wave = EpicsSignal("t:wf:out", name="wave")
wave.wait_for_connection(timeout=10)
wave.put([1, 2, 3.0], wait=True)
assert list(wave.get()) == [1, 2, 3]
try:
    EpicsSignal("t:nobody", name="nobody").wait_for_connection(timeout=0.5)
except TimeoutError:
    pass
else:
    raise AssertionError("nobody is connected")


class Station(Device):
    ao = Component(EpicsSignal, "ao")
    ai = Component(EpicsSignalRO, "ai")


station = Station("t:", name="station")
station.wait_for_connection(timeout=10)
documents = []
engine = RunEngine({})
engine.subscribe(lambda name, document: documents.append((name, document)))
engine(scan([station], signal, 0, 3, 4))
events = [document["data"] for name, document in documents if name == "event"]
assert [name for name, _ in documents] == ["start", "descriptor", *["event"] * 4, "stop"], documents
assert [data["signal"] for data in events] == [0, 1, 2, 3], events
signal.destroy()
print("well")
