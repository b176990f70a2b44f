"""The demo server, in this process and as a program."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from caclient.ioc import IOC
from caclient.ioc_examples.random_walk import make_ioc
from caclient.protocol import commands as ca
from tests.ioc.wire import PATIENCE, Wire, search


@pytest.fixture
def ioc() -> Iterator[IOC]:
    with make_ioc(dt=0.005, seed=1) as server:
        yield server


def test_it_walks_with_alarms_and_stamps(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        wire.subscribe(wire.create("random_walk:x").sid, 20)
        updates = [wire.hear(ca.EventAddResponse) for _ in range(60)]
    values = [update.data[0] for update in updates]
    stamps = [update.metadata.stamp for update in updates]
    assert len(set(values)) == 60
    assert stamps == sorted(stamps)
    assert {update.metadata.severity for update in updates} <= {0, 1, 2}


def test_pace_is_written_and_holds_at_once() -> None:
    with make_ioc(dt=3600.0) as ioc, Wire(ioc.tcp_port) as wire:
        wire.subscribe(wire.create("random_walk:x").sid, 6)
        wire.hear(ca.EventAddResponse)
        dt = wire.create("random_walk:dt").sid
        assert wire.write(dt, 0.001, 6).successful
        wire.hear(ca.EventAddResponse)
        assert wire.write(dt, 0.0, 6).successful
        assert wire.read(dt, 6).data.tolist() == [0.001]
        assert wire.write(dt, math.nan, 6).status.name == "ECA_PUTFAIL"


@pytest.mark.parametrize("pace", [1e9, 1e300, math.inf])
def test_no_pace_ends_the_server(ioc: IOC, pace: float) -> None:
    with Wire(ioc.tcp_port) as wire:
        dt = wire.create("random_walk:dt").sid
        assert wire.write(dt, pace, 6).successful
        assert wire.read(dt, 6).data.tolist() == [3600.0]
        assert wire.write(dt, 0.001, 6).successful
        wire.subscribe(wire.create("random_walk:x").sid, 6)
        assert len({wire.hear(ca.EventAddResponse).data[0] for _ in range(3)}) == 3


def test_same_seed_same_walk() -> None:
    walks = []
    for _ in range(2):
        with make_ioc(dt=0.001, seed=3) as ioc, Wire(ioc.tcp_port) as wire:
            wire.subscribe(wire.create("random_walk:x").sid, 6)
            seen = {float(wire.hear(ca.EventAddResponse).data[0]) for _ in range(10)}
            walks.append(seen)
    assert walks[0] & walks[1]


def test_it_walks_on_after_a_restart(ioc: IOC) -> None:
    ioc.stop()
    ioc.start()
    with Wire(ioc.tcp_port) as wire:
        wire.subscribe(wire.create("random_walk:x").sid, 6)
        assert len({wire.hear(ca.EventAddResponse).data[0] for _ in range(3)}) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_program_serves_and_ends_quietly(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "caclient.ioc_examples.random_walk", "--port", "0", "--interface", "127.0.0.1"]
    with subprocess.Popen(
        [*command, "--print-port"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "PVs: ['random_walk:dt', 'random_walk:x']\n"
            port = int(process.stdout.readline().removeprefix("port: "))
            assert len(search(("127.0.0.1", port), "random_walk:x", "random_walk:dt.VAL")) == 3
            process.send_signal(number)
            output, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, output, errors) == (0, "", "")


def test_prefix_and_quiet() -> None:
    command = [sys.executable, "-m", "caclient.ioc_examples.random_walk", "--port", "0", "--interface", "127.0.0.1"]
    with subprocess.Popen(
        [*command, "--prefix", "demo:", "--quiet", "--print-port"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().removeprefix("port: "))
            assert len(search(("127.0.0.1", port), "demo:x")) == 2
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
