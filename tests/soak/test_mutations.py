"""Mutations hit one message and leave the others as they were; each kind occurs."""

from __future__ import annotations

import pytest

from tests.soak.mutations import KINDS, SHORT, Mutator, Step


def message(number: int, payload: bytes = b"12345678") -> bytes:
    return SHORT.pack(1, len(payload), 6, 1, 1, number) + payload


def fed(mutator: Mutator, *pieces: bytes) -> list[Step]:
    return [step for piece in pieces for step in mutator.feed(piece)]


def test_without_mutations_everything_passes_however_it_comes() -> None:
    stream = b"".join(message(number) for number in range(50))
    pieces = [stream[index : index + 7] for index in range(0, len(stream), 7)]
    steps = fed(Mutator(1, 0), *pieces)
    assert b"".join(step.data for step in steps) == stream
    assert {step.then for step in steps} == {""}


@pytest.mark.parametrize("seed", range(200))
def test_what_is_not_hit_passes(seed: int) -> None:
    mutator = Mutator(seed, 1, within=5)
    stream = [message(number) for number in range(10)]
    sent = b"".join(step.data for step in fed(mutator, *stream))
    assert mutator.kinds
    assert sent.endswith(b"".join(stream[6:]))


def test_every_kind_occurs_and_the_same_seed_does_the_same() -> None:
    kinds: set[str] = set()
    for seed in range(300):
        twice = [Mutator(seed, 2, within=4) for _ in range(2)]
        said = [fed(each, *(message(number) for number in range(6))) for each in twice]
        assert said[0] == said[1]
        kinds.update(twice[0].kinds)
    assert kinds == KINDS
