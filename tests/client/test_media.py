"""What a client believes of a medium, and what it does about nodes that send something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
from folkmoot.protocol.client import media
from folkmoot.protocol.client.errors import ClientError
from folkmoot.protocol.client.link_terms import NoAnswer
from folkmoot.protocol.errors import BUSY, NOT_FOUND, WireError
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest

from tests.media import pictures
from tests.node.people import Author

ANN = Author(1).account
DATA = pictures.png(6 * CHUNK_BYTES + 5)
WHOLE = pictures.of(DATA)
PARTS = pictures.chunks(DATA, WHOLE)


class Nodes:
    """Stands for a client with some nodes, of which each sends its own chunks: bytes, or what it refuses."""

    def __init__(self, *nodes: Mapping[int, bytes | WireError]) -> None:
        self.nodes = list(nodes)
        self.at = 0
        self.sent: list[int] = []

    async def session(self) -> Any:
        await trio.lowlevel.checkpoint()
        return self.at

    def abandon(self, session: Any) -> None:
        if session == self.at:
            self.at = (self.at + 1) % len(self.nodes)

    async def call(self, method: str, params: Any = None) -> Any:
        node = self.nodes[self.at]
        await trio.lowlevel.checkpoint()
        if method == "media.begin":
            return {"have": [], "whole": False}
        if method == "media.stat":
            return WHOLE.to_wire()
        if method == "media.put":
            self.sent.append(params["index"])
        found = node.get(params["index"], PARTS[params["index"]])
        if isinstance(found, WireError):
            raise found
        return {"data": found}


async def fetched(nodes: Nodes, manifest: Manifest = WHOLE) -> bytes:
    got: list[bytes] = []
    await media.fetch(nodes, ANN, manifest, got.append)
    return b"".join(got)


@pytest.mark.parametrize("wrong", [b"", PARTS[2], PARTS[1] + b"x", b"x" * (CHUNK_BYTES + 1)])
async def test_who_sends_something_else_is_left(autojump_clock: Any, wrong: bytes) -> None:
    nodes = Nodes({1: wrong, 3: wrong}, {}, {0: b"never asked"})
    assert await fetched(nodes) == DATA
    assert nodes.at == 1, "however many chunks were wrong, one node was left"


async def test_when_all_of_them_do_that_is_said(autojump_clock: Any) -> None:
    with pytest.raises(ClientError, match="is not the medium: chunk 5"):
        await fetched(Nodes({5: PARTS[0]}, {5: b""}))


async def test_a_manifest_is_believed_no_longer_than_until_all_is_there(autojump_clock: Any) -> None:
    swapped = [PARTS[1], PARTS[0], *PARTS[2:]]
    made_up = Manifest(
        WHOLE.hash, WHOLE.size, WHOLE.mime, [WHOLE.chunks[1], WHOLE.chunks[0], *WHOLE.chunks[2:]]
    )
    with pytest.raises(ClientError, match="does not have the medium's hash"):
        await fetched(Nodes(dict(enumerate(swapped))), made_up)
    with pytest.raises(ClientError, match="another medium"):
        await media.stat(Nodes({}), ANN, bytes(32))


async def test_one_refusal_ends_all_and_is_told_as_it_came(autojump_clock: Any) -> None:
    gone, busy = WireError(NOT_FOUND, "gone"), WireError(BUSY, "it is being fetched")
    with pytest.raises(WireError) as caught:
        await fetched(Nodes({0: busy, 1: gone, 2: busy, 3: busy}))
    assert caught.value is gone and trio.current_time() < 1


async def test_a_file_that_cannot_be_read_is_told_as_it_came(autojump_clock: Any) -> None:
    def read(index: int) -> bytes:
        if index == 2:
            raise OSError(5, "Input/output error")
        return PARTS[index]

    nodes = Nodes({})
    with pytest.raises(OSError, match="Input/output"):
        await media.upload(nodes, WHOLE, read)
    assert set(nodes.sent) <= {0, 1, 3}


async def test_a_node_that_goes_on_looking_is_asked_again(autojump_clock: Any) -> None:
    looking = [NoAnswer("media.finish", 2.7), WireError(BUSY, "it is being looked at")]

    class Slow(Nodes):
        async def call(self, method: str, params: Any = None) -> Any:
            if method != "media.finish":
                return await super().call(method, params)
            if looking:
                raise looking.pop()
            return {"status": "stored"}

    assert await media.upload(Slow({}), WHOLE, PARTS.__getitem__) == {"status": "stored"}
    assert not looking


async def test_who_stops_waiting_stops_all(autojump_clock: Any) -> None:
    with trio.move_on_after(5) as scope:
        await fetched(Nodes({0: WireError(BUSY, "it is being fetched")}))
    assert scope.cancelled_caught
