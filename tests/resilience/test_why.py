"""The true cause, in each situation that a facility knows; for scalars and arrays, and over a name server."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import numpy as np
import pytest

from caclient import CATimeoutError, Cause, Config, Context, why
from caclient.protocol import commands as ca
from tests.faults import FaultServer, Tcp
from tests.resilience.watching import eventually

VALUES = {"scalar": 1.5, "array": np.arange(5.0)}


def of(pv, cause):
    """Waits until it is so."""
    try:
        eventually(lambda: pv.why().cause is cause)
    except AssertionError:
        raise AssertionError(f"not {cause} but {pv.why()}") from None
    diagnosis = pv.why()
    assert diagnosis.advice or cause is Cause.HEALTHY
    return diagnosis


@pytest.fixture(params=VALUES)
def value(request):
    return VALUES[request.param]


@pytest.fixture(params=["broadcast", "name server"])
def server(request, value):
    with FaultServer({"x": value}) as server:
        settings = {"addr_list": (), "name_servers": (server.tcp_address,)} if request.param == "name server" else {}
        server.settings = settings
        yield server


def test_an_outage_from_beginning_to_end(server):
    with Context(server.client_config(conn_timeout=0.3, echo_timeout=0.3, **server.settings)) as context:
        pv = context.pv("x")
        pv.get(timeout=10)
        assert of(pv, Cause.HEALTHY).facts["access"] == "read/write"
        server.stall_circuits()  # SIGSTOP, as far as a client can tell
        assert of(pv, Cause.UNRESPONSIVE).says.startswith("127.0.0.1:")
        server.resume()
        of(pv, Cause.HEALTHY)
        server.stop()
        of(pv, Cause.DROPPED)


def test_a_stopped_ioc_is_told_by_the_error_of_a_get(value):
    with FaultServer({"x": value}) as server, Context(server.client_config()) as context:
        pv = context.pv("x", auto_monitor=False)
        pv.get()
        server.stall()
        with pytest.raises(CATimeoutError, match=r"unresponsive: 'x'.* after 1") as raised:
            pv.get(timeout=1.2)
        assert raised.value.why.cause is Cause.UNRESPONSIVE
        assert (raised.value.pvname, raised.value.phase) == ("x", "request")
        assert raised.value.elapsed > 1.0
        assert pv.why().cause is Cause.UNRESPONSIVE
        server.resume()
        pv.get()
        assert pv.why().cause is Cause.HEALTHY


def test_nobody_has_it():
    with FaultServer({}) as server, Context(server.client_config()) as context:
        pv = context.pv("nowhere")
        assert pv.why().cause is Cause.SEARCHING
        assert of(pv, Cause.NO_REPLY).facts["searches"] > 0


def test_there_is_nowhere_to_search():
    with Context(Config.isolated()) as context:
        assert of(context.pv("x"), Cause.NO_ADDRESS).says.startswith("there is nowhere to search: no address is given")


def test_the_environment_cannot_be_used():
    config = Config.from_env({"EPICS_CA_ADDR_LIST": "127.0.0.1:1,b", "EPICS_CA_AUTO_ADDR_LIST": "NO"})
    with Context(config.replace(repeater_port=0)) as context:
        pv = context.pv("x")
        assert "EPICS_CA_ADDR_LIST: '127.0.0.1:1,b' is no address" in of(pv, Cause.SETTINGS).says
        eventually(lambda: Cause.NO_ADDRESS in pv.why().also)  # known once the list has been looked up


def test_tcp_is_refused():
    with FaultServer({"x": 1.0}, tcp=Tcp.REFUSE) as server, Context(server.client_config()) as context:
        diagnosis = of(context.pv("x"), Cause.CONNECTION_REFUSED)
        assert "answers searches" in diagnosis.says
        assert "firewall" in diagnosis.advice


def test_the_channel_is_not_created():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        server.refuse_channel("x")
        assert "would not create the channel" in of(context.pv("x"), Cause.NOT_CREATED).says


@pytest.mark.parametrize("rights, cause", [("w", Cause.NO_READ_ACCESS), ("r", Cause.NO_WRITE_ACCESS)])
def test_rights(rights, cause):
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        server.set_access("x", rights)
        pv = context.pv("x")
        assert pv.wait_for_connection(10)
        of(pv, cause)


def test_a_callback_is_stuck(value):
    with FaultServer({"x": value}) as server, Context(server.client_config()) as context:
        pv, free, stuck = context.pv("x"), threading.Event(), threading.Event()

        def slow(reading):
            stuck.set()
            free.wait(20)

        with pv.subscribe(slow):
            assert stuck.wait(10)
            server["x"].post(value + 1)
            diagnosis = of(pv, Cause.CALLBACK_BUSY)
            free.set()
        assert "slow (test_why.py:" in diagnosis.says


def test_two_servers_have_it():
    with (
        FaultServer({"x": 1.0}) as one,
        FaultServer({"x": 2.0}) as two,
        Context(Config.isolated(addr_list=(one.address, two.address))) as context,
    ):
        pv = context.pv("x")
        pv.get()
        diagnosis = of(pv, Cause.DUPLICATE)
        assert {diagnosis.facts["address"], diagnosis.facts["other"]} == {
            f"127.0.0.1:{server.tcp_port}" for server in (one, two)
        }


def test_it_is_closed():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as context:
        pv = context.pv("x")
        pv.close()
        assert pv.why().cause is Cause.CLOSED
        other = context.pv("x")
    assert other.why().cause is Cause.CLOSED


def test_why_asks_before_it_says(value):
    with FaultServer({"x": value}) as server, Context(server.client_config()) as context:
        assert why("x", context=context).cause is Cause.HEALTHY
        server.stall()
        assert why("x", timeout=1.3, context=context).cause is Cause.UNRESPONSIVE


def test_facts_of_many_share_what_is_the_same_for_all():
    with FaultServer({}) as server, Context(server.client_config()) as context:
        pvs = [context.pv(f"nowhere{number}") for number in range(50)]
        facts = [pv.channel.facts() for pv in pvs]
    assert len({id(each.around) for each in facts}) <= 2


# -- the matrix: each state, for scalars and arrays, found by search or through a name server, in an outage and after it


class Stage:
    """An IOC, perhaps known only through a name server, and a client that sees nothing else."""

    def __init__(self, stack: ExitStack, value, by_name_server: bool, searches: bool = True) -> None:
        self.stack = stack
        self.value = value
        self.by_name_server = by_name_server
        self.ioc = stack.enter_context(FaultServer({"x": value}))
        self.names = self._name_server(self.ioc)
        self.others: list[FaultServer] = []
        self.searches = searches
        self.free = threading.Event()
        stack.callback(self.free.set)

    def _name_server(self, ioc: FaultServer) -> FaultServer | None:
        if not self.by_name_server:
            return None
        names = self.stack.enter_context(FaultServer())
        names.point("x", ioc)
        return names

    def second(self) -> None:
        """Another IOC that has it too."""
        self.others.append(self.stack.enter_context(FaultServer({"x": self.value})))

    def pv(self, name: str = "x", connected: bool = True):
        """The PV of a client of one's own."""
        iocs = [self.ioc, *self.others]
        where = {"addr_list": [each.address for each in iocs], "name_servers": ()}
        known: list[FaultServer] = []
        if self.names is not None:
            known = [self.names, *(self._name_server(each) for each in self.others)]
            where = {"addr_list": (), "name_servers": [each.tcp_address for each in known]}
        settings = where if self.searches else {"addr_list": (), "name_servers": ()}
        config = self.ioc.client_config(conn_timeout=0.3, echo_timeout=0.3, **settings)
        context = self.stack.enter_context(Context(config))
        if self.others and known:
            # A name is asked of the name servers that are reached by then, and no more once it is found.
            with context.pv("nowhere"):
                for each in known:
                    each.wait_for(ca.SearchRequest)
        pv = context.pv(name)
        if connected:
            assert pv.wait_for_connection(10)
        return pv

    def refuse_tcp(self) -> None:
        """Where it is from now on nobody takes a connection."""
        self.ioc.move(Tcp.REFUSE)
        if self.names is not None:
            self.names.point("x", self.ioc)

    def start_again(self) -> None:
        """The IOC is back, as it was."""
        self.ioc.start()
        self.ioc.resume()
        if self.names is not None:
            self.names.point("x", self.ioc)


def healthy(stage: Stage):
    return stage.pv()


def no_such_pv(stage: Stage):
    return stage.pv("nowhere", connected=False)


def no_such_field(stage: Stage):
    return stage.pv("x.NOPE", connected=False)


def no_address(stage: Stage):
    stage.searches = False
    return stage.pv(connected=False)


def tcp_refused(stage: Stage):
    stage.refuse_tcp()
    return stage.pv(connected=False)


def tcp_refused_since(stage: Stage):
    pv = stage.pv()
    stage.refuse_tcp()
    stage.ioc.drop_clients()
    return pv


def not_created(stage: Stage):
    stage.ioc.refuse_channel("x")
    return stage.pv(connected=False)


def not_created_since(stage: Stage):
    pv = stage.pv()
    stage.ioc.refuse_channel("x")
    stage.ioc.drop_clients()
    return pv


def stopped(stage: Stage):
    pv = stage.pv()
    stage.ioc.stall()
    return pv


def no_read_access(stage: Stage):
    stage.ioc.set_access("x", "w")
    return stage.pv()


def no_write_access(stage: Stage):
    stage.ioc.set_access("x", "r")
    return stage.pv()


def stuck(stage: Stage):
    pv, called = stage.pv(), threading.Event()

    def slow(reading) -> None:
        called.set()
        stage.free.wait(30)

    pv.subscribe(slow)
    assert called.wait(10)
    stage.ioc["x"].post(stage.value + 1)
    return pv


def two_servers(stage: Stage):
    stage.second()
    return stage.pv()


def closed(stage: Stage):
    pv = stage.pv()
    pv.close()
    return pv


GONE = {False: Cause.DROPPED, True: Cause.CONNECTION_REFUSED}
"""Of an IOC that has died: by search nobody answers; a name server goes on saying where it was."""
NEVER = {False: Cause.NO_REPLY, True: Cause.CONNECTION_REFUSED}

# arranged by -> while it is so; while the IOC is dead; when it is back
MATRIX = {
    healthy: (Cause.HEALTHY, GONE, Cause.HEALTHY),
    no_such_pv: (Cause.NO_REPLY, Cause.NO_REPLY, Cause.NO_REPLY),
    no_such_field: (Cause.NO_SUCH_FIELD, None, Cause.NO_SUCH_FIELD),
    no_address: (Cause.NO_ADDRESS, Cause.NO_ADDRESS, Cause.NO_ADDRESS),
    tcp_refused: (Cause.CONNECTION_REFUSED, NEVER, Cause.CONNECTION_REFUSED),
    tcp_refused_since: (Cause.CONNECTION_REFUSED, GONE, Cause.CONNECTION_REFUSED),
    not_created: (Cause.NOT_CREATED, None, Cause.NOT_CREATED),
    not_created_since: (Cause.NOT_CREATED, None, Cause.NOT_CREATED),
    stopped: (Cause.UNRESPONSIVE, GONE, Cause.HEALTHY),
    no_read_access: (Cause.NO_READ_ACCESS, GONE, Cause.NO_READ_ACCESS),
    no_write_access: (Cause.NO_WRITE_ACCESS, GONE, Cause.NO_WRITE_ACCESS),
    stuck: (Cause.CALLBACK_BUSY, GONE, Cause.CALLBACK_BUSY),
    two_servers: (Cause.DUPLICATE, None, None),
    closed: (Cause.CLOSED, Cause.CLOSED, Cause.CLOSED),
}


@pytest.mark.parametrize("by_name_server", [False, True], ids=["searched", "name server"])
@pytest.mark.parametrize("arrange", MATRIX, ids=lambda arrange: arrange.__name__)
def test_matrix(arrange, value, by_name_server):
    so, dead, back = MATRIX[arrange]
    with ExitStack() as stack:
        stage = Stage(stack, value, by_name_server)
        pv = arrange(stage)
        of(pv, so)
        if arrange is stuck:
            assert "slow (test_why.py:" in pv.why().says
        stage.ioc.stop()
        if dead is not None:
            diagnosis = of(pv, dead[by_name_server] if isinstance(dead, dict) else dead)
            assert (Cause.CALLBACK_BUSY in diagnosis.also) == (arrange is stuck)
        stage.start_again()
        if back is not None:
            of(pv, back)
