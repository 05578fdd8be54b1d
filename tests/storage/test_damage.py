"""The list of damage: bounded, and nothing that nobody can mend keeps others out of it."""

from __future__ import annotations

import pytest
from folkmoot.storage import damage
from folkmoot.storage.damage import Damage
from folkmoot.storage.errors import DiskFull, StoreCorrupt
from folkmoot.storage.rows import damaged


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Damage:
    monkeypatch.setattr(damage, "STORE_DAMAGE_KEPT", 3)
    full = Damage()
    for key in (b"a", b"b", b"c"):
        full.note(damaged(key))
    return full


def test_only_damaged_cells_are_listed() -> None:
    noted = Damage()
    noted.note(DiskFull("no room"))
    noted.note(StoreCorrupt("the row at 00 of table log", "its checksum does not fit"))
    assert noted.keys == []


def test_what_was_tried_in_vain_gives_way(full: Damage) -> None:
    full.tried_in_vain(b"b")
    full.tried_in_vain(b"a")
    full.add(b"d")
    assert full.keys == [b"c", b"d", b"a"]
    assert (full.waiting, full.more) == (1, True)


def test_what_was_not_tried_yet_does_not(full: Damage) -> None:
    assert not full.more
    full.add(b"d")
    assert full.keys == [b"a", b"b", b"c"] and full.more


def test_a_check_that_found_room_for_all_ends_the_doubt(full: Damage) -> None:
    full.add(b"d")
    full.checked()
    assert full.more, "it was met in the round that ends"
    full.mended(b"a")
    full.add(b"d")
    full.checked()
    assert not full.more
    assert full.mended_count == 1


def test_what_was_mended_is_untried_when_it_is_damaged_again(full: Damage) -> None:
    full.tried_in_vain(b"a")
    full.mended(b"a")
    full.mended(b"never heard of")
    full.add(b"a")
    assert full.keys == [b"b", b"c", b"a"] and full.waiting == 0 and full.mended_count == 1
