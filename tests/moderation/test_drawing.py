"""Drawing: as often as is said, whatever the post, once it changed something, and no more than may be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, cast

import pytest
import trio
import trio.testing
from folkmoot.node.moderation.drawing import Drawing
from folkmoot.node.system import SystemWallClock
from folkmoot.protocol.limits import MIB
from folkmoot.protocol.moderation.bounds import DRAWS_CHECK_S, DRAWS_WAITING
from folkmoot.protocol.moderation.verdict import Action, Finding, Verdict
from folkmoot.storage.draws import Drawn
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission, WriteTransaction

from tests.moderation.decisions import NODE
from tests.node.people import Author
from tests.storage.making import open_store, run

ANN = Author(2**80)
ACCEPTED = Verdict("ab" * 32)
ADVERT = Finding(Action.LABEL, "adverts", "Sells something.", label="advert")
LABELLED = Verdict("ab" * 32, ADVERT, (ADVERT,))


class Commits:
    """A store that commits at once.

    Attributes:
        full: whether it has no room.
    """

    def __init__(self) -> None:
        self.store: Store = open_store(MemoryEngine(cap_bytes=64 * MIB))
        self.full = False

    async def run(self, job: Callable[[WriteTransaction], Any], admission: Admission) -> Any:
        await trio.lowlevel.checkpoint()
        if self.full:
            raise DiskFull("no room")
        return run(self.store, job)[0]


class Nothing:
    """Of which everything is gone that is said to be.

    Attributes:
        gone_versions: record ids.
    """

    def __init__(self) -> None:
        self.gone_versions: set[bytes] = set()

    async def gone(self, drawn: Sequence[Drawn]) -> list[Drawn]:
        await trio.lowlevel.checkpoint()
        return [each for each in drawn if each.draw.version in self.gone_versions]


def desk(commits: Commits, **shares: float) -> Drawing:
    return Drawing(cast(Any, commits), Random(7), SystemWallClock(), NODE.account, **cast(Any, shares))


def drawn_of(made: Drawing) -> list[Drawn]:
    return list(made._waiting)


def test_so_many_are_drawn_and_more_of_what_was_acted_on() -> None:
    post = ANN.post("hello")
    made = desk(Commits(), share=0.002, share_actioned=0.01)
    made.judged([(post, ACCEPTED)] * 20_000)
    accepted = drawn_of(made)
    assert 20 <= len(accepted) <= 65 and {each.draw.millionths for each in accepted} == {2_000}
    made = desk(Commits(), share=0.002, share_actioned=0.01)
    made.judged([(post, LABELLED)] * 10_000)
    actioned = drawn_of(made)
    assert 70 <= len(actioned) <= 135 and {each.draw.millionths for each in actioned} == {10_000}
    one = actioned[0].draw
    assert (one.action, one.rule, one.labels, one.version) == (Action.LABEL, "adverts", ("advert",), post.id)
    assert len({each.at for each in actioned}) == len(actioned), "each has its own number"


def test_nought_draws_nothing_and_others_are_no_posts() -> None:
    made = desk(Commits(), share=0.0, share_actioned=1.0)
    made.judged([(ANN.post(), ACCEPTED), (ANN.post(), LABELLED)])
    assert drawn_of(made) == []
    made = desk(Commits(), share=1.0, share_actioned=0.0)
    post = ANN.post()
    name = ANN.record("profile", b"name", {"value": "Ann"})
    made.judged([(name, ACCEPTED), (ANN.deletion(post), ACCEPTED), (post, LABELLED)])
    assert [each.draw.millionths for each in drawn_of(made)] == [1_000_000], "no less than of the others"


async def test_what_is_drawn_is_kept_and_let_go_once_it_is_gone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    commits, posts = Commits(), Nothing()
    made = desk(commits, share=1.0, share_actioned=1.0)
    kept, gone, lost = ANN.post("stays"), ANN.post("goes"), ANN.post("damaged")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run, posts)
        made.judged([(kept, ACCEPTED), (gone, ACCEPTED), (lost, ACCEPTED)])
        await trio.sleep(1.0)
        found = {each.draw.version: each for each in made.kept()}
        assert found.keys() == {kept.id, gone.id, lost.id}
        with commits.store.engine.begin(write=True) as transaction:
            transaction.put(Table.DRAWS, found[lost.id].at, b"damaged")
            transaction.commit()
        assert {each.draw.version for each in made.kept()} == {kept.id, gone.id}
        posts.gone_versions.add(gone.id)
        await trio.sleep(2 * DRAWS_CHECK_S)
        with commits.store.engine.begin() as transaction:
            assert [at for at, _ in transaction.scan(Table.DRAWS)] == [found[kept.id].at]
        nursery.cancel_scope.cancel()


async def test_what_is_gone_is_let_go_however_fast_posts_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    commits, posts = Commits(), Nothing()
    made = desk(commits, share=1.0, share_actioned=1.0)
    gone = ANN.post("goes")
    posts.gone_versions.add(gone.id)
    made.judged([(gone, ACCEPTED)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run, posts)
        for _ in range(4 * round(DRAWS_CHECK_S)):
            await trio.sleep(0.5)
            made.judged([(ANN.post("stays"), ACCEPTED)])
        assert gone.id not in {each.draw.version for each in made.kept()}
        nursery.cancel_scope.cancel()


async def test_a_full_disk_makes_the_sample_smaller_and_nothing_else(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    commits = Commits()
    commits.full = True
    made = desk(commits, share=1.0, share_actioned=1.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run, Nothing())
        made.judged([(ANN.post(), ACCEPTED)] * (DRAWS_WAITING + 5))
        assert len(drawn_of(made)) == DRAWS_WAITING, "no more wait than may"
        assert made.left_out == 5
        with caplog.at_level(logging.WARNING):
            await trio.sleep(1.0)
        assert f"{DRAWS_WAITING} posts that were drawn" in caplog.text and list(made.kept()) == []
        assert made.left_out == DRAWS_WAITING + 5
        commits.full = False
        made.judged([(ANN.post(), ACCEPTED)])
        await trio.sleep(1.0)
        assert len(list(made.kept())) == 1 and made.left_out == DRAWS_WAITING + 5
        nursery.cancel_scope.cancel()
