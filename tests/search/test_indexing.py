"""The indexer of a node: what becomes of its index when files are damaged, or the node ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
from folkmoot.node.actors.indexer import Indexer
from folkmoot.node.configuration.search_section import SearchSection
from folkmoot.protocol.errors import BUSY, LEVEL_UNREACHABLE, NOT_FOUND, WireError
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.search import finding, rederiving
from folkmoot.storage.search.errors import IndexDamaged
from folkmoot.storage.search.files import FileIndexes
from folkmoot.storage.search.index import SearchIndex

from tests.node.harness import Client, Town, founded
from tests.node.people import OPERATOR, Author
from tests.projections.people import SEEN_S
from tests.search.test_searching import finds
from tests.waiting import until

ANN = Author(1)


def indexer(town: Town) -> Indexer:
    return town[0].parts.projections.search.indexer


def generation_of(town: Town) -> int:
    """Which index is read; there is one."""
    generation = indexer(town).generation
    assert generation is not None, "no index is made yet"
    return generation


def folder(town: Town) -> Path:
    return town[0].config.node.data / "search"


def files(town: Town) -> bytes:
    return b"".join(file.read_bytes() for file in folder(town).iterdir())


async def listed(client: Client) -> dict[str, Any]:
    """What the node tells of its index, as a projection."""
    told = await client.call("projection.list")
    [one] = [each for each in told["projections"] if each["name"] == "search"]
    return dict(one)


async def test_words_of_what_is_deleted_leave_the_file_while_the_node_runs(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        gone, kept = ANN.post("xylophonesecret"), ANN.post("vibraphoneopen")
        await client.put(gone, kept, level="all")
        await finds(client, [gone], "xylophonesecret")
        assert b"xylophonesecret" in files(town)
        await client.put(ANN.deletion(gone), level="all")

        async def is_gone() -> bool:
            return b"xylophonesecret" not in files(town)

        await until(is_gone, what="the words to leave the file", within_s=30)
        await finds(client, [kept], "vibraphoneopen")


async def test_an_index_goes_on_after_a_restart_and_knows_what_came_meanwhile(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town:
        async with town.client(town[0]) as client:
            before = ANN.post("tea before")
            await client.put(before, level="all")
            await finds(client, [before], "tea")
        generation = generation_of(town)
        await town.restart(town[0])
        async with town.client(town[0]) as client:
            after = ANN.post("tea after")
            await client.put(after, level="all")
            await finds(client, [after, before], "tea")
        assert generation_of(town) == generation
        assert indexer(town).status()["damaged"] == 0


@pytest.mark.parametrize("damage", ["whole", "pages"])
async def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: str) -> None:
    async with founded(tmp_path, nodes=1) as town:
        posts = [ANN.post(f"tea {n} " + "word " * n) for n in range(200)]
        async with town.client(town[0]) as client:
            await client.put(*posts, level="all")
            await finds(client, posts[::-1], "tea")
        await town[0].stop()
        [file] = folder(town).glob("*.db")
        data = bytearray(file.read_bytes())
        start = 0 if damage == "whole" else 4096
        data[start:] = bytes(len(data) - start)
        file.write_bytes(data)
        await town.start(town[0])
        async with town.client(town[0]) as client:
            await finds(client, posts[::-1], "tea")
        assert indexer(town).status()["damaged"] >= 1


async def test_an_index_that_turns_out_damaged_when_it_is_read_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        post = ANN.post("tea")
        await client.put(post, level="all")
        await finds(client, [post], "tea")
        generation = generation_of(town)

        def fails(*asked: object) -> NoReturn:
            raise IndexDamaged("a page of it cannot be read")

        with monkeypatch.context() as broken:
            broken.setattr(finding, "find", fails)
            with pytest.raises(WireError) as caught:
                await client.call("search.posts", query="tea")
            assert caught.value.kind is LEVEL_UNREACHABLE
        await finds(client, [post], "tea")
        assert generation_of(town) > generation
        assert indexer(town).status()["damaged"] == 1
        assert len(list(folder(town).glob("*.db"))) == 1


async def test_a_rebuild_is_made_beside_what_is_read(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        posts = [ANN.post(f"tea {n}") for n in range(300)]
        await client.put(*posts[:150], level="all")
        await client.put(*posts[150:], level="all")
        await finds(client, posts[::-1], "tea")
        await client.auth(OPERATOR)
        before = await listed(client)
        told = await client.call("projection.rebuild", name="search")
        assert told["generation"] > before["generation"]
        page = await client.call("search.posts", query="tea", limit=200)
        assert len(page["items"]) == 200, "what there was is read meanwhile"

        async def is_exchanged() -> bool:
            one = await listed(client)
            files = [file.name for file in folder(town).glob("*.db")]
            read = one["generation"] == told["generation"] and "rebuilding" not in one
            return read and files == [f"index-{told['generation']}.db"]

        await until(is_exchanged, what="the new index to be read", within_s=SEEN_S)
        await finds(client, posts[::-1], "tea")
        store = town[0].commits.store
        live = indexer(town)._live
        assert live is not None
        held = rederiving.held(live[1])
        assert rederiving.differences(rederiving.expected(store.engine), held) == []
        with pytest.raises(WireError) as caught:
            await client.call("projection.rebuild", name="serach")
        assert caught.value.kind is NOT_FOUND


async def test_its_files_count_for_the_disk_cap(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        store = town[0].commits.store
        await client.put(ANN.post("tea"), level="all")
        await finds(client, [], "coffee")

        async def is_counted() -> bool:
            size = sum(file.stat().st_size for file in folder(town).iterdir())
            return bool(store.engine.beside_bytes == size > 0)

        await until(is_counted, what="the index to count for the cap", within_s=SEEN_S)
        assert store.usage().room_bytes <= store.usage().cap_bytes - store.engine.beside_bytes


async def test_an_index_is_made_once_there_is_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, tries = FileIndexes.open, []

    def opens(indexes: FileIndexes, generation: int) -> SearchIndex:
        tries.append(generation)
        if len(tries) == 1:
            raise DiskFull("no room for it")
        return real(indexes, generation)

    monkeypatch.setattr(FileIndexes, "open", opens)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        post = ANN.post("tea")
        await client.put(post, level="all")
        await finds(client, [post], "tea")
        assert not indexer(town).status()["full"]
    [warning] = [each.getMessage() for each in caplog.records if "search index" in each.getMessage()]
    assert warning.startswith("there is no room for the search index: ")


async def test_a_node_that_is_to_have_no_index_removes_it_and_says_so(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town:
        async with town.client(town[0]) as client:
            post = ANN.post("tea")
            await client.put(post, level="all")
            await finds(client, [post], "tea")
        node = town[0]
        await node.stop()
        node.config = msgspec.structs.replace(node.config, search=SearchSection(enabled=False))
        await town.start(node)
        async with town.client(node) as client:
            with pytest.raises(WireError) as caught:
                await client.call("search.posts", query="tea")
            assert caught.value.kind is LEVEL_UNREACHABLE
            await client.auth(OPERATOR)
            with pytest.raises(WireError, match=r"search\.enabled") as caught:
                await client.call("projection.rebuild", name="search")
            assert caught.value.kind is BUSY

            async def is_removed() -> bool:
                return not list(folder(town).iterdir())

            await until(is_removed, what="the index to be removed", within_s=SEEN_S)
