"""What lives in this process and calls back: as a table, and ended."""

from __future__ import annotations

import json
import threading

from caclient import Subscriptions, close_all, subscriptions, using
from caclient.client.listing import subscriptions_of
from caclient.ioc import Record
from tests.recorder import Recorder


def test_as_a_table_and_as_facts(serve):
    _, context = serve(Record("x", 1.0), Record("y", 2.0))
    heard = Recorder()

    def told(reading):
        heard(reading)

    x, y = context.pv("x"), context.pv("y")
    subscription = x.subscribe(told)
    heard.wait(1)
    y.add_callback(lambda **_: None)
    living = subscriptions_of([context._home])
    assert isinstance(living, Subscriptions)
    assert {each.pvname for each in living} == {"x", "y"}
    assert living[:1][0] is living[0]
    assert subscription.age >= 0.0
    lines = repr(living).splitlines()
    assert lines[0].split() == ["PV", "callback", "age", "waiting", "dropped", "thinned"]
    assert any("told (test_listing.py:" in line for line in lines)
    assert "told (test_listing.py:" in living._repr_html_()
    facts = json.loads(json.dumps(living.to_dict()))
    assert {each["pvname"]: each["dropped"] for each in facts} == {"x": 0, "y": 0}
    assert "callback 0 of 'y'" in repr(next(each for each in living if each.pvname == "y"))
    with living:
        pass
    assert len(subscriptions_of([context._home])) == 0
    assert y.callbacks == {}
    assert repr(Subscriptions([])) == "<no subscriptions>"


def test_iterators_only_where_they_are_asked_for(serve):
    _, context = serve(Record("x", 1.0))
    with context.pv("x").updates(timeout=5) as updates:
        assert next(updates) == 1.0
        assert len(subscriptions_of([context._home])) == 0
        [iterating] = subscriptions_of([context._home], iterators=True)
        assert (iterating.pvname, iterating.pending, iterating.dropped) == ("x", 0, 0)
        iterating.close()
        assert list(updates) == []


def test_what_has_just_begun_is_listed_and_ended(serve):
    """It is filed for an engine that is busy with something else."""
    _, context = serve(Record("x", 1.0))
    pv, never = context.pv("x"), threading.Event()
    assert pv.wait_for_connection(10)
    with using(context):
        context._home.runtime.loop.call_soon(never.wait, 0.2)
        begun = pv.subscribe(lambda reading: None)
        assert begun in list(subscriptions())
        context._home.runtime.loop.call_soon(never.wait, 0.2)
        late = pv.subscribe(lambda reading: None)
        close_all()
    assert begun.closed
    assert late.closed
