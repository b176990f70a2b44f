"""pyepics on libca against our own server: whatever a libca client may ask of an IOC."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from caclient.config import Config
from caclient.errors import BadValueError
from caclient.ioc import IOC, Completion, Record
from caclient.protocol.commands import AccessRights
from tests.interop.libca_peer import LibcaPeer
from tests.ports import free_port

pytestmark = pytest.mark.interop


def short_time(_record: Record, seconds: float) -> Completion:
    """A put that takes as long as it says."""
    if seconds < 0:
        raise BadValueError("time does not go back")
    completion = Completion()
    timer = threading.Timer(seconds, completion.finish)
    timer.start()
    return completion


def records() -> list[Record]:
    return [
        Record(
            "p:double", 1.25, units="mm", precision=3, display=(-100.0, 100.0), control=(-90.0, 90.0),
            warning=(-5.0, 5.0), alarm=(-10.0, 10.0),
        ),
        Record("p:float", 0.5, data_type=2, units="V"),
        Record("p:long", -7, units="counts", display=(-10, 10)),
        Record("p:short", 12, data_type=1),
        Record("p:char", 65, data_type=4),
        Record("p:string", "grüezi"),
        Record("p:enum", 1, enum_strings=("off", "on", "standby")),
        Record("p:doubles", np.linspace(0.0, 1.0, 11), count=20),
        Record("p:longs", np.arange(5_000)),
        Record("p:strings", ["one", "two", "three"]),
        Record("p:text", "a long text of characters", data_type=4, count=100),
        Record("p:empty", np.array([], float), count=5),
        Record("p:readonly", 3.0, access=AccessRights.READ),
        Record("p:closed", 3.0, access=AccessRights.NO_ACCESS),
        Record("p:slow", 0.0, on_put=short_time),
    ]  # fmt: skip


@pytest.fixture
def ioc() -> Iterator[IOC]:
    with IOC(records(), Config.isolated()) as server:
        yield server


@pytest.fixture
def peer(ioc: IOC) -> LibcaPeer:
    return LibcaPeer(
        {
            "EPICS_CA_ADDR_LIST": f"127.0.0.1:{ioc.port}",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_REPEATER_PORT": str(free_port()),
            "EPICS_CA_MAX_SEARCH_PERIOD": "60",
        }
    )


VALUES: dict[str, Any] = {
    "p:double": 1.25,
    "p:float": 0.5,
    "p:long": -7,
    "p:short": 12,
    "p:char": 65,
    "p:string": "grüezi",
    "p:enum": 1,
    "p:doubles": np.linspace(0.0, 1.0, 11),
    "p:longs": np.arange(5_000),
}


def same(left: Any, right: Any) -> bool:
    return bool(np.array_equal(left, right)) if isinstance(right, np.ndarray) else left == right


@pytest.mark.parametrize("form", ["native", "time", "ctrl"])
def test_every_native_type_in_each_form(peer: LibcaPeer, form: str) -> None:
    found = peer.run(
        f"""
        result = {{}}
        for name in {list(VALUES)!r}:
            pv = connected(name, form={form!r}, auto_monitor=False)
            result[name] = (pv.get(timeout=5), pv.type)
        """
    )
    assert {name: kind for name, (_, kind) in found.items()}["p:enum"] == (
        "enum" if form == "native" else f"{form}_enum"
    )
    for name, expected in VALUES.items():
        assert same(found[name][0], expected), name


def test_attributes(ioc: IOC, peer: LibcaPeer) -> None:
    began = time.time()
    ioc["p:double"].post(7.0)
    found = peer.get_all(["p:double", "p:enum", "p:long"])
    double = found["p:double"]
    assert (double["value"], double["units"], double["precision"]) == (7.0, "mm", 3)
    assert (double["severity"], double["status"]) == (1, 4)
    assert (double["lower_disp_limit"], double["upper_disp_limit"]) == (-100.0, 100.0)
    assert (double["lower_ctrl_limit"], double["upper_ctrl_limit"]) == (-90.0, 90.0)
    assert (double["lower_warning_limit"], double["upper_warning_limit"]) == (-5.0, 5.0)
    assert (double["lower_alarm_limit"], double["upper_alarm_limit"]) == (-10.0, 10.0)
    assert began - 1e-3 <= double["timestamp"] <= time.time()
    assert tuple(found["p:enum"]["enum_strs"]) == ("off", "on", "standby")
    assert found["p:enum"]["char_value"] == "on"
    assert found["p:long"]["units"] == "counts"


def test_value_field_is_the_record(peer: LibcaPeer) -> None:
    assert peer.run("result = caget('p:double.VAL')") == 1.25


def test_converted_reads(peer: LibcaPeer) -> None:
    found = peer.run(
        """
        from epics import dbr
        def read(name, kind, **options):
            chid = ca.create_channel(name, connect=True)
            return ca.get(chid, ftype=kind, timeout=5, **options)
        result = dict(
            text=read("p:double", dbr.STRING), state=read("p:enum", dbr.STRING), number=read("p:enum", dbr.DOUBLE),
            cut=read("p:float", dbr.LONG), strings=read("p:strings", dbr.STRING),
        )
        """
    )
    assert found == {"text": "1.250", "state": "on", "number": 1.0, "cut": 0, "strings": ["one", "two", "three"]}


def test_puts(ioc: IOC, peer: LibcaPeer) -> None:
    peer.run(
        """
        for name, value in [
            ("p:double", 2.5), ("p:float", 1.5), ("p:long", 42), ("p:short", -3), ("p:char", 66), ("p:string", "hello"),
            ("p:enum", "standby"), ("p:doubles", numpy.arange(5.0)), ("p:text", "short"),
        ]:
            assert connected(name).put(value, wait=True, timeout=5) == 1, name
        """
    )
    assert [ioc[name].value for name in ("p:double", "p:float", "p:long", "p:short", "p:char")] == [
        2.5,
        1.5,
        42,
        -3,
        66,
    ]
    assert (ioc["p:string"].value, ioc["p:enum"].value) == ("hello", 2)
    assert ioc["p:doubles"].value.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert bytes(ioc["p:text"].value).rstrip(b"\0") == b"short"


def test_put_waits_for_the_record(peer: LibcaPeer) -> None:
    found = peer.run(
        """
        import time
        pv = connected("p:slow")
        began = time.time()
        done = pv.put(0.3, wait=True, timeout=5)
        result = (done, time.time() - began, pv.get(use_monitor=False))
        """
    )
    assert found[0] == 1
    assert 0.3 <= found[1] < 3.0
    assert found[2] == 0.3


def test_monitor_sees_every_change(ioc: IOC, peer: LibcaPeer) -> None:
    def walk(_record: Record, _value: float) -> None:
        for step in range(1, 21):
            ioc["p:double"].post(float(step))

    ioc["p:slow"].on_put = walk
    found = peer.run(
        """
        import time
        seen = []
        pv = connected("p:double", callback=lambda value=None, severity=None, **kw: seen.append((value, severity)))
        pv.get()
        caput("p:slow", 1.0, wait=True)
        deadline = time.time() + 5
        while (not seen or seen[-1][0] != 20.0) and time.time() < deadline:
            ca.poll(0.01)
        result = seen
        """
    )
    values = [value for value, _ in found]
    assert values[-20:] == [float(step) for step in range(1, 21)]
    assert [severity for _, severity in found[-20:]] == [0] * 4 + [1] * 5 + [2] * 11


def test_strings_and_empty_arrays(peer: LibcaPeer) -> None:
    found = peer.run(
        """
        result = dict(
            strings=connected("p:strings").get(), text=connected("p:text").get(as_string=True),
            empty=connected("p:empty").get(), nelm=connected("p:empty").nelm,
        )
        """
    )
    assert list(found["strings"]) == ["one", "two", "three"]
    assert found["text"] == "a long text of characters"
    assert len(found["empty"]) == 0
    assert found["nelm"] == 5


def test_access_is_told_and_changes(ioc: IOC, peer: LibcaPeer) -> None:
    def close(record: Record, value: float) -> None:
        ioc["p:double"].access = AccessRights.READ

    ioc["p:slow"].on_put = close
    found = peer.run(
        """
        import time
        readonly, double = connected("p:readonly"), connected("p:double")
        closed = ca.create_channel("p:closed", connect=True)
        before = [readonly.read_access, readonly.write_access]
        before += [bool(ca.read_access(closed)), bool(ca.write_access(closed))]
        refused = None
        try:
            readonly.put(1.0, wait=True, timeout=2)
        except Exception as error:
            refused = type(error).__name__
        was = double.write_access
        caput("p:slow", 1.0, wait=True)
        deadline = time.time() + 5
        while double.write_access and time.time() < deadline:
            ca.poll(0.01)
        result = (before, refused, was, double.read_access, double.write_access)
        """
    )
    assert found[0] == [True, False, False, False]
    assert found[2:] == [True, True, False]
    assert ioc["p:readonly"].value == 3.0


@pytest.mark.long
def test_reconnects_after_a_restart(ioc: IOC, peer: LibcaPeer) -> None:
    def restart() -> None:
        ioc.stop()
        ioc["p:double"].post(99.0)
        ioc.start()

    ioc["p:slow"].on_put = lambda record, value: threading.Thread(target=restart).start()
    found = peer.run(
        """
        import time
        edges, seen = [], []
        pv = connected("p:double", connection_callback=lambda conn=None, **kw: edges.append(conn),
                       callback=lambda value=None, **kw: seen.append(value))
        pv.get()
        caput("p:slow", 1.0)
        deadline = time.time() + 25
        while 99.0 not in seen and time.time() < deadline:
            ca.poll(0.05)
        result = (edges, seen)
        """,
        timeout=40,
    )
    assert found[0][-2:] == [False, True]
    assert found[1][-1] == 99.0


def test_many_channels_come_and_go(ioc: IOC, peer: LibcaPeer) -> None:
    for number in range(500):
        ioc.add(Record(f"p:many:{number}", float(number)))
    found = peer.run(
        """
        pvs = [PV(f"p:many:{number}") for number in range(500)]
        result = [pv.get(timeout=5) for pv in pvs]
        for pv in pvs:
            pv.disconnect()
        """
    )
    assert found == [float(number) for number in range(500)]
    assert ioc.wait_until(lambda server: not server.channel_count() and not server.connection_count(), 5.0)
    assert ioc.subscription_count() == 0
