"""Restoring: whole, as another node, never over anything, never bringing back what is known to be deleted."""

from __future__ import annotations

import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from folkmoot.node.system import LmdbDisk
from folkmoot.storage.backup.errors import (
    BackupForeign,
    RestoreRefused,
    RestoreUnfinished,
    RestoreWouldResurrect,
)
from folkmoot.storage.backup.manifest import NAME
from folkmoot.storage.backup.restore import UNFINISHED, check_finished, mark_of, restore
from folkmoot.storage.directory import DirectoryLock
from folkmoot.storage.errors import DiskFull, StoreLocked
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.outcomes import PutStatus
from folkmoot.storage.store import Owner, Store
from folkmoot.storage.verify import verify

from tests.backup.making import (
    ANN,
    CAP,
    NEW,
    NEW_LOG,
    backed_up,
    cells_in,
    everything_in,
    filled,
    restored,
    store_of,
)
from tests.storage.making import OWNER, cells_of, deletion, post, put
from tests.waiting import until_blocking

SECRET = "a SECRET sentence "


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = filled(tmp_path / "node", 60)
    put(store, *(post(ANN, number, SECRET * 9) for number in range(100, 110)))
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def deleted_in(directory: Path) -> set[int]:
    """Which of the secret posts are deleted in a restored store."""
    store = store_of(directory)
    try:
        statuses = {number: put(store, post(ANN, number, SECRET * 9))[0] for number in range(100, 110)}
        assert {outcome.status for outcome in statuses.values()} == {PutStatus.DUPLICATE}
        return {number for number, outcome in statuses.items() if SECRET.encode() not in outcome.cell}
    finally:
        store.close()


def test_the_restored_store_is_sound_and_says_what_it_is(store: Store, folder: Path, tmp_path: Path) -> None:
    made = backed_up(store, folder)
    done = restored(made, tmp_path / "new")
    assert (done.cells, done.deletions_replayed) == (made.manifest.cells_total, 0)
    copy = store_of(tmp_path / "new")
    assert verify(copy.engine, signatures=True).ok
    assert (copy.owner, copy.log_id) == (NEW, NEW_LOG), "nobody's cursor into the old log fits this one"
    assert copy.meta_get("gossip.numbers") is None and copy.meta_get("topology") is None
    mark = mark_of(copy)
    assert mark is not None
    assert (mark["backup"], mark["node"], mark["sequence"]) == (
        made.manifest.id,
        OWNER.node.hex(),
        store.sequence,
    )
    copy.close()
    assert mark_of(store) is None
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["LOCK", "store"]


def test_deletions_of_newer_backups_come_first(store: Store, folder: Path, tmp_path: Path) -> None:
    old = backed_up(store, folder)
    put(store, *(deletion(ANN, number) for number in range(100, 105)))
    newer = backed_up(store, folder, old)
    put(store, *(deletion(ANN, number) for number in range(105, 108)))
    backed_up(store, folder, newer)
    done = restored(old, tmp_path / "new", beside=[folder])
    assert done.deletions_replayed == 8
    assert deleted_in(tmp_path / "new") == set(range(100, 108))
    assert done.cells == old.manifest.cells_total


def test_what_is_deleted_is_not_even_written(store: Store, folder: Path, tmp_path: Path) -> None:
    """The base has the bodies, an increment their deletions: no byte of them is in the new store's files."""
    old = backed_up(store, folder)
    put(store, *(deletion(ANN, number) for number in range(100, 110)))
    newest = backed_up(store, folder, old)
    assert SECRET.encode() in everything_in(old.folder)
    restored(newest, tmp_path / "one")
    assert SECRET.encode() not in everything_in(tmp_path / "one")
    restored(old, tmp_path / "other", beside=[folder])
    assert SECRET.encode() not in everything_in(tmp_path / "other")


def test_deletions_that_other_nodes_know_of_count(store: Store, folder: Path, tmp_path: Path) -> None:
    old = backed_up(store, folder)
    other = Store(
        MemoryEngine(), owner=Owner(b"third-node-of-16", OWNER.cluster), fresh_log_id=b"third-log-16-byt"
    )
    put(other, deletion(ANN, 103), deletion(ANN, 999))
    backed_up(other, tmp_path / "others")
    done = restored(old, tmp_path / "new", beside=[folder, tmp_path / "others"])
    assert done.deletions_replayed == 2, "one of them of a post that the backup never had"
    assert deleted_in(tmp_path / "new") == {103}


def test_how_many_deletions_others_know_of_costs_no_memory(
    store: Store, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("folkmoot.storage.backup.restore._CELLS_AT_ONCE", 50)
    old = backed_up(store, folder)
    peaks: list[int] = []
    for count in (50, 50, 3_000):  # the first time some things are made that stay
        other = Store(
            MemoryEngine(), owner=Owner(b"third-node-of-16", OWNER.cluster), fresh_log_id=b"third-log-16-byt"
        )
        put(other, *(deletion(ANN, number) for number in range(100, 100 + count)))
        backed_up(other, tmp_path / f"others-{count}")
        tracemalloc.start()
        done = restored(old, tmp_path / f"new-{len(peaks)}", beside=[tmp_path / f"others-{count}"])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert done.deletions_replayed == count
        assert done.cells == old.manifest.cells_total + count - 10
    assert peaks[-1] < peaks[1] + 100_000, "a key and its place in a table are more than 100 bytes"


def test_deletions_of_another_cluster_do_not(store: Store, folder: Path, tmp_path: Path) -> None:
    old = backed_up(store, folder)
    other = Store(
        MemoryEngine(), owner=Owner(b"third-node-of-16", "elsewhere"), fresh_log_id=b"third-log-16-byt"
    )
    put(other, deletion(ANN, 103))
    backed_up(other, folder)
    assert restored(old, tmp_path / "new", beside=[folder]).deletions_replayed == 0


@pytest.mark.parametrize("what", ["manifest", "part"])
def test_deletions_that_cannot_be_read_stop_it_unless_accepted(
    store: Store, folder: Path, tmp_path: Path, what: str
) -> None:
    old = backed_up(store, folder)
    put(store, *(deletion(ANN, number) for number in range(100, 105)))
    newer = backed_up(store, folder, old)
    name = NAME if what == "manifest" else newer.manifest.parts[0].name
    file = newer.folder / name
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RestoreWouldResurrect, match="accept") as refused:
        restored(old, tmp_path / "new", beside=[folder])
    assert refused.value.deletions == (5 if what == "part" else None) and len(refused.value.problems) == 1
    assert ("up to 5" if what == "part" else "nobody can say how many") in str(refused.value)
    assert not (tmp_path / "new").exists()
    done = restored(old, tmp_path / "new", beside=[folder], accept_resurrection=True)
    assert (done.backups_left_out, done.deletions_left_out) == (1, refused.value.deletions)
    assert deleted_in(tmp_path / "new") == set()


def test_a_store_is_never_overwritten(store: Store, folder: Path, tmp_path: Path) -> None:
    made = backed_up(store, folder)
    restored(made, tmp_path / "new")
    before = everything_in(tmp_path / "new" / "store")
    with pytest.raises(RestoreRefused, match="never overwrites"):
        restored(made, tmp_path / "new")
    assert everything_in(tmp_path / "new" / "store") == before


def test_the_node_that_was_backed_up_is_not_restored_into(store: Store, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RestoreRefused, match="acknowledged more since"):
        restored(backed_up(store, folder), tmp_path / "new", owner=OWNER)
    assert not (tmp_path / "new").exists()


def test_another_cluster_must_be_meant(store: Store, folder: Path, tmp_path: Path) -> None:
    made = backed_up(store, folder)
    owner = Owner(NEW.node, "village")
    with pytest.raises(BackupForeign, match="--from-cluster test"):
        restored(made, tmp_path / "new", owner=owner)
    restored(made, tmp_path / "new", owner=owner, other_cluster=True)
    assert store_of(tmp_path / "new", owner).owner == owner


def test_a_node_that_runs_is_not_restored_into(store: Store, folder: Path, tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path / "new")
    with pytest.raises(StoreLocked):
        restored(backed_up(store, folder), tmp_path / "new")
    lock.release()


def test_a_disk_cap_that_is_too_small(store: Store, folder: Path, tmp_path: Path) -> None:
    made = backed_up(store, folder)
    with pytest.raises(DiskFull):
        restore(made, tmp_path / "new", NEW, log_id=NEW_LOG, cap_bytes=65536, beside=())
    with pytest.raises(RestoreUnfinished):
        check_finished(tmp_path / "new")
    restored(made, tmp_path / "new")
    check_finished(tmp_path / "new")


def test_killed_in_the_middle_it_is_seen_and_run_again(store: Store, folder: Path, tmp_path: Path) -> None:
    made = backed_up(store, folder)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.backup.making import NEW, NEW_LOG, CAP\n"
        "from folkmoot.storage.backup import restore as module\n"
        "from folkmoot.storage.backup.manifest import load\n"
        "def stop(done, total):\n"
        "    print('here', flush=True)\n"
        "    sys.stdin.read()\n"
        "module.restore(load(Path(sys.argv[1])), Path(sys.argv[2]), NEW, log_id=NEW_LOG,\n"
        "    cap_bytes=CAP, beside=(), progress=stop)\n"
    )
    new = tmp_path / "new"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(made.folder), str(new)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        until_blocking((new / UNFINISHED / "store" / "data.mdb").exists, what="the new store to be begun")
        process.kill()
    assert not (new / "store").exists()
    with pytest.raises(RestoreUnfinished, match="again"):
        check_finished(new)
    with pytest.raises(RestoreUnfinished):
        LmdbDisk(CAP, random.SystemRandom()).open(new, NEW)
    restored(made, new)
    assert cells_in(new) == cells_of(store)
    check_finished(new)


def test_replays_into_the_restored_node_are_duplicates(store: Store, folder: Path, tmp_path: Path) -> None:
    put(store, *(deletion(ANN, number) for number in range(100, 110)))
    restored(backed_up(store, folder), tmp_path / "new")
    copy = store_of(tmp_path / "new")
    outcomes = put(copy, *(post(ANN, number, SECRET * 9) for number in range(100, 110)))
    assert {(outcome.status, outcome.changed) for outcome in outcomes} == {(PutStatus.DUPLICATE, False)}
    copy.close()
