"""How long sealed media are kept, what is told of them, and what becomes of the others."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec
import pytest
import trio
from folkmoot.node.actors.session import Asker
from folkmoot.node.configuration.screening_section import ScreeningSection
from folkmoot.node.media.sealed_methods import SealedMethods
from folkmoot.node.media.sealing import Sealing
from folkmoot.node.moderation.media.outcome import Outcome
from folkmoot.protocol.errors import FORBIDDEN, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.custody import DAY_US, Entry
from folkmoot.protocol.media.manifest import CHUNK_BYTES
from folkmoot.storage.media.layout import Area
from folkmoot.storage.media.sealed import SealedMedia

from tests.media.test_blobs import DATA, NAME, WHOLE, bring, full, opened
from tests.media.test_custody import EXPERT

T = TypeVar("T")

FOUND = Outcome("sealed", b"", "", "worst", "worst-kind", 3, bytes(32))


class Here:
    """An executor that does what it is told at once."""

    async def run(self, work: Callable[[], T]) -> T:
        return work()

    def spent_s(self) -> float:
        return 0.0


class Clock:
    """A wall clock that stands where it is set."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.us


class Stage:
    """One node's sealed media with a medium that is kept.

    Args:
        directory: an empty one.
        experts: how many there are.
    """

    def __init__(self, directory: Path, experts: int = 1, days: float = 365.0) -> None:
        self.clock, self.blobs = Clock(), opened(directory)
        bring(self.blobs, DATA)
        media = SealedMedia(self.blobs, 1 << 30)
        self.sealing = Sealing(
            media, Here(), self.clock, ScreeningSection(sealed_kept_days=days), lambda: experts
        )

    async def sealed(self) -> None:
        await self.sealing.seal(NAME, FOUND, WHOLE)

    async def handed_over(self) -> None:
        entry = Entry("handed_over", self.clock.us, EXPERT, EXPERT, "as the law says", "A-7")
        await self.sealing.note(NAME, entry)

    @property
    def state(self) -> str:
        return self.sealing.media.known()[NAME].state

    async def swept(
        self, autojump_clock: trio.testing.MockClock, hours: float = bounds.SEALED_DUE_S / 3600
    ) -> str:
        """Sweep, and once more later by the node's own time; the state then."""
        await self.sealing.sweep()
        await trio.sleep(hours * 3600)
        await self.sealing.sweep()
        return self.state


async def test_what_is_sealed_is_erased_after_so_long_and_its_record_says_so(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path)
    await stage.sealed()
    assert await stage.swept(autojump_clock) == "sealed"
    stage.clock.us += 365 * DAY_US - 1
    assert await stage.swept(autojump_clock) == "sealed"
    stage.clock.us += 1
    assert await stage.swept(autojump_clock) == "erased" and not stage.blobs.used(Area.SEALED)
    custody = await stage.sealing.custody(NAME)
    assert [each.what for each in custody.entries] == ["sealed", "erased"]
    assert custody.entries[-1].by is None and "365 days" in custody.entries[-1].reason
    assert "never handed over" in caplog.text
    assert (
        await stage.swept(autojump_clock) == "erased"
        and len((await stage.sealing.custody(NAME)).entries) == 2
    )


async def test_the_time_begins_when_it_is_handed_over(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path, days=10)
    await stage.sealed()
    stage.clock.us += 9 * DAY_US
    await stage.handed_over()
    stage.clock.us += 9 * DAY_US
    assert await stage.swept(autojump_clock) == "handed_over"
    stage.clock.us += DAY_US
    assert await stage.swept(autojump_clock) == "erased" and "never handed over" not in caplog.text


async def test_a_clock_that_is_wrong_for_a_while_erases_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    stage = Stage(tmp_path)
    await stage.sealed()
    stage.clock.us += 400 * DAY_US
    assert await stage.swept(autojump_clock, hours=1) == "sealed"
    stage.clock.us -= 400 * DAY_US
    await stage.sealing.sweep()
    stage.clock.us += 400 * DAY_US
    assert await stage.swept(autojump_clock, hours=1) == "sealed", "the time it was due before does not count"
    assert await stage.swept(autojump_clock) == "erased"


async def test_who_hands_it_over_this_moment_is_not_forestalled(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path)
    await stage.sealed()
    stage.clock.us += 400 * DAY_US
    real: Callable[[Callable[[], Any]], Awaitable[Any]] = stage.sealing.run_blocking

    async def after_the_expert(work: Callable[[], Any]) -> Any:
        monkeypatch.setattr(stage.sealing, "run_blocking", real)
        await stage.handed_over()
        return await real(work)

    await stage.sealing.sweep()
    await trio.sleep(bounds.SEALED_DUE_S)
    monkeypatch.setattr(stage.sealing, "run_blocking", after_the_expert)
    await stage.sealing.sweep()
    assert stage.state == "handed_over"


async def test_nothing_is_erased_by_itself_when_told_so_and_a_reload_changes_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    stage = Stage(tmp_path, days=0)
    await stage.sealed()
    stage.clock.us += 40_000 * DAY_US
    assert await stage.swept(autojump_clock) == "sealed"
    stage.sealing.reload(msgspec.structs.replace(ScreeningSection(), sealed_kept_days=1.0))
    assert await stage.swept(autojump_clock) == "erased"


async def test_a_disk_that_cannot_be_written_erases_nothing_and_is_asked_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from folkmoot.storage.media import files

    stage = Stage(tmp_path)
    await stage.sealed()
    stage.clock.us += 400 * DAY_US
    with monkeypatch.context() as patch:
        patch.setattr(files.OsFile, "write", full)
        assert await stage.swept(autojump_clock) == "sealed"
    await stage.sealing.sweep()
    assert stage.state == "erased"


async def test_it_runs_by_itself(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    stage = Stage(tmp_path)
    await stage.sealed()
    stage.clock.us += 400 * DAY_US
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.sealing.run)
        await trio.sleep(bounds.SEALED_DUE_S + 2 * bounds.SEALED_SWEEP_S)
        nursery.cancel_scope.cancel()
    assert stage.state == "erased"


@pytest.mark.parametrize("experts", [0, 1])
async def test_operators_are_told_and_warned_when_nobody_can_deal_with_it(
    tmp_path: Path, experts: int, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path, experts)
    caplog.set_level(logging.INFO)
    await stage.sealed()
    told = stage.sealing.status()
    assert (told["sealed"], told["handed_over"], told["erased"], told["lost"]) == (1, 0, 0, 0)
    assert told["experts"] == experts and told["bytes"] > len(DATA) and stage.sealing.waiting == 1
    assert ("nobody has the role expert" in caplog.text) is (experts == 0)
    await stage.handed_over()
    assert stage.sealing.waiting == 0


async def test_an_upload_without_room_is_erased_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path)
    stage.sealing.media.cap_bytes = 4_096
    stage.blobs.promote(NAME, Area.KEPT, Area.CACHE)
    await stage.sealed()
    assert stage.sealing.refused == 1 and stage.sealing.status()["refused"] == 1
    assert stage.blobs.find(NAME) is None and not stage.sealing.is_sealed(NAME)
    assert NAME.hash.hex() in caplog.text and "sealed_cap" in caplog.text


async def test_an_access_ends_after_an_hour_and_when_too_many_are_open(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "SEALED_ACCESSES", 2)
    stage = Stage(tmp_path)
    await stage.sealed()
    methods = SealedMethods(stage.sealing, Random(1)).client_methods()
    asker = Asker(
        "::1", bytes(32), account=EXPERT, device=EXPERT, roles=frozenset({"expert"}), is_private=True
    )
    named = {"account": NAME.account, "hash": NAME.hash}

    async def opened() -> dict[str, Any]:
        told = await methods["sealed.open"](asker, {**named, "reason": "because"})
        return {**named, "access": told["access"]}

    async def refused(asked: dict[str, Any]) -> None:
        with pytest.raises(WireError) as told:
            await methods["sealed.read"](asker, asked)
        assert told.value.kind is FORBIDDEN

    first = await opened()
    await trio.sleep(bounds.SEALED_ACCESS_S - 1)
    assert (await methods["sealed.read"](asker, first))["data"] == DATA[:CHUNK_BYTES]
    await trio.sleep(2)
    await refused(first)
    three = [await opened() for _ in range(3)]
    await refused(three[0])
    for asked in three[1:]:
        assert await methods["sealed.read"](asker, asked)
    asker.is_private = False
    await refused(three[2])
