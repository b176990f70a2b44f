"""Runs of equal messages: found, parted by owner, and the same as the messages one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from caclient.dbr.types import LAYOUTS, ChannelType
from caclient.protocol import runs
from caclient.protocol.circuit import VirtualCircuit
from caclient.protocol.commands import EventAddRequest, EventAddResponse, ReadNotifyRequest, ReadNotifyResponse
from caclient.protocol.runs import (
    MIN_RUN,
    RUN_SIZES,
    MixedRun,
    ReadRows,
    ReplyRun,
    Run,
    UpdateRun,
    by_id,
    by_request,
    find_run,
    read_requests,
)
from tests.protocol.pair import CircuitPair


def updates(number: int, data_type: int = 20, ids: tuple[int, ...] = (7,)) -> list[EventAddResponse]:
    return [
        EventAddResponse([i] if data_type % 7 else [str(i)], data_type, 1, 1, ids[i % len(ids)]) for i in range(number)
    ]


def wire(commands: list[EventAddResponse]) -> bytes:
    return b"".join(command.to_bytes() for command in commands)


def found(commands: list[EventAddResponse], tail: bytes = b"", data_type: int = 20) -> Run | None:
    return find_run(EventAddResponse, b"???" + wire(commands) + tail, 3, data_type, RUN_SIZES.get(data_type, 8))


@pytest.mark.parametrize("data_type", range(21))
def test_a_run_is_its_messages(data_type: int) -> None:
    commands = updates(MIN_RUN, data_type)
    run = found(commands, data_type=data_type)
    assert run is not None
    assert len(run) == MIN_RUN
    assert run.data_type == data_type
    assert run.commands() == commands


@pytest.mark.parametrize("layout", LAYOUTS[21:], ids=lambda layout: layout.data_type.name)
def test_types_with_more_metadata_make_no_runs(layout: object) -> None:
    assert layout.data_type not in RUN_SIZES  # type: ignore[attr-defined]


def test_too_few_are_no_run() -> None:
    assert found(updates(MIN_RUN - 1)) is None
    assert found(updates(MIN_RUN - 1), tail=bytes(40)) is None
    assert find_run(EventAddResponse, wire(updates(20)), 0, 20, 32) is None


@pytest.mark.parametrize(
    "odd",
    [EventAddResponse([1], 19, 1, 1, 7), EventAddResponse([1.0], 20, 1, 152, 7), EventAddResponse([1, 2], 20, 2, 1, 7),
     ReadNotifyResponse([1.0], 20, 1, 1, 7)],
    ids=["type", "status", "count", "command"],
)  # fmt: skip
def test_a_run_ends_where_something_differs(odd: EventAddResponse) -> None:
    run = found([*updates(10), odd, *updates(10)])
    assert run is not None
    assert len(run) == 10


def test_a_message_cut_off_is_no_part_of_a_run() -> None:
    run = found(updates(9), tail=wire(updates(1))[:-1])
    assert run is not None
    assert len(run) == 9


def test_parted_by_id_each_in_order() -> None:
    run = found(updates(32, ids=(7, 5)))
    assert run is not None
    parts = by_id(run.rows)
    assert parts is not None
    assert [(number, rows["value"].tolist()) for number, rows in parts] == [
        (5, [float(i) for i in range(1, 32, 2)]),
        (7, [float(i) for i in range(0, 32, 2)]),
    ]


def test_one_id_is_one_part_and_too_many_are_none() -> None:
    one, many = found(updates(16)), found(updates(16, ids=tuple(range(16))))
    assert one is not None
    assert many is not None
    [(number, rows)] = by_id(one.rows) or []
    assert (number, len(rows)) == (7, 16)
    assert by_id(many.rows) is None


def test_parted_by_request_in_stretches() -> None:
    a, b = ReadRows(1, [0] * 16, "a"), ReadRows(17, [0] * 16, "b")
    assert by_request([a] * 16) == [(a, slice(None))]
    assert by_request([a] * 10 + [b] * 12) == [(a, slice(0, 10)), (b, slice(10, 22))]
    assert by_request([a, b] * 8) is None
    assert by_request([ReadNotifyRequest(6, 1, 0, i) for i in range(16)]) is None
    assert by_request([None] * 16) == [(None, slice(0, 16))]


def test_runs_with_an_owner_are_their_messages() -> None:
    commands = updates(10)
    run = found(commands)
    assert run is not None
    update_run = UpdateRun("who", run.data_type, run.rows, 7)
    assert len(update_run) == 10
    assert update_run.commands() == commands
    reply_run = ReplyRun("who", run.data_type, run.rows[:3], [7, 7, 7])
    assert len(reply_run) == 3
    assert [command.owner for command in reply_run.commands()] == ["who"] * 3


def test_bulk_read_knows_the_channel_of_each() -> None:
    rows = ReadRows(100, np.array([5, 6, 7]), "bulk")
    assert rows.sid_of(101) == 6


@pytest.mark.parametrize("counts", [[1, 0, 3], [1, 65535, 70000]])
def test_bulk_requests_are_single_ones_joined(counts: list[int]) -> None:
    requests = [ReadNotifyRequest(20 + i, count, 5 + i, 9 + i) for i, count in enumerate(counts)]
    assert read_requests([5, 6, 7], [20, 21, 22], counts, 9) == b"".join(r.to_bytes() for r in requests)
    assert read_requests([], [], [], 9) == b""


def test_bulk_requests_must_fit_together() -> None:
    with pytest.raises(ValueError):
        read_requests([1, 2, 3], [20], [1, 70000, 1], 1)


class CountingNumpy:
    """numpy that counts the messages that a search for a run looks at."""

    def __init__(self) -> None:
        self.looked = 0

    def ndarray(self, shape: int, *arguments: Any) -> Any:
        self.looked += shape
        return np.ndarray(shape, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@pytest.mark.parametrize("length", [1, MIN_RUN, 500])
def test_a_search_for_a_run_costs_what_the_run_is_long(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    # or a buffer of many short runs would cost the square of its length
    monkeypatch.setattr(runs, "np", counting := CountingNumpy())
    run = found(updates(length) + updates(20_000, 15), data_type=20)
    assert (len(run) if run else 1) == length
    assert counting.looked < 20 * length + 200


@given(st.data())
def test_a_mixed_run_is_the_same_as_its_messages_one_by_one(data: st.DataObject) -> None:
    """Some of its subscriptions are ending, or gone, and some come several times."""
    numbers = data.draw(st.lists(st.integers(0, 11), min_size=8, max_size=60))
    ending = data.draw(st.sets(st.integers(0, 9)))
    heard = []
    for whole in (True, False):
        client, ids = _subscribed(10, ending)
        updates = [_update(ids[n] if n < 10 else 999, value) for value, n in enumerate(numbers)]
        items: list[Any] = []
        for part in [b"".join(updates)] if whole else updates:
            items += client.receive(part)
        flat = [each for item in items for each in (item.commands() if hasattr(item, "commands") else [item])]
        heard.append(([(each.owner, each.parameter2, each.data[0]) for each in flat], client.late))
    assert heard[0] == heard[1]


def test_a_run_over_many_subscriptions_is_one_item_with_an_owner_for_each_row() -> None:
    client, ids = _subscribed(20, set())
    (run,) = client.receive(b"".join(_update(number, value) for value, number in enumerate(ids)))
    assert isinstance(run, MixedRun)
    assert len(run) == 20
    assert run.owners == [f"owner {number}" for number in range(20)]
    assert run.rows["value"].tolist() == list(range(20))
    assert [command.owner for command in run.commands()] == run.owners


def _update(number: int, value: int) -> bytes:
    return EventAddResponse([value], ChannelType.TIME_LONG, 1, 1, number).to_bytes()


def _subscribed(count: int, ending: set[int]) -> tuple[VirtualCircuit, list[int]]:
    """A client with subscriptions, and their ids."""
    pair = CircuitPair().greet()
    ids = []
    for number in range(count):
        channel, _ = pair.channel(f"x{number}", ChannelType.LONG)
        request = EventAddRequest(ChannelType.TIME_LONG, 1, channel.sid, pair.client.new_ioid(), mask=1)
        request.owner = f"owner {number}"
        pair.client.send(request)
        ids.append(request.subscriptionid)
        if number in ending:
            pair.client.send(channel.unsubscribe(request.subscriptionid))
    return pair.client, ids
