"""The shadow: a second policy that judges what this node takes in, without effect.

It judges what was stored already, off the event loop and a little later, so that no answer waits for it. What
comes faster than it can judge is left out and counted. What it saw is on disk every few seconds, without the
posts, and goes on after a restart. When another policy comes into force it begins to count anew.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Final, Protocol

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.noting import Note
from folkmoot.node.moderation.replaying import Pair
from folkmoot.protocol import codec
from folkmoot.protocol.community.value import Hash, Milliseconds
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation import bounds
from folkmoot.protocol.moderation.policy import PolicyError
from folkmoot.protocol.moderation.replay import Comparison, Seen
from folkmoot.storage.errors import StorageError
from folkmoot.storage.transaction import Admission
from msgspec import Struct

log = logging.getLogger(__name__)

_STORED: Final = "shadow"


class _Kept(Struct):
    """What is on disk: the policy that judges without effect, beside which one, and what it saw."""

    hash: Hash
    beside: Hash
    since_ms: Milliseconds
    left_out: int
    counts: dict[str, Any]


class Documents(Protocol):
    """What this node keeps; see `community.documents`."""

    def find(self, name: bytes) -> bytes | None: ...

    async def compile(self, document: bytes) -> PolicyEngine: ...


class _Running:
    """A policy that judges without effect.

    Args:
        engine: it.
        beside: the policy in force.
        since_ms: since when, milliseconds since 1970.
        spent_s: the processor time of the calling thread, seconds.
    """

    def __init__(
        self, engine: PolicyEngine, beside: PolicyEngine, since_ms: int, spent_s: Callable[[], float]
    ) -> None:
        self.engine = engine
        self.beside = beside
        self.since_ms = since_ms
        self.left_out = 0
        self.pair = Pair(beside, engine, spent_s)
        self.comparison = Comparison(beside.document, engine.document)
        self.comparison.spent_s = self.pair.spent

    def go_on_from(self, kept: _Kept) -> None:
        """Count on from what was kept."""
        self.since_ms, self.left_out = kept.since_ms, kept.left_out
        self.comparison = Comparison.from_kept(self.beside.document, self.engine.document, kept.counts)
        self.pair.spent = self.comparison.spent_s

    def kept(self) -> bytes:
        """What is to be on disk."""
        return codec.pack(
            {
                "hash": bytes.fromhex(self.engine.document.hash),
                "beside": bytes.fromhex(self.beside.document.hash),
                "since_ms": self.since_ms,
                "left_out": self.left_out,
                "counts": self.comparison.to_kept(),
            }
        )


class Shadow:
    """See the module. Call `open`, then keep `run` running.

    Args:
        commits: this node's store.
        executor: where posts are judged.
        wall: for since when it judges.
        documents: where documents are.
        in_force: the policy that judges most accounts here.
    """

    def __init__(
        self,
        commits: Commits,
        executor: Executor,
        wall: WallClock,
        documents: Documents,
        in_force: Callable[[], PolicyEngine],
    ) -> None:
        self._commits = commits
        self._executor = executor
        self._wall = wall
        self._documents = documents
        self._in_force = in_force
        self._running: _Running | None = None
        self._waiting: deque[Note] = deque()
        self._wake = trio.Event()
        self._writing = trio.Lock()  # so that what is written last is what runs

    def note(self, note: Note) -> None:
        """Have a post judged soon."""
        running = self._running
        if running is None:
            return
        if len(self._waiting) >= bounds.SHADOW_WAITING:
            running.left_out += 1
            return
        self._waiting.append(note)
        self._wake.set()

    @property
    def wants(self) -> bool:
        """Whether it judges what comes."""
        return self._running is not None

    def in_use(self) -> frozenset[bytes]:
        """The document that judges without effect."""
        running = self._running
        return frozenset() if running is None else frozenset((bytes.fromhex(running.engine.document.hash),))

    async def begin(self, engine: PolicyEngine | None) -> None:
        """Have a policy judge without effect from now on, or none.

        Raises:
            StorageError: it could not be noted; all is as before.
        """
        running = None if engine is None else self._begun(engine)
        async with self._writing:
            await self._keep(running)
            self._waiting.clear()
            self._running = running

    def told(self) -> dict[str, Any] | None:
        """What it saw; None while no policy judges without effect."""
        running = self._running
        if running is None:
            return None
        return {
            "hash": bytes.fromhex(running.engine.document.hash),
            "name": running.engine.document.name,
            "beside": running.beside.document.hash,
            "since_ms": running.since_ms,
            "left_out": running.left_out,
            "waiting": len(self._waiting),
            **running.comparison.report(),
        }

    async def open(self) -> None:
        """Go on as before this node was started, as far as its disk has that still."""
        try:
            value = self._commits.store.meta_get(_STORED)
            if not value:
                return
            kept = codec.shaped(codec.unpack(value), _Kept, "what the shadow saw")
            document = self._documents.find(kept.hash)
            if document is None:
                raise PolicyError(["its document is not on this disk"])
            running = self._begun(await self._documents.compile(document))
            if kept.beside.hex() == running.beside.document.hash:
                running.go_on_from(kept)
        except (WireError, StorageError, PolicyError, KeyError, TypeError, ValueError) as error:
            log.error("the policy that judged without effect does so no longer: %s", error)
            return
        self._running = running

    async def run(self) -> None:
        """Judge what comes, for ever."""
        changed_at: float | None = None
        while True:
            with trio.move_on_at(inf if changed_at is None else changed_at):
                await self._wake.wait()
            if self._waiting:
                await self._judge()
                changed_at = changed_at or trio.current_time() + bounds.SHADOW_KEPT_S
            else:
                self._wake = trio.Event()
            if changed_at is not None and trio.current_time() >= changed_at:
                changed_at = None
                await self._keep_quietly()

    async def _judge(self) -> None:
        running, in_force = self._running, self._in_force()
        if running is None:
            self._waiting.clear()
            return
        if running.beside.document.hash != in_force.document.hash:
            self._running = running = self._begun(running.engine)
        some = [self._waiting.popleft() for _ in range(min(bounds.SHADOW_STEP, len(self._waiting)))]
        now_us = self._wall.now_us()
        for seen in await self._executor.run(partial(_judged, running.pair, some, now_us)):
            running.comparison.add(seen)

    def _begun(self, engine: PolicyEngine) -> _Running:
        since_ms = self._wall.now_us() // 1000
        return _Running(engine, self._in_force(), since_ms, self._executor.spent_s)

    async def _keep(self, running: _Running | None) -> None:
        value = b"" if running is None else running.kept()
        await self._commits.run(
            lambda transaction: transaction.meta_put(_STORED, value), Admission.ESSENTIAL, urgent=True
        )

    async def _keep_quietly(self) -> None:
        try:
            async with self._writing:
                await self._keep(self._running)
        except (WireError, StorageError) as error:
            log.warning("what the shadow saw is not on disk: %s", error)


def _judged(pair: Pair, some: list[Note], now_us: int) -> list[Seen]:
    return pair.judge(some, now_us, [None] * len(some))
