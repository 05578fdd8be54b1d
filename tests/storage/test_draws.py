"""Draws in the store: read back, given out in the order of their numbers, never more than may be."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
from folkmoot.protocol.limits import MIB
from folkmoot.storage import draws, verify
from folkmoot.storage.draws import Drawn
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Store
from hypothesis import given
from hypothesis import strategies as st

from tests.moderation.samples import drawn
from tests.storage.making import open_store, person, post, run

ANN = person(1)


def numbered(number: int, at: int = 1) -> Drawn:
    about = post(ANN, at)
    row = number.to_bytes(draws.NUMBER_BYTES, "big") + about.key
    return Drawn(row, drawn(at, post_item=about.item, version=about.id, language="de", labels=("spam",)))


def read(store: Store) -> list[Drawn | None]:
    return [drawn for _, drawn in draws.kept(store.engine)]


def test_draws_are_read_back_in_the_order_of_their_numbers(store: Store) -> None:
    made = [numbered(9), numbered(3, 2), numbered(5, 3)]
    run(store, lambda tx: draws.keep(tx, made))
    assert read(store) == [made[1], made[2], made[0]]
    assert draws.kept(store.engine, after=made[1].at, most=1) == [(made[2].at, made[2])]
    assert draws.find(store.engine, made[0].at) == made[0]
    assert (made[0].author, made[0].key) == (ANN.account, post(ANN, 1).key)
    run(store, lambda tx: draws.forget(tx, [made[1].at, b"nothing here"]))
    assert read(store) == [made[2], made[0]]
    assert draws.find(store.engine, made[1].at) is None
    assert verify.verify(store.engine).ok


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_what_is_left_is_what_drew_the_smallest_numbers(seed: int, most: int) -> None:
    store = open_store(MemoryEngine(cap_bytes=64 * MIB))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draws, "DRAWS_KEPT", most)
        numbers = [Random(seed + at).getrandbits(64) for at in range(20)]
        for number in numbers:
            run(store, partial(draws.keep, draws=[numbered(number)]))
        assert read(store) == [numbered(number) for number in sorted(numbers)[:most]]
