"""Media go where their account's range goes, and nowhere are there fewer copies on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.storage.media.layout import Area, Name

from tests.media import pictures
from tests.media.keepers import blobs_of, kept, status_of
from tests.media.uploading import post_with, read, upload
from tests.node.harness import founded
from tests.node.moving import DONE_S, ask, on_roster, settled_plan, with_newcomer
from tests.node.people import Author
from tests.registers.seats import seated
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)

DATA = pictures.png(300_000)


async def test_a_node_leaves_when_it_has_handed_on_what_it_alone_had(tmp_path: Path) -> None:
    """Its media too, those included that no post shows yet."""
    async with founded(tmp_path / "town", nodes=2, replicas=1) as town:
        await seated(town, 1)
        authors = [Author(number) for number in range(1, 9)]
        leaver = town[1]
        theirs = [author for author in authors if town.replicas_of(author.account) == [leaver]]
        assert theirs, "some accounts lie there"
        async with town.client(town[0]) as client:
            for author in theirs:
                await client.auth(author)
                shown, waiting = await upload(client, DATA), await upload(client, DATA + b"x")
                assert (await client.put_one(post_with(author, shown)))["status"] == "stored"
        blobs = blobs_of(leaver)
        assert blobs.used(Area.KEPT) > len(theirs) * 2 * len(DATA)
        await ask(town, town[0], "node.decommission", node=leaver.id)
        await until(lambda: not on_roster(town, leaver), what="the node to leave", within_s=DONE_S)
        assert blobs.used(Area.KEPT) == 0, "it left with something in its hands"
        await leaver.stop()
        own = blobs_of(town[0])
        async with town.client(town[0]) as client:
            for author in theirs:
                for each in (shown, waiting):
                    assert own.find(Name(author.account, each.hash)) is Area.KEPT
                assert await read(client, author.account, shown.hash) == DATA


async def test_a_new_replica_has_them_and_the_old_one_has_not(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=1, replicas=1) as town:
        await seated(town, 1)
        authors = [Author(number) for number in range(1, 13)]
        async with town.client(town[0]) as client:
            for author in authors:
                await client.auth(author)
                manifest = await upload(client, DATA)
                assert (await client.put_one(post_with(author, manifest)))["status"] == "stored"
        late = await with_newcomer(town, tmp_path / "late")
        await ask(town, town[0], "node.join", node=late.id)
        await settled_plan(town)

        def in_place() -> bool:
            for author in authors:
                holders = [node for node in town.nodes if kept(node, author, manifest.hash)]
                if holders != town.replicas_of(author.account):
                    return False
            return True

        await until(in_place, what="the media to be where their accounts are", within_s=60)
        moved = [author for author in authors if town.replicas_of(author.account) == [late]]
        assert moved, "some accounts have moved"
        assert status_of(town[0])["handed_on"] == len(moved)
