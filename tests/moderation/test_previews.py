"""Previews at one node, alone: one at a time, for whoever asks, kept for a day and found by other nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec
import pytest
import trio
import trio.testing
from folkmoot.node.environment import Executor
from folkmoot.node.moderation.previews import PREVIEWED, Previews, Task, Wanted
from folkmoot.protocol.community.previewed import Preview
from folkmoot.protocol.errors import BUSY, NOT_FOUND, WireError
from folkmoot.protocol.moderation import bounds
from folkmoot.storage import judged, previews
from folkmoot.storage.judged import Judged
from folkmoot.storage.transaction import Admission

from tests.community.people import NOW, document
from tests.moderation.documents import engine, rule, word_list
from tests.moderation.test_gatekeeper import Clock, post
from tests.node.alone import Commits, disks_first
from tests.node.doubles import InlineExecutor, ScriptedPeers

T = TypeVar("T")

ME, OTHER = b"\x01" * 16, b"\x02" * 16
IN_FORCE = engine()
TRIED = engine(word_list("spam", ["buy"]), rule("spam", ["spam"], "hold"))
PREVIEW = Preview(document("new"), None, OTHER, NOW, 5, document("counts"))


class Aside(InlineExecutor):
    """Tells whether work is being done off the event loop.

    Attributes:
        busy: whether it is.
    """

    busy = False

    async def run(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        self.busy = True
        try:
            return work()
        finally:
            self.busy = False


def previews_on(
    commits: Commits, peers: ScriptedPeers | None = None, executor: Executor | None = None
) -> Previews:
    others = [] if peers is None else [OTHER]
    here = executor or InlineExecutor()
    return Previews(ME, "eu", commits, here, Clock(), lambda: others, peers or ScriptedPeers({}))


def begun(made: Previews, name: str = "new") -> Task:
    return made.begin(Wanted(document(name), None, 100), IN_FORCE, TRIED)


async def judge(commits: Commits, posts: int) -> None:
    """Have posts in the store, and what was known of them."""
    records = [post("buy", number) for number in range(posts)]
    some = [Judged(record.key, record.id, at, {}) for at, record in enumerate(records)]
    await commits.run(lambda tx: [tx.put_record(record) for record in records], Admission.CLIENT_PUT)
    await commits.run(lambda tx: judged.keep(tx, some, 1_000), Admission.CLIENT_PUT)


async def test_one_is_made_at_a_time_and_kept(autojump_clock: trio.testing.MockClock) -> None:
    async with disks_first() as (disks, actors):
        commits = Commits(ME, disks)
        await judge(commits, 3)
        made = previews_on(commits)
        task = begun(made)
        assert begun(made) is task, "whoever asks for the same waits for the same"
        with pytest.raises(WireError) as busy:
            begun(made, "another")
        assert busy.value.kind is BUSY
        actors.start_soon(made.run)
        while not task.ended:
            await made.wait(task)
        assert task.report is not None and task.report["posts"] == 3
        assert task.report["rules"][0]["gained"] == 3
        found = await previews_on(commits).find(task.report["preview"])
        assert found is not None and found.hash == task.report["preview"] and found.node == ME
        told = await made.methods()[PREVIEWED](OTHER, {"hash": found.hash})
        assert msgspec.convert(told, Preview) == found
        with pytest.raises(WireError):
            await made.methods()[PREVIEWED](OTHER, {"hash": bytes(32)})
        assert begun(made) is not task, "the next is made anew"


async def test_nothing_of_what_was_judged_is_looked_for_on_the_event_loop(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Aside()
    aside: list[bool] = []

    def watched(look: Callable[..., T]) -> Callable[..., T]:
        def looked(*asked: Any) -> T:
            aside.append(executor.busy)
            return look(*asked)

        return looked

    monkeypatch.setattr(judged, "latest", watched(judged.latest))
    monkeypatch.setattr(judged, "stretch", watched(judged.stretch))
    async with disks_first() as (disks, actors):
        commits = Commits(ME, disks)
        await judge(commits, 3)
        made = previews_on(commits, executor=executor)
        task = begun(made)
        actors.start_soon(made.run)
        while not task.ended:
            await made.wait(task)
    assert aside == [True, True]


async def test_one_that_nobody_asks_about_is_given_up(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with disks_first() as (disks, actors):
        commits = Commits(ME, disks)
        await judge(commits, 3)
        made = previews_on(commits)
        task = begun(made)
        await trio.sleep(2 * bounds.PREVIEW_ASKED_S)
        actors.start_soon(made.run)
        await task.moved.wait()
        assert task.error is not None and task.error.kind is NOT_FOUND
        monkeypatch.setattr(bounds, "PREVIEW_S", -1.0)
        task = begun(made, "slow")
        while not task.ended:
            await made.wait(task)
        assert task.report is not None and (task.report["posts"], task.report["left"]) == (0, 3)
        assert task.report["blocks"] == ["costs_too_much"]


async def test_another_node_is_believed_what_its_hash_says(autojump_clock: trio.testing.MockClock) -> None:
    told = PREVIEW.to_wire()

    async def answer(method: str, params: Mapping[str, Any]) -> Any:
        await trio.lowlevel.checkpoint()
        return told

    async with disks_first() as (disks, _):
        made = previews_on(Commits(ME, disks), ScriptedPeers({OTHER: answer}))
        assert await made.find(PREVIEW.hash) == PREVIEW
        told = {**told, "posts": 500}
        assert await made.find(PREVIEW.hash) is None and await made.find(None) is None


async def test_the_latest_of_a_day_are_kept(autojump_clock: trio.testing.MockClock) -> None:
    async with disks_first() as (disks, _):
        commits = Commits(ME, disks)
        some = [msgspec.structs.replace(PREVIEW, at_ms=NOW + at) for at in range(bounds.PREVIEWS_KEPT + 2)]
        late = msgspec.structs.replace(PREVIEW, at_ms=some[-1].at_ms + bounds.PREVIEW_LASTS_MS)
        for preview, kept in ((some[-2], 2), (some[-1], bounds.PREVIEWS_KEPT), (late, 1)):
            before = [PREVIEW] if kept == 2 else some[:-1]
            keep = partial(previews.keep, before=before, preview=preview)
            await commits.run(keep, Admission.ESSENTIAL)
            assert len(previews.kept(commits.store)) == kept
            assert previews.kept(commits.store)[-1] == preview
