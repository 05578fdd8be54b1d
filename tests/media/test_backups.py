"""Backups carry the media of their node: each once in a chain, checked, and into a new node or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from folkmoot.cli.rejoining import rejoin
from folkmoot.protocol.client import connect
from folkmoot.storage.backup.check import check, check_each
from folkmoot.storage.backup.errors import BackupDamaged, BackupError
from folkmoot.storage.backup.manifest import Backup, chain_of
from folkmoot.storage.backup.media import FOLDER
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.files import OsFiles
from folkmoot.storage.media.layout import Area, Name
from folkmoot.storage.media.sealed import SealedMedia
from folkmoot.storage.store import Store

from tests.backup.making import backed_up, filled, restored
from tests.media import pictures
from tests.media.test_blobs import bring, content
from tests.media.test_custody import SEALED
from tests.media.uploading import post_with, read, upload
from tests.node.harness import founded
from tests.node.people import OPERATOR, Author

ANN = Author(1)
FIRST, SECOND = pictures.png(300_000), pictures.png(5_000, seed=2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = filled(tmp_path / "node", posts=20)
    yield store
    store.close()


def blobs_of(directory: Path) -> Blobs:
    return Blobs(OsFiles(), directory / "media", 1 << 30, 1 << 30)


def files(backup: Backup) -> list[Path]:
    return sorted(each for each in (backup.folder / FOLDER).rglob("*") if each.is_file())


def chain(tmp_path: Path, store: Store) -> tuple[Backup, Backup, list[Name]]:
    """A full backup with one medium, and an incremental one with another."""
    kept = blobs_of(tmp_path / "node")
    media = tmp_path / "node" / "media"
    names = [bring(kept, FIRST, ANN.account)]
    bring(kept, SECOND, ANN.account, area=Area.CACHE)
    full = backed_up(store, tmp_path / "backups", media=media)
    names.append(bring(kept, SECOND, ANN.account))
    kept.mark(names[0], 1)
    more = backed_up(store, tmp_path / "backups", full, media=media)
    return full, more, names


def test_each_medium_is_copied_once_and_restored(tmp_path: Path, store: Store) -> None:
    full, more, names = chain(tmp_path, store)
    assert [len(files(each)) for each in (full, more)] == [1, 1]
    for each, count in ((full, 1), (more, 2)):
        assert each.manifest.media is not msgspec.UNSET and each.manifest.media.count == count
        check(chain_of(each))
        new = tmp_path / f"new-{count}"
        restored(each, new)
        found = blobs_of(new)
        assert [content(found, name) for name in names[:count]] == [FIRST, SECOND][:count]
        assert found.find(names[count - 1]) is Area.KEPT
        assert [listed.unused_us for listed in found.listed(Area.KEPT, ANN.account)] == [None] * count


def test_what_is_sealed_is_in_no_backup(tmp_path: Path, store: Store) -> None:
    kept = blobs_of(tmp_path / "node")
    name = bring(kept, FIRST, ANN.account)
    assert SealedMedia(kept, 1 << 30).seal(name, SEALED)
    bring(kept, SECOND, ANN.account)
    backup = backed_up(store, tmp_path / "backups", media=tmp_path / "node" / "media")
    assert [each.name for each in files(backup)] == [pictures.of(SECOND).hash.hex()]
    assert not list(backup.folder.rglob("*.custody"))
    restored(backup, tmp_path / "new")
    assert not list((tmp_path / "new").rglob(f"{name.hash.hex()}*"))


def test_a_store_without_media_is_backed_up_as_before(tmp_path: Path, store: Store) -> None:
    backup = backed_up(store, tmp_path / "backups", media=tmp_path / "node" / "media")
    assert backup.manifest.media is msgspec.UNSET
    check(chain_of(backup))
    restored(backup, tmp_path / "new")
    assert not (tmp_path / "new" / "media").exists()


@pytest.mark.parametrize("what", ["flipped", "cut", "gone", "list", "no list"])
def test_what_is_not_as_it_was_written_is_found(tmp_path: Path, store: Store, what: str) -> None:
    full, more, _ = chain(tmp_path, store)
    [file] = files(full)
    listed = more.folder / "media.list"
    match what:
        case "flipped":
            data = bytearray(file.read_bytes())
            data[-5] ^= 1
            file.write_bytes(data)
        case "cut":
            file.write_bytes(file.read_bytes()[:-1])
        case "gone":
            file.unlink()
        case "list":
            listed.write_bytes(listed.read_bytes()[:-1])
        case _:
            listed.unlink()
    with pytest.raises(BackupDamaged):
        check(chain_of(more))
    with pytest.raises(BackupDamaged):
        restored(more, tmp_path / "new")
    assert not (tmp_path / "new" / "store").exists(), "nothing was made"
    answers = [isinstance(each, BackupError) for each in check_each(chain_of(more))]
    assert answers == [what in ("flipped", "cut", "gone"), True]


def test_what_is_damaged_at_the_node_is_left_out_and_counted(tmp_path: Path, store: Store) -> None:
    kept = blobs_of(tmp_path / "node")
    good, bad = bring(kept, FIRST, ANN.account), bring(kept, SECOND, ANN.account)
    file = kept._file(Area.KEPT, bad)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    backup = backed_up(store, tmp_path / "backups", media=tmp_path / "node" / "media")
    assert backup.manifest.media is not msgspec.UNSET
    assert (backup.manifest.media.count, backup.manifest.media.damaged) == (1, 1)
    restored(backup, tmp_path / "new")
    assert blobs_of(tmp_path / "new").find(good) is Area.KEPT


@pytest.mark.timeout(120)
async def test_a_backup_that_is_joined_brings_its_media(tmp_path: Path) -> None:
    async with founded(tmp_path / "old", nodes=1, replicas=1) as old, old.client(old[0]) as client:
        await client.auth(ANN)
        manifest = await upload(client, FIRST)
        post = post_with(ANN, manifest)
        assert (await client.put_one(post))["status"] == "stored"
        media = old[0].config.node.data / "media"
        backup = backed_up(old[0].commits.store, tmp_path / "backups", media=media)
    async with founded(tmp_path / "new") as new:
        async with connect(new[0].address, tls=False) as joining:
            await joining.auth(OPERATOR.device)
            told = await rejoin(joining, chain_of(backup), [], "quorum", None, lambda done, total: None)
        assert (told.media, told.reasons) == (1, {}) and told.joined >= 1
        async with new.client(new[1]) as client:
            assert await client.get(post, "quorum") is not None
            assert await read(client, ANN.account, manifest.hash) == FIRST
