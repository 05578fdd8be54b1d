"""A policy that judges without effect: what it cannot keep up with is left out, and nothing waits for it."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing
from folkmoot.node.moderation.noting import Note
from folkmoot.node.moderation.shadow import Shadow
from folkmoot.protocol.moderation import bounds
from folkmoot.storage.errors import DiskFull

from tests.moderation.documents import engine, rule, word_list
from tests.moderation.test_gatekeeper import Clock, post
from tests.node.alone import Commits, disks_first
from tests.node.doubles import InlineExecutor
from tests.waiting import until

FILE = Path("policy.toml")
IN_FORCE = engine()
TRIED = engine(word_list("spam", ["buy"]), rule("spam", ["spam"], "hold"))


class Kept:
    """Documents that are all there."""

    def find(self, name: bytes) -> bytes:
        return name

    async def compile(self, document: bytes) -> object:
        await trio.lowlevel.checkpoint()
        return TRIED


def shadow_on(commits: Commits) -> Shadow:
    return Shadow(commits, InlineExecutor(), Clock(), Kept(), lambda: IN_FORCE)  # type: ignore[arg-type]


async def test_what_comes_too_fast_is_left_out_and_counted(autojump_clock: trio.testing.MockClock) -> None:
    async with disks_first() as (disks, actors):
        commits = Commits(bytes(16), disks)
        shadow = shadow_on(commits)
        shadow.note(Note(post("buy"), 1, {}, {}))
        assert shadow.told() is None and not shadow.wants, "nothing judges without effect yet"
        await shadow.begin(TRIED)
        for number in range(bounds.SHADOW_WAITING + 5):
            shadow.note(Note(post("buy", number), number, {}, {}))
        told = shadow.told()
        assert told is not None and (told["left_out"], told["waiting"]) == (5, bounds.SHADOW_WAITING)
        actors.start_soon(shadow.run)
        await until(lambda: (shadow.told() or {})["posts"] == bounds.SHADOW_WAITING, what="the rest")
        commits.refusals.append(DiskFull("full"))
        await trio.sleep(2 * bounds.SHADOW_KEPT_S)  # which is not written, and judged on
        shadow.note(Note(post("buy", 9_999), 1, {}, {}))
        await trio.sleep(2 * bounds.SHADOW_KEPT_S)
        again = shadow_on(commits)
        await again.open()
        kept, there = again.told(), shadow.told()
        assert kept is not None and there is not None
        for name in ("posts", "actions", "left_out", "since_ms", "queue", "languages"):
            assert kept[name] == there[name], name
        assert kept["rules"][0]["gained"] == bounds.SHADOW_WAITING + 1
        assert kept["rules"][0]["samples"] == {"gained": [], "lost": []}, "no text is on disk"
