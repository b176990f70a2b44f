"""Our repeater with other people's programs: a real IOC's beacons, libca's and caproto's clients and repeaters."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.libca_peer import LibcaPeer
from tests.interop.softioc import SoftIoc

pytestmark = pytest.mark.interop

ROOT = Path(__file__).resolve().parents[2]
REGISTER = bytes.fromhex("00180000000000000000000000000000")
CONFIRM = bytes.fromhex("0011000000000000000000007f000001")

# libca registers ten seconds after its start; the period is known from the second regular beacon on
BEACON_PERIOD = """
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

OURS = ["-m", "caclient.repeater"]
CAPROTOS = ["-m", "caproto.commandline.repeater"]
LIBCAS = ["-c", "from epics import ca; ca.initialize_libca(); ca.libca['_Z11ca_repeaterv']()"]  # what caRepeater runs


@contextmanager
def running(port: int, repeater: list[str] = OURS) -> Iterator[subprocess.Popen[str]]:
    """A repeater in a process of its own, ready when it confirms a registration."""
    environment = os.environ | {"EPICS_CA_REPEATER_PORT": str(port)}
    command = [sys.executable, *repeater]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            wait_until_confirmed(port, process)
            yield process
        finally:
            process.terminate()


def wait_until_confirmed(port: int, process: subprocess.Popen[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.1)
        for _ in range(200):
            assert process.poll() is None, f"the repeater ended:\n{process.communicate()[0]}"
            client.sendto(REGISTER, ("127.0.0.1", port))  # caproto's does not confirm an empty datagram
            try:
                assert client.recv(64) == CONFIRM
            except (TimeoutError, ConnectionRefusedError):
                continue
            return
    raise TimeoutError("no repeater in 20 s")


@pytest.mark.long
def test_libca_gets_the_beacons_of_an_ioc_through_our_repeater(make_softioc: Callable[..., SoftIoc]) -> None:
    ioc = make_softioc(EPICS_CAS_BEACON_PERIOD="0.5")
    with running(ioc.repeater_port):
        period = LibcaPeer(ioc.client_environment()).run(BEACON_PERIOD)
    assert period == pytest.approx(0.5, rel=0.5)


@pytest.mark.parametrize(
    ("first", "second"),
    [(OURS, LIBCAS), (LIBCAS, OURS), (OURS, CAPROTOS), (CAPROTOS, OURS), (OURS, OURS)],
    ids=["libca's gives way", "to libca's", "caproto's gives way", "to caproto's", "ours gives way"],
)
def test_of_two_repeaters_the_second_gives_way(
    private_epics_environment: dict[str, str], first: list[str], second: list[str]
) -> None:
    if CAPROTOS in (first, second):
        pytest.importorskip("caproto")
    with running(int(private_epics_environment["EPICS_CA_REPEATER_PORT"]), first):
        ended = subprocess.run(
            [sys.executable, *second], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
        )
    assert ended.returncode == 0
    if second is OURS:
        assert ended.stdout == "Another repeater is already running; exiting.\n"
