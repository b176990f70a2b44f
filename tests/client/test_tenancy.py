"""A PV's place in its home: names, access rights, shared channels."""

from __future__ import annotations

import pytest

from caclient import (
    AccessDeniedError,
    AccessRights,
    BadValueError,
)
from caclient.ioc import Record
from tests.recorder import PATIENCE, Recorder


@pytest.mark.parametrize("name", ["", "  ", None, 5, "a\0b"])
def test_a_name_is_text(serve, name):
    _, context = serve()
    with pytest.raises(BadValueError, match="no PV name"):
        context.pv(name)


@pytest.mark.parametrize("name", ["x" * 1368, "é" * 70_000, "\ud800" * 500])
def test_a_name_fits_a_datagram(serve, name, caplog):
    _, context = serve()
    with pytest.raises(BadValueError, match=f"name of {len(name)} characters does not fit a search datagram"):
        context.pv(name)
    assert context.pv("\ud800").connected is False
    assert not caplog.records


def test_without_write_access(serve):
    ioc, context = serve(Record("x", 1.0, access=AccessRights.READ))
    pv = context.pv("x")
    user, host = context._home.runtime.identity
    for wait in (False, True):
        with pytest.raises(AccessDeniedError) as caught:
            pv.put(2.0, wait=wait)
        assert str(caught.value).startswith(
            f"'x': no write access for {user}@{host} on 127.0.0.1:{ioc.tcp_port}; ask who keeps"
        )
    assert pv.get() == 1.0
    assert pv.access == "read-only"


def test_without_read_access(serve):
    ioc, context = serve(Record("x", 1.0, access=AccessRights.WRITE))
    pv = context.pv("x")
    user, host = context._home.runtime.identity
    with pytest.raises(AccessDeniedError, match=f"'x': no read access for {user}@{host}"):
        pv.get()
    assert pv.access == "write-only"
    pv.put(2.0, wait=True)
    assert ioc["x"].value == 2.0


def test_rights_that_change_while_connected(serve):
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder()
    pv = context.pv("x", access_callback=lambda read, write, pv: heard((read, write)))
    assert pv.get() == 1.0
    ioc["x"].access = AccessRights.NO_ACCESS
    assert heard.wait_for(lambda items: (False, False) in items)
    with pytest.raises(AccessDeniedError):
        pv.get()
    ioc["x"].access = AccessRights.READ | AccessRights.WRITE
    assert heard.wait_for(lambda items: items[-1] == (True, True))
    ioc["x"].post(3.0)
    assert pv.wait_for(lambda value: value == 3.0, timeout=10) == 3.0
    assert pv.get() == 3.0


def test_two_pvs_of_one_name_share_a_channel(serve):
    ioc, context = serve(Record("x", 1.0))
    one, two = context.pv("x"), context.pv("x")
    heard = Recorder(lambda value, **_: value)
    two.add_callback(heard, run_now=True)
    heard.wait(1)
    assert one.channel is two.channel
    assert (ioc.channel_count(), ioc.subscription_count()) == (1, 1)
    one.close()
    one.close()
    assert (one.connected, two.connected) == (False, True)
    ioc["x"].post(2.0)
    assert heard.wait(2) == [1.0, 2.0]
    assert two.get() == 2.0
    two.close()
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 0, PATIENCE)


def test_another_priority_is_another_circuit(serve):
    ioc, context = serve(Record("x", 1.0))
    pvs = [context.pv("x", priority=priority) for priority in (0, 50)]
    assert [pv.get() for pv in pvs] == [1.0, 1.0]
    assert ioc.connection_count() == 2
    with pytest.raises(BadValueError, match=r"'x': priority=100: give a number from 0 to 99"):
        context.pv("x", priority=100)
