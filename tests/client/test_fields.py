"""A field that nobody has: its record is asked for too, once."""

from __future__ import annotations

from caclient import Cause, Context, why
from caclient.client import fields
from caclient.ioc import Record
from tests.faults import FaultServer
from tests.resilience.watching import eventually


def test_the_record_is_there_but_not_the_field(serve):
    ioc, context = serve(Record("rec", 1.0))
    pv = context.pv("rec.NOSUCH")
    eventually(lambda: pv.why().cause is Cause.NO_SUCH_FIELD)
    diagnosis = pv.why()
    assert f"127.0.0.1:{ioc.tcp_port} has the record 'rec'" in diagnosis.says
    assert "no field 'NOSUCH'" in diagnosis.advice
    assert why("rec.NOSUCH", timeout=1.5, context=context).cause is Cause.NO_SUCH_FIELD


def test_neither_is_there():
    with FaultServer({}) as server, Context(server.client_config()) as context:
        pv = context.pv("rec.FLD")
        eventually(lambda: sum(search.name == "rec" for search in server.searches) > 0)
        eventually(lambda: not context._home.names._fields._asked)
        asked = [search.name for search in server.searches]
        assert pv.why().cause is Cause.NO_REPLY
        assert 0 < asked.count("rec") < 10


def test_a_field_that_is_there_has_no_record_searched(serve):
    _, context = serve(Record("rec.FLD", 1.0))
    assert context.pv("rec.FLD").get() == 1.0
    assert context._home.names._fields._watched == {}


def test_how_many_at_a_time(monkeypatch):
    monkeypatch.setattr(fields, "MOST", 3)
    with FaultServer({}) as server, Context(server.client_config()) as context:
        pvs = [context.pv(f"rec{number}.FLD") for number in range(8)]
        eventually(lambda: len({search.name for search in server.searches if "." not in search.name}) == 8)
        assert len(pvs) == 8
