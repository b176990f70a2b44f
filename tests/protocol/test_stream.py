"""Bytes into messages: any split, any size, anything malformed."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from caclient.errors import RemoteProtocolError
from caclient.protocol import stream as streams
from caclient.protocol.commands import (
    CIRCUIT,
    CLIENT,
    SERVER,
    Command,
    EchoResponse,
    ErrorResponse,
    EventAddResponse,
    ReadNotifyResponse,
    ReadResponse,
    WriteNotifyRequest,
    WriteNotifyResponse,
)
from caclient.protocol.header import Header
from caclient.protocol.runs import Run
from caclient.protocol.stream import LARGE, SMALL, Stream

MESSAGES: list[Command] = [
    WriteNotifyResponse(6, 1, 1, 3),
    *(EventAddResponse([i], 20, 1, 1, i % 3) for i in range(30)),
    ReadNotifyResponse.from_header(Header(15, 16, 20, 2, 1, 4, True), bytes(16)),
    ReadNotifyResponse(np.arange(SMALL), 6, None, 1, 5),
    ErrorResponse(Header(4, 80000, 6, 10000, 5, 1, True), 1, 376, "T:wf"),
    ReadNotifyResponse(np.arange(LARGE // 4), 6, None, 1, 5),
    *(ReadNotifyResponse([i], 6, 1, 1, i) for i in range(20)),
    ReadNotifyResponse(np.arange(LARGE), 5, None, 1, 5),
    EchoResponse(),
]
WIRE = b"".join(message.to_bytes() for message in MESSAGES)


def a_stream(max_payload: int | None = None) -> Stream:
    """What a client hears."""
    return Stream(CIRCUIT[SERVER], max_payload)


def fed(stream: Stream, *pieces: bytes, runs: bool = False) -> list[Command]:
    """All commands, runs taken apart, without what only the wire knows of them."""
    commands: list[Command] = []
    for piece in pieces:
        for item in stream.feed(piece, runs):
            commands += item.commands() if isinstance(item, Run) else [item]
    return commands


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


@pytest.mark.parametrize("runs", [False, True])
def test_all_at_once(runs: bool) -> None:
    assert fed(a_stream(), WIRE, runs=runs) == MESSAGES


@given(st.lists(st.integers(0, len(WIRE)), max_size=30), st.booleans())
def test_any_split_gives_the_same_commands(cuts: list[int], runs: bool) -> None:
    stream = a_stream()
    assert fed(stream, *pieces_of(WIRE, cuts), runs=runs) == MESSAGES
    assert stream.needed == 0


def test_byte_by_byte() -> None:
    small = MESSAGES[:33]
    wire = b"".join(message.to_bytes() for message in small)
    assert fed(a_stream(), *(wire[i : i + 1] for i in range(len(wire))), runs=True) == small


def test_runs_are_found() -> None:
    items = list(a_stream().feed(WIRE, True))
    assert [len(item) for item in items if isinstance(item, Run)] == [30, 20]


def test_what_differs_in_between_is_no_run() -> None:
    mixed: list[Command] = [EventAddResponse([1], 20 - i % 2, 1, 1, 1) for i in range(50)]
    items = list(a_stream().feed(b"".join(m.to_bytes() for m in mixed), True))
    assert items == mixed
    broken: list[Command] = [EventAddResponse([1.0], 20, 1, 1 if i % 7 in (0, 1) else 152, 1) for i in range(50)]
    items = list(a_stream().feed(b"".join(m.to_bytes() for m in broken), True))
    assert items == broken


def test_needed_is_what_is_missing() -> None:
    stream = a_stream()
    raw = ReadNotifyResponse.from_header(Header(15, 16, 20, 2, 1, 4, True), bytes(16)).to_bytes()
    missing = []
    for i in range(len(raw)):
        assert fed(stream, raw[i : i + 1]) == [] or i == len(raw) - 1
        missing.append(stream.needed)
    assert missing == [*range(15, 0, -1), 8, *range(7, 0, -1), 16, *range(15, -1, -1)]


# ---- payloads


def test_small_payloads_do_not_keep_the_buffer_large_ones_are_views() -> None:
    small, large = ReadNotifyResponse([1.0], 6, 1, 1, 1), ReadNotifyResponse(np.arange(SMALL), 6, None, 1, 5)
    ours = fed(a_stream(), small.to_bytes() + large.to_bytes())
    assert [type(command.payload) for command in ours] == [bytes, memoryview]
    assert ours == [small, large]


def test_a_large_payload_is_received_in_place() -> None:
    reply = ReadNotifyResponse(np.arange(100_000), 6, None, 1, 5)
    raw = reply.to_bytes()
    stream = a_stream()
    assert stream.receive_buffer() is None
    assert fed(stream, raw[:70_000]) == []
    steps = 0
    received: Command | None = None
    while (buffer := stream.receive_buffer()) is not None:
        at = len(raw) - len(buffer)
        assert stream.needed == len(buffer)
        piece = raw[at : at + 65536]
        buffer[: len(piece)] = piece
        received = stream.received(len(piece))
        steps += 1
    assert steps == 12
    assert received == reply
    assert received.data.tolist() == list(range(100_000))  # type: ignore[union-attr]
    assert stream.needed == 0


def test_no_memory_is_the_peers_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(streams.np, "empty", fail)
    with pytest.raises(RemoteProtocolError, match="no memory for 80000 bytes"):
        fed(a_stream(), Header(15, 80000, 6, 10000, 1, 1).to_bytes())


@pytest.mark.parametrize("split", [[], [24], [30, 100_000, 799_000], [799_990]])
def test_a_payload_over_the_maximum_is_skipped_and_its_request_fails(split: list[int]) -> None:
    reply = ReadNotifyResponse(np.arange(100_000), 6, None, 1, 5)
    stream = a_stream(max_payload=16384)
    after = WriteNotifyResponse(6, 1, 1, 3)
    failure, then = fed(stream, *pieces_of(reply.to_bytes() + after.to_bytes(), split))
    assert isinstance(failure, ReadNotifyResponse)
    assert (failure.status.name, failure.ioid, failure.data_count) == ("ECA_TOLARGE", 5, 0)
    assert len(failure.payload) == 8
    assert then == after


def test_while_skipping_needed_is_what_is_to_be_skipped() -> None:
    stream = a_stream(max_payload=8)
    fed(stream, Header(15, 1000, 6, 125, 1, 1).to_bytes(), bytes(10))
    assert stream.needed == 990
    assert stream.receive_buffer() is None


def test_a_payload_at_the_maximum_is_taken() -> None:
    reply = ReadNotifyResponse(np.arange(2048), 6, None, 1, 5)
    assert fed(a_stream(max_payload=16384), reply.to_bytes()) == [reply]
    error = ErrorResponse(reply, 1, 1, "a text that is longer than eight bytes")
    assert fed(a_stream(max_payload=8), error.to_bytes()) == [error]


def test_what_has_no_status_cannot_fail_so_it_is_an_error() -> None:
    with pytest.raises(RemoteProtocolError, match="over the maximum of 8 bytes"):
        fed(a_stream(max_payload=8), ReadResponse([1, 2], 6, 2, 1, 5).to_bytes())
    with pytest.raises(RemoteProtocolError, match="over the maximum of 8 bytes"):
        list(Stream(CIRCUIT[CLIENT], 8).feed(WriteNotifyRequest([1, 2], 6, 2, 0, 1).to_bytes()))


# ---- malformed


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (Header(99, 0, 0, 0, 0, 0), "unknown command: Header.command=99"),
        (Header(13, 0, 0, 0, 0, 0), "unknown command"),
        (Header(15, 12, 6, 1, 1, 1), "no multiple of 8"),
        (Header(15, 65535, 6, 1, 1, 1, True), "no multiple of 8"),
        (Header(23, 100_000, 0, 0, 0, 0), "impossible payload"),
        (Header(11, 0xFFFFFFF8, 0, 0, 0, 0), "impossible payload"),
    ],
)
def test_malformed_headers_are_refused_before_their_payload_comes(header: Header, match: str) -> None:
    with pytest.raises(RemoteProtocolError, match=match):
        fed(a_stream(), header.to_bytes())


def test_a_name_of_100_kb_is_refused_at_its_header() -> None:
    with pytest.raises(RemoteProtocolError, match="CreateChanRequest with an impossible payload"):
        list(Stream(CIRCUIT[CLIENT]).feed(Header(18, 100_000, 0, 0, 1, 13).to_bytes()))


@given(st.sampled_from([CLIENT, SERVER]), st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_any_bytes_raise_nothing_but_a_protocol_error(role: Any, pieces: list[bytes], runs: bool) -> None:
    stream = Stream(CIRCUIT[role], 1 << 20)
    try:
        for piece in pieces:
            list(stream.feed(piece, runs))
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize("message", [EchoResponse(), EventAddResponse([1.5], 20, 1, 1, 7)], ids=["echo", "run"])
def test_many_messages_in_one_buffer_cost_bounded_time(message: Command) -> None:
    data = message.to_bytes() * 100_000
    begin = time.perf_counter()
    assert sum(len(item) if isinstance(item, Run) else 1 for item in a_stream().feed(data, True)) == 100_000
    assert time.perf_counter() - begin < 5


def test_small_pieces_of_a_large_message_cost_bounded_time() -> None:
    raw = ReadNotifyResponse(np.arange(8000), 6, None, 1, 5).to_bytes()
    begin = time.perf_counter()
    assert len(fed(a_stream(), *(raw[i : i + 1] for i in range(len(raw))))) == 1
    assert time.perf_counter() - begin < 5
