"""Simulated files: what was synced outlives a power cut, and of the rest anything may be left."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio
from folkmoot.node.simulation.file_work import FileWork
from folkmoot.node.simulation.files import PAGE_BYTES, PowerCut, SimulatedFiles
from folkmoot.protocol.media.manifest import CHUNK_BYTES
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.layout import Area, Name

from tests.media import pictures
from tests.node.people import Author

FOLDER = Path("n1/media")
FILE = FOLDER / "file"
SEEDS = range(40)
ANN = Author(1).account
DATA = pictures.png(CHUNK_BYTES + 77)
WHOLE = pictures.of(DATA)
NAME = Name(ANN, WHOLE.hash)


def written(files: SimulatedFiles, *, file: bool, folder: bool) -> None:
    """A file of three pages whose bytes, and whose name, are synced or not."""
    files.make_folder(FOLDER)
    files.sync_folder(FOLDER.parent)
    made = files.create(FILE)
    made.write(b"x" * (3 * PAGE_BYTES), 0)
    if file:
        made.sync()
    if folder:
        files.sync_folder(FOLDER)


def left(file: bool, folder: bool) -> set[bytes | None]:
    """What may be left of it; None for nothing."""
    found: set[bytes | None] = set()
    for seed in SEEDS:
        files = SimulatedFiles()
        written(files, file=file, folder=folder)
        after = files.crash(Random(seed))
        found.add(after.open(FILE).read(4 * PAGE_BYTES, 0) if after.exists(FILE) else None)
    return found


def test_what_was_synced_is_there_and_the_rest_may_be() -> None:
    whole, pages = b"x" * (3 * PAGE_BYTES), [b"x" * (count * PAGE_BYTES) for count in range(4)]
    assert left(file=True, folder=True) == {whole}
    assert left(file=True, folder=False) == {whole, None}
    assert left(file=False, folder=True) == set(pages)
    assert left(file=False, folder=False) == {*pages, None}


def test_it_is_said_whether_a_power_cut_could_take_something() -> None:
    for file in (False, True):
        for folder in (False, True):
            files = SimulatedFiles()
            written(files, file=file, folder=folder)
            assert files.is_safe(FILE) is (file and folder)
    files.sync_folder(FOLDER)
    files.open(FILE, write=True).write(b"y", 0)
    assert not files.is_safe(FILE), "what was changed since is not"


def test_a_rename_is_two_names() -> None:
    new = FOLDER / "new"
    there: set[tuple[bool, bool]] = set()
    for seed in SEEDS:
        files = SimulatedFiles()
        written(files, file=True, folder=True)
        files.rename(FILE, new)
        after = files.crash(Random(seed))
        there.add((after.exists(FILE), after.exists(new)))
    assert there == {(True, False), (True, True), (False, True)}


def test_a_copy_goes_its_own_way() -> None:
    files = SimulatedFiles()
    written(files, file=True, folder=True)
    copy = files.copy()
    files.unlink(FILE)
    assert copy.exists(FILE) and not files.exists(FILE)
    copy.open(FILE, write=True).write(b"y", 0)
    assert copy.crash(Random(1)).exists(FILE)


def steps_until_done(work: Callable[[Blobs], object]) -> list[SimulatedFiles]:
    """What is left of the disk when the power fails after each step of `work`, and after the last."""
    disks: list[SimulatedFiles] = []
    for steps in range(64):
        files = SimulatedFiles()
        blobs = Blobs(files, FOLDER, 1 << 30, 1 << 30)
        blobs.begin(ANN, WHOLE)
        for index, part in enumerate(pictures.chunks(DATA, WHOLE)):
            blobs.write(NAME, index, part)
        files.cut_after(steps)
        try:
            work(blobs)
        except PowerCut:
            disks += [files.crash(Random(seed)) for seed in range(4)]
        else:
            return [*disks, *(files.crash(Random(seed)) for seed in SEEDS)]
    raise AssertionError("it never ends")


def test_a_medium_is_whole_or_not_there_wherever_the_power_fails() -> None:
    def keep(blobs: Blobs) -> None:
        blobs.seal(NAME)
        blobs.promote(NAME, Area.PARTIAL, Area.KEPT)

    disks = [Blobs(files, FOLDER, 1 << 30, 1 << 30) for files in steps_until_done(keep)]
    for blobs in disks:
        if blobs.find(NAME) is not None:
            parts = [blobs.read(Area.KEPT, NAME, index) for index in range(len(WHOLE.chunks))]
            assert b"".join(parts) == DATA
    assert all(blobs.find(NAME) is Area.KEPT for blobs in disks[-len(SEEDS) :]), "it was acknowledged"


@pytest.mark.parametrize("area", [Area.KEPT, Area.CACHE])
def test_what_was_erased_does_not_return(area: Area) -> None:
    def bring_and_erase(blobs: Blobs) -> None:
        blobs.seal(NAME)
        blobs.promote(NAME, Area.PARTIAL, area)
        blobs.drop(area, NAME)

    for files in steps_until_done(bring_and_erase)[-len(SEEDS) :]:
        assert Blobs(files, FOLDER, 1 << 30, 1 << 30).find(NAME) is None


def create_some(files: SimulatedFiles) -> None:
    for number in range(6):
        files.create(FOLDER / str(number))


def test_what_was_brought_again_counts_as_new_after_a_power_cut() -> None:
    for seed in SEEDS:
        files = SimulatedFiles()
        blobs = Blobs(files, FOLDER, 1 << 30, 1 << 30)
        blobs.begin(ANN, WHOLE)
        for index, part in enumerate(pictures.chunks(DATA, WHOLE)):
            blobs.write(NAME, index, part)
        blobs.seal(NAME)
        blobs.promote(NAME, Area.PARTIAL, Area.KEPT)
        blobs.mark(NAME, 5)
        blobs.renew(NAME, 7, durable=True)
        [listed] = Blobs(files.crash(Random(seed)), FOLDER, 1 << 30, 1 << 30).listed(Area.KEPT, ANN)
        assert (listed.since_us, listed.unused_us) == (7, None)


async def test_work_is_done_in_part_when_the_power_fails_in_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    done: set[int] = set()
    for seed in range(20):
        files = SimulatedFiles()
        files.make_folder(FOLDER)
        work = FileWork(files, lambda: 1.0, Random(seed))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work.run, partial(create_some, files))
            await trio.sleep(0.5)
            work.crash()
            nursery.cancel_scope.cancel()
        done.add(len(files.names(FOLDER)))
    assert {0, 6} < done
