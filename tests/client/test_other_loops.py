"""The client for programs that have another event loop than trio's, or none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.protocol.client import AsyncioClient, BlockingClient, Client, ClientError, Unreachable
from folkmoot.protocol.client.background import Background
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import WireError

from tests.client.stub import StubNode, stub_nodes
from tests.client.test_client import ALICE, FRAMES, stored

PATIENCE_S = 30.0


async def one_page(node: StubNode, link: Link, params: Params) -> Any:
    return {"items": [{"record": 1}], "cursor": None, "token": None}


async def hang(asked: threading.Event, node: StubNode, link: Link, params: Params) -> Any:
    """Answers nothing, and tells that it was asked."""
    asked.set()
    await trio.sleep_forever()


async def ranked_page(node: StubNode, link: Link, params: Params) -> Any:
    """Tells what it was asked, but for the token."""
    asked = {name: value for name, value in params.items() if name != "token"}
    return {"items": [], "cursor": None, "asked": asked}


def stub_of(directory: Path) -> StubNode:
    node = StubNode(1, directory)
    node.answers |= {"record.put": stored, "feed.author": one_page, "feed.ranked": ranked_page}
    return node


async def within_asyncio(use: Callable[[], Awaitable[None]]) -> None:
    """Have something done in an asyncio loop, in a thread beside trio's."""

    async def in_time() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await use()

    await trio.to_thread.run_sync(lambda: asyncio.run(in_time()))


def client_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "folkmoot-client"]


async def test_the_blocking_client_does_the_same_from_any_thread(tmp_path: Path) -> None:
    node = stub_of(tmp_path)

    def use() -> None:
        with BlockingClient(str(node.address), ca=tmp_path / "ca.crt") as client:
            assert client.call("ping") == {"time_ms": 0}
            assert len(client.put_records(FRAMES[:2], "one")) == 2
            assert [page.items for page in client.author_feed(ALICE.account)] == [[{"record": 1}]]
            [page] = client.ranked_feed(ALICE.account, "best", explain=True)
            assert page.told["asked"] == {"account": ALICE.account, "algorithm": "best", "explain": True}
            assert client.auth(ALICE)["account"] == ALICE.account
            with pytest.raises(WireError, match="unknown_method"):
                client.status()
        with pytest.raises(ClientError, match="closed"):
            client.call("ping")
        client.close()
        with pytest.raises(Unreachable):
            BlockingClient("127.0.0.1:1", tls=False)

    async with stub_nodes(node):
        await trio.to_thread.run_sync(use)
    assert not client_threads()


async def test_the_asyncio_client_does_the_same_in_its_loop(tmp_path: Path) -> None:
    node = stub_of(tmp_path)

    async def use() -> None:
        async with AsyncioClient(str(node.address), ca=tmp_path / "ca.crt") as client:
            assert await asyncio.gather(*(client.call("ping") for _ in range(20))) == [{"time_ms": 0}] * 20
            assert len(await client.put_records(FRAMES[:2], "one")) == 2
            pages = [page.items async for page in client.author_feed(ALICE.account)]
            assert pages == [[{"record": 1}]]
            ranked = [page.told["asked"] async for page in client.ranked_feed(ALICE.account, "best")]
            assert ranked == [{"account": ALICE.account, "algorithm": "best"}]
            assert (await client.auth(ALICE))["account"] == ALICE.account
            for unknown in (client.status(), client.where(ALICE.account), client.account(ALICE.account)):
                with pytest.raises(WireError, match="unknown_method"):
                    await unknown
        with pytest.raises(ClientError, match="closed"):
            await client.call("ping")
        with pytest.raises(Unreachable):
            await AsyncioClient("127.0.0.1:1", tls=False).__aenter__()

    async with stub_nodes(node):
        await within_asyncio(use)
    assert not client_threads()


async def test_what_asyncio_cancels_is_given_up_in_the_thread(tmp_path: Path) -> None:
    node = StubNode(1, tmp_path)
    given_up = threading.Event()

    async def until_given_up(client: Client) -> None:
        try:
            await trio.sleep_forever()
        finally:
            given_up.set()

    async def use() -> None:
        background = Background(str(node.address), {"ca": tmp_path / "ca.crt"})
        await asyncio.wrap_future(background.opened)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.wrap_future(background.ask(until_given_up))
        assert await asyncio.to_thread(given_up.wait, PATIENCE_S)
        assert await asyncio.wrap_future(background.ask(lambda client: client.call("ping"))) == {"time_ms": 0}
        background.close()

    async with stub_nodes(node):
        await within_asyncio(use)


async def test_what_is_under_way_when_the_client_is_closed_fails(tmp_path: Path) -> None:
    node = StubNode(1, tmp_path)
    asked = threading.Event()
    node.answers["ping"] = partial(hang, asked)

    async def use() -> None:
        async with AsyncioClient(str(node.address), ca=tmp_path / "ca.crt") as client:
            call = asyncio.create_task(client.call("ping"))
            assert await asyncio.to_thread(asked.wait, PATIENCE_S)
        with pytest.raises(ClientError, match="closed"):
            await call

    async with stub_nodes(node):
        await within_asyncio(use)


async def test_a_client_that_is_given_up_while_it_connects_leaves_no_thread(tmp_path: Path) -> None:
    node = StubNode(1, tmp_path)
    asked = threading.Event()
    node.answers["hello"] = partial(hang, asked)

    async def use() -> None:
        opening = asyncio.create_task(
            AsyncioClient(str(node.address), ca=tmp_path / "ca.crt").__aenter__(), name="opening"
        )
        assert await asyncio.to_thread(asked.wait, PATIENCE_S)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    async with stub_nodes(node):
        await within_asyncio(use)
    assert not client_threads()
