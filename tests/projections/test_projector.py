"""The projector over a node's life: restarts, rebuilds, damage, and nodes that come to keep more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.node.actors.projector import Projector
from folkmoot.node.projections.stretches import KeptBlocks
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, WireError
from folkmoot.protocol.key import KIND_BYTE
from folkmoot.protocol.projections import facts
from folkmoot.protocol.projections.entries import FORMATS, INDEXES, Entry, Index, Projection
from folkmoot.protocol.projections.facts import Facts, facts_of, is_projected
from folkmoot.protocol.projections.notices import Sort, notices_group
from folkmoot.storage.interface import Table
from folkmoot.storage.projection_formats import format_of, set_format
from folkmoot.storage.projections import HEAD_BYTES, ProjectionBook, members
from folkmoot.storage.rederiving import kept, rederived
from folkmoot.storage.transaction import Admission, WriteTransaction

from tests.node.harness import Town, founded
from tests.node.nodes import Node, lay_out
from tests.node.people import OPERATOR, Author
from tests.projections.people import SEEN_S, follow, reply, repost, sees, tagged
from tests.waiting import until

PEOPLE = [Author(number) for number in range(1, 5)]


async def a_little_of_everything(town: Town) -> None:
    """Some people post, answer, tag, repost and follow."""
    async with town.client(town.running()[0]) as client:
        root = PEOPLE[0].post("root")
        records = [root, *(reply(who, root) for who in PEOPLE[1:]), *(tagged(who, "tea") for who in PEOPLE)]
        records += [repost(who, root) for who in PEOPLE[1:]]
        records += [follow(who, whom) for who in PEOPLE for whom in PEOPLE if who is not whom]
        await client.put(*records, level="all")


def differences(town: Town, node: Node) -> list[str]:
    """What a node has of projections that all nodes' cells together do not come to (I10)."""
    known: dict[bytes, Facts] = {}
    for each in town.running():
        cells = each.parts.commits.store.cells_between(b"", b"", limit=100_000, bytes_max=1 << 30)
        known |= {key: facts_of(Cell.decode(cell)) for key, cell in cells if is_projected(key)}
    store = node.parts.commits.store
    keeps = KeptBlocks.of(node.ranges, node.id)
    with store.engine.begin() as transaction:
        should = rederived(transaction, store.live, known.items(), keeps.__contains__)
        return should.differences(kept(transaction, store.live, keeps.__contains__))


async def equal_their_recomputation(town: Town) -> None:
    """Wait until every node's projections are what they should be."""
    await until(
        lambda: all(not differences(town, node) for node in town.running()),
        what="projections to equal their recomputation",
        within_s=SEEN_S,
    )


@pytest.mark.parametrize("shape", [{}, {"nodes": 4, "regions": ("eu",), "replicas": 2}])
async def test_after_a_restart_it_goes_on_where_it_was(tmp_path: Path, shape: dict[str, object]) -> None:
    async with founded(tmp_path, **shape) as town:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        await town[1].stop()
        late = PEOPLE[0].post("while one was away")
        async with town.client(town[0]) as client:
            await client.put(late, level="one")
        await town.start(town[1])
        async with town.client(town[1]) as client:
            await until(lambda: town[1].parts.projections.status()["lag_ms"] is not None, what="a start")
            home = await client.call("feed.home", account=PEOPLE[1].account)
            assert len(home["items"]) >= 1, "what was there before the restart is there at once"
        await equal_their_recomputation(town)
        if not shape:  # who follows other nodes' logs may have turned to another one
            assert town[1].parts.projections.projector.applied < 20, "what was applied before is not again"


async def test_a_rebuild_serves_what_there_is_until_it_is_done(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        with pytest.raises(WireError) as refused:
            await client.call("projection.rebuild", name="home")
        assert refused.value.kind is UNAUTHENTICATED
        await client.auth(PEOPLE[0])
        with pytest.raises(WireError) as refused:
            await client.call("projection.list")
        assert refused.value.kind is FORBIDDEN
        await client.auth(OPERATOR)
        with pytest.raises(WireError) as refused:
            await client.call("projection.rebuild", name="moods")
        assert refused.value.kind is NOT_FOUND and "home" in str(refused.value)
        before = await client.call("feed.home", account=PEOPLE[0].account)
        for projection in Projection:
            started = await client.call("projection.rebuild", name=projection.word)
            assert started["generation"] == 1
        told = await client.call("projection.list")
        while any("rebuilding" in one for one in told["projections"]):
            now = await client.call("feed.home", account=PEOPLE[0].account)
            assert now["items"] == before["items"]
            told = await client.call("projection.list")
        known = {each.word for each in Projection}
        generations = [one["generation"] for one in told["projections"] if one["name"] in known]
        assert generations == [1] * len(Projection)
        await equal_their_recomputation(town)
        assert (await client.call("feed.home", account=PEOPLE[0].account))["items"] == before["items"]

        def one_generation() -> bool:
            tables = (Table.ENTRIES, Table.TALLIES)
            with town[0].parts.commits.store.engine.begin() as transaction:
                rows = [key[1] for table in tables for key, _ in transaction.scan(table)]
            return set(rows) == {1}

        await until(one_generation, what="the old generation to be erased")


async def test_what_was_rebuilt_once_can_be_rebuilt_again(tmp_path: Path) -> None:
    """Also while it is being rebuilt: the last one that was asked for reads everything."""
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        await client.auth(OPERATOR)
        generations = town[0].parts.projections.generations
        for asked in (1, 2):
            for projection in Projection:
                for _ in range(asked):
                    await client.call("projection.rebuild", name=projection.word)
            await until(lambda: not generations.building(), what="all to be built", within_s=SEEN_S)
            assert not differences(town, town[0])
            await client.put(tagged(PEOPLE[1], "coffee"), level="all")
            await equal_their_recomputation(town)


async def test_a_rebuild_mends_what_the_disk_has_lost(tmp_path: Path) -> None:
    async with founded(tmp_path) as town, town.client(town[0]) as client:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        commits = town[0].parts.commits

        def lose(transaction: WriteTransaction) -> None:
            rows = transaction.rows
            lost = [key for key, _ in rows.scan(Table.ENTRIES) if key[0] in (Index.TAGGED, Index.INBOX)]
            rows.delete(Table.ENTRIES, lost[0])
            rows.put(Table.ENTRIES, lost[-1], b"damaged")

        await commits.run(lose, Admission.PEER_JOIN)
        await client.auth(OPERATOR)
        for name in ("home", "tags"):
            await client.call("projection.rebuild", name=name)
        await equal_their_recomputation(town)


async def test_a_node_that_comes_to_keep_more_reads_all_of_it(tmp_path: Path) -> None:
    """A node whose cursors say that it kept less than it does now begins again."""
    async with founded(tmp_path) as town:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        node = town[0]

        def narrow(transaction: WriteTransaction) -> None:
            rows = transaction.rows
            for table in (Table.ENTRIES, Table.TALLIES, Table.SOURCES):
                for key in [key for key, _ in rows.scan(table)]:
                    rows.delete(table, key)
            for key in [key for key, _ in rows.scan(Table.CURSORS) if key.startswith(b"b")]:
                rows.delete(Table.CURSORS, key)

        await node.parts.commits.run(narrow, Admission.PEER_JOIN)
        await town.restart(node)
        await equal_their_recomputation(town)


async def test_what_a_follower_at_one_node_sees_of_another_after_a_cut(tmp_path: Path) -> None:
    """The node that follows a range elsewhere goes on where it was once the other is back."""
    async with founded(tmp_path, nodes=3, regions=("eu",), replicas=1) as town:
        ann = PEOPLE[0]
        [home] = town.replicas_of(ann.account)
        away = next(who for who in PEOPLE[1:] if town.replicas_of(who.account) != [home])
        [other] = town.replicas_of(away.account)
        async with town.client(home) as near, town.client(other) as far:
            first = away.post("first")
            await near.put(follow(ann, away), first, level="all")
            await sees(near, [first.id], "feed.home", account=ann.account)
            town.cut(home, other)
            second = away.post("during the cut")
            await far.put(second, level="all")
            town.heal()
            await sees(near, [second.id, first.id], "feed.home", account=ann.account)


async def test_who_is_updated_reads_all_logs_for_what_was_not_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes of an edition that told nothing of likes, one after the other in the place of the next."""
    shape: dict[str, Any] = {"nodes": 3, "regions": ("eu",), "replicas": 1}
    post = PEOPLE[0].post("liked")
    like = PEOPLE[1].record("like", post.item + PEOPLE[1].account, {"on": True}, place=post.author)
    with monkeypatch.context() as older:
        older.setattr(facts, "_EDITION", b"an older one")
        older.setattr(facts, "PROJECTED_KIND_BYTES", facts.PROJECTED_KIND_BYTES - {KIND_BYTE["like"]})
        nodes, ca = lay_out(tmp_path, **shape)
        async with trio.open_nursery() as nursery:
            town = Town(nodes, ca, nursery)
            await town.start()
            async with town.client(town[0]) as client:
                await client.put(post, like, level="all")
            await equal_their_recomputation(town)
            for node in town.nodes:
                await node.stop()
            nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        again = Town(nodes, ca, nursery)
        await again.start()
        await equal_their_recomputation(again)
        [keeper] = again.replicas_of(post.author)
        with keeper.parts.commits.store.engine.begin() as transaction:
            group = notices_group(post.author, Sort.LIKE)
            assert len(members(transaction, Index.NOTICES, 0, group, limit=10)) == 1
        nursery.cancel_scope.cancel()


async def test_one_that_failed_while_others_were_asked_asks_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with founded(tmp_path, nodes=3, regions=("eu",), replicas=1) as town:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        projector = town[0].parts.projections.projector
        asked: set[tuple[int, int]] = set()
        real = Projector._widen

        async def widen(self: Projector) -> bool:
            if self is projector and self._main.asked and not asked:
                asked.update(self._main.asked)
                raise OSError("the disk failed for once")
            return await real(self)

        monkeypatch.setattr(Projector, "_widen", widen)
        await until(lambda: asked, what="a failure while somebody is asked", within_s=SEEN_S)
        failed_at = trio.current_time()
        await until(
            lambda: all(projector._main.current_at.get(each, 0.0) > failed_at for each in asked),
            what="those logs to be read again",
            within_s=SEEN_S,
        )


async def test_facts_of_many_tags_do_not_fill_a_message(tmp_path: Path) -> None:
    """All that one message may say of posts is more than a message has room for, when they have long tags."""
    heavy = Author(40)
    async with (
        founded(tmp_path, nodes=3, regions=("eu",), replicas=1) as town,
        town.client(town[0]) as client,
    ):
        tags = [chr(0x1F600 + n) * limits.POST_TAG_CODE_POINTS for n in range(limits.POST_TAGS)]
        posts = [heavy.record("post", heavy.item(), {"text": "x", "tags": tags}) for _ in range(160)]
        for start in range(0, len(posts), 20):
            await client.put(*posts[start : start + 20], level="all")
        await equal_their_recomputation(town)
        async with town.client(town[1]) as other:
            await sees(other, [post.id for post in reversed(posts)], "feed.tag", tag=tags[0])


def reposted(node: Node) -> list[bytes]:
    """The keys of what a node has derived of reposts."""
    with node.commits.store.engine.begin() as transaction:
        rows = transaction.scan(Table.ENTRIES, bytes((Index.REPOSTED,)), bytes((Index.INBOX,)))
        return [key for key, _ in rows]


async def test_rows_of_another_format_are_made_anew(tmp_path: Path) -> None:
    """An updated node throws away what it made by other rules, and says nothing until it has read all."""
    async with founded(tmp_path, nodes=3, regions=("eu",), replicas=2) as town:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        old = Projection.REPOSTS
        node = next(each for each in town.nodes if reposted(each))
        before = dict(node.parts.projections.generations.all())
        assert {format_of_node(node, each) for each in Projection} == set(FORMATS.values())

        def make_older(transaction: WriteTransaction) -> None:
            set_format(transaction, old, FORMATS[old] - 1)
            book = ProjectionBook(transaction)
            for key in reposted(node):
                book.put(0, Entry(Index.REPOSTED, key[HEAD_BYTES:], b"as it was before", b"?"))

        await node.parts.commits.run(make_older, Admission.PEER_JOIN)
        assert differences(town, node)
        await node.stop()
        await town.start(node)
        await equal_their_recomputation(town)
        after = node.parts.projections.generations.all()
        assert [each for each in Projection if after[each] != before[each]] == [old]
        assert format_of_node(node, old) == FORMATS[old]
        await until(lambda: not rows_before(node, old, after[old].live), what="the old rows to be erased")
        generations = dict(after)
        await node.stop()
        await town.start(node)
        assert dict(node.parts.projections.generations.all()) == generations, "it is not done twice"


def format_of_node(node: Node, projection: Projection) -> int:
    with node.parts.commits.store.engine.begin() as transaction:
        return format_of(transaction, projection)


def rows_before(node: Node, projection: Projection, generation: int) -> list[bytes]:
    """The rows of a projection that are of another generation."""
    with node.parts.commits.store.engine.begin() as transaction:
        keys = [
            key
            for index in INDEXES[projection]
            for key, _ in transaction.scan(Table.ENTRIES, bytes((index,)), bytes((index + 1,)))
        ]
    return [key for key in keys if key[1] != generation]
