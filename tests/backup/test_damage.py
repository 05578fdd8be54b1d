"""Every kind of damage to a backup is found, named, and used by nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from folkmoot.protocol.crdt.cell import encode_single
from folkmoot.protocol.record import Record
from folkmoot.storage.backup.check import Checked, check, check_alone, check_each
from folkmoot.storage.backup.errors import (
    BackupChainBroken,
    BackupDamaged,
    BackupError,
    BackupMissing,
    BackupTooNew,
    BackupUnreadable,
)
from folkmoot.storage.backup.manifest import NAME, Backup, backups_in, chain_of, load, write_manifest
from folkmoot.storage.backup.parts import PartWriter
from folkmoot.storage.store import Store
from msgspec import UNSET
from msgspec.structs import replace

from tests.backup.making import ANN, BEN, backed_up, filled, restored
from tests.storage.making import post, put


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled(tmp_path / "node", 60)


@pytest.fixture
def chain(store: Store, tmp_path: Path) -> list[Backup]:
    """A full backup and two on top of it."""
    made = [backed_up(store, tmp_path / "backups", part_bytes=2048)]
    for number in (500, 501):
        put(store, post(BEN, number))
        made.append(backed_up(store, tmp_path / "backups", made[-1]))
    return made


def used(folder: Path, target: Path) -> None:
    """Use a backup as a restore does."""
    restored(load(folder), target)


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0x10
    file.write_bytes(data)


def test_a_flipped_bit_anywhere_in_a_part(chain: list[Backup], tmp_path: Path) -> None:
    part = chain[0].folder / chain[0].manifest.parts[1].name
    size = part.stat().st_size
    for at in [*range(0, 40), *range(40, size, 97), size - 1]:
        flip(part, at)
        with pytest.raises(BackupDamaged, match=part.name):
            check(chain_of(chain[2]))
        flip(part, at)
    assert check(chain_of(chain[2])).backups == 3
    flip(part, size // 2)
    with pytest.raises(BackupDamaged):
        used(chain[2].folder, tmp_path / "new")
    assert not (tmp_path / "new").exists(), "found before anything was made"


def test_a_flipped_bit_anywhere_in_a_manifest(chain: list[Backup]) -> None:
    file = chain[0].folder / NAME
    whole = file.read_bytes()
    for at in range(len(whole)):
        flip(file, at)
        if file.read_bytes().split() != whole.split():
            with pytest.raises((BackupDamaged, BackupTooNew)):
                load(chain[0].folder)
        file.write_bytes(whole)
    assert load(chain[0].folder) == chain[0]


@pytest.mark.parametrize("keep", [0, 1, 22, 23, 24, 28, 29, 100, -1])
def test_a_part_that_was_cut_off(chain: list[Backup], keep: int) -> None:
    part = chain[0].folder / chain[0].manifest.parts[0].name
    os.truncate(part, part.stat().st_size - 1 if keep < 0 else keep)
    with pytest.raises(BackupDamaged, match="bytes it was written with"):
        check([chain[0]])


@pytest.mark.parametrize("keep", [0, 1, 100, -2])
def test_a_manifest_that_was_cut_off(chain: list[Backup], keep: int) -> None:
    file = chain[0].folder / NAME
    os.truncate(file, file.stat().st_size + keep if keep < 0 else keep)
    with pytest.raises(BackupDamaged):
        load(chain[0].folder)


def test_a_missing_part(chain: list[Backup]) -> None:
    (chain[0].folder / chain[0].manifest.parts[0].name).unlink()
    with pytest.raises(BackupDamaged, match="missing"):
        check([chain[0]])


def test_a_part_of_another_backup(chain: list[Backup]) -> None:
    one, other = (chain[number].folder / chain[number].manifest.parts[0].name for number in (1, 2))
    one.write_bytes(other.read_bytes())
    with pytest.raises(BackupDamaged):
        check(chain_of(chain[2]))


def rewritten(backup: Backup, add: Callable[[PartWriter], object]) -> Backup:
    """The same backup with one part, right by its sums, that was written by somebody else."""
    writer = PartWriter(backup.folder, "cells-00001", 1)
    add(writer)
    manifest = write_manifest(backup.folder, replace(backup.manifest, parts=(writer.close(),)))
    return Backup(backup.folder, manifest)


def test_a_cell_that_is_none_or_stands_elsewhere(chain: list[Backup]) -> None:
    record = post(ANN, 1)
    with pytest.raises(BackupDamaged, match="it has the cell of"):
        check([rewritten(chain[0], lambda part: part.add(post(ANN, 2).key, _single(record)))])
    with pytest.raises(BackupDamaged, match="cell"):
        check([rewritten(chain[0], lambda part: part.add(record.key, _single(record)[:-1] + b"\x91"))])


def test_a_forged_record_is_found_where_signatures_are_checked(chain: list[Backup], tmp_path: Path) -> None:
    record = post(ANN, 1)
    forged = _single(record).replace(record.signature, bytes(64))
    made = rewritten(chain[0], lambda part: part.add(record.key, forged))
    check_alone(made)
    with pytest.raises(BackupDamaged, match="not signed"):
        check([made], signatures=True)
    with pytest.raises(BackupDamaged, match="not signed"):
        used(made.folder, tmp_path / "new")


def test_cells_that_are_not_all(chain: list[Backup], tmp_path: Path) -> None:
    """Right by every sum, but not what the store had: told by the digest of all cells."""
    made = rewritten(chain[0], lambda part: part.add(post(ANN, 1).key, _single(post(ANN, 1))))
    with pytest.raises(BackupDamaged, match="together"):
        check([made])
    with pytest.raises(BackupDamaged, match="together"):
        used(made.folder, tmp_path / "new")
    assert not (tmp_path / "new").exists(), "found before anything was made"


def test_a_hole_in_the_chain(chain: list[Backup], tmp_path: Path) -> None:
    chain[1].folder.rename(tmp_path / "elsewhere")
    assert chain_of(chain[0]) == [chain[0]]
    with pytest.raises(BackupChainBroken, match="put that backup back"):
        used(chain[2].folder, tmp_path / "new")


def test_what_stands_on_damage_is_not_sound(chain: list[Backup]) -> None:
    flip(chain[1].folder / chain[1].manifest.parts[0].name, 30)
    below, damaged, above = check_each(chain)
    assert isinstance(below, Checked) and below.backups == 1
    assert isinstance(damaged, BackupDamaged)
    assert isinstance(above, BackupChainBroken) and chain[1].folder.name in str(above)


def test_a_link_that_is_not_what_it_was_made_of(chain: list[Backup]) -> None:
    """A backup whose own digest is wrong is of no use, and those above it are judged by their own."""
    changed = write_manifest(chain[1].folder, replace(chain[1].manifest, digest="ff" * 32))
    above = write_manifest(
        chain[2].folder,
        replace(chain[2].manifest, base=replace(chain[2].manifest.base, id=changed.id)),  # type: ignore[type-var]
    )
    answers = check_each(chain_of(Backup(chain[2].folder, above)))
    assert [isinstance(answer, Checked) for answer in answers] == [True, False, True]


def test_a_link_that_cannot_be_read(chain: list[Backup]) -> None:
    flip(chain[1].folder / NAME, 300)
    with pytest.raises(BackupChainBroken):
        chain_of(chain[2])


def test_a_chain_of_another_store(chain: list[Backup]) -> None:
    below = replace(chain[0].manifest, log_id="ff" * 16)
    changed = write_manifest(chain[0].folder, below)
    above = replace(chain[1].manifest, base=replace(chain[1].manifest.base, id=changed.id))  # type: ignore[type-var]
    write_manifest(chain[1].folder, above)
    with pytest.raises(BackupChainBroken, match="not what it was made on top of"):
        chain_of(load(chain[1].folder))


def test_an_older_format(chain: list[Backup], tmp_path: Path) -> None:
    """Format 1 knows of no lanes that are read anew, and counts deletions by cells."""
    parts = tuple(replace(part, deletions=9) for part in chain[0].manifest.parts)
    manifest = write_manifest(chain[0].folder, replace(chain[0].manifest, format=1, anew=UNSET, parts=parts))
    assert "anew" not in (chain[0].folder / NAME).read_text()
    found = load(chain[0].folder)
    assert found.manifest == manifest and found.manifest.lanes_anew == frozenset()
    used(chain[0].folder, tmp_path / "new")


def test_a_newer_format(chain: list[Backup]) -> None:
    file = chain[0].folder / NAME
    file.write_text(json.dumps({"format": 3, "cells": "in another way"}))
    with pytest.raises(BackupTooNew, match="format 3"):
        load(chain[0].folder)


def test_what_is_no_backup(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / NAME / "within a file"):
        with pytest.raises(BackupMissing):
            load(place)
    with pytest.raises(BackupMissing):
        backups_in(tmp_path / "nowhere")
    assert backups_in(tmp_path) == []


def test_what_cannot_be_read(chain: list[Backup], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: object, **more: object) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BackupUnreadable, match="Permission denied"):
        load(chain[0].folder)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BackupUnreadable, match="Permission denied"):
        check([chain[0]])
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(BackupUnreadable, match="Permission denied"):
        backups_in(chain[0].folder.parent)


def test_a_name_that_leads_elsewhere(chain: list[Backup], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"not for restoring")
    part = replace(chain[0].manifest.parts[0], name="../../secret", bytes=secret.stat().st_size)
    manifest = write_manifest(chain[0].folder, replace(chain[0].manifest, parts=(part,)))
    with pytest.raises(BackupError):
        check([Backup(chain[0].folder, manifest)])


def _single(record: Record) -> bytes:
    return encode_single(record.payload, record.signature)
