"""The server as clients meet it: through sockets, on loopback."""

from __future__ import annotations

import contextlib
import gc
import math
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from caclient.config import Config
from caclient.dbr.types import ChannelType
from caclient.errors import BadValueError
from caclient.ioc import IOC, Completion, Record
from caclient.protocol import commands as ca
from caclient.protocol.broadcaster import Broadcaster, extract_address
from tests.ioc.wire import PATIENCE, Wire, busy, search


@pytest.fixture
def ioc() -> Iterator[IOC]:
    records = [
        Record("t:x", 1.5, units="mm", precision=2, alarm=(-10.0, 10.0)),
        Record("t:state", 1, enum_strings=("off", "on")),
        Record("t:wave", np.arange(5.0), count=10),
        Record("t:text", "hello"),
    ]
    with IOC(records, Config.isolated()) as server:
        yield server


def channels_are(ioc: IOC, number: int) -> bool:
    return ioc.wait_until(lambda server: server.channel_count() == number, PATIENCE)


def test_search_answers_for_what_is_served(ioc: IOC) -> None:
    version, *found = search(ioc.address, "t:x", "t:nobody", "t:x.VAL")
    assert isinstance(version, ca.VersionResponse)
    assert version.sequence == 1
    assert [(reply.cid, extract_address(reply)) for reply in found] == [
        (0, ("127.0.0.1", ioc.tcp_port)),
        (2, ("127.0.0.1", ioc.tcp_port)),
    ]


def test_one_free_port_serves_udp_and_tcp(ioc: IOC) -> None:
    assert ioc.port == ioc.tcp_port != 0


def test_whole_session(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        assert wire.hear(ca.VersionResponse).version == 13
        wire.say(ca.ClientNameRequest("ann"), ca.HostNameRequest("ws1"))
        wire.say(ca.CreateChanRequest("t:x", 7))
        assert wire.hear(ca.AccessRightsResponse).access_rights == ca.AccessRights.READ | ca.AccessRights.WRITE
        channel = wire.hear(ca.CreateChanResponse)
        assert (channel.cid, channel.data_type, channel.data_count) == (7, ChannelType.DOUBLE, 1)
        assert wire.read(channel.sid, 6).data.tolist() == [1.5]
        assert wire.write(channel.sid, 2.5, 6).successful
        assert ioc["t:x"].value == 2.5
        number = wire.subscribe(channel.sid, ChannelType.TIME_DOUBLE)
        assert wire.hear(ca.EventAddResponse).data.tolist() == [2.5]
        ioc["t:x"].post(3.5)
        assert wire.hear(ca.EventAddResponse).data.tolist() == [3.5]
        wire.say(ca.EventCancelRequest(ChannelType.TIME_DOUBLE, channel.sid, number))
        assert wire.hear(ca.EventCancelResponse).subscriptionid == number
        assert wire.ask(ca.EchoRequest(), ca.EchoResponse)
        assert wire.ask(ca.ClearChannelRequest(channel.sid, 7), ca.ClearChannelResponse).cid == 7
        assert channels_are(ioc, 0)


@pytest.mark.parametrize("data_type", [t for t in range(39) if t not in (35, 36)])
def test_every_type_can_be_read(ioc: IOC, data_type: int) -> None:
    with Wire(ioc.tcp_port) as wire:
        for name in ("t:x", "t:state", "t:wave"):
            reply = wire.read(wire.create(name).sid, data_type)
            assert reply.successful
            assert len(reply.data) == reply.data_count >= 1


@pytest.mark.parametrize("data_type", [35, 36])
def test_types_only_for_writing_are_refused(ioc: IOC, data_type: int) -> None:
    with Wire(ioc.tcp_port) as wire:
        assert wire.read(wire.create("t:x").sid, data_type).status.name == "ECA_GETFAIL"


def test_count_beyond_the_array_is_filled_with_zeros(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        sid = wire.create("t:wave").sid
        assert wire.read(sid, 6, 0).data_count == 5
        assert wire.read(sid, 6, 8).data.tolist() == [0, 1, 2, 3, 4, 0, 0, 0]
        assert wire.read(sid, 6, 2).data.tolist() == [0, 1]


def test_unknown_name_cannot_be_created(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        assert wire.ask(ca.CreateChanRequest("t:nobody", 1), ca.CreateChFailResponse).cid == 1


def test_search_over_tcp(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        wire.hear(ca.VersionResponse)
        found = wire.ask(ca.SearchRequest("t:x", 3), ca.SearchResponse)
        assert (found.cid, found.port, found.ip) == (3, ioc.tcp_port, ca.THE_SENDER)
        assert wire.ask(ca.SearchRequest("t:nobody", 4, reply=ca.DO_REPLY), ca.NotFoundResponse).cid == 4


def test_unknown_sid_ends_the_circuit_with_an_error(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        wire.hear(ca.VersionResponse)
        wire.sock.sendall(ca.ReadNotifyRequest(6, 1, 99, 1).to_bytes())
        (error,) = wire.hear_end()
        assert isinstance(error, ca.ErrorResponse)
        assert error.status.name == "ECA_INTERNAL"


def test_rubbish_ends_the_circuit(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        wire.sock.sendall(b"\xff" * 64)
        wire.hear_end()
    assert ioc.wait_until(lambda server: server.connection_count() == 0, PATIENCE)


def test_rubbish_by_udp_is_not_answered(ioc: IOC) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"\xff" * 100, ioc.address)
        sock.sendto(b"", ioc.address)
    assert len(search(ioc.address, "t:x")) == 2


def test_access_rights_change_at_run_time(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        sid = wire.create("t:x").sid
        wire.subscribe(sid, ChannelType.TIME_DOUBLE)
        wire.hear(ca.EventAddResponse)
        ioc["t:x"].access = ca.AccessRights.NO_ACCESS
        assert wire.hear(ca.AccessRightsResponse).access_rights == 0
        denied = wire.hear(ca.EventAddResponse)
        assert denied.status.name == "ECA_NORDACCESS"
        assert wire.read(sid, 6, 1).status.name == "ECA_NORDACCESS"
        assert wire.write(sid, 9.0, 6).status.name == "ECA_NOWTACCESS"
        ioc["t:x"].post(4.0)
        ioc["t:x"].access = ca.AccessRights.READ
        assert wire.hear(ca.AccessRightsResponse).access_rights == ca.AccessRights.READ
        assert wire.hear(ca.EventAddResponse).data.tolist() == [4.0]


def test_put_callback_is_answered_when_the_record_has_finished(ioc: IOC) -> None:
    completion = Completion()
    moving = ioc.add(Record("t:motor", 0.0, on_put=lambda record, value: completion))
    with Wire(ioc.tcp_port) as wire:
        sid = wire.create("t:motor").sid
        wire.say(ca.WriteNotifyRequest(5.0, 6, 1, sid, 50))
        wire.ask(ca.EchoRequest(), ca.EchoResponse)  # the circuit goes on meanwhile
        assert moving.value == 5.0
        completion.finish()
        assert wire.hear(ca.WriteNotifyResponse).ioid == 50


def test_put_callback_of_a_cleared_channel_is_not_answered(ioc: IOC) -> None:
    completion = Completion()
    ioc.add(Record("t:motor", 0.0, on_put=lambda record, value: completion))
    with Wire(ioc.tcp_port) as wire:
        sid = wire.create("t:motor").sid
        wire.say(ca.WriteNotifyRequest(5.0, 6, 1, sid, 50))
        wire.ask(ca.ClearChannelRequest(sid, 1), ca.ClearChannelResponse)
        completion.finish()
        wire.ask(ca.EchoRequest(), ca.EchoResponse)
        assert not wire.heard


def test_failing_put_hook_is_a_failed_put(ioc: IOC, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_record: Record, _value: float) -> None:
        raise KeyError("no such device")

    ioc.add(Record("t:broken", 0.0, on_put=broken))
    with Wire(ioc.tcp_port) as wire:
        assert wire.write(wire.create("t:broken").sid, 1.0, 6).status.name == "ECA_PUTFAIL"
    assert "t:broken" in caplog.text
    assert ioc["t:broken"].value == 0.0


def test_plain_write_that_fails_is_told_by_an_error(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        channel = wire.create("t:state")
        wire.say(ca.WriteRequest("nonsense", 0, 1, channel.sid, channel.cid))
        error = wire.hear(ca.ErrorResponse)
        assert (error.cid, error.status.name, error.error_message) == (channel.cid, "ECA_PUTFAIL", "t:state")
        assert error.original_request.command == ca.WriteRequest.ID
        wire.ask(ca.EchoRequest(), ca.EchoResponse)


def test_events_off_keeps_the_newest_value_only(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        sid = wire.create("t:x").sid
        wire.subscribe(sid, ChannelType.DOUBLE)
        wire.hear(ca.EventAddResponse)
        wire.say(ca.EventsOffRequest())
        wire.ask(ca.EchoRequest(), ca.EchoResponse)
        for value in range(10):
            ioc["t:x"].post(float(value))
        wire.ask(ca.EchoRequest(), ca.EchoResponse)
        assert not wire.heard
        wire.say(ca.EventsOnRequest())
        assert wire.hear(ca.EventAddResponse).data.tolist() == [9.0]
        wire.ask(ca.EchoRequest(), ca.EchoResponse)
        assert not wire.heard


def test_slow_client_gets_the_newest_value_in_the_end(ioc: IOC) -> None:
    record = ioc.add(Record("t:image", np.zeros(50_000)))
    with Wire(ioc.tcp_port) as wire:
        wire.subscribe(wire.create("t:image").sid, ChannelType.DOUBLE)
        for number in range(1, 101):
            record.post(np.full(50_000, float(number)))
        received = [wire.hear(ca.EventAddResponse).data[0]]
        while received[-1] != 100.0:
            received.append(wire.hear(ca.EventAddResponse).data[0])
        assert received == sorted(received)
        assert len(received) < 100


def test_large_array_there_and_back(ioc: IOC) -> None:
    ioc.add(Record("t:large", np.zeros(1_000_000)))
    data = np.arange(1_000_000.0)
    with Wire(ioc.tcp_port) as wire:
        channel = wire.create("t:large")
        assert channel.data_count == 1_000_000
        assert wire.write(channel.sid, data, 6).successful
        assert np.array_equal(wire.read(channel.sid, 6).data, data)


def test_obsolete_read_shortens_a_string(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        channel = wire.create("t:text")
        reply = wire.ask(ca.ReadRequest(0, 1, channel.sid, 5), ca.ReadResponse)
        assert (reply.cid, reply.data, len(reply.payload)) == (channel.cid, (b"hello",), 8)
        assert wire.ask(ca.ReadSyncRequest(), ca.ReadSyncResponse)


def test_disconnected_channel_leaves_the_circuit_alone(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        channel = wire.create("t:x")
        ioc.disconnect_channel("t:x")
        assert wire.hear(ca.ServerDisconnResponse).cid == channel.cid
        wire.ask(ca.EchoRequest(), ca.EchoResponse)
        assert ioc.channel_count() == 0


@pytest.mark.parametrize("reset", [False, True])
def test_dropped_clients_may_come_back(ioc: IOC, reset: bool) -> None:
    with Wire(ioc.tcp_port) as wire:
        wire.create("t:x")
        ioc.drop_clients(reset=reset)
        wire.hear_end()
    with Wire(ioc.tcp_port) as wire:
        assert wire.create("t:x").data_count == 1


def test_departed_client_leaves_nothing(ioc: IOC) -> None:
    with Wire(ioc.tcp_port) as wire:
        sid = wire.create("t:x").sid
        wire.subscribe(sid, ChannelType.TIME_DOUBLE)
        wire.hear(ca.EventAddResponse)
        assert (ioc.channel_count(), ioc.subscription_count()) == (1, 1)
    assert channels_are(ioc, 0)
    assert (ioc.connection_count(), ioc.subscription_count()) == (0, 0)


def test_restart_is_on_the_same_port(ioc: IOC) -> None:
    port = ioc.port
    ioc.stop()
    with pytest.raises(OSError):
        Wire(port)
    ioc.start()
    assert ioc.port == ioc.tcp_port == port
    with Wire(port) as wire:
        wire.create("t:x")


def test_restart_may_move_the_circuits(ioc: IOC) -> None:
    port = ioc.port
    ioc.stop()
    with socket.create_server(("127.0.0.1", port)):  # somebody else has taken it
        ioc.start()
        assert ioc.port == port != ioc.tcp_port
        assert extract_address(search(ioc.address, "t:x")[1])[1] == ioc.tcp_port


def test_life_can_be_asked_for_twice() -> None:
    ioc = IOC([], Config.isolated())
    assert (ioc.channel_count(), ioc.connection_count(), ioc.port) == (0, 0, 0)
    assert ioc.start() is ioc.start()
    ioc.stop()
    ioc.stop()
    with pytest.raises(RuntimeError, match="does not run"):
        ioc.call_later(0, lambda: None)


def test_on_start_and_timers_run_in_the_server_thread() -> None:
    names: list[str] = []
    done = threading.Event()

    def tick() -> None:
        names.append(threading.current_thread().name)
        done.set()

    with IOC([], Config.isolated(), on_start=lambda ioc: ioc.call_later(0.001, tick)) as ioc:
        assert done.wait(PATIENCE)
        assert not ioc.wait_until(lambda server: False, 0.0)
    assert names == ["caclient-ioc"]


@pytest.mark.parametrize("delay", [1e9, 1e300, math.inf])
def test_a_delay_without_end_ends_nothing(delay: float) -> None:
    """Poll takes 25 days at the most: one put of 1e9 to a pace once ended a server."""
    with IOC([], Config.isolated()) as ioc:
        ioc.call_later(delay, lambda: None)
        assert ioc.wait_until(lambda server: True, PATIENCE)
        assert ioc.wait_until(lambda server: server.connection_count() == 0, PATIENCE)


def test_a_delay_before_now_is_at_once_and_nan_is_none() -> None:
    done = threading.Event()
    with IOC([], Config.isolated()) as ioc:
        ioc.call_later(10**400, lambda: None)
        ioc.call_later(-math.inf, done.set)
        assert done.wait(PATIENCE)
        with pytest.raises(BadValueError):
            ioc.call_later(math.nan, done.set)


def test_whoever_comes_in_crowds_lets_others_have_their_turn(ioc: IOC) -> None:
    """Two hundred circuits that come at once, and a put of one that is in already."""
    there: list[int] = []
    ioc.add(Record("t:modest", 0.0, on_put=lambda _record, _value: there.append(ioc.connection_count())))
    with contextlib.ExitStack() as stack:
        modest = stack.enter_context(Wire(ioc.tcp_port))
        sid = modest.create("t:modest").sid
        with busy(ioc):
            for _ in range(200):
                stack.enter_context(socket.create_connection(("127.0.0.1", ioc.tcp_port), PATIENCE))
            modest.sock.sendall(ca.WriteRequest(1.0, 6, 1, sid, 1).to_bytes())
        assert ioc.wait_until(lambda server: server.connection_count() == 201, PATIENCE)
    assert there[0] < 100


def test_whoever_searches_without_end_lets_others_have_their_turn(ioc: IOC) -> None:
    answered: list[int] = []
    with Wire(ioc.tcp_port) as modest, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as greedy:
        greedy.bind(("127.0.0.1", 0))
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        greedy.setblocking(False)

        def count(_record: Record, _value: float) -> None:
            answered.append(0)
            with contextlib.suppress(BlockingIOError):
                while greedy.recv(4096):
                    answered[-1] += 1

        ioc.add(Record("t:modest", 0.0, on_put=count))
        sid = modest.create("t:modest").sid
        search = Broadcaster(our_role=ca.CLIENT).search((1, "t:x"))
        with busy(ioc):
            for _ in range(600):
                greedy.sendto(search, ioc.address)
            modest.sock.sendall(ca.WriteRequest(1.0, 6, 1, sid, 1).to_bytes())
        modest.ask(ca.EchoRequest(), ca.EchoResponse)
    assert answered[0] <= 256


def test_a_hook_that_always_fails_logs_once_a_second(ioc: IOC, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_record: Record, _value: float) -> None:
        raise KeyError("no such device")

    ioc.add(Record("t:broken", 0.0, on_put=broken))
    began = time.monotonic()
    with Wire(ioc.tcp_port) as wire:
        channel = wire.create("t:broken")
        wire.say(*(ca.WriteRequest(0.0, 6, 1, channel.sid, channel.cid) for _ in range(500)))
        wire.ask(ca.EchoRequest(), ca.EchoResponse)
    assert 1 <= len(caplog.records) <= 2 + time.monotonic() - began


def test_five_hundred_circuits_come_in_at_once() -> None:
    """They wait in the kernel's queue while the server is busy; with a queue of 20 most had to try again later."""
    with IOC([], Config.isolated()) as ioc, contextlib.ExitStack() as stack:
        with busy(ioc):
            for client in [stack.enter_context(socket.socket()) for _ in range(500)]:
                client.settimeout(0.5)
                client.connect(("127.0.0.1", ioc.tcp_port))
        assert ioc.wait_until(lambda server: server.connection_count() == 500, PATIENCE)


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_no_descriptor_left_costs_nothing_and_passes() -> None:
    """The listener stays readable: without a rest this took a whole processor."""
    program = [sys.executable, "-c", textwrap.dedent(_FEW_DESCRIPTORS)]
    with (
        subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as ioc,
        contextlib.ExitStack() as stack,
    ):
        assert ioc.stdin is not None
        assert ioc.stdout is not None
        stack.callback(ioc.kill)
        port = int(ioc.stdout.readline())
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in range(80)]
        ioc.stdin.write("\n")
        ioc.stdin.flush()
        assert float(ioc.stdout.readline()) < 0.4
        for client in clients[:60]:
            client.close()
        with Wire(port) as wire:
            wire.read(wire.create("x").sid, 6)
        _, errors = ioc.communicate(timeout=PATIENCE)
    assert errors.count("no more circuits for now") in (1, 2, 3)


_FEW_DESCRIPTORS = """
    import resource, sys, time
    from caclient.config import Config
    from caclient.ioc import IOC, Record

    resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
    with IOC([Record("x", 1.0)], Config.isolated()) as ioc:
        print(ioc.tcp_port, flush=True)
        sys.stdin.readline()
        before = time.process_time()
        time.sleep(1.0)
        print(time.process_time() - before, flush=True)
        sys.stdin.read()
"""


def test_run_returns_when_another_thread_stops_it() -> None:
    ioc = IOC([], Config.isolated(), on_start=lambda ioc: threading.Thread(target=ioc.stop).start())
    ioc.run()
    gc.collect()


def test_beacons_begin_quickly() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE)
        config = Config.isolated(beacon_addr_list=(sock.getsockname(),))
        with IOC([], config) as ioc:
            beacons = [sock.recv(64) for _ in range(4)]
        port = ioc.tcp_port
    assert beacons == [ca.Beacon(13, port, number).to_bytes() for number in (0, 0, 1, 2)]


def test_client_config_reaches_this_server_only(ioc: IOC) -> None:
    config = ioc.client_config(conn_timeout=2.0)
    assert config.addr_list == (ioc.address,)
    assert (config.conn_timeout, config.auto_addr_list) == (2.0, False)
