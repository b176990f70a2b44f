"""A server where there is no epoll, no poll, no sendmsg and no fork, and select takes 512 sockets: as on Windows."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from caclient.config import Config
from caclient.engine import loop
from caclient.engine.poller import SelectorsPoller
from caclient.ioc import IOC, Record
from caclient.protocol import commands as ca
from tests.ioc.wire import PATIENCE, Wire, search

CAPACITY = 24
"""In place of 512: listeners and wake-up sockets count too."""


def _absent(_sock: socket.socket) -> None:
    raise AttributeError("there is no sendmsg")


@pytest.fixture
def ioc(monkeypatch: pytest.MonkeyPatch) -> Iterator[IOC]:
    for module, name in ((select, "epoll"), (select, "poll"), (os, "fork")):
        monkeypatch.delattr(module, name, raising=False)
    monkeypatch.setattr(socket.socket, "sendmsg", property(_absent), raising=False)
    monkeypatch.setattr(loop, "make_poller", lambda: SelectorsPoller(CAPACITY))
    monkeypatch.setattr(selectors, "DefaultSelector", selectors.SelectSelector)
    with IOC([Record("x", 1.0), Record("image", np.arange(1e6))], Config.isolated()) as server:
        yield server


def test_it_serves(ioc: IOC) -> None:
    assert len(search(ioc.address, "x")) == 2
    with Wire(ioc.tcp_port) as wire:
        x, image = wire.create("x").sid, wire.create("image").sid
        assert wire.write(x, 2.0, 6).successful
        wire.subscribe(x, 6)
        assert wire.hear(ca.EventAddResponse).data.tolist() == [2.0]
        assert wire.write(image, np.arange(1e6)[::-1], 6).successful
        assert wire.read(image, 6).data[0] == 999_999.0
    assert ioc.wait_until(lambda server: server.connection_count() == 0, PATIENCE)


def test_one_circuit_too_many_is_refused_and_costs_no_other(ioc: IOC, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(ioc.tcp_port)) for _ in range(30)]
        ends = 0
        for wire in wires:
            try:
                wire.ask(ca.EchoRequest(), ca.EchoResponse)
            except (EOFError, OSError):
                ends += 1
        assert 8 <= ends <= 12
    assert "no more than 24 sockets" in caplog.text
    assert ioc.wait_until(lambda server: server.connection_count() == 0, PATIENCE)
    with Wire(ioc.tcp_port) as wire:
        wire.ask(ca.EchoRequest(), ca.EchoResponse)
