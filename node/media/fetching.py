"""Fetches media from other nodes, chunk by chunk; each is checked when it comes, and the whole at the end.

All that moves media is this: a replica fetches what it is to keep from the node that took the upload, what it
lacks from the other replicas, and what a client asks for from wherever it is kept. One medium is fetched once
at a time, whoever waits for it, and goes on where it was if it broke off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.media import messages
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, NOT_FOUND, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.kinds import is_kind
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.layout import Area, Name

log = logging.getLogger(__name__)


class Fetch:
    """One medium on its way here.

    Attributes:
        area: where it is to stand; who is to keep it decides.
        size: how many bytes it is said to have, for the quota of its account; 0 where that is not asked.
        done: set when it has come or will not.
        error: why it did not come.
        left: how many chunks are missing; None before it is known.
    """

    def __init__(self, name: Name, area: Area, sources: Sequence[bytes], size: int) -> None:
        self.name = name
        self.area = area
        self.size = size
        self.sources = list(sources)
        self.done = trio.Event()
        self.error: WireError | None = None
        self.left: int | None = None


class Fetcher:
    """See the module. `run` must be running.

    Args:
        blobs: where media lie.
        executor: where files are written.
        peers: how to reach the others.
    """

    def __init__(self, blobs: Blobs, executor: Executor, peers: Peers) -> None:
        self._blobs = blobs
        self._executor = executor
        self._peers = peers
        self._running: dict[Name, Fetch] = {}
        self._limiter = trio.CapacityLimiter(bounds.MEDIA_FETCHES_AT_ONCE)
        self._begun, self._to_begin = trio.open_memory_channel[Fetch](bounds.MEDIA_WAITING)
        self.fetched = 0
        self.failed = 0

    @property
    def running(self) -> int:
        """How many are on their way."""
        return len(self._running)

    async def run(self) -> None:
        """Fetch what is begun until cancelled."""
        async with trio.open_nursery() as nursery:
            async for fetch in self._to_begin:
                nursery.start_soon(self._fetch, fetch)

    def coming(self, account: bytes) -> dict[bytes, int]:
        """What is on its way to be kept of an account: by hash, how many bytes it is said to have."""
        fetches = [each for name, each in self._running.items() if name.account == account]
        return {each.name.hash: each.size for each in fetches if each.area is Area.KEPT}

    def begin(self, name: Name, area: Area, sources: Sequence[bytes], size: int = 0) -> Fetch:
        """Have a medium fetched, or join who waits for it already.

        Args:
            sources: nodes that may have it, in the order in which they are asked.
            size: see `Fetch`.

        Raises:
            WireError: `busy`, when too many are waiting.
        """
        fetch = self._running.get(name)
        if fetch is None:
            if len(self._running) >= bounds.MEDIA_WAITING:
                raise _busy("this node has too many media to fetch")
            fetch = self._running[name] = Fetch(name, area, sources, size)
            self._begun.send_nowait(fetch)  # as many find room
            return fetch
        if area is Area.KEPT:
            fetch.area = area
        fetch.size = max(fetch.size, size)
        fetch.sources += [each for each in sources if each not in fetch.sources]
        return fetch

    async def wait(self, fetch: Fetch) -> None:
        """Wait until it has come, for as long as a request may.

        Raises:
            WireError: `busy`, while it is still coming; or why it will not come.
        """
        with trio.move_on_after(bounds.MEDIA_ANSWER_S):
            await fetch.done.wait()
        if not fetch.done.is_set():
            left = "" if fetch.left is None else f"; {fetch.left} chunks are missing"
            raise _busy(f"the medium is still being fetched{left}")
        if fetch.error is not None:
            raise fetch.error

    async def _fetch(self, fetch: Fetch) -> None:
        try:
            async with self._limiter:
                await self._from_one_of(fetch)
        finally:
            del self._running[fetch.name]
            fetch.done.set()

    async def _from_one_of(self, fetch: Fetch) -> None:
        fetch.error = WireError(NOT_FOUND, "no node that can be reached has this medium")
        for source in fetch.sources:  # which may grow meanwhile
            try:
                await self._from(source, fetch)
            except (WireError, PeerUnreachable, StorageError) as error:
                told = _in_the_contract(error)
                if told.kind is not NOT_FOUND:
                    log.info("medium %s from %s: %s", fetch.name.hash.hex(), source.hex(), error)
                    fetch.error = told
            else:
                fetch.error = None
                self.fetched += 1
                return
        self.failed += 1

    async def _from(self, source: bytes, fetch: Fetch) -> None:
        name, blobs = fetch.name, self._blobs
        asked = {"account": name.account, "hash": name.hash, "kept": fetch.area is Area.CACHE}
        answer = await self._peers.call(source, messages.MANIFEST, asked, limits.REPLICA_READ_TIMEOUT_S)
        manifest = messages.told_manifest(answer, name.hash)
        have = await self._executor.run(partial(blobs.begin, name.account, manifest, fetch.area))
        missing = [each for each in range(len(manifest.chunks)) if each not in have]
        fetch.left = len(missing)
        try:
            await self._chunks(source, fetch, manifest, missing)
        finally:
            fetch.left = None
        await self._executor.run(partial(self._check, name))
        await self._executor.run(partial(blobs.promote, name, Area.PARTIAL, fetch.area))

    def _check(self, name: Name) -> None:
        """Compare what has come with its hash, and with what the other node calls it; blocks."""
        manifest = self._blobs.seal(name)
        if not is_kind(manifest.mime, self._blobs.read(Area.PARTIAL, name, 0)):
            self._blobs.drop(Area.PARTIAL, name)
            raise WireError(BAD_REQUEST, f"a node calls it {manifest.mime}, which it is not")

    async def _chunks(self, source: bytes, fetch: Fetch, manifest: Manifest, missing: Sequence[int]) -> None:
        """Fetch some chunks, a few at a time."""
        indexes = iter(missing)
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:
            for _ in range(bounds.MEDIA_FETCH_WINDOW):
                stop = nursery.cancel_scope.cancel
                nursery.start_soon(self._some_chunks, source, fetch, manifest, indexes, failures, stop)
        if failures:
            raise failures[0]

    async def _some_chunks(
        self,
        source: bytes,
        fetch: Fetch,
        manifest: Manifest,
        indexes: Iterator[int],
        failures: list[Exception],
        stop: Callable[[], None],
    ) -> None:
        name = fetch.name
        try:
            for index in indexes:
                asked = {"account": name.account, "hash": name.hash, "index": index}
                answer = await self._peers.call(source, messages.CHUNK, asked, limits.REQUEST_TIMEOUT_S)
                data = codec.shaped(answer, messages.GivenChunk, "a chunk").data
                fetch.left = await self._executor.run(partial(self._blobs.write, name, index, data))
        except (WireError, PeerUnreachable, StorageError) as error:
            failures.append(error)
            stop()


def _in_the_contract(error: Exception) -> WireError:
    match error:
        case WireError():
            return error
        case StorageError():
            log.warning("%s", error)
            return error.to_wire_error()
        case _:
            return _busy("a node that has this medium did not answer")


def _busy(sentence: str) -> WireError:
    return WireError(BUSY, sentence, retry_after_ms=500)
