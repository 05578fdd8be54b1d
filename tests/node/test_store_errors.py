"""What the store could not do: plain words for who asked, what to do for the operator."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from folkmoot.node.rpc import wire_error
from folkmoot.node.store_errors import TELL_AGAIN_US, StoreErrors
from folkmoot.protocol.errors import DISK_FULL
from folkmoot.storage import errors
from folkmoot.storage.damage import Damage
from folkmoot.storage.errors import DiskFull, StorageError, StoreCorrupt
from folkmoot.storage.media.layout import MediumDamaged
from folkmoot.storage.search.errors import IndexDamaged

HERE = Path("/var/lib/folkmoot/store")
EVERY = [
    errors.StoreLocked(HERE, 7),
    errors.StoreUnusable(HERE, "it is a file"),
    errors.StoreReadOnly(HERE / "data.mdb", "EROFS"),
    StoreCorrupt(f"{HERE}, table cells", "its checksum does not fit", cell_key=b"k"),
    errors.SchemaTooNew(9, 3),
    errors.WrongStore("node", "ab", "cd"),
    errors.StoreBeingRead(HERE),
    DiskFull(f"{HERE}: no space left on device"),
    errors.StoreClosed(),
    errors.CommitFailed(f"{HERE}: EIO"),
    IndexDamaged(f"{HERE}: database disk image is malformed"),
    MediumDamaged(HERE, "its hash is another one"),
]


class Clock:
    at_us = 10 * TELL_AGAIN_US

    def now_us(self) -> int:
        return self.at_us


def test_every_error_is_tried() -> None:
    assert {type(error) for error in EVERY} == set(StorageError.__subclasses__())


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_who_asked_learns_nothing_of_the_machine(
    error: StorageError, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    told = wire_error(error, "record.put")
    assert told.kind is error.kind
    for word in (
        "/var",
        "--data",
        "`",
        "folkmoot",
        "daemon",
        "raise the disk cap",
        "chown",
        "EIO",
        "process",
    ):
        assert word not in told.message
    assert str(error) in caplog.text, "the operator is told in full"


def test_damage_is_told_in_full_and_noted(caplog: pytest.LogCaptureFixture) -> None:
    damage = Damage()
    told = StoreErrors(damage, Clock()).in_the_contract(
        StoreCorrupt("table cells", "its checksum does not fit", cell_key=b"k")
    )
    assert damage.keys == [b"k"]
    assert "folkmoot store verify" in caplog.text
    assert "folkmoot" not in told.message


def test_a_full_disk_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock = Clock()
    store_errors = StoreErrors(Damage(), clock)

    def refused(times: int) -> int:
        """How many lines were logged meanwhile."""
        caplog.clear()
        for _ in range(times):
            assert store_errors.in_the_contract(DiskFull("91 of 100 bytes are live")).kind is DISK_FULL
        return len(caplog.records)

    assert refused(100) == 1
    assert "raise the disk cap" in caplog.text
    assert refused(100) == 0
    clock.at_us += TELL_AGAIN_US
    assert refused(100) == 1
    clock.at_us -= 5 * TELL_AGAIN_US
    assert refused(100) == 1, "a clock that was put back holds nothing up"
