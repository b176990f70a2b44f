"""What a server says to a client, command by command, both peers policed by the core."""

from __future__ import annotations

import numpy as np
import pytest

from caclient.dbr.types import ChannelType
from caclient.errors import DecodeError, RemoteProtocolError
from caclient.ioc import Completion, Database, Record
from caclient.ioc.session import farewell
from caclient.protocol import commands as ca
from caclient.protocol.header import Header
from tests.ioc.pair import Pair


def subscribed(pair: Pair, sid: int, number: int = 9, data_type: int = 6, mask: int = 5) -> None:
    assert pair.ask(ca.EventAddRequest(data_type, 0, sid, number, mask=mask)) == []


def values(commands: list[ca.Command]) -> list[float]:
    return [command.data[0] for command in commands if isinstance(command, ca.EventAddResponse)]


def test_rights_come_before_the_channel(pair: Pair) -> None:
    rights, created = pair.ask(ca.CreateChanRequest("x.VAL", 4))
    assert rights == ca.AccessRightsResponse(4, 3)
    assert created == ca.CreateChanResponse(6, 1, 4, 0)


def test_sids_are_never_used_twice(pair: Pair) -> None:
    first = pair.open("x", 1)
    pair.ask(ca.ClearChannelRequest(first, 1))
    assert pair.open("x", 2) != first


def test_names_are_remembered(pair: Pair) -> None:
    assert pair.ask(ca.ClientNameRequest("ann"), ca.HostNameRequest("ws1")) == []
    assert (pair.session.user, pair.session.host) == ("ann", "ws1")


def test_echoes(pair: Pair) -> None:
    assert pair.ask(ca.EchoRequest(), ca.ReadSyncRequest()) == [ca.EchoResponse(), ca.ReadSyncResponse()]


def test_search(pair: Pair) -> None:
    asked = [ca.SearchRequest("x", 1), ca.SearchRequest("no", 2), ca.SearchRequest("no", 3, reply=ca.DO_REPLY)]
    found, missing = pair.ask(*asked)
    assert found == ca.SearchResponse(5064, None, 1, None)
    assert missing == ca.NotFoundResponse(13, 3)


def test_unknown_channel(pair: Pair) -> None:
    assert pair.ask(ca.CreateChanRequest("no", 8)) == [ca.CreateChFailResponse(8)]


def test_first_value_comes_whatever_the_mask(pair: Pair) -> None:
    sid = pair.open("x")
    for number, mask in enumerate((1, 2, 4, 8), 10):
        subscribed(pair, sid, number, mask=mask)
    assert values(pair.news()) == [1.5] * 4
    pair.database["x"].post(2.0)
    assert [update.subscriptionid for update in pair.news()] == [10, 11]


def test_subscriptions_take_turns(pair: Pair) -> None:
    sid = pair.open("x")
    for number in (10, 11):
        subscribed(pair, sid, number)
    pair.news()
    for value in (2.0, 3.0):
        pair.database["x"].post(value)
    assert [(update.subscriptionid, update.data[0]) for update in pair.news()] == [
        (10, 2.0), (11, 2.0), (10, 3.0), (11, 3.0),
    ]  # fmt: skip


def test_session_is_told_once_that_something_waits(pair: Pair) -> None:
    subscribed(pair, pair.open("x"))
    told = pair.told
    pair.news()
    for value in range(5):
        pair.database["x"].post(float(value))
    assert pair.told == told + 1
    assert values(pair.news()) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert pair.news() == []


def test_cancelled_subscription_is_silent(pair: Pair) -> None:
    sid = pair.open("x")
    subscribed(pair, sid, 9)
    pair.database["x"].post(2.0)
    assert pair.ask(ca.EventCancelRequest(6, sid, 9)) == [ca.EventCancelResponse(6, sid, 9)]
    assert pair.news() == []
    assert pair.database["x"].monitor_count == 0


def test_bad_mask_ends_the_circuit(pair: Pair) -> None:
    with pytest.raises(RemoteProtocolError, match="mask 256"):
        pair.session.answer(ca.EventAddRequest(6, 0, pair.open("x"), 1, mask=256))


def test_obsolete_requests_end_the_circuit(pair: Pair) -> None:
    with pytest.raises(RemoteProtocolError, match="SnapshotRequest"):
        pair.session.answer(ca.SnapshotRequest())


def test_flow_control(pair: Pair) -> None:
    sid = pair.open("x")
    subscribed(pair, sid, 9)
    pair.news()
    pair.ask(ca.EventsOffRequest())
    for value in (2.0, 3.0):
        pair.database["x"].post(value)
    subscribed(pair, sid, 10)
    assert pair.news() == []
    assert pair.ask(ca.ReadNotifyRequest(6, 1, sid, 1))[0].data.tolist() == [3.0]
    pair.ask(ca.EventsOnRequest())
    assert values(pair.news()) == [3.0, 3.0]


def test_flow_control_said_twice_costs_nothing(pair: Pair) -> None:
    """To look at 60,000 subscriptions for each of a million such requests would take the server away from others."""
    sid = pair.open("x")
    subscribed(pair, sid, 9)
    (monitor,) = pair.session.bindings[0].monitors.values()
    for command, held in ((ca.EventsOffRequest, True), (ca.EventsOnRequest, False)):
        pair.ask(command())
        assert monitor.held is held
        monitor.held = not held
        pair.ask(command())
        assert monitor.held is not held
        monitor.held = held


def test_rights_taken_and_given(pair: Pair) -> None:
    record, sid = pair.database["x"], pair.open("x")
    subscribed(pair, sid, 9, ChannelType.TIME_DOUBLE)
    pair.news()
    record.access = ca.AccessRights.WRITE
    rights, denied = pair.news()
    assert rights == ca.AccessRightsResponse(1, 2)
    assert (denied.status.name, denied.data_count, len(denied.payload)) == ("ECA_NORDACCESS", 0, 16)
    record.post(5.0)
    assert pair.news() == []
    record.access = ca.AccessRights.READ | ca.AccessRights.WRITE
    rights, update = pair.news()
    assert update.data.tolist() == [5.0]
    record.access = ca.AccessRights.READ
    assert [type(each) for each in pair.news()] == [ca.AccessRightsResponse, ca.EventAddResponse]


def test_subscription_without_the_right_to_read(pair: Pair) -> None:
    pair.database["x"].access = ca.AccessRights.NO_ACCESS
    (denied,) = pair.ask(ca.EventAddRequest(6, 1, pair.open("x"), 9))
    assert denied.status.name == "ECA_NORDACCESS"
    assert pair.news() == []


def test_obsolete_read_without_the_right_is_an_error(pair: Pair) -> None:
    sid = pair.open("x")
    pair.database["x"].access = ca.AccessRights.NO_ACCESS
    *_, error = pair.ask(ca.ReadRequest(6, 1, sid, 3))
    assert (error.status.name, error.cid) == ("ECA_NORDACCESS", 1)


def test_delayed_puts_are_answered_each_for_itself(pair: Pair) -> None:
    completions: list[Completion] = []

    def later(_record: Record, _value: float) -> Completion:
        completions.append(Completion())
        return completions[-1]

    pair.database["x"].on_put = later
    sid = pair.open("x")
    assert pair.ask(ca.WriteNotifyRequest(1.0, 6, 1, sid, 21), ca.WriteNotifyRequest(2.0, 6, 1, sid, 22)) == []
    completions[1].finish()
    assert [reply.ioid for reply in pair.news()] == [22]
    completions[0].finish()
    assert [reply.ioid for reply in pair.news()] == [21]


def test_unanswered_puts_are_bounded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caclient.ioc.session._MOST_PUTS", 1)
    completion = Completion()
    pair.database["x"].on_put = lambda record, value: completion
    sid = pair.open("x")
    assert pair.ask(ca.WriteNotifyRequest(1.0, 6, 1, sid, 21)) == []
    (refused,) = pair.ask(ca.WriteNotifyRequest(2.0, 6, 1, sid, 22))
    assert refused.status.name == "ECA_PUTCBINPROG"
    completion.finish()
    assert [reply.ioid for reply in pair.news()] == [21]
    assert pair.ask(ca.WriteNotifyRequest(3.0, 6, 1, sid, 23)) == []


@pytest.mark.parametrize("count", [1000, 1 << 17])
def test_puts_that_wait_for_their_end_keep_no_values(count: int) -> None:
    """A thousand of them on a record of a million numbers would be 8 GB, of one client."""
    completion = Completion()
    pair = Pair(Database([Record("image", np.zeros(count), on_put=lambda record, value: completion)]))
    sid = pair.open("image")
    assert pair.ask(ca.WriteNotifyRequest(np.arange(float(count)), 6, count, sid, 21)) == []
    (request,) = pair.server.ioids.values()
    assert not request.payload
    with pytest.raises(DecodeError):  # nor what was decoded before
        _ = request.data
    assert pair.database["image"].value[-1] == count - 1
    completion.finish()
    assert [(reply.ioid, reply.data_count) for reply in pair.news()] == [(21, count)]


def test_disconnected_channel_takes_its_subscriptions_along(pair: Pair) -> None:
    subscribed(pair, pair.open("x"))
    assert pair.to_client(pair.session.disconnect_channel("x")) == [ca.ServerDisconnResponse(1)]
    assert (pair.session.bindings, pair.database["x"].monitor_count, pair.news()) == ((), 0, [])


def test_close_gives_everything_back(pair: Pair) -> None:
    subscribed(pair, pair.open("x"))
    told = pair.told
    pair.session.close()
    pair.database["x"].post(3.0)
    pair.database["x"].access = ca.AccessRights.READ
    assert (pair.told, pair.database["x"].monitor_count) == (told, 0)


def test_farewell_names_what_was_asked() -> None:
    error = farewell(ca.ReadNotifyRequest(6, 1, 99, 2), "no such\0sid")
    assert isinstance(error, ca.ErrorResponse)
    assert (error.original_request.command, error.error_message, error.status.name) == (
        15,
        "no such sid",
        "ECA_INTERNAL",
    )
    assert farewell(None, "").original_request == Header(0, 0, 0, 0, 0, 0)


def test_rights_of_many_channels_of_one_record_are_told_once_each(pair: Pair) -> None:
    for cid in range(1, 101):
        pair.open("x", cid)
    record = pair.database["x"]
    for rights in (1, 2, 0, 1):
        record.access = ca.AccessRights(rights)
    told = [command for command in pair.news() if isinstance(command, ca.AccessRightsResponse)]
    assert sorted(command.cid for command in told) == list(range(1, 101))
    assert {int(command.access_rights) for command in told} == {1}


def test_rights_wait_if_the_client_does(pair: Pair) -> None:
    """One command at a time is taken, and what is left is told later, but not of channels that have gone meanwhile."""
    sids = [pair.open("x", cid) for cid in (1, 2, 3)]
    subscribed(pair, sids[0])
    pair.news()
    pair.database["x"].access = ca.AccessRights(0)
    first = pair.session.next_news()
    assert isinstance(first, ca.AccessRightsResponse)
    pair.to_client([first])
    pair.ask(ca.ClearChannelRequest(sids[1], 2))
    rest = pair.news()
    assert [type(command) for command in rest] == [ca.EventAddResponse, ca.AccessRightsResponse]
    assert rest[1] == ca.AccessRightsResponse(3, 0)


def test_channels_of_one_record_come_and_go(pair: Pair) -> None:
    sids = [pair.open("x", cid) for cid in (1, 2)]
    record = pair.database["x"]
    for cid, sid in enumerate(sids, 1):
        assert len(record._observers) == 1
        pair.ask(ca.ClearChannelRequest(sid, cid))
    assert len(record._observers) == 0
