"""Media on a disk: chunks in any order, what lies or is cut off, full disks, and what a crash leaves."""

from __future__ import annotations

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import pytest
from folkmoot.protocol.errors import BUSY, CONFLICT, NOT_FOUND, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest
from folkmoot.storage.errors import DiskFull, StorageError
from folkmoot.storage.media import files as module
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.files import OsFiles
from folkmoot.storage.media.layout import Area, MediumDamaged, Name, room_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.media import pictures
from tests.node.people import Author

ANN, BOB = (Author(number).account for number in (1, 2))
DATA = pictures.png(3 * CHUNK_BYTES + 77)
WHOLE = pictures.of(DATA)
PARTS = pictures.chunks(DATA, WHOLE)
NAME = Name(ANN, WHOLE.hash)


def opened(directory: Path, cap: int = 1 << 30, cache: int = 1 << 30) -> Blobs:
    return Blobs(OsFiles(), directory / "media", cap, cache)


def bring(blobs: Blobs, data: bytes, account: bytes = ANN, area: Area = Area.KEPT) -> Name:
    """Have a medium stand in an area."""
    manifest = pictures.of(data)
    name = Name(account, manifest.hash)
    blobs.begin(account, manifest)
    for index, part in enumerate(pictures.chunks(data, manifest)):
        blobs.write(name, index, part)
    assert blobs.seal(name) == manifest
    blobs.promote(name, Area.PARTIAL, area)
    return name


def full(*_: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def content(blobs: Blobs, name: Name) -> bytes:
    area = blobs.find(name)
    assert area is not None
    count = len(blobs.manifest(area, name).chunks)
    return b"".join(blobs.read(area, name, index) for index in range(count))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=12),
    st.permutations(range(4)),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_chunks_come_in_any_order_twice_and_wrong_and_the_process_ends_between(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[int, bool, bool]], rest: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("media")
    blobs = opened(directory)
    have = blobs.begin(ANN, WHOLE)
    assert have == set()
    for index, whole, ends in sent:
        if whole:
            have.add(index)
            assert blobs.write(NAME, index, PARTS[index]) == len(PARTS) - len(have)
        else:
            with pytest.raises(WireError):
                blobs.write(NAME, index, PARTS[index][:-1] + bytes([PARTS[index][-1] ^ 1]))
        if ends:
            blobs = opened(directory)
            assert blobs.begin(ANN, WHOLE) == have
    if len(have) < len(PARTS):
        with pytest.raises(WireError) as caught:
            blobs.seal(NAME)
        assert caught.value.kind is CONFLICT
    for index in rest:
        blobs.write(NAME, index, PARTS[index])
    assert blobs.find(NAME) is None, "nothing is served before it is whole"
    blobs.seal(NAME)
    blobs.promote(NAME, Area.PARTIAL, Area.KEPT)
    assert content(blobs, NAME) == DATA == content(opened(directory), NAME)
    assert blobs.used(Area.PARTIAL) == 0 == opened(directory).used(Area.PARTIAL)


def test_files_are_private_and_counted(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    name = bring(blobs, DATA)
    file = blobs._file(Area.KEPT, name)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o700 for each in list(file.parents)[:4])
    assert blobs.used(Area.KEPT) == room_of(file.stat().st_size) == opened(tmp_path).used(Area.KEPT)
    assert blobs.accounts(Area.KEPT) == [ANN]
    assert blobs.drop(Area.KEPT, name) and not blobs.drop(Area.KEPT, name)
    assert blobs.used(Area.KEPT) == 0 and blobs.accounts(Area.KEPT) == []


def test_bytes_that_have_another_hash_leave_nothing(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    lying = Manifest(bytes(32), WHOLE.size, WHOLE.mime, WHOLE.chunks)
    blobs.begin(ANN, lying)
    for index, part in enumerate(PARTS):
        blobs.write(Name(ANN, lying.hash), index, part)
    with pytest.raises(WireError, match="do not have the hash"):
        blobs.seal(Name(ANN, lying.hash))
    assert blobs.used(Area.PARTIAL) == 0 and blobs.accounts(Area.PARTIAL) == []


def test_another_manifest_begins_anew(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    lying = Manifest(WHOLE.hash, WHOLE.size, WHOLE.mime, WHOLE.chunks[::-1])
    blobs.begin(ANN, WHOLE)
    blobs.write(NAME, 0, PARTS[0])
    assert blobs.begin(ANN, lying) == set()
    with pytest.raises(WireError):
        blobs.write(NAME, 0, PARTS[0])
    assert blobs.begin(ANN, WHOLE) == set()


def test_every_bit_of_a_file_is_looked_at(tmp_path: Path) -> None:
    data = pictures.png(500)
    blobs = opened(tmp_path)
    name = bring(blobs, data)
    file = blobs._file(Area.KEPT, name)
    whole = file.read_bytes()
    for bit in Random(1).sample(range(8 * len(whole)), 300):
        file.write_bytes(
            bytes(each ^ (1 << bit % 8) if at == bit // 8 else each for at, each in enumerate(whole))
        )
        with pytest.raises(MediumDamaged):
            content(blobs, name)
    for length in (0, 5, 40, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(MediumDamaged):
            content(blobs, name)
    file.write_bytes(whole)
    assert content(blobs, name) == data


def test_the_cap_refuses_before_anything_is_written(tmp_path: Path) -> None:
    blobs = opened(tmp_path, cap=5 * len(DATA) // 2)
    bring(blobs, DATA)
    bring(blobs, pictures.png(len(DATA), seed=2))
    with pytest.raises(DiskFull, match=r"media\.disk_cap"):
        blobs.begin(BOB, WHOLE)
    assert blobs.accounts(Area.PARTIAL) == []
    blobs.drop(Area.KEPT, NAME)
    bring(blobs, DATA, BOB)


def begun(blobs: Blobs, size: int, seed: int, account: bytes = BOB) -> tuple[Name, bytes]:
    """A medium of one chunk, of which nothing has come."""
    data = pictures.png(size, seed=seed)
    manifest = pictures.of(data)
    blobs.begin(account, manifest)
    return Name(account, manifest.hash), data


def test_claims_push_out_nothing_that_has_begun_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever begins many and sends nothing takes nobody's place, and no room."""
    monkeypatch.setattr(bounds, "MEDIA_CLAIMS", 5)
    blobs = opened(tmp_path, cap=8 * len(DATA))
    kept = bring(blobs, pictures.png(1000, seed=99))
    blobs.begin(ANN, WHOLE)
    blobs.admit(NAME, len(PARTS[0]), 0)
    blobs.write(NAME, 0, PARTS[0])
    claims = [begun(blobs, len(DATA), seed)[0] for seed in range(9)]
    there = [name in blobs.under_way for name in claims]
    assert there == [False] * 4 + [True] * 5, "those that were begun first are begun again, and lose nothing"
    assert blobs.used(Area.PARTIAL) <= 2 * len(PARTS[0]) and blobs.find(kept) is Area.KEPT
    assert blobs.begin(ANN, WHOLE) == {0}
    again = opened(tmp_path, cap=8 * len(DATA))
    assert begun(again, len(DATA), 20)[0] in again.under_way and claims[4] not in again.under_way
    assert again.begin(ANN, WHOLE) == {0}, "as it is known what has come after the process was started anew"


def test_a_full_house_begins_nothing_further_until_something_ends_or_is_left_alone(tmp_path: Path) -> None:
    size = 9_000
    room = room_of(size) + room_of(1)
    blobs = opened(tmp_path, cap=4 * 2 * room)
    (first, one), (second, two), (third, three) = (begun(blobs, size, seed) for seed in range(3))
    for name, data in ((first, one), (second, two)):
        blobs.admit(name, size, 0)
        blobs.write(name, 0, data)
    for at_us in (0, time.time_ns() // 1000):
        with pytest.raises(WireError) as caught:
            blobs.admit(third, size, at_us)
        assert caught.value.kind is BUSY and caught.value.retry_after_ms
    blobs.admit(first, size, 0)  # what has begun to come goes on
    late_us = time.time_ns() // 1000 + int(bounds.MEDIA_IDLE_S * 1e6) + 1_000_000
    blobs.admit(third, size, late_us)
    assert first not in blobs.under_way and second in blobs.under_way, "the one longest untouched went"
    blobs.write(third, 0, three)
    assert blobs.used(Area.PARTIAL) == 2 * room >= opened(tmp_path).used(Area.PARTIAL) > room
    for name in (second, third):
        blobs.drop(Area.PARTIAL, name)
        blobs.drop(Area.PARTIAL, name)
    assert blobs.used(Area.PARTIAL) == 0


def test_what_comes_for_an_upload_that_was_given_up_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = opened(tmp_path)
    blobs.begin(ANN, WHOLE)
    write = os.pwrite

    def and_drop(*words: Any) -> int:
        blobs.drop(Area.PARTIAL, NAME)
        return write(*words)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", and_drop)
        with pytest.raises(WireError) as caught:
            blobs.write(NAME, 0, PARTS[0])
    assert caught.value.kind is NOT_FOUND and blobs.used(Area.PARTIAL) == 0


def test_a_disk_without_room_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = opened(tmp_path)
    monkeypatch.setattr(module, "free_bytes", lambda directory: 64 << 20)
    with pytest.raises(DiskFull, match="the disk has"):
        blobs.begin(ANN, WHOLE)


def test_a_disk_that_fills_up_meanwhile_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = opened(tmp_path)
    blobs.begin(ANN, WHOLE)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFull):
            blobs.write(NAME, 0, PARTS[0])
    assert blobs.begin(ANN, WHOLE) == set()
    blobs.write(NAME, 0, PARTS[0])


@pytest.mark.parametrize("left", [0, 5, 4_097])
def test_an_upload_that_a_crash_shortened_goes_on_with_what_is_whole(tmp_path: Path, left: int) -> None:
    blobs = opened(tmp_path)
    blobs.begin(ANN, WHOLE)
    for index in (0, 1):
        blobs.write(NAME, index, PARTS[index])
    os.truncate(blobs._file(Area.PARTIAL, NAME), left + (CHUNK_BYTES if left > 4_096 else 0))
    blobs = opened(tmp_path)
    assert (blobs.used(Area.PARTIAL) == 0) is not bool(blobs.accounts(Area.PARTIAL))
    assert blobs.begin(ANN, WHOLE) == ({0} if left > 4_096 else set())
    bring(blobs, DATA)
    assert blobs.used(Area.PARTIAL) == 0


def test_what_could_not_be_begun_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = opened(tmp_path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DiskFull):
            blobs.begin(ANN, WHOLE)
    bring(blobs, DATA)
    assert blobs.used(Area.PARTIAL) == 0


def test_what_was_longest_unread_leaves_a_full_cache_first(tmp_path: Path) -> None:
    size = 1000
    blobs = opened(tmp_path, cache=3 * room_of(size))
    names = [bring(blobs, pictures.png(size, seed=seed), area=Area.CACHE) for seed in range(3)]
    content(blobs, names[0])
    with blobs.pinned(names[1]):
        bring(blobs, pictures.png(size, seed=3), area=Area.CACHE)
        assert [blobs.find(name) for name in names] == [Area.CACHE, Area.CACHE, None]
        bring(blobs, pictures.png(size, seed=4), area=Area.CACHE)
        assert [blobs.find(name) for name in names] == [None, Area.CACHE, None]
    assert blobs.used(Area.CACHE) <= 3 * room_of(size)
    kept = bring(blobs, pictures.png(size, seed=9), area=Area.KEPT)
    for seed in range(10, 14):
        bring(blobs, pictures.png(size, seed=seed), area=Area.CACHE)
    assert blobs.find(kept) is Area.KEPT, "what is kept is no cache"


def test_notes_outlive_the_process_and_go_with_the_file(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    name = bring(blobs, DATA)
    blobs.renew(name, 5_000_000)
    blobs.mark(name, 7_000_000)
    [listed] = opened(tmp_path).listed(Area.KEPT, ANN)
    assert (listed.since_us, listed.unused_us) == (5_000_000, 7_000_000)
    blobs.renew(name, 9_000_000)
    [listed] = blobs.listed(Area.KEPT, ANN)
    assert (listed.since_us, listed.unused_us) == (9_000_000, None)
    blobs.mark(name, 10_000_000)
    blobs.drop(Area.KEPT, name)
    assert blobs.listed(Area.KEPT, ANN) == [] and list(tmp_path.rglob("*.unused")) == []


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    for work in (
        lambda: blobs.read(Area.KEPT, NAME, 0),
        lambda: blobs.write(NAME, 0, PARTS[0]),
        lambda: blobs.seal(NAME),
        lambda: blobs.promote(NAME, Area.PARTIAL, Area.KEPT),
    ):
        with pytest.raises(WireError) as caught:
            work()
        assert caught.value.kind is NOT_FOUND


def test_what_stands_there_already_is_counted_once(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    name = bring(blobs, DATA)
    bring(blobs, DATA, area=Area.CACHE)
    blobs.promote(name, Area.CACHE, Area.KEPT)
    blobs.promote(name, Area.CACHE, Area.KEPT)  # as whoever else wanted it kept would
    assert blobs.used(Area.KEPT) == opened(tmp_path).used(Area.KEPT) and not blobs.used(Area.CACHE)


def test_an_upload_is_begun_once_by_however_many_at_once(tmp_path: Path) -> None:
    blobs = opened(tmp_path)

    def begin(_: int) -> set[int]:
        return blobs.begin(ANN, WHOLE)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            assert list(pool.map(begin, range(4))) == [set()] * 4
            assert blobs.used(Area.PARTIAL) == opened(tmp_path).used(Area.PARTIAL)
            blobs.drop(Area.PARTIAL, NAME)


def test_files_of_others_are_passed_over(tmp_path: Path) -> None:
    name = bring(opened(tmp_path), DATA)
    folder = opened(tmp_path)._file(Area.KEPT, name).parent
    for stray in (folder / ".nfs0001", folder / "ab", folder.parent.parent / ".DS_Store"):
        stray.write_bytes(b"?")
    (folder.parent.parent / "lost+found").mkdir()
    blobs = opened(tmp_path)
    assert blobs.accounts(Area.KEPT) == [ANN]
    assert [each.hash for each in blobs.listed(Area.KEPT, ANN)] == [WHOLE.hash]


def test_what_is_renewed_is_not_given_up_and_what_was_given_up_is_not_renewed(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    name = bring(blobs, DATA)
    blobs.mark(name, 7_000_000)
    [seen] = blobs.listed(Area.KEPT, ANN)
    assert blobs.renew(name, 9_000_000) and not blobs.give_up(name, seen)
    blobs.mark(name, 7_000_000)
    assert not blobs.give_up(name, seen), "it was brought again and noted again"
    [seen] = blobs.listed(Area.KEPT, ANN)
    assert blobs.give_up(name, seen) and not blobs.renew(name, 9_000_000)
    blobs.mark(name, 9_000_000)
    assert list(tmp_path.rglob("*.unused")) == [], "nothing is noted of what is gone"


def test_what_the_disk_cannot_give_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = opened(tmp_path)
    name = bring(blobs, DATA)

    def fails(*_: object) -> NoReturn:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fails)
    for work in (lambda: blobs.read(Area.KEPT, name, 0), lambda: blobs.manifest(Area.KEPT, name)):
        with pytest.raises(StorageError, match="Input/output error"):
            work()
