"""Reactions are found by who made them, wherever they lie, in steps."""

from __future__ import annotations

import pytest
from folkmoot.protocol.key import place_prefix, prefix_end
from folkmoot.protocol.record import Record
from folkmoot.storage import reactions
from folkmoot.storage.interface import Table
from folkmoot.storage.reactions import reactions_of
from folkmoot.storage.store import Store

from tests.storage.making import label, person, post, put, reaction

ANN, BEN = person(1), person(2)
OTHERS = [person(number) for number in range(3, 15)]


def all_found(store: Store, start: bytes = b"", stop: bytes = b"") -> tuple[list[bytes], int]:
    """Every key, and how many steps it took."""
    keys: list[bytes] = []
    steps = 0
    position: bytes | None = start
    while position is not None:
        found = reactions_of(store.engine, ANN.account, position, stop)
        assert found.resume is None or found.resume > position, "each step gets on"
        assert all(found.resume is None or key < found.resume for key in found.keys)
        keys += found.keys
        position = found.resume
        steps += 1
    return keys, steps


@pytest.fixture
def town(store: Store) -> tuple[Store, list[Record]]:
    """Ann likes and reposts what many wrote, and so does Ben; posts and labels lie between."""
    mine: list[Record] = []
    for other in [BEN, *OTHERS]:
        put(store, *(post(other, number) for number in range(3)), label(BEN, other, 1))
        mine += [reaction("like", ANN, other, 1), reaction("repost", ANN, other, 2)]
        put(store, reaction("like", BEN, other, 1), *mine[-2:])
    mine.append(label(ANN, BEN, 2))
    put(store, mine[-1], post(ANN, 1), reaction("like", ANN, ANN, 1), reaction("like", BEN, ANN, 1))
    return store, mine


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 16_384])
def test_all_are_found_whatever_a_step_looks_at(
    town: tuple[Store, list[Record]], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    store, mine = town
    monkeypatch.setattr(reactions, "REACTIONS_STEP_ROWS", rows)
    keys, steps = all_found(store)
    assert keys == sorted(record.key for record in mine), "and not those of one's own posts, listed elsewhere"
    assert (steps > 30) == (rows < 3)


def test_a_step_finds_so_many_at_most(
    town: tuple[Store, list[Record]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, mine = town
    monkeypatch.setattr(reactions, "KEYS_PER_GET", 5)
    keys, steps = all_found(store)
    assert keys == sorted(record.key for record in mine) and steps == len(mine) // 5 + 1


def test_only_a_slice_is_looked_at(town: tuple[Store, list[Record]]) -> None:
    store, mine = town
    for other in (BEN, OTHERS[3]):
        prefix = place_prefix(other.account)
        keys, _ = all_found(store, prefix, prefix_end(prefix))
        assert keys == sorted(record.key for record in mine if record.place == other.account)


def test_what_lies_between_is_passed_by(town: tuple[Store, list[Record]]) -> None:
    store, _ = town
    put(store, *(post(BEN, number) for number in range(100, 400)))
    with store.engine.begin() as transaction:
        assert transaction.count(Table.CELLS) > 350
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reactions, "REACTIONS_STEP_ROWS", 200)
        assert all_found(store)[1] == 1


def test_nothing_is_found_in_nothing(store: Store) -> None:
    assert all_found(store) == ([], 1)
