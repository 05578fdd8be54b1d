"""A data directory is private, whole or absent, and never overwritten."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest
from folkmoot.node import data_directory
from folkmoot.node.data_directory import (
    DataDirectory,
    DataDirectoryError,
    Ready,
    read_gossip_ring,
    read_key,
    write_private,
)

from tests.small_disks import files_up_to


def make(path: Path, seed: int = 1) -> DataDirectory:
    data = DataDirectory(path)
    data.create(Random(seed))
    return data


def test_what_was_made_can_be_read_and_only_by_its_owner(tmp_path: Path) -> None:
    data = make(tmp_path / "deep" / "node")
    assert len(bytes.fromhex(data.node_id())) == 16
    assert data.service_key().seed == read_key(data.service_key_file).seed
    assert [len(key) for key in read_gossip_ring(data.gossip_ring_file)] == [32]
    assert data.path.stat().st_mode & 0o777 == 0o700
    for file in (data.service_key_file, data.gossip_ring_file, data.id_file):
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_second_node_is_refused_and_the_first_is_untouched(tmp_path: Path) -> None:
    data = make(tmp_path)
    before = data.node_id()
    with pytest.raises(DataDirectoryError, match="never overwrites"):
        make(tmp_path, seed=2)
    assert data.node_id() == before


def test_the_ring_of_a_cluster_is_taken_over(tmp_path: Path) -> None:
    first = make(tmp_path / "a")
    second = DataDirectory(tmp_path / "b")
    second.create(Random(2), gossip_ring=first.gossip_ring_file)
    assert read_gossip_ring(second.gossip_ring_file) == read_gossip_ring(first.gossip_ring_file)
    assert second.node_id() != first.node_id()


@pytest.mark.parametrize(
    ("text", "complaint"), [("zz\n", "ring:1: not a gossip key"), ("# none\n", "no gossip key in it; copy")]
)
def test_damaged_rings_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    write_private(tmp_path / "ring", text)
    with pytest.raises(DataDirectoryError, match=complaint):
        read_gossip_ring(tmp_path / "ring")


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    data = make(tmp_path)
    data.service_key_file.chmod(0o644)
    with pytest.raises(DataDirectoryError, match="chmod 600"):
        data.service_key()


@pytest.mark.parametrize("text", ["", "0" * 31, "g" * 32, "\xe9"])
def test_a_damaged_id_is_refused(tmp_path: Path, text: str) -> None:
    data = make(tmp_path)
    data.id_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataDirectoryError, match=r"node\.id"):
        data.node_id()


def test_ready_is_replaced_whole_and_forgiven_when_damaged(tmp_path: Path) -> None:
    data = make(tmp_path)
    assert data.previous() is None
    ready = Ready(id="0" * 32, name="n", region="eu", pid=1, address="a:1", peers="a:2", datagrams="a:3")
    data.write_ready(ready)
    assert data.previous() == ready
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys", "node.id", "ready.json"]
    data.ready_file.write_text("{")
    assert data.previous() is None


def test_a_ready_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    data = make(tmp_path)
    ready = Ready(id="0" * 32, name="n", region="eu", pid=1, address="a:1", peers="a:2", datagrams="a:3")
    data.write_ready(ready)
    with files_up_to(10), pytest.raises(DataDirectoryError, match=r"ready\.json cannot be written"):
        data.write_ready(msgspec.structs.replace(ready, pid=2))
    assert data.previous() == ready
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys", "node.id", "ready.json"]


@pytest.mark.parametrize("room", [0, 1, 70])
def test_a_disk_that_fills_up_while_a_node_is_made_leaves_nothing_of_it(tmp_path: Path, room: int) -> None:
    with files_up_to(room), pytest.raises(DataDirectoryError, match=r"service\.key: File too large"):
        make(tmp_path / "n")
    assert [file for file in (tmp_path / "n").rglob("*") if file.is_file()] == []
    assert make(tmp_path / "n").service_key()


def test_what_fills_up_later_takes_the_earlier_files_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(file: Path, keys: object) -> None:
        raise OSError(28, "No space left on device", str(file))

    with monkeypatch.context() as patched:
        patched.setattr(data_directory, "write_gossip_ring", no_room)
        with pytest.raises(DataDirectoryError, match=r"gossip\.ring: No space"):
            make(tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    assert make(tmp_path).service_key()


def test_keys_that_an_attempt_cut_off_has_left_are_taken(tmp_path: Path) -> None:
    data = make(tmp_path)
    data.id_file.unlink()
    before = data.service_key().seed, read_gossip_ring(data.gossip_ring_file)
    other = make(tmp_path / "other", seed=5).gossip_ring_file
    with pytest.raises(DataDirectoryError, match="other keys than the ring"):
        data.create(Random(9), other)
    data.create(Random(9), data.gossip_ring_file)
    assert data.node_id()
    assert (data.service_key().seed, read_gossip_ring(data.gossip_ring_file)) == before


def test_a_new_file_is_private_and_whole_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[tuple[str, int]] = []
    link = Path.hardlink_to
    synced: list[Path] = []

    def seen(self: Path, target: Path) -> None:
        named.append((target.read_text(), target.stat().st_mode & 0o777))
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", seen)
    monkeypatch.setattr(data_directory, "sync_directory", synced.append)
    write_private(tmp_path / "key", "secret")
    assert (named, synced) == ([("secret", 0o600)], [tmp_path])
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "key", "another")
    assert (tmp_path / "key").read_text() == "secret"
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_a_new_file_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    write_private(tmp_path / "key", "secret")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("key", "secret")]
