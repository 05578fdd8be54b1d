"""Backups of a store whose ranges move away: exact, and restorable, and nothing comes back by them."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from random import Random

import pytest
from folkmoot.cli.exit_codes import OK
from folkmoot.cli.main import run as run_command
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import held_key, lane_of, place_prefix
from folkmoot.storage.backup.check import Checked, check, check_each
from folkmoot.storage.backup.create import create
from folkmoot.storage.backup.errors import BackupDamaged, BackupOutrun
from folkmoot.storage.backup.manifest import Backup, backups_in, chain_of, load, superseded
from folkmoot.storage.backup.parts import is_deletion, read_part
from folkmoot.storage.erasing import erase
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Store

from tests.backup.making import (
    ANN,
    BEN,
    CAP,
    Meddling,
    backed_up,
    cells_in,
    everything_in,
    filled,
    moved_away,
    now_us,
    restored,
)
from tests.storage.making import cells_of, deletion, join_cell, open_store, person, post, put, run

assert lane_of(post(ANN, 1).key) != lane_of(post(BEN, 1).key), "what is Ann's moves without what is Ben's"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled(tmp_path / "node", 120)


def fits(backup: Backup, store: Store, target: Path) -> None:
    """The backup is sound, and what is restored from it is what the store has."""
    chain = chain_of(load(backup.folder))
    assert all(isinstance(each, Checked) for each in check_each(chain, signatures=True))
    assert check(chain).backups == len(chain)
    restored(backup, target)
    here = cells_of(store)
    copy = cells_in(target)
    assert {key: cell for key, cell in copy.items() if key in here} == here
    assert all(b"deleted" in cell for key, cell in copy.items() if key not in here)


def test_an_increment_after_a_range_moved_away(store: Store, tmp_path: Path) -> None:
    full = backed_up(store, tmp_path / "backups")
    moved_away(store, ANN)
    put(store, post(BEN, 500))
    more = backed_up(store, tmp_path / "backups", full)
    assert more.manifest.lanes_anew == {lane_of(post(ANN, 1).key)} and more.manifest.cells == 1
    assert [len(lanes) for lanes in superseded([full, more])] == [1, 0]
    fits(more, store, tmp_path / "new")
    restored(full, tmp_path / "older")
    assert len(cells_in(tmp_path / "older")) == full.manifest.cells_total
    put(store, post(BEN, 501))
    fits(backed_up(store, tmp_path / "backups", more), store, tmp_path / "newer")


def test_a_range_that_came_back(store: Store, tmp_path: Path) -> None:
    """Its cells are new ones to the log; a deletion that was made meanwhile is among them."""
    full = backed_up(store, tmp_path / "backups")
    cells = cells_of(store)
    moved_away(store, ANN)
    first = backed_up(store, tmp_path / "backups", full)
    for key, cell in cells.items():
        join_cell(store, key, cell)
    put(store, deletion(ANN, 3, stamp=7))
    second = backed_up(store, tmp_path / "backups", first)
    assert second.manifest.lanes_anew == frozenset()
    fits(second, store, tmp_path / "new")


def test_what_was_deleted_after_its_range_left_does_not_return(store: Store, tmp_path: Path) -> None:
    put(store, post(ANN, 900, "SECRET"))
    full = backed_up(store, tmp_path / "backups")
    moved_away(store, ANN)
    more = backed_up(store, tmp_path / "backups", full)
    restored(more, tmp_path / "new", beside=[tmp_path / "backups"])
    assert b"SECRET" not in everything_in(tmp_path / "new")
    known = {key for key, cell in cells_in(tmp_path / "new").items() if key.startswith(post(ANN, 1).key[:40])}
    assert known == {deletion(ANN, number).key for number in range(0, 120, 10)}, "what the base knew is kept"


@pytest.mark.parametrize("pages", [1, 3, 10, 30])
@pytest.mark.parametrize("most", [10, 1000])
def test_a_range_that_moves_while_it_is_read(store: Store, tmp_path: Path, pages: int, most: int) -> None:
    put(store, post(ANN, 900, "SECRET"))
    made = backed_up(
        store,
        tmp_path / "backups",
        pace=Meddling(pages, lambda: moved_away(store, ANN, most=most)),
        part_bytes=2048,
    )
    assert made.manifest.cells_total == made.manifest.cells == len(cells_of(store))
    assert made.manifest.lanes_anew == frozenset(), "a full one stands on nothing"
    assert b"SECRET" not in everything_in(made.folder)
    fits(made, store, tmp_path / "new")


@pytest.mark.parametrize("pages", [1, 5, 10, 20, 30, 35])
def test_a_part_of_a_lane_that_moves_while_it_is_read(store: Store, tmp_path: Path, pages: int) -> None:
    """What stays of the lane is in the backup, whether it had been read before or not, or was being read."""
    last = max((person(number) for number in range(3, 60)), key=lambda who: post(who, 1).key)
    assert lane_of(post(last, 1).key) > lane_of(post(ANN, 1).key)
    put(store, *(post(last, number) for number in range(20)))
    erasing = partial(erase, start=post(ANN, 40).key, end=post(ANN, 90).key, most=1000)
    made = backed_up(
        store, tmp_path / "backups", pace=Meddling(pages, lambda: run(store, erasing)), part_bytes=2048
    )
    assert made.manifest.cells_total == made.manifest.cells == 120 - 50 + 40 + 20
    fits(made, store, tmp_path / "new")


def test_an_increment_while_a_range_moves(store: Store, tmp_path: Path) -> None:
    full = backed_up(store, tmp_path / "backups")
    put(store, *(post(who, number, "an edit", stamp=9) for who in (ANN, BEN) for number in range(1, 40)))
    more = backed_up(
        store, tmp_path / "backups", full, pace=Meddling(2, lambda: moved_away(store, BEN)), part_bytes=1024
    )
    assert more.manifest.lanes_anew == {lane_of(post(BEN, 1).key)}
    fits(more, store, tmp_path / "new")


def test_it_waits_while_a_range_is_being_erased(store: Store, tmp_path: Path) -> None:
    """Erased in many transactions, the last of them long after the first: the lane is not read meanwhile."""
    people = [person(number) for number in range(3, 9)]
    put(store, *(post(who, number) for who in people for number in range(20)))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if people:
            moved_away(store, people.pop())

    made = backed_up(
        store, tmp_path / "backups", pace=Meddling(3, lambda: moved_away(store, people.pop())), wait=wait
    )
    assert not people and len(waits) >= 6
    fits(made, store, tmp_path / "new")


def test_ranges_that_never_stop_moving(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("folkmoot.storage.backup.create._WAITS_MAX", 20)

    def wait(seconds: float) -> None:
        put(store, post(ANN, 1))
        moved_away(store, ANN)

    with pytest.raises(BackupOutrun, match="moving away"):
        backed_up(store, tmp_path / "backups", pace=Meddling(1, lambda: wait(0)), wait=wait)


@cache
def neighbours() -> list[KeyPair]:
    """Six people, each of whom shares a lane with another."""
    lanes: dict[int, list[KeyPair]] = {}
    for number in range(1, 60):
        lanes.setdefault(lane_of(post(person(number), 1).key), []).append(person(number))
    return [who for people in lanes.values() if len(people) > 1 for who in people[:2]][:6]


def deleted_by(backup: Backup) -> set[bytes]:
    frames = (frame for part in backup.manifest.parts for frame in read_part(backup.folder, part))
    return {key for key, cell in frames if is_deletion(cell)}


@pytest.mark.parametrize("seed", range(6))
def test_any_chain_across_any_movement(tmp_path: Path, seed: int) -> None:
    """Writes, deletions and moves at random: before, between and amid backups that are cut off.

    All is written to another node; what is not away is here, too, and comes back as that one has it.
    """
    random = Random(seed)
    people = neighbours()
    store, elsewhere = open_store(LmdbEngine(tmp_path / "node", cap_bytes=CAP)), open_store(MemoryEngine())
    away: set[bytes] = set()

    def live() -> None:
        for _ in range(random.randrange(1, 4)):
            who, stamp = random.choice(people), random.randrange(1, 99)
            number = random.randrange(30)
            if random.randrange(3):
                records = [post(who, number + more, "x" * 50, stamp=stamp) for more in range(20)]
                put(elsewhere, *(records if random.randrange(2) else [deletion(who, number, stamp=stamp)]))
            else:
                away.symmetric_difference_update({who.account})
            if who.account in away:
                moved_away(store, who, most=random.choice((7, 1000)))
                continue
            for key, cell in cells_of(elsewhere).items():
                if key.startswith(place_prefix(who.account)):
                    join_cell(store, key, cell)

    def die() -> None:
        live()
        raise KeyboardInterrupt

    made: Backup | None = None
    for link in range(5):
        live()
        try:
            pace = Meddling(random.randrange(1, 30), random.choice((live, die)))
            made = backed_up(
                store, tmp_path / "backups", made, pace=pace, wait=lambda _: None, part_bytes=900
            )
        except KeyboardInterrupt:
            made = backed_up(store, tmp_path / "backups", made, part_bytes=900)
        fits(made, store, tmp_path / f"new-{link}")
        restored(made, tmp_path / f"beside-{link}", beside=[tmp_path / "backups"])
        cells = cells_in(tmp_path / f"beside-{link}")
        bodies = {key for key, cell in cells.items() if not is_deletion(cell)}
        for place in backups_in(tmp_path / "backups"):
            assert bodies.isdisjoint(deleted_by(load(place))), "nothing returns that any of them knows of"


def test_keys_are_looked_at_in_shares(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = backed_up(store, tmp_path / "backups")
    moved_away(store, BEN)
    more = backed_up(store, tmp_path / "backups", full)
    monkeypatch.setattr("folkmoot.storage.backup.check._KEYS_AT_ONCE", 50)
    told: list[tuple[int, int]] = []
    assert check([full, more], progress=lambda done, total: told.append((done, total))).backups == 2
    assert told[-1][0] == told[-1][1] >= 3 * full.manifest.bytes
    with pytest.raises(BackupDamaged, match="together"):
        check([more])


def test_a_post_that_is_deleted_at_two_keys_is_one(tmp_path: Path) -> None:
    """A deletion is joined where the post was held for review, too."""
    store = open_store(LmdbEngine(tmp_path / "node", cap_bytes=CAP))
    put(store, *(post(ANN, number) for number in range(9)))
    old = create(store, tmp_path / "backups", base=None, now_us=now_us)
    records = [deletion(ANN, number) for number in range(5)]
    put(store, *records)
    for record in records:
        cell = store.get_cell(record.key)
        assert cell is not None
        join_cell(store, held_key(record.key), cell)
    new = create(store, tmp_path / "backups", base=old, now_us=now_us)
    assert (new.manifest.cells, new.manifest.deletions) == (10, 5)
    assert restored(old, tmp_path / "new", beside=[tmp_path / "backups"]).deletions_replayed == 5


def test_the_command_says_what_was_read_anew(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backed_up(store, tmp_path / "backups")
    moved_away(store, ANN)
    store.close()
    create_more = ["backup", "create", "--data", str(tmp_path / "node"), "--to", str(tmp_path / "backups")]
    assert run_command([*create_more, "--incremental"]) == OK
    assert "moved away" in (told := capsys.readouterr().out) and "1 of 64 lanes" in told
    assert run_command(["backup", "verify", str(tmp_path / "backups"), "--json"]) == OK
    answer = json.loads(capsys.readouterr().out)
    assert [each["ok"] for each in answer["backups"]] == [True, True]
