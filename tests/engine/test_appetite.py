"""How much is read at a time, and in which portions."""

from __future__ import annotations

import pytest

from caclient.engine import appetite as appetite_module
from caclient.engine.appetite import CHUNK, CROWDED, FLOOD, GLUT, PORTION, Appetite
from caclient.protocol.commands import EventAddResponse, ReadNotifyRequest, ReadNotifyResponse
from caclient.protocol.runs import UpdateRun
from tests.engine.peers import LONG, NORMAL, Sink, get, in_thread, subscribe


def test_more_is_read_while_much_comes_and_less_when_it_is_over():
    appetite = Appetite()
    assert appetite.bytes == CHUNK
    assert appetite.portions(bytes(CHUNK), 0.0) == (bytes(CHUNK),)
    assert appetite.bytes == FLOOD
    appetite.portions(bytes(CHUNK), 0.0)
    assert appetite.bytes == FLOOD
    appetite.portions(bytes(CHUNK - 1), 0.0)
    assert appetite.bytes == CHUNK


def test_beside_a_thread_that_crowds_the_interpreter_ever_more_is_read_up_to_a_bound():
    appetite = Appetite()
    sizes = []
    while not sizes or sizes[-1] < GLUT:
        appetite.portions(bytes(appetite.bytes), 2 * CROWDED)
        sizes.append(appetite.bytes)
    assert sizes == sorted(set(sizes))
    appetite.portions(bytes(GLUT), 2 * CROWDED)
    assert appetite.bytes == GLUT
    appetite.portions(bytes(GLUT), 0.0)
    assert appetite.bytes == FLOOD


@pytest.mark.parametrize("count", [1, PORTION - 1, PORTION, PORTION + 1, 3 * PORTION, 3 * PORTION + 7])
def test_portions_are_all_that_was_read_and_none_is_large(count):
    data = bytes(number % 251 for number in range(count))
    portions = Appetite().portions(data, 2 * CROWDED)
    assert b"".join(portions) == data
    assert max(map(len, portions)) <= PORTION
    assert all(portions)


def test_what_is_decoded_in_portions_goes_to_the_same_owners_in_order(up, peer, monkeypatch):
    """Portions end within messages, and a reply lies behind thousands of updates."""
    monkeypatch.setattr(appetite_module, "CROWDED", -1.0)
    monkeypatch.setattr(appetite_module, "PORTION", 1000)
    number = subscribe(up.circuit, up.circuit.core.channels[1], sink := Sink())
    result = in_thread(get, up.circuit)
    request = peer.hear(ReadNotifyRequest)
    peer.say(
        *(EventAddResponse(value, LONG, 1, NORMAL, number) for value in range(5000)),
        ReadNotifyResponse(7, LONG, 1, NORMAL, request.ioid),
    )
    assert result().reply.data[0] == 7
    values: list[int] = []
    while len(values) < 5000:
        item = sink.next()
        commands = item.commands() if isinstance(item, UpdateRun) else [item]
        values += (command.data[0] for command in commands)
    assert values == list(range(5000))
