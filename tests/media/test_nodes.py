"""Media on whole nodes: uploaded, replicated, read from anywhere, and given up when nothing shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.configuration.media_section import MediaSection
from folkmoot.node.media import sweeper
from folkmoot.node.media.sweeper import Sweeper
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BAD_SIGNATURE,
    MEDIA_MISSING,
    NOT_FOUND,
    TOO_LARGE,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import CHUNK_BYTES
from folkmoot.storage.media.layout import Area, Name

from tests.media import pictures
from tests.media.keepers import blobs_of, kept, kept_by, status_of
from tests.media.uploading import begin, finish, post_with, read, send, upload
from tests.node.harness import Town, founded
from tests.node.people import Author
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

SIZE = 3 * CHUNK_BYTES + 1234


async def test_what_is_uploaded_is_kept_by_all_replicas_and_read_from_each(tmp_path: Path) -> None:
    author, data = Author(1), pictures.png(SIZE)
    async with founded(tmp_path) as town:
        async with town.client(town[0]) as client:
            await client.auth(author)
            manifest = await upload(client, data, level="all")
            await kept_by(town.nodes, author, manifest.hash)
            post = post_with(author, manifest)
            assert (await client.put_one(post))["status"] == "stored"
            assert (await client.put_one(post))["status"] == "duplicate"
        for node in town.nodes:
            async with town.client(node) as client:
                assert await read(client, author.account, manifest.hash) == data
                told = await client.call("media.stat", account=author.account, hash=manifest.hash)
                assert told == manifest.to_wire()


async def test_an_upload_goes_on_after_a_new_connection_and_after_a_restart(tmp_path: Path) -> None:
    author, data = Author(2), pictures.png(SIZE)
    manifest = pictures.of(data)
    parts = pictures.chunks(data, manifest)
    async with founded(tmp_path, nodes=1, replicas=1) as town:
        async with town.client(town[0]) as client:
            await client.auth(author)
            assert (await begin(client, manifest))["have"] == []
            assert (await client.call("media.put", hash=manifest.hash, index=2, data=parts[2]))[
                "missing"
            ] == 3
        async with town.client(town[0]) as client:
            await client.auth(author)
            assert (await begin(client, manifest))["have"] == [2]
            with pytest.raises(WireError, match="3 of 4 chunks are missing"):
                await client.call("media.finish", hash=manifest.hash)
            await client.call("media.put", hash=manifest.hash, index=0, data=parts[0])
        await town.restart(town[0])
        async with town.client(town[0]) as client:
            await client.auth(author)
            assert (await begin(client, manifest))["have"] == [0, 2]
            await upload(client, data)
            assert (await begin(client, manifest))["whole"] is True
            assert await read(client, author.account, manifest.hash) == data


async def test_what_lies_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    author = Author(3)
    section = MediaSection(quota=1 << 20, max_bytes=1 << 19, max_megapixels=1.0)  # type: ignore[arg-type]
    async with founded(tmp_path, nodes=1, replicas=1, media=section) as town:

        async def refused(data: bytes, mime: str = "image/png") -> WireError:
            manifest = pictures.of(data, mime)
            with pytest.raises(WireError) as caught:
                await send(client, data, manifest)
                await client.call("media.finish", hash=manifest.hash)
            return caught.value

        async with town.client(town[0]) as client:
            error = await refused(pictures.png(2000))
            assert error.kind is UNAUTHENTICATED
            await client.auth(author)
            assert (await refused(pictures.png((1 << 19) + 1))).kind is TOO_LARGE
            assert (await refused(b"<svg></svg>", "image/svg+xml")).kind is BAD_REQUEST
            assert "is nothing that is known" in (await refused(b"<html></html>")).message
            assert "by its first bytes is image/png" in (await refused(pictures.png(99), "image/gif")).message
            bomb = await refused(pictures.png(99, width=50_000, height=50_000))
            assert bomb.kind is TOO_LARGE and bomb.details == {"width": 50_000, "height": 50_000}
            assert (
                "by its first bytes is image/png" in (await refused(pictures.png(99), "image/jpeg")).message
            )
            whole = pictures.of(pictures.png(2000))
            lying = type(whole)(bytes(32), whole.size, whole.mime, whole.chunks)
            await send(client, pictures.png(2000), lying)
            with pytest.raises(WireError, match="do not have the hash"):
                await client.call("media.finish", hash=lying.hash)
            with pytest.raises(WireError, match="chunk 0 is not what"):
                await begin(client, whole)
                await client.call("media.put", hash=whole.hash, index=0, data=bytes(2000))
            await upload(client, pictures.png(1 << 19, seed=5))
            assert (await refused(pictures.png(1 << 19, seed=6))).details == {
                "used": status_of(town[0])["kept_bytes"],
                "quota": 1 << 20,
            }
            assert status_of(town[0])["partial_bytes"] <= 4096, "only what was begun and not finished"


async def test_a_post_shows_what_its_account_uploaded_and_nothing_else(tmp_path: Path) -> None:
    author, data = Author(4), pictures.png(2000)
    manifest = pictures.of(data)
    async with founded(tmp_path) as town, town.client(town[1]) as client:
        post = post_with(author, manifest)
        result = await client.put_one(post)
        assert (result["status"], result["error"]["name"]) == ("refused", MEDIA_MISSING.name), result
        assert result["error"]["details"] == {"hash": manifest.hash}
        await client.auth(author)
        await upload(client, data)
        other = post_with(author, type(manifest)(manifest.hash, 1999, "image/png", manifest.chunks))
        refusal = (await client.put_one(other))["error"]
        assert refusal["name"] == BAD_REQUEST.name and "it is image/png of 2000" in refusal["message"]
        assert (await client.put_one(post))["status"] == "stored"
        another = post_with(Author(5), manifest)
        assert (await client.put_one(another))["error"]["name"] == MEDIA_MISSING.name


async def test_other_regions_fetch_what_they_are_asked_for_and_forget_it(tmp_path: Path) -> None:
    author, data = Author(6), pictures.png(SIZE)
    section = MediaSection(cache=2 * SIZE)  # type: ignore[arg-type]
    async with founded(tmp_path, replicas=1, media=section) as town:
        (owner,) = town.replicas_of(author.account)
        far = next(node for node in town.nodes if node is not owner)
        async with town.client(owner) as client:
            await client.auth(author)
            media = [await upload(client, pictures.png(SIZE, seed=seed)) for seed in range(3)]
        async with town.client(far) as client:
            for seed, manifest in enumerate(media):
                found = await read(client, author.account, manifest.hash)
                assert found == pictures.png(SIZE, seed=seed)
        areas = [kept(far, author, manifest.hash) for manifest in media]
        assert areas == [None, None, Area.CACHE], "two of them, with what stands before each, are too many"
        assert status_of(far)["cache_bytes"] <= 2 * SIZE
        async with town.client(far) as client:
            with pytest.raises(WireError, match="no node that can be reached has this medium"):
                await client.call("media.get", account=author.account, hash=bytes(32))
    assert data != b""


async def test_a_replica_that_was_away_fetches_what_posts_show(tmp_path: Path) -> None:
    author, data = Author(7), pictures.png(SIZE)
    async with founded(tmp_path) as town:
        away = town[2]
        await away.stop()
        async with town.client(town[0]) as client:
            await client.auth(author)
            manifest = await upload(client, data)
            assert (await client.put_one(post_with(author, manifest)))["status"] == "stored"
        await town.start(away)
        await kept_by([away], author, manifest.hash)


async def test_what_the_disk_has_changed_is_not_served_and_is_fetched_anew(tmp_path: Path) -> None:
    author, data = Author(8), pictures.png(SIZE)
    async with founded(tmp_path) as town:
        async with town.client(town[0]) as client:
            await client.auth(author)
            manifest = await upload(client, data, level="all")
            assert (await client.put_one(post_with(author, manifest)))["status"] == "stored"
        blobs = blobs_of(town[0])
        file = blobs._file(Area.KEPT, Name(author.account, manifest.hash))
        whole = bytearray(file.read_bytes())
        whole[-1] ^= 1
        file.write_bytes(whole)
        async with town.client(town[0]) as client:
            assert await read(client, author.account, manifest.hash) == data
        await kept_by([town[0]], author, manifest.hash)
        assert file.read_bytes() != whole


async def swept(town: Town) -> None:
    """Have every node look once for what is not referred to."""
    for node in town.running():
        await node.parts.media.sweeper.sweep()


def impatient(**more: Any) -> MediaSection:
    """Settings under which what nothing shows is given up at the second look."""
    return MediaSection(unused_hours=1e-9, grace_hours=0.0, **more)


async def test_what_no_post_shows_any_more_is_given_up_by_all_replicas(tmp_path: Path) -> None:
    author, data = Author(9), pictures.png(2000)
    async with founded(tmp_path, media=impatient()) as town, town.client(town[0]) as client:
        await client.auth(author)
        shown, unused = (
            await upload(client, data, level="all"),
            await upload(client, data + b"x", level="all"),
        )
        post, twin = post_with(author, shown), post_with(author, shown)
        for each in (post, twin):
            assert (await client.put_one(each, "all"))["status"] == "stored"
        for _ in range(2):
            await swept(town)
        assert all(kept(node, author, shown.hash) for node in town.nodes)
        assert not any(kept(node, author, unused.hash) for node in town.nodes)
        assert (await client.put_one(author.deletion(post), "all"))["status"] == "stored"
        for _ in range(2):
            await swept(town)
        assert all(kept(node, author, shown.hash) for node in town.nodes), "the other post still shows it"
        assert (await client.put_one(author.deletion(twin), "all"))["status"] == "stored"
        await swept(town)
        assert all(kept(node, author, shown.hash) for node in town.nodes), "it was only noted"
        await swept(town)
        assert not any(kept(node, author, shown.hash) for node in town.nodes)


async def test_nothing_is_given_up_while_one_member_cannot_be_asked(tmp_path: Path) -> None:
    author, data = Author(10), pictures.png(2000)
    async with founded(tmp_path, media=impatient()) as town, town.client(town[0]) as client:
        await client.auth(author)
        manifest = await upload(client, data, level="all")
        await town[2].stop()
        for _ in range(3):
            await swept(town)
        assert kept(town[0], author, manifest.hash) and kept(town[1], author, manifest.hash)
        assert status_of(town[0])["blocked_by"] == town[2].id.hex()
        await town.start(town[2])

        async def given_up() -> bool:
            await swept(town)
            return not any(kept(node, author, manifest.hash) for node in town.nodes)

        await until(given_up, what="it to be given up once all answer", within_s=30)


@pytest.mark.parametrize("asks_all", [True, False])
async def test_a_post_that_one_replica_alone_has_keeps_the_medium(
    tmp_path: Path, asks_all: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a sweep that passes over who does not answer would lose it, as it does here on purpose."""
    author, data = Author(11), pictures.png(2000)
    monkeypatch.setattr(sweeper, "ASK_TIMEOUT_S", 0.2)
    if not asks_all:
        real = Sweeper._ask

        async def ask(self: Sweeper, node_id: bytes, method: str, asked: dict[str, Any]) -> set[bytes]:
            return await real(self, node_id, method, asked) or set()

        monkeypatch.setattr(Sweeper, "_ask", ask)
    async with founded(tmp_path, media=impatient()) as town, town.client(town[0]) as client:
        await client.auth(author)
        manifest = await upload(client, data, level="all")
        for node in (town[0], town[1]):
            town.cut(node, town[2])
        await town[2].plant(post_with(author, manifest))
        for _ in range(3):
            await swept(town)
        assert kept(town[2], author, manifest.hash) is Area.KEPT
        others = [kept(node, author, manifest.hash) for node in (town[0], town[1])]
        assert others == ([Area.KEPT, Area.KEPT] if asks_all else [None, None])


async def test_what_was_noted_is_taken_back_by_a_post(tmp_path: Path) -> None:
    author, data = Author(12), pictures.png(2000)
    alone = {"nodes": 1, "replicas": 1, "media": impatient()}
    async with founded(tmp_path, **alone) as town, town.client(town[0]) as client:
        await client.auth(author)
        manifest = await upload(client, data)
        await swept(town)
        [item] = (await client.call("media.list"))["items"]
        assert item["unused"] is True
        assert (await client.put_one(post_with(author, manifest)))["status"] == "stored"
        [item] = (await client.call("media.list"))["items"]
        assert item["unused"] is False
        for _ in range(3):
            await swept(town)
        assert kept(town[0], author, manifest.hash) is Area.KEPT
        await finish(client, manifest)


async def test_a_record_lets_anybody_bring_what_it_shows_and_nothing_else(tmp_path: Path) -> None:
    author, data = Author(13), pictures.png(2000)
    manifest, other = pictures.of(data), pictures.of(data + b"x")
    post = post_with(author, manifest)
    forged = [post.payload, bytes(64)]
    async with founded(tmp_path, nodes=1, replicas=1) as town, town.client(town[0]) as client:
        for frame, wanted, kind in (
            (post.to_wire(), other, BAD_REQUEST),
            (author.post().to_wire(), manifest, BAD_REQUEST),
            (forged, manifest, BAD_SIGNATURE),
        ):
            with pytest.raises(WireError) as caught:
                await client.call("media.begin", **wanted.to_wire(), record=frame)
            assert caught.value.kind is kind
        with pytest.raises(WireError) as caught:
            named = {"hash": manifest.hash, "account": author.account}
            await client.call("media.put", **named, index=0, data=data)
        assert caught.value.kind is NOT_FOUND, "nothing was begun"
        await client.call("media.begin", **manifest.to_wire(), record=post.to_wire())
        await client.call("media.put", **named, index=0, data=data)
        await client.call("media.finish", **named)
        assert (await client.put_one(post))["status"] == "stored"
        assert await read(client, author.account, manifest.hash) == data


async def test_a_node_finds_what_its_disk_has_lost_while_it_was_down(tmp_path: Path) -> None:
    author, data = Author(14), pictures.png(2000)
    async with founded(tmp_path) as town:
        async with town.client(town[0]) as client:
            await client.auth(author)
            manifest = await upload(client, data, level="all")
            assert (await client.put_one(post_with(author, manifest), "all"))["status"] == "stored"
        lost = blobs_of(town[1])._file(Area.KEPT, Name(author.account, manifest.hash))
        await town[1].stop()
        lost.unlink()
        await town.start(town[1])
        await kept_by([town[1]], author, manifest.hash)


async def test_more_than_a_node_can_note_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MEDIA_WANTED", 2)
    monkeypatch.setattr(bounds, "MEDIA_RETRY_S", 0.1)
    author = Author(15)
    async with founded(tmp_path) as town:
        away = town[2]
        await away.stop()
        async with town.client(town[0]) as client:
            await client.auth(author)
            media = [await upload(client, pictures.png(900, seed=seed)) for seed in range(7)]
            for manifest in media:
                assert (await client.put_one(post_with(author, manifest)))["status"] == "stored"
        await town.start(away)
        for manifest in media:
            await kept_by([away], author, manifest.hash)
