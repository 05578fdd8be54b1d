"""What the gate knew of posts is on disk a moment later; what there is no time or room for is left out."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from folkmoot.node.actors.signal_keeper import SignalKeeper
from folkmoot.node.moderation.noting import Note
from folkmoot.protocol.moderation import bounds
from folkmoot.storage import judged
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.judged import Judged
from folkmoot.storage.transaction import Admission

from tests.moderation.test_gatekeeper import post
from tests.node.alone import Commits, disks_first


async def test_many_posts_share_a_commit_and_none_waits(autojump_clock: trio.testing.MockClock) -> None:
    async with disks_first() as (disks, actors):
        commits = Commits(bytes(16), disks)
        keeper = SignalKeeper(commits, 100)
        actors.start_soon(keeper.run)
        records = [post("a post", number) for number in range(5)]
        await commits.run(
            lambda writing: [writing.put_record(record) for record in records], Admission.CLIENT_PUT
        )
        before = commits.store.engine.commits
        for at, record in enumerate(records):
            keeper.note(Note(record, at, {"flood.author_rate": 1.0}, {}))
        await trio.sleep(2 * bounds.SIGNALS_PAUSE_S)
        assert judged.latest(commits.store.engine, 10)[1] == 5
        assert commits.store.engine.commits == before + 1
        commits.refusals.append(DiskFull("full"))
        keeper.note(Note(post("one more", 9), 9, {}, {}))
        await trio.sleep(2 * bounds.SIGNALS_PAUSE_S)
        assert keeper.left_out == 1


@pytest.mark.parametrize("most", [0, 2])
async def test_a_node_that_is_to_keep_less_forgets_the_rest_in_steps(
    most: int, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "SIGNALS_FORGOTTEN", 3)
    async with disks_first() as (disks, actors):
        commits = Commits(bytes(16), disks)
        records = [post("a post", number) for number in range(8)]
        some = [Judged(record.key, record.id, at, {}) for at, record in enumerate(records)]
        await commits.run(
            lambda writing: [writing.put_record(record) for record in records], Admission.CLIENT_PUT
        )
        await commits.run(lambda writing: judged.keep(writing, some, 100), Admission.CLIENT_PUT)
        commits.refusals.append(DiskFull("full"))
        actors.start_soon(SignalKeeper(commits, most).run)
        counts = []
        await trio.sleep(bounds.SIGNALS_PAUSE_S / 2)
        for _ in range(5):
            counts.append(judged.count(commits.store.engine))
            await trio.sleep(bounds.SIGNALS_PAUSE_S)
        assert counts == [8, 5, max(2, most), most, most]


def test_what_comes_too_fast_is_left_out() -> None:
    keeper = SignalKeeper(None, 100)  # type: ignore[arg-type]  # it never gets to write
    record = post("a post")
    for at in range(bounds.SIGNALS_WAITING + 3):
        keeper.note(Note(record, at, {}, {}))
    assert keeper.left_out == 3
