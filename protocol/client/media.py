"""Bringing media to a cluster and reading them back, chunk by chunk, over whatever happens to connections.

An upload lies at the node where it was begun until it is finished. When that node is gone it begins anew at
the next; at the same one it goes on with the chunks that are missing. What is read is believed once its bytes
have the hash that was asked for, so nobody has to trust the node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.protocol import codec, limits
from folkmoot.protocol.client.errors import ClientError
from folkmoot.protocol.client.plain import plain_nursery
from folkmoot.protocol.client.session import Session
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import (
    BUSY,
    CONFLICT,
    LEVEL_UNREACHABLE,
    NOT_FOUND,
    NOT_YET,
    TIMEOUT,
    WireError,
)
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest
from folkmoot.protocol.record import Record
from msgspec import Meta, Struct

WINDOW: Final = 4
ATTEMPTS: Final = 5
PATIENCE_S: Final = 300.0
PAUSE_S: Final = 0.25

Chunk = Annotated[bytes, Meta(max_length=CHUNK_BYTES)]
OnProgress = Callable[[int, int], None]


class Calls(Protocol):
    """A client, as far as media go."""

    async def call(self, method: str, params: Params | None = None) -> Any: ...

    async def session(self) -> Session: ...

    def abandon(self, session: Session) -> None: ...


class _Begun(Struct):
    """The answer to `media.begin`."""

    have: Annotated[list[int], Meta(max_length=bounds.MEDIA_CHUNKS)]
    whole: bool


class _Got(Struct):
    """The answer to `media.get`."""

    data: Chunk


async def upload(
    client: Calls,
    manifest: Manifest,
    read: Callable[[int], bytes],
    *,
    level: str = "quorum",
    on_progress: OnProgress = lambda done, whole: None,
    patience_s: float = PATIENCE_S,
    shown_by: Record | None = None,
) -> dict[str, Any]:
    """Bring a medium, or the rest of one.

    It is for the account that the client has proven, or for the author of a record that shows it.

    Args:
        client: connected.
        manifest: what it is made of.
        read: gives a chunk, by its number.
        level: of replicas that are to have it on their disks.
        on_progress: told how many bytes are there, and how many there are in all.
        patience_s: for replicas to fetch it, once it is here.
        shown_by: such a record; None when the account was proven.

    Returns:
        `{hash, size, mime, achieved}`.

    Raises:
        WireError: what the node says against it.
        ClientError: nodes came and went faster than the medium could be brought.
    """
    begin, whose = manifest.to_wire(), {}
    if shown_by is not None:
        begin["record"], whose = shown_by.to_wire(), {"account": shown_by.author}
    for _ in range(ATTEMPTS):
        begun = codec.shaped(await client.call("media.begin", begin), _Begun, "media.begin")
        missing = [] if begun.whole else sorted(set(range(len(manifest.chunks))) - set(begun.have))
        try:
            await _send(client, manifest, whose, missing, read, on_progress)
            return await _finish(client, {"hash": manifest.hash, "level": level, **whose}, patience_s)
        except WireError as error:
            if error.kind not in (NOT_FOUND, CONFLICT):  # another node, which knows nothing of it
                raise
    raise ClientError("the upload began anew time and again: the nodes that it went to did not stay")


async def _send(
    client: Calls,
    manifest: Manifest,
    whose: dict[str, bytes],
    missing: list[int],
    read: Callable[[int], bytes],
    told: OnProgress,
) -> None:
    done = manifest.size - sum(map(manifest.length, missing))
    told(done, manifest.size)

    async def some(indexes: Iterator[int]) -> None:
        nonlocal done
        for index in indexes:
            data = read(index)
            asked = {"hash": manifest.hash, "index": index, "data": data, **whose}
            await client.call("media.put", asked)
            done += len(data)
            told(done, manifest.size)

    async with plain_nursery() as nursery:
        indexes = iter(missing)
        for _ in range(WINDOW):
            nursery.start_soon(some, indexes)


async def _finish(client: Calls, asked: Params, patience_s: float) -> dict[str, Any]:
    """Ask until the replicas have it."""
    ends = trio.current_time() + patience_s
    while True:
        try:
            answer: dict[str, Any] = await client.call("media.finish", asked)
        except WireError as error:
            if error.kind not in (BUSY, TIMEOUT, LEVEL_UNREACHABLE) or trio.current_time() >= ends:
                raise
            if error.kind is LEVEL_UNREACHABLE:
                ends = min(ends, trio.current_time() + limits.REQUEST_TIMEOUT_S)
            await trio.sleep(PAUSE_S)
        else:
            return answer


async def stat(client: Calls, account: bytes, digest: bytes) -> Manifest:
    """What a medium is made of, as a node says.

    Raises:
        WireError: `not_found`.
        ClientError: the node told of another medium.
    """
    answer = await client.call("media.stat", {"account": account, "hash": digest})
    manifest = Manifest.from_wire(answer, "media.stat")
    if manifest.hash != digest:
        raise ClientError("the node told of another medium than it was asked for: ask another node")
    return manifest


async def fetch(
    client: Calls,
    account: bytes,
    manifest: Manifest,
    write: Callable[[bytes], Any],
    *,
    on_progress: OnProgress = lambda done, whole: None,
    patience_s: float = PATIENCE_S,
) -> None:
    """Read a medium from its first byte to its last.

    Args:
        client: connected.
        account: whose it is (34 bytes).
        manifest: what it is made of (see `stat`).
        write: takes the bytes, in order.
        on_progress: told how many bytes have come, and how many there are.
        patience_s: for the node to fetch it from where it is kept.

    Raises:
        WireError: `not_found`.
        ClientError: no node sent what the manifest says, or all of it does not have the medium's hash; what
            was written is worth nothing.
    """
    whole = hashlib.sha256()
    done = 0
    ends = trio.current_time() + patience_s
    for first in range(0, len(manifest.chunks), WINDOW):
        indexes = range(first, min(first + WINDOW, len(manifest.chunks)))
        for data in await _chunks(client, account, manifest, indexes, ends):
            whole.update(data)
            write(data)
            done += len(data)
        on_progress(done, manifest.size)
    if whole.digest() != manifest.hash:
        raise ClientError("what the nodes sent does not have the medium's hash: ask another node")


async def _chunks(
    client: Calls, account: bytes, manifest: Manifest, indexes: range, ends: float
) -> list[bytes]:
    """Some chunks, asked for at once, in their order."""
    found: dict[int, bytes] = {}

    async def ask(index: int) -> None:
        found[index] = await _chunk(client, account, manifest, index, ends)

    async with plain_nursery() as nursery:
        for index in indexes:
            nursery.start_soon(ask, index)
    return [found[index] for index in indexes]


async def _chunk(client: Calls, account: bytes, manifest: Manifest, index: int, ends: float) -> bytes:
    """One chunk; from another node when what one sends is not it."""
    asked = {"account": account, "hash": manifest.hash, "index": index}
    wrong = 0
    while True:
        session = await client.session()
        try:
            answer = await client.call("media.get", asked)
        except WireError as error:
            if error.kind not in (BUSY, TIMEOUT, NOT_YET) or trio.current_time() >= ends:
                raise
            await trio.sleep(PAUSE_S)
            continue
        try:
            data = codec.shaped(answer, _Got, "media.get").data
            manifest.check(index, data)
        except WireError as error:
            wrong += 1
            if wrong == ATTEMPTS:
                raise ClientError(f"what the nodes sent is not the medium: {error.message}") from error
            client.abandon(session)
        else:
            return data
