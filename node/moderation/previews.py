"""Previews of policies at one node: made one at a time, and kept for whoever activates what was tried.

A preview goes on in steps off the event loop while somebody asks about it, and ends when nobody does. What it
found is kept on disk for a day, so that any node can be asked to activate by it: a node that does not have it
asks the others.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec
import trio
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.replaying import Replay
from folkmoot.node.registers.seat_change import each_of
from folkmoot.protocol import codec
from folkmoot.protocol.community.bounds import DOCUMENT_TELL_S
from folkmoot.protocol.community.previewed import Preview, counts_hash
from folkmoot.protocol.community.value import Hash
from folkmoot.protocol.errors import BUSY, NOT_FOUND, WireError
from folkmoot.protocol.moderation import bounds
from folkmoot.protocol.moderation.objections import objections
from folkmoot.storage import previews
from folkmoot.storage.transaction import Admission
from msgspec import Struct

log = logging.getLogger(__name__)

PREVIEWED: Final = "policy.previewed"
_FINISHED_KEPT: Final = 4

Handler = Callable[[bytes, Any], Awaitable[dict[str, Any]]]


class _Named(Struct):
    """`policy.previewed`: the preview with a hash."""

    hash: Hash


@dataclass(slots=True, eq=False)
class Task:
    """A preview on its way, or at its end.

    Args:
        document: what is tried.
        compared: what it is compared with, as the community's register says it.
        posts: at most so many are replayed.
        before, engine: judge by what it is compared with, and by what is tried.
        replay: in progress; None until it is this one's turn.
        asked_at: when somebody asked about it last, on trio's clock.
        report: what came of it.
        error: why nothing did.
        moved: set when it has got on.
    """

    document: bytes
    compared: bytes | None
    posts: int
    before: PolicyEngine
    engine: PolicyEngine
    asked_at: float
    replay: Replay | None = None
    report: dict[str, Any] | None = None
    error: WireError | None = None
    moved: trio.Event = field(default_factory=trio.Event)

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.report is not None or self.error is not None

    @property
    def name(self) -> tuple[bytes, bytes | None, int]:
        """What makes two of them the same."""
        return self.document, self.compared, self.posts


class Previews:
    """See the module. `run` must be running.

    Args:
        node_id: this node's (16 bytes).
        commits: this node's store.
        executor: where posts are replayed.
        wall: for when a preview was made.
        others: the members that can be reached.
        peers: see `contracts`.
    """

    def __init__(
        self,
        node_id: bytes,
        commits: Commits,
        executor: Executor,
        wall: WallClock,
        others: Callable[[], list[bytes]],
        peers: Peers,
    ) -> None:
        self._node_id = node_id
        self._commits = commits
        self._executor = executor
        self._wall = wall
        self._others = others
        self._peers = peers
        self._running: Task | None = None
        self._finished: OrderedDict[tuple[bytes, bytes | None, int], Task] = OrderedDict()
        self._wake = trio.Event()

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {PREVIEWED: self._tell}

    def begin(
        self,
        document: bytes,
        compared: bytes | None,
        posts: int,
        before: PolicyEngine,
        engine: PolicyEngine,
    ) -> Task:
        """Begin a preview; or the one that is under way, or is over and was not asked for yet.

        Args:
            document: its hash.
            compared: see `Task`.
            posts: at most so many are replayed.
            before, engine: see `Task`.

        Raises:
            WireError: `busy`: another one is under way.
        """
        task = Task(document, compared, posts, before, engine, trio.current_time())
        if self._running is not None and self._running.name != task.name:
            raise WireError(BUSY, "this node is at another preview", retry_after_ms=1_000)
        finished = self._finished.pop(task.name, None)
        if finished is not None and task.asked_at < finished.asked_at + bounds.PREVIEW_ASKED_S:
            return finished
        if self._running is None:
            self._running = task
            self._wake.set()
        return self._running

    async def wait(self, task: Task) -> None:
        """Wait until a preview has got on, for a bounded time."""
        task.asked_at = trio.current_time()
        if not task.ended:
            with trio.move_on_after(bounds.PREVIEW_WAIT_S):
                await task.moved.wait()
        if task.ended:
            self._finished.pop(task.name, None)

    async def run(self) -> None:
        """Make the previews that are asked for, for ever."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            task = self._running
            if task is None:
                continue
            try:
                await self._make(task)
            except WireError as error:
                task.error = error
            except Exception as error:
                log.exception("a preview failed")
                task.error = WireError(BUSY, f"the preview failed: {error}", retry_after_ms=1_000)
            finally:
                self._running = None
            self._finished[task.name] = task
            while len(self._finished) > _FINISHED_KEPT:
                self._finished.popitem(last=False)
            task.moved.set()

    async def find(self, name: bytes | None) -> Preview | None:
        """The preview with a hash, of this node or another; None where nobody who can be reached has it."""
        if name is None:
            return None
        found = [each for each in previews.kept(self._commits.store) if each.hash == name]

        async def ask(node_id: bytes) -> None:
            try:
                answer = await self._peers.call(node_id, PREVIEWED, {"hash": name}, DOCUMENT_TELL_S)
                preview = codec.shaped(answer, Preview, f"the answer to {PREVIEWED}")
            except (WireError, PeerUnreachable) as error:
                log.debug("node %s has no such preview: %s", node_id.hex()[:8], error)
                return
            if preview.hash == name:
                found.append(preview)

        if not found:
            await each_of(self._others(), ask)
        return found[0] if found else None

    async def _tell(self, node_id: bytes, params: Any) -> dict[str, Any]:
        name = codec.shaped(params, _Named, PREVIEWED).hash
        for each in previews.kept(self._commits.store):
            if each.hash == name:
                return each.to_wire()
        raise WireError(NOT_FOUND, "this node has made no such preview, or no longer keeps it")

    async def _make(self, task: Task) -> None:
        asked = self._commits.store.engine, task.before, task.engine, task.posts
        replay = task.replay = await self._executor.run(
            partial(Replay, *asked, self._wall.now_us(), self._executor.spent_s)
        )
        while not replay.ended:
            if trio.current_time() > task.asked_at + bounds.PREVIEW_ASKED_S:
                raise WireError(NOT_FOUND, "the preview was given up, since nobody asked about it")
            if replay.taken_s > bounds.PREVIEW_S:
                break
            await self._executor.run(replay.step)
            moved, task.moved = task.moved, trio.Event()
            moved.set()
        comparison = replay.comparison
        comparison.left = replay.of - replay.done
        preview = Preview(
            task.document,
            task.compared,
            self._node_id,
            self._wall.now_us() // 1000,
            comparison.posts,
            counts_hash(comparison.counts()),
            objections(comparison),
        )
        before = previews.kept(self._commits.store)
        await self._commits.run(
            partial(previews.keep, before=before, preview=preview), Admission.ESSENTIAL, urgent=True
        )
        task.report = {
            **comparison.report(),
            "preview": preview.hash,
            "document": task.document,
            "compared": task.compared,
            "at_ms": preview.at_ms,
            "found": [msgspec.to_builtins(each) for each in preview.found],
            "blocks": preview.blocking,
        }
