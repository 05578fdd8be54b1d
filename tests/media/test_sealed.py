"""Sealed media on a disk: moved aside once it is written down, and never again without a line about it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from folkmoot.node.simulation.files import PowerCut, SimulatedFiles
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, INTERNAL, NOT_FOUND, ErrorKind, WireError
from folkmoot.protocol.media.custody import Entry
from folkmoot.protocol.media.manifest import CHUNK_BYTES
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.media import files as files_module
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.files import OsFiles
from folkmoot.storage.media.layout import Area, Name
from folkmoot.storage.media.sealed import SealedMedia, lies_in, records_in

from tests.media import pictures
from tests.media.test_blobs import ANN, DATA, NAME, PARTS, WHOLE, bring, full, opened
from tests.media.test_custody import ERASED, HANDED, OPENED, SEALED

FOLDER = Path("n1/media")
SMALL = pictures.png(CHUNK_BYTES + 77)


def sealed(blobs: Blobs, cap: int = 1 << 30) -> SealedMedia:
    return SealedMedia(blobs, cap)


def content(media: SealedMedia, name: Name = NAME) -> bytes:
    count = len(media.manifest(name).chunks)
    return b"".join(media.read(name, index) for index in range(count))


def said(media: SealedMedia, name: Name = NAME) -> list[str]:
    return [each.what for each in media.custody(name).entries]


def refused(kind: ErrorKind, work: Callable[[], object]) -> None:
    with pytest.raises(WireError) as told:
        work()
    assert told.value.kind is kind


@pytest.mark.parametrize("area", [Area.KEPT, Area.CACHE])
def test_what_is_sealed_lies_aside_with_its_record_for_the_node_alone(tmp_path: Path, area: Area) -> None:
    blobs = opened(tmp_path)
    bring(blobs, DATA, area=area)
    if area is Area.KEPT:
        blobs.mark(NAME, 5)
    used, media = blobs.used(area), sealed(blobs)
    assert NAME not in media and media.known() == {}
    assert media.seal(NAME, SEALED)
    assert NAME in media and content(media) == DATA
    assert blobs.find(NAME) is None and blobs.used(area) == 0 and blobs.used(Area.SEALED) == used
    files = [each for each in (tmp_path / "media").rglob("*") if each.is_file()]
    assert {file.suffix for file in files} == {"", ".custody"} and len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(files[0].parent.stat().st_mode) == 0o700
    known = media.known()[NAME]
    assert (known.state, known.found, known.sealed_us, known.opened) == ("sealed", SEALED.found, 10, 0)


def test_everything_is_written_down_and_outlives_the_process(tmp_path: Path) -> None:
    bring(blobs := opened(tmp_path), DATA)
    media = sealed(blobs)
    media.seal(NAME, SEALED)
    refused(CONFLICT, lambda: media.note(NAME, ERASED))
    assert said(media) == ["sealed"], "what may not be done is not written down as done"
    for entry in (OPENED, HANDED):
        media.note(NAME, entry)
    again = sealed(opened(tmp_path))
    assert again.custody(NAME).entries == (SEALED, OPENED, HANDED) and content(again) == DATA
    assert again.known()[NAME].case == "A-7" and again.known()[NAME].state == "handed_over"
    assert again.note(NAME, ERASED).state == "erased"
    refused(NOT_FOUND, lambda: again.read(NAME, 0))
    refused(CONFLICT, lambda: again.note(NAME, OPENED))
    last = sealed(opened(tmp_path))
    assert said(last) == ["sealed", "opened", "handed_over", "erased"], "the record is what is left"
    assert NAME in last and last.known()[NAME].state == "erased"


def test_what_comes_once_more_is_taken_away(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    bring(blobs, DATA)
    media = sealed(blobs)
    media.seal(NAME, SEALED)
    for area in (Area.KEPT, Area.CACHE):
        bring(blobs, DATA, area=area)
        media.clear(NAME)
        assert blobs.find(NAME) is None and content(media) == DATA
    media.note(NAME, HANDED)
    media.note(NAME, ERASED)
    bring(blobs, DATA)
    assert media.seal(NAME, SEALED) and blobs.find(NAME) is None
    assert media.known()[NAME].state == "erased" and said(media) == ["sealed", "handed_over", "erased"]


def test_uploads_find_room_up_to_the_cap_and_what_was_kept_in_any_case(tmp_path: Path) -> None:
    blobs = opened(tmp_path)
    media = sealed(blobs, cap=len(DATA) + 20_000)
    bring(blobs, DATA, area=Area.CACHE)
    assert media.seal(NAME, SEALED)
    other = bring(blobs, SMALL, area=Area.CACHE)
    entry = Entry("sealed", 1, found=SEALED.found)
    full_of = SealedMedia(blobs, media.used_bytes + 4_096)
    assert not full_of.seal(other, entry), "it would pass the cap"
    assert blobs.find(other) is None and other not in full_of
    bring(blobs, SMALL)
    assert full_of.seal(other, entry) and content(full_of, other) == SMALL


def test_a_disk_that_cannot_be_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = opened(tmp_path)
    bring(blobs, DATA)
    media = sealed(blobs)
    with monkeypatch.context() as patch:
        patch.setattr(files_module.OsFile, "write", full)
        with pytest.raises(DiskFull):
            media.seal(NAME, SEALED)
    assert blobs.find(NAME) is Area.KEPT and NAME not in media
    media.seal(NAME, SEALED)
    for step in ("write", "sync"):
        with monkeypatch.context() as patch:
            patch.setattr(files_module.OsFile, step, full)
            with pytest.raises(DiskFull):
                media.note(NAME, OPENED)
    assert media.known()[NAME].opened == 0 and content(media) == DATA


def test_a_torn_line_stays_and_the_next_begins_after_it(tmp_path: Path) -> None:
    bring(blobs := opened(tmp_path), DATA)
    media = sealed(blobs)
    media.seal(NAME, SEALED)
    [record] = (tmp_path / "media").rglob("*.custody")
    before = record.read_bytes() + OPENED.line()[:-9]
    record.write_bytes(before)
    again = sealed(opened(tmp_path))
    assert again.known()[NAME].damaged == 1
    again.note(NAME, HANDED)
    assert record.read_bytes() == before + b"\n" + HANDED.line(), "what stood there stands there"
    assert said(again) == ["sealed", "handed_over"] and again.known()[NAME].damaged == 1


def test_without_a_whole_line_and_bytes_nothing_was_sealed(tmp_path: Path) -> None:
    bring(blobs := opened(tmp_path), DATA)
    media = sealed(blobs)
    media.seal(NAME, SEALED)
    [record] = (tmp_path / "media").rglob("*.custody")
    record.write_bytes(SEALED.line()[:20])
    torn = sealed(opened(tmp_path))
    assert torn.known()[NAME].state == "sealed", "its bytes lie there"
    assert torn.known()[NAME].kept_since_us is None and content(torn) == DATA
    blobs.drop(Area.SEALED, NAME)
    assert NAME not in sealed(opened(tmp_path))
    bring(blobs, DATA)
    assert sealed(opened(tmp_path)).seal(NAME, SEALED)


def test_bytes_that_are_gone_or_changed_are_told(tmp_path: Path) -> None:
    bring(blobs := opened(tmp_path), DATA)
    media = sealed(blobs)
    media.seal(NAME, SEALED)
    refused(BAD_REQUEST, lambda: media.read(NAME, len(PARTS)))
    [file] = (each for each in (tmp_path / "media").rglob(WHOLE.hash.hex()))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    assert media.read(NAME, 0) == PARTS[0]
    refused(INTERNAL, lambda: media.read(NAME, len(PARTS) - 1))
    assert file.exists(), "it is evidence all the same"
    file.unlink()
    lost = sealed(opened(tmp_path))
    assert lost.known()[NAME].state == "lost"
    refused(NOT_FOUND, lambda: lost.note(NAME, OPENED))
    assert said(lost) == ["sealed"]
    assert lost.note(NAME, HANDED).state == "lost" and lost.note(NAME, ERASED).state == "erased"


def test_what_was_done_meanwhile_is_seen(tmp_path: Path) -> None:
    bring(blobs := opened(tmp_path), DATA)
    media = sealed(blobs)
    media.seal(NAME, SEALED)
    seen = media.known()[NAME]
    media.note(NAME, HANDED)
    refused(CONFLICT, lambda: media.note(NAME, Entry("erased", 50), seen))
    assert media.note(NAME, Entry("erased", 50), media.known()[NAME]).state == "erased"


def test_what_is_not_sealed_is_not_found(tmp_path: Path) -> None:
    media = sealed(opened(tmp_path))
    other = Name(ANN, bytes(32))
    for work in (
        lambda: media.custody(other),
        lambda: media.note(other, OPENED),
        lambda: media.manifest(other),
        lambda: media.read(other, 0),
        lambda: media.seal(other, SEALED),
    ):
        refused(NOT_FOUND, work)
    media.clear(other)
    assert media.known() == {} and not list((tmp_path / "media").rglob("*.custody"))


def test_records_are_read_without_a_node_and_strange_files_passed_over(tmp_path: Path) -> None:
    area = tmp_path / "media" / "sealed"
    assert list(records_in(OsFiles(), area)) == []
    bring(blobs := opened(tmp_path), DATA)
    sealed(blobs).seal(NAME, SEALED)
    [record] = area.rglob("*.custody")
    (record.parent / "notes.txt").write_text("somebody's own")
    (record.parent / "abc.custody").write_text("nonsense")
    [(name, custody)] = records_in(OsFiles(), area)
    assert name == NAME and custody.entries == (SEALED,) and lies_in(OsFiles(), area, NAME)


def disks(work: Callable[[Blobs], object]) -> list[tuple[int, SimulatedFiles]]:
    """What is left when the power fails after each step of `work`, by how many steps were done."""
    found: list[tuple[int, SimulatedFiles]] = []
    for steps in range(128):
        files = SimulatedFiles()
        blobs = Blobs(files, FOLDER, 1 << 30, 1 << 30)
        blobs.begin(ANN, pictures.of(SMALL))
        for index, part in enumerate(pictures.chunks(SMALL, pictures.of(SMALL))):
            blobs.write(LITTLE, index, part)
        blobs.seal(LITTLE)
        blobs.promote(LITTLE, Area.PARTIAL, Area.KEPT)
        files.cut_after(steps)
        try:
            work(blobs)
        except PowerCut:
            found += [(steps, files.crash(Random(seed))) for seed in range(4)]
        else:
            return [*found, *((-1, files.crash(Random(seed))) for seed in range(20))]
    raise AssertionError("it never ends")


LITTLE = Name(ANN, pictures.of(SMALL).hash)


def test_wherever_the_power_fails_sealed_is_sealed_and_what_was_noted_is_there() -> None:
    done: list[str] = []

    def seal_and_look(blobs: Blobs) -> None:
        done.clear()
        media = sealed(blobs)
        for what, work in (
            ("sealed", lambda: media.seal(LITTLE, SEALED)),
            ("opened", lambda: media.note(LITTLE, OPENED)),
            ("handed_over", lambda: media.note(LITTLE, HANDED)),
        ):
            work()
            done.append(what)

    noted: dict[int, list[str]] = {}

    def remembering(blobs: Blobs) -> None:
        try:
            seal_and_look(blobs)
        finally:
            noted[len(noted)] = list(done)

    for steps, files in disks(remembering):
        blobs = Blobs(files, FOLDER, 1 << 30, 1 << 30)
        media = SealedMedia(blobs, 1 << 30)
        promised = noted[steps if steps >= 0 else len(noted) - 1]
        if promised:
            assert said(media, LITTLE)[: len(promised)] == promised, "it was answered: it is there"
            assert content(media, LITTLE) == SMALL
        if LITTLE in media and media.known()[LITTLE].state != "lost":
            assert blobs.find(LITTLE) is None, "it lies in one place"


def test_wherever_the_power_fails_what_is_erased_leaves_its_record() -> None:
    def erase(blobs: Blobs) -> None:
        media = sealed(blobs)
        for work in (
            lambda: media.seal(LITTLE, SEALED),
            lambda: media.note(LITTLE, HANDED),
            lambda: media.note(LITTLE, ERASED),
        ):
            work()

    for steps, files in disks(erase):
        media = SealedMedia(Blobs(files, FOLDER, 1 << 30, 1 << 30), 1 << 30)
        if LITTLE not in media:
            continue
        is_erased = "erased" in said(media, LITTLE)
        assert is_erased is (media.known()[LITTLE].state == "erased")
        assert not is_erased or not lies_in(files, FOLDER / "sealed", LITTLE)
        assert steps >= 0 or is_erased
