"""Beacons and who hands them on: other people's repeaters, our own, one that dies, none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from caclient import Config, Context
from caclient.ioc import IOC, Record
from tests.interop.libca_peer import LibcaPeer
from tests.interop.softioc import SoftIoc
from tests.leftovers import Snapshot
from tests.ports import free_port
from tests.resilience.watching import Told, eventually, within

pytestmark = pytest.mark.interop

ROOT = Path(__file__).resolve().parents[2]
REPEATERS = {
    "ours": ["-m", "caclient.repeater"],
    "caproto's": ["-m", "caproto.commandline.repeater"],
    "libca's": ["-c", "from epics import ca; ca.initialize_libca(); ca.libca['_Z11ca_repeaterv']()"],
}
PERIOD = """
    import ctypes, time
    pv = connected("t:ai")
    beacon_period = ca.libca.ca_beacon_period
    beacon_period.restype = ctypes.c_double
    deadline = time.monotonic() + 20.0
    result = -1.0
    while result < 0.0 and time.monotonic() < deadline:
        ca.poll(0.05, 0.05)
        result = beacon_period(ctypes.c_void_p(getattr(pv.chid, "value", pv.chid)))
"""


@contextmanager
def repeater(kind: str, port: int) -> Iterator[None]:
    environment = os.environ | {"EPICS_CA_REPEATER_PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, *REPEATERS[kind]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def ioc(port: int) -> Iterator[IOC]:
    """An IOC whose beacons go to the private port."""
    config = Config.isolated(beacon_addr_list=(("127.0.0.1", port),), beacon_port=port, beacon_period=0.1)
    with IOC([Record("x", 1.5)], config) as ioc:
        yield ioc


@pytest.fixture
def client(ioc: IOC, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Context]]:
    monkeypatch.setattr("caclient.engine.registration._AGAIN", 0.3)
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Context(Config.isolated(addr_list=(ioc.address,), repeater_port=port)))


@pytest.mark.parametrize("kind", REPEATERS)
def test_beacons_come_through_a_repeater_that_runs(kind: str, port: int, client: Callable[[], Context]) -> None:
    if kind == "caproto's":
        pytest.importorskip("caproto")
    with repeater(kind, port):
        context = eventually(lambda: registered(client), timeout=20)
        eventually(lambda: context.report().beacons_from == 1)
        assert context.report().repeater == "registered"


def registered(client: Callable[[], Context]) -> Context | None:
    """A context that has found the repeater; None while that is still starting."""
    context = client()
    eventually(lambda: context.report().repeater != "none")
    if context._home.repeater.serving:
        context.close()
        return None
    return context


def test_one_client_serves_the_others_and_another_takes_over(port: int, client: Callable[[], Context]) -> None:
    """No process is started for it, ever."""
    before = Snapshot.now()
    first = client()
    eventually(lambda: first.report().repeater == "serving")
    others = [client() for _ in range(3)]
    for other in others:
        eventually(lambda other=other: other.report().beacons_from == 1)
    assert [other.report().repeater for other in others] == ["registered"] * 3
    first.close()
    eventually(lambda: sorted(other.report().repeater for other in others) == ["registered", "registered", "serving"])
    for other in others:
        heard = other._home.searches.datagrams_received
        eventually(lambda other=other, heard=heard: other._home.searches.datagrams_received > heard + 3)
        assert other.pv("x").get() == 1.5
    assert Snapshot.now().children == before.children


def test_a_repeater_that_dies_is_replaced(port: int, client: Callable[[], Context]) -> None:
    with repeater("ours", port):
        context = eventually(lambda: registered(client), timeout=20)
    eventually(lambda: context.report().repeater == "serving")
    heard = context._home.searches.datagrams_received
    eventually(lambda: context._home.searches.datagrams_received > heard + 3)


def test_everything_works_without_any(ioc: IOC) -> None:
    """Neither a repeater nor the port for one: an outage is noticed and overcome all the same."""
    with Context(Config.isolated(addr_list=(ioc.address,))) as context:
        told = Told()
        pv = context.pv("x", connection_callback=told)
        assert pv.get() == 1.5
        ioc.stop()
        told.wait_for(True, False)
        ioc.start(tcp_port=0)
        told.wait_for(True, False, True)
        assert (context.report().repeater, context.report().beacons_from) == ("none", 0)


def test_a_restarted_ioc_is_found_at_once_though_the_back_off_is_long(ioc: IOC, client: Callable[[], Context]) -> None:
    """T11, T12: its first beacon is enough, on the same port or another."""
    context, told = client(), Told()
    pv = context.pv("x", connection_callback=told)
    assert pv.get() == 1.5
    eventually(lambda: context.report().beacons_from == 1)
    ioc.stop()
    told.wait_for(True, False)
    eventually(lambda: context._home.searches.schedule.attempts(pv.channel.cid).asks >= 8)  # the next is 5 s away
    ioc.start(tcp_port=0)
    with within(1.0):
        told.wait_for(True, False, True)


@pytest.mark.long
def test_libca_beside_us_gets_its_beacons_through_us(make_softioc: Callable[..., SoftIoc]) -> None:
    """We serve as the host's repeater from the selector thread; pyepics finds one and hears the real IOC's beacons."""
    ioc = make_softioc(EPICS_CAS_BEACON_PERIOD="0.5")
    with Context(addr_list=[ioc.address], repeater_port=ioc.repeater_port) as context:
        eventually(lambda: context.report().repeater == "serving")
        assert LibcaPeer(ioc.client_environment()).run(PERIOD) == pytest.approx(0.5, rel=0.5)
        assert context.report().beacons_from == 1
