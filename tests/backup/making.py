"""Stores to be backed up, and new nodes to restore into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import place_prefix, prefix_end
from folkmoot.protocol.limits import MIB
from folkmoot.storage.backup.create import create
from folkmoot.storage.backup.manifest import Backup
from folkmoot.storage.backup.restore import Restored, restore
from folkmoot.storage.erasing import erase
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.store import Owner, Store

from tests.storage.making import NOW_US, OWNER, cells_of, deletion, open_store, person, post, put, run

ANN, BEN = person(1), person(2)
CAP = 64 * MIB
NEW = Owner(node=b"another-node-016", cluster=OWNER.cluster)
NEW_LOG = b"another-log--016"

_clock = count(NOW_US, 1_000_000)


def now_us() -> int:
    """Every look at this clock is a second after the one before."""
    return next(_clock)


def backed_up(
    store: Store, folder: Path, base: Backup | None = None, *, part_bytes: int = 8192, **more: Any
) -> Backup:
    return create(store, folder, base=base, now_us=now_us, part_bytes=part_bytes, **more)


def filled(directory: Path, posts: int = 300) -> Store:
    """A store with posts of two people, some of them deleted again."""
    store = open_store(LmdbEngine(directory, cap_bytes=CAP))
    put(store, *(post(ANN, number, f"Ann {number} " * (1 + number % 9)) for number in range(posts)))
    put(store, *(post(BEN, number, f"Ben {number}") for number in range(posts // 3)))
    put(store, *(deletion(ANN, number) for number in range(0, posts, 10)))
    return store


def restored(
    backup: Backup, directory: Path, *, beside: Sequence[Path] = (), owner: Owner = NEW, **more: Any
) -> Restored:
    return restore(backup, directory, owner, log_id=NEW_LOG, cap_bytes=CAP, beside=beside, **more)


def store_of(directory: Path, owner: Owner | None = NEW) -> Store:
    return Store(LmdbEngine(directory, cap_bytes=CAP), owner=owner)


def cells_in(directory: Path) -> dict[bytes, bytes]:
    store = store_of(directory)
    try:
        return cells_of(store)
    finally:
        store.close()


def everything_in(folder: Path) -> bytes:
    """The bytes of all files in a folder."""
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def moved_away(store: Store, *people: KeyPair, most: int = 1000) -> None:
    """Have a store erase all cells at the places of some people, as when their ranges are another node's."""
    for who in people:
        start: bytes | None = place_prefix(who.account)
        while start is not None:
            [erased] = run(
                store, partial(erase, start=start, end=prefix_end(place_prefix(who.account)), most=most)
            )
            start = erased.resume


class Meddling:
    """A `pace` that does something once, after so many pages."""

    def __init__(self, pages: int, act: Callable[[], object]) -> None:
        self._left = pages
        self._act = act

    def __call__(self, written: int) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()
