"""A purge leaves nothing of what an account said and showed: in no file of any node, in no later backup."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.cli.scrubbing import scrub_replica
from folkmoot.cli.users.attesting import Collection
from folkmoot.cli.users.purging import Purge, Purged
from folkmoot.protocol.accounts.evidence import Evidence, judge
from folkmoot.protocol.errors import CONFLICT, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.media.manifest import CHUNK_BYTES
from folkmoot.protocol.ranking.shipped import SHIPPED
from folkmoot.storage.compaction import compact
from folkmoot.storage.media.remains import unshown
from folkmoot.storage.scrub import scrub

from tests.backup.making import backed_up
from tests.media import pictures
from tests.media.keepers import kept_by
from tests.media.uploading import begin, post_with, read, upload
from tests.node.harness import Client, Town, founded
from tests.node.nodes import Node
from tests.node.people import Author
from tests.node.test_attesting import talking
from tests.projections.people import follow, reply, tagged
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

ANN, BEN = Author(1), Author(2)
SECRET = b"whisperedword"
PICTURE = pictures.png(2 * CHUNK_BYTES + 99, seed=7)
BEGUN = pictures.png(CHUNK_BYTES + 5, seed=8)
TRACES = (SECRET, PICTURE[1000:1032], PICTURE[-32:], BEGUN[1000:1032])


def quietly(done: int, total: int | None) -> None:
    """Shows nobody how far it is."""


def held(directory: Path, traces: tuple[bytes, ...] = TRACES) -> set[Path]:
    """The files below a directory in which something is found."""
    files = [file for file in directory.rglob("*") if file.is_file()]
    return {file for file in files if any(trace in file.read_bytes() for trace in traces)}


async def write(town: Town) -> None:
    """Ann says a word in everything in which one can be said; others see, find and answer it."""
    word = SECRET.decode()
    async with town.client(town[0]) as client:
        await client.auth(ANN)
        shown = await upload(client, PICTURE, level="all")
        await begin(client, begun := pictures.of(BEGUN))
        await client.call("media.put", hash=begun.hash, index=0, data=BEGUN[:CHUNK_BYTES])
        first = ANN.post(f"{word} as it was")
        entry = {"hash": shown.hash, "mime": shown.mime, "size": shown.size, "alt": f"{word} in a picture"}
        bens = BEN.post("what do you think?")
        records = [
            *(follow(BEN, ANN), bens, first),
            ANN.record("post", first.item, {"text": f"{word} as it is"}),
            ANN.record("post", ANN.item(), {"text": "look", "media": [entry], "warning": word}),
            reply(ANN, bens, text=f"a {word}"),
            tagged(ANN, word),
            ANN.record("profile", b"about", {"value": word}),
            ANN.record("profile", b"picture", {"value": {"hash": shown.hash}}),
            ANN.record("list", bytes(16), {"name": word}),
            ANN.record("preference", b"mine", {"note": word}),
            ANN.record("algorithm", b"best", {"document": {**SHIPPED["best"], "about": word}}),
            ANN.record("mute", BEN.account, {"on": True, "note": word}),
            BEN.record("like", first.item + BEN.account, {"on": True}, place=ANN.account),
        ]
        for record in records:
            assert (await client.put_one(record, "all"))["status"] == "stored"
    await kept_by(town.replicas_of(ANN.account), ANN, shown.hash)
    for node in town.nodes:
        async with town.client(node) as client:
            assert await read(client, ANN.account, shown.hash) == PICTURE

            async def found(client: Client = client) -> bool:
                try:
                    return bool((await client.call("search.posts", query=word))["items"])
                except WireError as error:
                    assert error.kind.retryable
                    return False

            await until(found, what="the word to be found", within_s=30)


async def purged(node: Node) -> tuple[Purged, Evidence]:
    async with talking(node, ANN) as client:
        done = await Purge(client, ANN.device, lambda said: None).run(0, quietly)
        collection = Collection(client, ANN.account, quietly)
        return done, await collection.collect(done.found.marks, ANN.device)


def data_of(node: Node) -> Path:
    return node.config.node.data


async def test_nothing_is_left_in_any_file_of_any_node(tmp_path: Path) -> None:
    picture = tmp_path / "a-copy"
    picture.write_bytes(PICTURE)
    async with founded(tmp_path / "town", nodes=4, replicas=3, regions=("eu",)) as town:
        await write(town)
        assert all(held(data_of(node), (PICTURE[-32:],)) for node in town.nodes), (
            "one node has a copy to serve"
        )
        done, evidence = await purged(town[3])
        assert done.complete and done.media == 5 and not done.media_at, "three kept, one copy, one upload"
        assert all(each.stands and not each.media for each in judge(evidence))
        store = "store/data.mdb"
        await until(
            lambda: all(
                {str(file.relative_to(data_of(node))) for file in held(data_of(node))} <= {store}
                for node in town.nodes
            ),
            what="the search index to forget",
            within_s=30,
        )
        await a_medium_that_came_later_is_told(town)
        replica = town.replicas_of(ANN.account)[0]
        backed_up(replica.commits.store, tmp_path / "backups", media=data_of(replica) / "media")
        for node in town.nodes:
            await node.stop()
            compact(data_of(node))
        report = scrub_replica(
            data_of(replica), ANN.account, None, [SECRET], [picture], [tmp_path / "backups"], quietly
        )
        assert report.verdict == "proven"
    assert not held(tmp_path / "town") and not held(tmp_path / "backups")


async def a_medium_that_came_later_is_told(town: Town) -> None:
    """By the node that has it; and the account is asked to purge again."""
    replica = town.replicas_of(ANN.account)[0]
    async with talking(replica, ANN) as client:
        await client.call("media.begin", pictures.of(BEGUN).to_wire())
        looked = await Purge(client, ANN.device, lambda said: None).survey(quietly)
        evidence = await Collection(client, ANN.account, quietly).collect(looked.marks, ANN.device)
    assert [each.asked.node for each in judge(evidence) if not each.stands] == [replica.id]
    engine = replica.commits.store.engine
    report = scrub(engine, [], ANN.account, unshown=unshown(engine, data_of(replica), ANN.account))
    assert report.media == 1 and "a medium that nothing shows" in {each.what for each in report.remains}
    assert (await purged(town[0]))[0].media == 1


async def test_only_who_shows_nothing_any_more_purges_media(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, replicas=1) as town, town.client(town[0]) as client:
        for who, refusal in ((None, UNAUTHENTICATED), (BEN, FORBIDDEN)):
            if who is not None:
                await client.auth(who)
            with pytest.raises(WireError) as refused:
                await client.call("media.purge", account=ANN.account)
            assert refused.value.kind == refusal
        await client.auth(ANN)
        shown, other = await upload(client, PICTURE), await upload(client, BEGUN)
        post = post_with(ANN, shown)
        assert (await client.put_one(post))["status"] == "stored"
        with pytest.raises(WireError, match="refer to 1 media") as refused:
            await client.call("media.purge", account=ANN.account)
        assert refused.value.kind == CONFLICT
        assert await read(client, ANN.account, other.hash) == BEGUN, "all or nothing"
        await client.put_one(ANN.deletion(post))
        told = await client.call("media.purge", account=ANN.account)
        assert told == {"nodes": [{"node": town[0].id, "erased": 2, "left": 0}]}
