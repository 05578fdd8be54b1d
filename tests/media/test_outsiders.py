"""What people who are not the author can do to media by reading, replaying and hurrying: nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from folkmoot.node.configuration.media_section import MediaSection
from folkmoot.node.configuration.setting import ByteSize
from folkmoot.protocol.errors import (
    CONFLICT,
    MEDIA_MISSING,
    NOT_FOUND,
    RATE_LIMITED,
    TOO_LARGE,
    ErrorKind,
    WireError,
)
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.media.layout import Area, Name

from tests.media import pictures
from tests.media.keepers import blobs_of, keeping_of, kept
from tests.media.test_nodes import impatient
from tests.media.uploading import begin, finish, post_with, read, send, upload
from tests.node.harness import Client, founded
from tests.node.people import Author

pytestmark = pytest.mark.timeout(120)


async def refused(kind: ErrorKind, client: Client, method: str, **asked: object) -> WireError:
    with pytest.raises(WireError) as caught:
        await client.call(method, **asked)
    assert caught.value.kind is kind
    return caught.value


async def test_who_reads_or_replays_keeps_nothing_from_being_given_up(tmp_path: Path) -> None:
    author, data = Author(21), pictures.png(2000)
    async with (
        founded(tmp_path, nodes=2, replicas=2, media=impatient()) as town,
        town.client(town[0]) as client,
        town.client(town[1]) as stranger,
    ):
        await client.auth(author)
        manifest = await upload(client, data, level="all")
        named = {"account": author.account, "hash": manifest.hash}
        post = post_with(author, manifest)
        assert (await client.put_one(post, "all"))["status"] == "stored"
        assert (await client.put_one(author.deletion(post), "all"))["status"] == "stored"
        for node in town.nodes:
            await node.parts.media.sweeper.sweep()
        for other in (client, stranger):
            await refused(CONFLICT, other, "media.begin", **manifest.to_wire(), record=post.to_wire())
        await refused(NOT_FOUND, stranger, "media.finish", **named)
        await refused(NOT_FOUND, stranger, "media.put", **named, index=0, data=data)
        await town[1].parts.media.sweeper.sweep()
        assert kept(town[1], author, manifest.hash) is None, "nothing of all that renewed it"
        assert await read(stranger, author.account, manifest.hash) == data
        assert kept(town[1], author, manifest.hash) is Area.CACHE, "reading keeps nothing"
        await town[0].parts.media.sweeper.sweep()
        assert kept(town[0], author, manifest.hash) is None
        await refused(NOT_FOUND, client, "media.get", **named)
        blobs_of(town[1]).drop(Area.CACHE, Name(author.account, manifest.hash))
        await refused(NOT_FOUND, stranger, "media.get", **named)


async def test_uploads_that_end_at_once_count_each_other(tmp_path: Path) -> None:
    author, size = Author(22), 100_000
    section = MediaSection(quota=3 * size)  # type: ignore[arg-type]
    async with founded(tmp_path, nodes=2, replicas=2, media=section) as town, town.client(town[0]) as client:
        await client.auth(author)
        media: list[Manifest] = []
        for seed in range(6):
            data = pictures.png(size, seed=seed)
            media.append(pictures.of(data))
            await send(client, data, media[-1])
        told: list[str] = []

        async def end(manifest: Manifest) -> None:
            try:
                await finish(client, manifest, "all")
            except WireError as error:
                assert error.kind is TOO_LARGE
                told.append(error.message)

        async with trio.open_nursery() as nursery:
            for manifest in media:
                nursery.start_soon(end, manifest)
        assert len(told) >= 4 and "the account has media of " in told[0]
        for node in town.nodes:
            listed = blobs_of(node).listed(Area.KEPT, author.account)
            assert listed and sum(each.file_bytes for each in listed) <= 3 * size


async def test_claims_of_throw_away_keys_take_nothing_from_who_sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MEDIA_UPLOADS_PER_ADDRESS", 12)
    data = pictures.png(CHUNK_BYTES + 1000)
    manifest = pictures.of(data)
    first, rest = pictures.chunks(data, manifest)
    section = MediaSection(disk_cap=ByteSize(400 << 20))
    async with founded(tmp_path, nodes=1, replicas=1, media=section) as town, town.client(town[0]) as client:
        await client.auth(Author(30))
        await begin(client, manifest)
        await client.call("media.put", hash=manifest.hash, index=0, data=first)
        claims = 0
        size = 50 << 20
        for number in range(31, 34):
            async with town.client(town[0]) as stranger:
                await stranger.auth(Author(number))
                for digest in (bytes([number, each]) * 16 for each in range(8)):
                    claim = Manifest(digest, size, "image/png", [digest] * (size // CHUNK_BYTES))
                    if claims < 11:
                        await begin(stranger, claim)
                        claims += 1
                    else:
                        error = await refused(RATE_LIMITED, stranger, "media.begin", **claim.to_wire())
                        assert "12 uploads of this address" in error.message
        await client.call("media.put", hash=manifest.hash, index=1, data=rest)
        assert (await begin(client, manifest))["have"] == [0, 1], "who has begun goes on"
        await finish(client, manifest)
        await begin(client, pictures.of(pictures.png(100, seed=5)))  # what has ended counts no more


async def test_a_post_that_comes_while_all_are_asked_keeps_the_medium(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes by another way than a client's, so that nobody renews the file."""
    author = Author(24)
    async with founded(tmp_path, nodes=1, replicas=1, media=impatient()) as town:
        async with town.client(town[0]) as client:
            await client.auth(author)
            manifest = await upload(client, pictures.png(2000))
        sweep = town[0].parts.media.sweeper
        await sweep.sweep()
        ask_all = sweep.unused

        async def slowly(account: bytes, hashes: Sequence[bytes]) -> set[bytes]:
            found = await ask_all(account, hashes)
            await town[0].plant(post_with(author, manifest))
            return found

        with monkeypatch.context() as patched:
            patched.setattr(sweep, "unused", slowly)
            await sweep.sweep()
        assert kept(town[0], author, manifest.hash) is Area.KEPT


async def test_what_cannot_be_read_of_one_account_keeps_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [Author(number) for number in range(25, 29)]
    async with founded(tmp_path, nodes=1, replicas=1, media=impatient()) as town:
        media = []
        for author in people:
            async with town.client(town[0]) as client:
                await client.auth(author)
                media.append(await upload(client, pictures.png(2000, seed=author.account[-1])))
        damaged = people[2].account

        def refers(account: bytes, hashes: Sequence[bytes]) -> list[bytes]:
            if account == damaged:
                raise StoreCorrupt("a table", "a cell is not whole")
            return look(account, hashes)

        keeping = keeping_of(town[0])
        look = keeping.refers
        monkeypatch.setattr(keeping, "refers", refers)
        for _ in range(2):
            await town[0].parts.media.sweeper.sweep()
        left = [kept(town[0], author, each.hash) for author, each in zip(people, media, strict=True)]
        assert left == [None, None, Area.KEPT, None]


async def test_what_is_given_up_while_a_post_comes_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep takes it between the look at the file and its renewal."""
    author = Author(23)
    async with founded(tmp_path, nodes=1, replicas=1) as town, town.client(town[0]) as client:
        await client.auth(author)
        manifest = await upload(client, pictures.png(2000))
        blobs = blobs_of(town[0])
        look = blobs.manifest

        def late(area: Area, name: Name) -> Manifest:
            found = look(area, name)
            blobs.drop(area, name)
            return found

        with monkeypatch.context() as patched:
            patched.setattr(blobs, "manifest", late)
            told = await client.put_one(post_with(author, manifest))
        assert told["status"] == "refused" and told["error"]["name"] == MEDIA_MISSING.name
