"""Nodes that come to keep more: what they kept before is served meanwhile, and then all of it is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from folkmoot.node.actors.projector import Projector
from folkmoot.node.projections.stretches import KeptBlocks
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.key import block_of, place_prefix, prefix_end
from folkmoot.protocol.limits import BLOCKS
from folkmoot.protocol.projections.entries import Projection
from folkmoot.storage import projections
from folkmoot.storage.interface import Table
from folkmoot.storage.projections import HEAD_BYTES, MAIN, Generation, ProjectionBook
from folkmoot.storage.transaction import Admission, WriteTransaction

from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.projections.people import SEEN_S, tagged
from tests.projections.test_projector import PEOPLE, a_little_of_everything, equal_their_recomputation
from tests.waiting import until

KNOWN, NEW = PEOPLE[0], PEOPLE[1]
FIRST, LAST = sorted((KNOWN, NEW), key=lambda who: place_prefix(who.account))
HALF = block_of(place_prefix(LAST.account))


def first_blocks(count: int) -> KeptBlocks:
    bits = (1 << count) - 1
    return KeptBlocks(bits.to_bytes(BLOCKS // 8, "little"))


Narrow = Callable[[WriteTransaction], None]


def narrowed(more: Callable[[ProjectionBook], None] = lambda book: None) -> Narrow:
    """Has a node have read everything for the first blocks alone."""

    def narrow(transaction: WriteTransaction) -> None:
        rows, kept = transaction.rows, first_blocks(HALF)
        for table in (Table.ENTRIES, Table.TALLIES):
            for key in [key for key, _ in rows.scan(table) if key[HEAD_BYTES:] not in kept]:
                rows.delete(table, key)
        book = ProjectionBook(transaction)
        book.cover(kept.to_bytes())
        more(book)

    return narrow


async def restarted(town: Town, narrow: Narrow) -> Node:
    await town[0].parts.commits.run(narrow, Admission.PEER_JOIN)
    await town.restart(town[0])
    return town[0]


async def has_read(node: Node) -> None:
    projector = node.parts.projections.projector
    await until(lambda: projector.lag_s() is not None, what="all logs to be read", within_s=SEEN_S)


async def never(self: Projector) -> bool:
    return False


async def test_what_was_kept_before_is_served_while_a_node_reads_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with founded(tmp_path, nodes=1, regions=("eu",), replicas=1) as town:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        with monkeypatch.context() as plant:
            plant.setattr(Projector, "_widen", never)
            node = await restarted(town, narrowed())
            await has_read(node)
            async with town.client(node) as client:
                said = await client.call("feed.home", account=FIRST.account)
                assert said["items"], "it goes on with what it kept"
                with pytest.raises(WireError) as refused:
                    await client.call("feed.home", account=LAST.account)
                assert refused.value.kind is BUSY
                await client.put(tagged(FIRST, "coffee"), tagged(LAST, "coffee"), level="all")
                await until_told(node, 0.0)
        await town.restart(node)
        node = town[0]
        async with town.client(node) as client:
            await equal_their_recomputation(town)
            await until(
                lambda: node.parts.projections.projector.widening() is None,
                what="all to be read",
                within_s=SEEN_S,
            )
            assert (await client.call("feed.home", account=LAST.account))["items"]


async def until_told(node: Node, least: float) -> None:
    """Wait until a node says how far it has read for what it has come to keep."""

    def is_told() -> bool:
        widening = node.parts.projections.projector.widening()
        return widening is not None and widening >= least

    await until(is_told, what="a widening", within_s=SEEN_S)


def cursors_of(book: ProjectionBook) -> list[tuple[int, int, bytes, int]]:
    """How far the main run has read: range, lane, log, position."""
    head = b"c" + bytes((MAIN,))
    rows = [key for key, _ in book.rows.scan(Table.CURSORS, head, prefix_end(head))]
    read = [(int.from_bytes(key[2:6], "big"), key[6], key[7:]) for key in rows]
    assert read
    return [
        (range_id, lane, log_id, projections.cursors_at(book.rows, MAIN, range_id, lane)[log_id])
        for range_id, lane, log_id in read
    ]


async def test_what_is_being_rebuilt_is_begun_anew_when_a_node_comes_to_keep_more(tmp_path: Path) -> None:
    """What was read for it so far was read for less."""

    def half_built(book: ProjectionBook) -> None:
        for projection in (Projection.HOME, Projection.TAGS):
            book.set_generation(projection, Generation(0, 1))
            for each in cursors_of(book):
                book.set_cursor(projection, *each)

    async with founded(tmp_path) as town:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        node = await restarted(town, narrowed(half_built))
        generations = node.parts.projections.generations
        await until(lambda: not generations.building(), what="what is built to be read", within_s=SEEN_S)
        await equal_their_recomputation(town)


async def test_a_rebuild_ends_though_the_main_run_is_ahead_where_nothing_changes(tmp_path: Path) -> None:
    """It has read past changes that belong to other lanes; of its own there is nothing to read."""
    async with founded(tmp_path) as town:
        await a_little_of_everything(town)
        await equal_their_recomputation(town)
        ahead = town[0].parts.commits.store.sequence + 1

        def behind(transaction: WriteTransaction) -> None:
            book = ProjectionBook(transaction)
            book.set_generation(Projection.TAGS, Generation(0, 1))
            for range_id, lane, log_id, position in cursors_of(book):
                book.set_cursor(Projection.TAGS, range_id, lane, log_id, position)
                book.set_cursor(MAIN, range_id, lane, log_id, ahead)

        node = await restarted(town, behind)
        generations, projector = node.parts.projections.generations, node.parts.projections.projector
        await until(lambda: not generations.building(), what="what is built to be read", within_s=SEEN_S)
        await projector.rebuild(Projection.TAGS)
        await until(lambda: not generations.building(), what="the second rebuild to end", within_s=SEEN_S)
        await equal_their_recomputation(town)
