"""Who uses which channel: counted without a lock, whatever comes, goes or is interrupted in between."""

from __future__ import annotations

import gc
import threading

import pytest

from caclient import BadValueError, Context, ContextClosedError
from caclient.client import names as module
from caclient.client.standing import State
from tests.faults import FaultServer
from tests.recorder import PATIENCE, Recorder
from tests.using import Using


@pytest.fixture
def context():
    with FaultServer({"x": 1.0}) as server, Context(server.client_config()) as made:
        made.server = server
        yield made


def engine_idle(context):
    """Wait until the engine has made the calls that are filed, and those that they file."""
    done, loop = threading.Event(), context._home.runtime.loop
    loop.call_soon(loop.call_soon, done.set)
    assert done.wait(PATIENCE)


def test_a_name_has_one_channel_for_each_priority(context):
    one, same, other = Using(context, "x"), Using(context, "x"), Using(context, "x", 5)
    assert one.channel is same.channel is not other.channel
    engine_idle(context)
    assert one.channel.users == 2
    assert len(context._home.names) == 2
    for each in (one, same, other):
        each.close()
    engine_idle(context)
    assert context._home.names.all() == []
    assert one.channel.state is State.CLOSED


def test_what_is_no_name_is_refused_at_once(context):
    for name, priority in (("", 0), ("a\0b", 0), (7, 0), ("x", 100), ("x", -1), ("x" * 70_000, 0)):
        with pytest.raises(BadValueError):
            Using(context, name, priority)
    assert context._home.names.all() == []


def test_who_comes_while_the_last_goes_gets_a_channel_that_lasts(context):
    names, loop = context._home.names, context._home.runtime.loop
    last = Using(context, "x")
    engine_idle(context)
    came = []

    class Table(dict):
        """The engine thread takes a channel out: at this very moment somebody comes."""

        def __delitem__(self, key):
            if not came:
                came.append(Using(context, "x"))
            super().__delitem__(key)

    loop.call_soon(setattr, names, "_table", Table(names._table))
    engine_idle(context)
    last.close()
    engine_idle(context)
    assert came[0].channel is last.channel
    assert came[0].channel.state is not State.CLOSED
    assert Using(context, "x").channel is came[0].channel
    assert came[0].channel.wait_ready(float("inf"))


def test_who_comes_just_after_the_last_went_makes_a_new_one(context):
    names = context._home.names
    last = Using(context, "x")
    engine_idle(context)
    taken = []

    class Table(dict):
        """Whoever looks gets what is taken out in the same moment."""

        def get(self, key, default=None):
            found = super().get(key, default)
            if found is last.channel and threading.current_thread() is threading.main_thread() and not taken:
                taken.append(found)
                last.close()
                engine_idle(context)
            return found

    names._table = Table(names._table)
    new = Using(context, "x")
    assert taken and new.channel is not last.channel
    engine_idle(context)
    assert (new.channel.users, last.channel.users) == (1, 0)
    assert new.channel.wait_ready(float("inf"))


def test_a_channel_that_has_a_double_is_closed_with_its_last_user(context):
    names, loop = context._home.names, context._home.runtime.loop
    old = Using(context, "x")
    engine_idle(context)
    loop.call_soon(names._table.clear)
    engine_idle(context)
    new = Using(context, "x")
    assert new.channel is not old.channel
    old.close()
    engine_idle(context)
    assert old.channel.state is State.CLOSED
    assert names.all() == [new.channel]


def test_ctrl_c_leaves_no_name_that_nobody_wants(context):
    """Wherever it strikes: between taking the channel, arriving, and telling the engine thread."""
    names = context._home.names

    class Struck(Exception):
        pass

    class Strikes:
        """Stands in for what is called in there, and strikes before or after."""

        def __init__(self, call, before):
            self.call, self.before = call, before

        def __call__(self, *args):
            if self.before:
                raise Struck
            self.call(*args)
            raise Struck

    for where in ("_tell", "_board"):
        for before in (True, False):
            real = getattr(names, where)
            setattr(names, where, Strikes(real, before))
            user = Using.__new__(Using)
            with pytest.raises(Struck):
                names.join(user, "nobody", 0)
            setattr(names, where, real)
            if not user._closed:
                names.leave(user._channel)
            engine_idle(context)
            assert names.all() == [], (where, before)
            assert len(context._home.searches.schedule) == 0


def test_a_closed_context_takes_nobody_in(context):
    context.close()
    with pytest.raises(ContextClosedError, match="'x': the context has been closed"):
        Using(context, "x")


def test_a_finalizer_may_make_and_close_pvs_in_the_middle_of_making_one(context, monkeypatch):
    """gc may run it at any allocation: here while a channel is made, and while the engine thread counts."""

    class Device:
        def __init__(self, name):
            self.pv = context.pv(name)
            self.me = self

        def __del__(self):
            self.pv.close()
            context.pv("x").close()

    real = module.Channel

    def collecting(*args):
        made = real(*args)
        gc.collect()
        return made

    Device("x")
    monkeypatch.setattr(module, "Channel", collecting)
    assert context.pv("x").get(timeout=PATIENCE) == 1.0
    gc.collect()
    engine_idle(context)
    engine_idle(context)
    assert context._home.names.all() == []


def test_the_interfaces_are_looked_up_once_for_many_second_answers(monkeypatch, caplog):
    """A gateway in the list answers for every name: 3,000 of them cost one look-up and one line."""
    lookups = Recorder()

    def local():
        lookups(1)
        return {"127.0.0.1", "10.1.1.1", "10.1.1.2"}

    monkeypatch.setattr(module, "local_addresses", local)
    names_asked = [f"x{number}" for number in range(50)]
    with FaultServer(dict.fromkeys(names_asked, 1.0)) as server, Context(server.client_config()) as context:
        names, loop = context._home.names, context._home.runtime.loop
        pvs = [context.pv(name) for name in names_asked]
        assert all(pv.wait_for_connection(PATIENCE) for pv in pvs)
        for pv in pvs:
            loop.call_soon(pv.channel.found, ("10.9.9.9", pv.channel.address[1]))
        engine_idle(context)
        done = Recorder()
        context._home.runtime.log.push(done, None)
        done.wait(1)
        assert len(names.duplicates) == 50
    assert len(lookups.items) <= 1
    assert caplog.text.count("is served twice") == 1
