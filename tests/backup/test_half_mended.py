"""While one damaged cell of a block is mended and another is not, no backup is made on top of another."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from folkmoot.storage.backup.check import check
from folkmoot.storage.backup.manifest import chain_of
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction

from tests.backup.making import ANN, BEN, backed_up, cells_in, restored
from tests.storage.making import cells_of, open_store, post, put, run
from tests.storage.test_mending import damage, mend


def test_it_waits_for_the_other(tmp_path: Path) -> None:
    store = open_store(MemoryEngine())
    one, other = post(ANN, 1), post(ANN, 2)  # of one author, and so of one block
    put(store, one, other)
    whole = cells_of(store)
    base = backed_up(store, tmp_path / "backups")
    damage(store, one)
    damage(store, other)
    mended(store, one.key, whole)
    put(store, post(BEN, 3))
    with pytest.raises(StoreCorrupt, match="of 3 cells 2 are in its block sums"):
        backed_up(store, tmp_path / "backups", base)
    mended(store, other.key, whole)
    made = backed_up(store, tmp_path / "backups", base)
    check(chain_of(made), signatures=True)
    restored(made, tmp_path / "restored")
    assert cells_in(tmp_path / "restored") == cells_of(store)


def mended(store: Store, key: bytes, whole: dict[bytes, bytes]) -> None:
    run(store, partial(_mend, store, key, whole[key]))


def _mend(store: Store, key: bytes, cell: bytes, tx: WriteTransaction) -> None:
    assert mend(store, tx, key, cell) is not None
