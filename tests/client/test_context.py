"""Context: what it is made from, closing it, forks, and how programs that use it end."""

from __future__ import annotations

import copy
import pickle
import re
import signal
import socket
import threading
import time
from typing import Any

import pytest

import caclient
from caclient import Config, Context, ContextClosedError
from caclient.client import context as module, default as default_module
from caclient.engine import pool as pool_module
from caclient.engine.runtime import Runtime
from caclient.ioc import IOC, Completion, Record
from tests.faults import FaultServer, Tcp
from tests.recorder import PATIENCE, Recorder
from tests.scripts import Ended, interrupt, run
from tests.using import context_of

PROMPT = 2.0
"""Seconds within which a program must have ended, on a machine with other things to do."""


@pytest.fixture
def ioc(serve) -> IOC:
    return serve(*(Record(f"x{number}", float(number)) for number in range(10)))[0]


@pytest.fixture
def many(serve) -> IOC:
    return serve(*(Record(f"x{number}", float(number)) for number in range(1000)))[0]


def is_quiet(ended: Ended, code: int = 0) -> None:
    assert (ended.code, ended.complaints) == (code, "")
    assert ended.ending < PROMPT


# ---------------------------------------------------------------- what it is made from


@pytest.mark.parametrize(
    "wrong, advice",
    [
        ({"conn_timeout": "3"}, "conn_timeout='3': give a positive number of seconds"),
        ({"auto_addr_list": "NO"}, "auto_addr_list='NO': give True or False"),
        ({"addr_list": "a,b"}, "'a,b' is no address: separate addresses by blanks"),
        ({"server_port": 99999}, "server_port=99999: give a port number"),
        ({"timeout": None}, "timeout=None: leave it out for the default"),
        ({"timeout": "5"}, "timeout='5': give seconds"),
        ({"queue_bytes": "much"}, "queue_bytes='much': give a positive number of bytes"),
        ({"read_only": "yes"}, "read_only='yes': give True or False"),
    ],
)
def test_a_setting_that_cannot_be_starts_nothing(wrong, advice):
    before = threading.active_count()
    with pytest.raises(caclient.BadValueError, match=re.escape(advice)):
        Context(Config.isolated(), **wrong)
    assert threading.active_count() == before


def test_settings_of_its_own():
    with Context(Config.isolated(), timeout=0.5, queue_bytes="1 MiB", read_only=True) as context:
        assert (context.timeout, context.queue_bytes, context.read_only) == (0.5, 1 << 20, True)
    with Context(Config.isolated(read_only=True)) as context:
        assert context.read_only
    with Context(Config.isolated(read_only=True), read_only=False) as context:
        assert not context.read_only


def test_a_context_that_is_read_only_sends_no_put(ioc):
    reading_only = Context(ioc.client_config(), read_only=True)
    with reading_only, pytest.raises(caclient.ReadOnlyError, match="'x1': this context is read-only, nothing was sent"):
        reading_only.pv("x1").put(2.0)
    with Context(ioc.client_config()) as context:
        assert context.pv("x1").get(use_monitor=False) == 1.0


def test_arguments_replace_the_environment(monkeypatch):
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "10.0.0.1")
    monkeypatch.setenv("EPICS_CA_AUTO_ADDR_LIST", "YES")
    with Context(addr_list="127.0.0.1:5099", conn_timeout=3.0) as context:
        assert context.config.addr_list == (("127.0.0.1", 5099),)
        assert (context.config.auto_addr_list, context.config.conn_timeout) == (False, 3.0)
    with Context(name_servers=["127.0.0.1:1"], auto_addr_list=False) as context:
        assert context.config.addr_list == (("10.0.0.1", 5064),) or context.config.addr_list
        assert not context.config.auto_addr_list
    with pytest.raises(TypeError):
        Context(no_such_setting=1)


def test_the_default_context_follows_the_environment(monkeypatch, ioc):
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"127.0.0.1:{ioc.port}")
    context = caclient.default_context()
    assert context is caclient.default_context()
    assert caclient.PV("x1").get(timeout=PATIENCE) == 1.0
    module.close_default_context()
    module.close_default_context()
    assert caclient.default_context() is not context


def test_problems_of_the_environment_are_logged(monkeypatch, caplog):
    monkeypatch.setenv("EPICS_CA_CONN_TMO", "soon")
    with Context() as context:
        done = Recorder()
        context._home.runtime.log.push(done, None)
        done.wait(1)
    assert "EPICS_CA_CONN_TMO: 'soon' is no number: 30.0 is used" in caplog.text


def test_the_identity_is_this_users(monkeypatch):
    def nobody() -> str:
        raise KeyError("uid")

    monkeypatch.setattr(caclient.config.getpass, "getuser", nobody)
    with Context(Config.isolated()) as context:
        assert context._home.runtime.identity == ("unknown", socket.gethostname())
    with Context(Config.isolated(user="operator", host="console")) as context:
        assert context._home.runtime.identity == ("operator", "console")


def test_a_context_in_words(serve):
    _, context = serve(Record("x", 1.0))
    pv = context.pv("x")
    pv.get()
    assert repr(context) == "<Context: 1 channels, 1 circuits>"
    context.close()
    assert repr(context) == "<Context: closed>"


def test_one_shared_pv_for_a_name(serve):
    _, context = serve(Record("x", 1.0))
    assert context.shared_pv("x") is context.shared_pv("x")
    assert context.shared_pv("x") is not context.pv("x")


def test_copies_are_the_same_or_an_equal_context(ioc):
    with Context(ioc.client_config(conn_timeout=7.0)) as context:
        assert copy.copy(context) is context
    again = pickle.loads(pickle.dumps(context))
    try:
        assert again is not context
        assert again.config == context.config
        assert again.pv("x1").get() == 1.0
    finally:
        again.close()
    default = caclient.default_context()
    assert pickle.loads(pickle.dumps(default)) is default


# ---------------------------------------------------------------- servers come and go


def test_a_second_server_of_a_name_is_told_once(caplog):
    with (
        FaultServer({"x": 1.0}) as one,
        FaultServer({"x": 2.0}) as two,
        Context(Config.isolated(addr_list=(one.address, two.address))) as context,
    ):
        pv = context.pv("x")
        assert pv.wait_for_connection(PATIENCE)
        first = pv.channel.address
        other = two if first[1] == one.tcp_port else one
        for port in (other.tcp_port, 2, 3):
            context._home.runtime.loop.call_soon(pv.channel.found, ("127.0.0.1", port))
        idle(context)
        assert context._home.names.duplicates == {"x": (first, ("127.0.0.1", other.tcp_port))}
    assert caplog.text.count("'x' is served twice: using 127.0.0.1:") == 1


def test_the_same_server_by_another_interface_is_no_duplicate(serve):
    _, context = serve(Record("x", 1.0))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    context._home.runtime.loop.call_soon(pv.channel.found, ("127.0.0.2", pv.channel.address[1]))
    idle(context)
    assert context._home.names.duplicates == {}


def test_a_server_whose_beacons_come_by_two_networks_is_no_duplicate(serve):
    _, context = serve(Record("x", 1.0))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    first = pv.channel.address
    second = ("192.0.2.7", first[1])

    def heard() -> None:
        for address in (first, second):
            beacon = caclient.Beacon(13, address[1], 41, address[0]).to_bytes()
            context._home.searches.received(beacon, address)
        pv.channel.found(second)

    context._home.runtime.loop.call_soon(heard)
    idle(context)
    assert context._home.names.duplicates == {}


def idle(context: Context) -> None:
    """Wait until the engine has made the calls that are filed, and what it had logged is logged."""
    done = Recorder()
    runtime = context._home.runtime
    runtime.loop.call_soon(runtime.loop.call_soon, runtime.log.push, done, None)
    done.wait(1)


def test_a_server_that_accepts_no_connection_is_left_alone_for_a_while(monkeypatch):
    with FaultServer({"x": 1.0}, tcp=Tcp.REFUSE) as server, Context(server.client_config()) as context:
        pv = context.pv("x")
        with pytest.raises(caclient.CATimeoutError) as caught:
            pv.get(timeout=0.5)
        assert "refused" in str(caught.value).lower()
        assert len(server.searches) < 20
        assert list(context._home.pool.refusing()) == [server.tcp_address]
        monkeypatch.setattr(pool_module, "_STALE", -60.0)
        assert context._home.pool.refusing() == {}
        server.move(Tcp.SERVE)
        assert pv.get(timeout=PATIENCE) == 1.0


def test_a_circuit_nobody_needs_is_closed(serve):
    ioc, context = serve(Record("x", 1.0))
    with context.pv("x") as pv:
        assert pv.get() == 1.0
    assert ioc.wait_until(lambda ioc: ioc.connection_count() == 0, PATIENCE)


# ---------------------------------------------------------------- closing


def test_closing_twice_is_no_error(serve):
    _, context = serve(Record("x", 1.0))
    with context:
        context.close()
    context.close()
    for use in (lambda: context.pv("x"), lambda: context.shared_pv("x")):
        with pytest.raises(ContextClosedError, match="'x': the context has been closed"):
            use()


WAITS = {
    "get": lambda pv: pv.get(timeout=60),
    "search": lambda pv: context_of(pv).pv("nowhere").get(timeout=60),
    "put": lambda pv: pv.put(2.0, wait=True),
    "wait_for": lambda pv: pv.wait_for(lambda value: value == 9.0, timeout=60),
    "updates": lambda pv: list(pv.updates(timeout=60)),
    "connection": lambda pv: context_of(pv).pv("nowhere").wait_for_connection(60),
}


@pytest.mark.parametrize("wait", WAITS)
def test_whoever_waits_is_told_that_the_context_was_closed(wait):
    with FaultServer([Record("x", 1.0, on_put=lambda record, value: Completion())]) as server:
        context = Context(server.client_config())
        pv = context.pv("x", auto_monitor=wait in ("wait_for", "updates"))
        assert pv.wait_for_connection(PATIENCE)
        server.drop("read", times=None)
        failed = Recorder()

        def work() -> None:
            try:
                WAITS[wait](pv)
            except Exception as error:
                failed(error)

        thread = threading.Thread(target=work)
        thread.start()
        if wait in ("get", "put"):
            kind = caclient.ReadNotifyRequest if wait == "get" else caclient.WriteNotifyRequest
            server.wait_for(kind)
        elif wait in ("wait_for", "updates"):
            server.wait_for(caclient.EventAddRequest)
        started = time.monotonic()
        context.close()
        (error,) = failed.wait(1)
        thread.join(PATIENCE)
        assert time.monotonic() - started < PROMPT
        assert type(error) is ContextClosedError
        assert "the context has been closed" in str(error)


def test_callbacks_that_wait_while_the_context_closes_are_no_news(serve, caplog):
    _, context = serve(Record("x", 1.0))
    pv, nowhere = context.pv("x"), context.pv("nowhere")
    begun, ended = Recorder(), Recorder()

    def callback(_reading: Any) -> None:
        begun(1)
        try:
            nowhere.get(timeout=PATIENCE)
        finally:
            ended(1)

    for _ in range(5):
        pv.subscribe(callback)
    begun.wait(5)
    context.close()
    ended.wait(5)
    assert context._home.runtime.lanes.join(PATIENCE)
    assert not caplog.records


def test_a_callback_may_close_the_context(serve):
    _, context = serve(Record("x", 1.0))
    done = Recorder()
    context.pv("x").subscribe(lambda reading: (context.close(), done(reading.value)))
    assert done.wait(1) == [1.0]
    assert context.closed


def test_puts_are_flushed_when_the_context_closes(serve):
    ioc, context = serve(Record("x", 0.0))
    pv = context.pv("x")
    assert pv.wait_for_connection(PATIENCE)
    for number in range(1000):
        pv.put(float(number))
    context.close()
    assert ioc.wait_until(lambda ioc: ioc["x"].value == 999.0, PATIENCE)


def test_an_error_on_the_engine_thread_is_logged(serve, caplog):
    _, context = serve(Record("x", 1.0))
    context._home.runtime.loop.call_soon(lambda: 1 / 0)
    idle(context)
    assert "internal error on the engine thread" in caplog.text
    assert context.pv("x").get() == 1.0


# ---------------------------------------------------------------- how programs end

STATES = {
    "nothing": "",
    "unused": "default_context()",
    "connected": "pv = PV(names[0]); pv.get()",
    "searching": "pvs = [PV('nowhere%d' % n) for n in range(1000)]",
    "many": "r = connect_all(['x%d' % n for n in range(1000)], timeout=20); assert r.ok, r",
    "subscribed": "pv = PV(names[0], callback=lambda **k: None); pv.get()",
    "busy callback": """
pv, begun = PV(names[0]), threading.Event()
pv.subscribe(lambda r: (begun.set(), time.sleep(1000)))
begun.wait()""",
    "waiting callback": """
pv, begun = PV(names[0]), threading.Event()
pv.subscribe(lambda r: (begun.set(), PV('nowhere').get(timeout=1000)))
begun.wait()""",
    "daemons getting": """
pv = PV(names[0]); pv.get()
def work():
    while True: pv.get(use_monitor=False)
for _ in range(4): threading.Thread(target=work, daemon=True).start()""",
    "daemons waiting": """
pv = PV(names[0]); pv.get()
waits = lambda: list(pv.updates()), lambda: PV('nowhere').get(timeout=99), lambda: pv.wait_for(9, timeout=99)
for wait in waits: threading.Thread(target=wait, daemon=True).start()""",
}
ENDS = {
    "falls off the end": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "exception": ("raise SystemError('mine')", 1),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
}


@pytest.mark.parametrize("state", STATES)
def test_a_program_ends_quickly_and_quietly(many, state):
    is_quiet(run(f"{STATES[state]}\nsay('end')", "x1", address=many.address))


@pytest.mark.parametrize("end", ENDS)
def test_all_ways_to_end(ioc, end):
    line, code = ENDS[end]
    ended = run(f"{STATES['daemons getting']}\nsay('end')\n{line}", "x1", address=ioc.address)
    assert ended.code == code
    assert ended.ending < PROMPT
    assert ("SystemError: mine" in ended.complaints) == (end == "exception")
    assert ended.complaints.count("Traceback") == (end == "exception")


def test_a_program_ends_when_its_ioc_has_gone(ioc):
    program = """
        pv = PV(names[0]); gone = threading.Event()
        pv.add_connection_callback(lambda conn, **k: conn or gone.set())
        pv.get(); say("connected"); gone.wait(); say("end")
    """
    is_quiet(run(program, "x1", address=ioc.address, after=("connected", lambda process: ioc.stop())))


def test_a_put_just_before_the_end_arrives(ioc):
    program = "pv = PV(names[0]); pv.wait_for_connection()\nfor n in range(500): pv.put(n)\nsay('end')"
    is_quiet(run(program, "x1", address=ioc.address))
    assert ioc.wait_until(lambda ioc: ioc["x1"].value == 499.0, PATIENCE)


def test_a_program_ends_with_a_connection_under_way():
    with FaultServer({"x1": 1.0}, tcp=Tcp.SILENT) as server:
        is_quiet(run("PV('x1').wait_for_connection(0.3); say('end')", address=server.address))


# ---------------------------------------------------------------- Ctrl-C

BLOCKS = {
    "get": "pv.get(timeout=60)",
    "search": "PV('nowhere').get(timeout=60)",
    "put": "pv.put(2.0, wait=True)",
    "wait_for": "pv.wait_for(lambda value: value == 9.0, timeout=60)",
    "updates": "for reading in pv.updates(): pass",
    "many": "caget_many(['x', 'nowhere'], timeout=60)",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_ctrl_c_leaves_everything_usable(block):
    records = [Record("x", 1.0, on_put=lambda record, value: Completion()), Record("y", 2.0)]
    with FaultServer(records) as server:
        if block == "get":
            server.drop("read", times=1)
        program = f"""
            pv = PV("x", auto_monitor={block in ("wait_for", "updates")}); pv.wait_for_connection()
            try:
                say("waiting")
                {BLOCKS[block]}
            except KeyboardInterrupt:
                say("interrupted")
            say(str((pv.get(timeout=10), PV("y").get(timeout=10))))
            assert not pv.channel.circuit.core.ioids
            say("end")
        """

        def after(process: Any) -> None:
            if block in ("get", "put"):
                server.wait_for(caclient.ReadNotifyRequest if block == "get" else caclient.WriteNotifyRequest)
            interrupt(process)

        ended = run(program, address=server.address, after=("waiting", after))
        assert ended.complaints == ""
        assert ended.said == ["waiting", "interrupted", f"({2.0 if block == 'put' else 1.0}, 2.0)", "end"]


# ---------------------------------------------------------------- fork


def test_a_forked_child_has_circuits_of_its_own(ioc):
    program = """
        pv = PV(names[0]); heard = []; late = threading.Event()
        pv.add_callback(lambda value, **k: (heard.append(value), value == 7 and late.set()))
        sub = pv.subscribe(lambda r: None)
        assert pv.get() == 1.0
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            news = threading.Event()
            assert pv.get(use_monitor=False) == 1.0
            pv.add_callback(lambda value, **k: value == 5 and news.set())
            pv.put(5.0, wait=True)
            assert pv.get() == 5.0 and news.wait(10) and pv.wait_for(lambda v: v == 5.0, timeout=10) == 5.0
            assert PV(names[1]).get(timeout=10) == 2.0
            sub.close(); pv.close()
            os.write(write, b"done")
            sys.exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        say(f"child {code} {os.read(read, 10)}")
        assert pv.wait_for(lambda value: value == 5.0, timeout=10) == 5.0 and pv.connected
        pv.put(7.0); assert pv.get() == 7.0 and late.wait(10)
        say(str(heard)); say("end")
    """
    ended = run(program, "x1", "x2", address=ioc.address)
    assert (ended.code, ended.complaints) == (0, "")
    assert ended.said == ["child 0 b'done'", "[1.0, 5.0, 7.0]", "end"]


def test_a_child_that_does_nothing_disturbs_nothing(ioc):
    program = """
        pv = PV(names[0]); pv.get(); circuit = pv.channel.circuit
        for _ in range(20):
            child = os.fork()
            if child == 0:
                assert not pv.connected
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        assert pv.get(use_monitor=False) == 1.0 and pv.channel.circuit is circuit
        say("end")
    """
    is_quiet(run(program, "x1", address=ioc.address))


def test_what_happens_in_a_child_step_by_step(serve):
    """The same in this process, where it can be looked at: the engine's thread ends as if it had never been here."""
    ioc, context = serve(Record("x", 1.0))
    heard = Recorder(lambda value, **_: value)
    pv, subscription = context.pv("x", callback=heard), context.pv("x").subscribe(print)
    dropped = context.pv("x")
    heard.wait(1)
    context._home.runtime.loop.stop(PATIENCE)
    context._home.runtime.lanes.close()
    default_module._after_fork_in_child()
    assert not pv.connected
    assert subscription.closed
    assert "the process was forked" in str(pv.channel.unready(0.0))
    del dropped, subscription
    assert pv.get() == 1.0
    pv.add_connection_callback(again := Recorder(lambda conn, **_: conn))
    assert again.wait(1) == [True]
    assert pv.callbacks == {}
    channel = pv.channel
    pv.close()
    assert ioc.wait_until(lambda ioc: ioc.channel_count() == 0, PATIENCE)
    assert channel.users == 0


def test_a_context_that_is_closed_in_a_child_before_its_first_use(serve):
    _, context = serve(Record("x", 1.0))
    pv = context.pv("x")
    pv.get()
    context._home.runtime.loop.stop(PATIENCE)
    context._home.runtime.lanes.close()
    context._home.fall_asleep()
    context.close()
    with pytest.raises(ContextClosedError):
        pv.get(timeout=60)
    context._home.runtime.wake()
    context._home.fall_asleep()
    context.close(timeout=600)  # in the child's child: nothing to wait for


def test_what_is_left_open_is_closed_at_exit(serve, monkeypatch):
    _, context = serve()
    monkeypatch.setattr(Runtime, "exiting", False)
    default_module._at_exit()
    assert context.closed
    assert Runtime.exiting


def test_a_closed_context_stays_closed_in_a_child(ioc):
    program = """
        context = Context(); pv = context.pv(names[0]); pv.get(); other = PV(names[0]); other.get()
        context.close()
        child = os.fork()
        if child == 0:
            default_context().close()
            for each in (pv, other):
                try:
                    each.get()
                except ContextClosedError:
                    continue
                os._exit(1)
            os._exit(0)
        say(str(os.waitpid(child, 0)[1])); say("end")
    """
    ended = run(program, "x1", address=ioc.address)
    assert (ended.said, ended.complaints) == (["0", "end"], "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_processes(ioc, method, tmp_path):
    (tmp_path / "pooled.py").write_text(
        "import multiprocessing, sys\n"
        "from caclient import PV\n"
        "def get(pv):\n    return pv.get(timeout=10)\n"
        "def main():\n"
        "    pv = PV('x1'); assert pv.get() == 1.0\n"
        "    with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:\n"
        "        assert pool.map(get, [pv] * 12) == [1.0] * 12\n"
        "    assert pv.get(use_monitor=False) == 1.0\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    program = f"""
        import runpy
        sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ["pooled.py", {method!r}]
        runpy.run_path({str(tmp_path / "pooled.py")!r}, run_name="__main__") if {method!r} == "fork" else os.execv(
            sys.executable, [sys.executable, {str(tmp_path / "pooled.py")!r}, {method!r}])
        say("end")
    """
    ended = run(program, address=ioc.address)
    assert (ended.code, ended.complaints) == (0, "")
