"""Previews of policies at one node: made one at a time, and kept for whoever activates what was tried.

A preview goes on in steps off the event loop while somebody asks about it, and ends when nobody does. Where
other regions have other layers, nodes of theirs replay what they judged meanwhile, and what they tell is part
of it. What it found is kept on disk for a day, so that any node can be asked to activate by it: a node that
does not have it asks the others.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec
import trio
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.moderation.elsewhere import Asked, Elsewhere, Region, Replayed, shortened
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.replaying import Replay
from folkmoot.node.registers.seat_change import each_of
from folkmoot.protocol import codec
from folkmoot.protocol.community.bounds import DOCUMENT_TELL_S
from folkmoot.protocol.community.previewed import Preview, counts_hash
from folkmoot.protocol.community.value import Hash
from folkmoot.protocol.errors import BUSY, NOT_FOUND, WireError
from folkmoot.protocol.moderation import bounds
from folkmoot.protocol.moderation.objections import in_region, no_such, objections, together, unseen
from folkmoot.storage import previews
from folkmoot.storage.transaction import Admission
from msgspec import Struct

log = logging.getLogger(__name__)

PREVIEWED: Final = "policy.previewed"
_FINISHED_KEPT: Final = 4
_GIVEN_UP: Final = "the preview was given up, since nobody asked about it"

Handler = Callable[[bytes, Any], Awaitable[dict[str, Any]]]


class _Named(Struct):
    """`policy.previewed`: the preview with a hash."""

    hash: Hash


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a preview is to be of.

    Args:
        document: the hash of what is tried.
        compared: of what it is compared with, as the community's register says it.
        posts: at most so many are replayed.
        elsewhere: where something else changes, and whom one can ask there, which is another thing each time.
        absent: regions that have a layer and no node.
        whole: whether an activation may name it; otherwise it is part of another node's.
    """

    document: bytes
    compared: bytes | None
    posts: int
    elsewhere: tuple[Region, ...] = field(default=(), compare=False)
    absent: tuple[str, ...] = field(default=(), compare=False)
    whole: bool = True


@dataclass(slots=True, eq=False)
class Task:
    """A preview on its way, or at its end.

    Args:
        wanted: what it is of; what makes two of them the same.
        before, engine: judge by what it is compared with, and by what is tried.
        told: what nodes of other regions said last, by its number in `wanted.elsewhere`.
        replay: in progress; None until it is this one's turn.
        asked_at: when somebody asked about it last, on trio's clock.
        report: what came of it.
        preview: what an activation asks for of it.
        error: why nothing did.
        moved: set when it has got on.
    """

    wanted: Wanted
    before: PolicyEngine
    engine: PolicyEngine
    asked_at: float
    told: dict[int, Replayed] = field(default_factory=dict)
    replay: Replay | None = None
    report: dict[str, Any] | None = None
    preview: Preview | None = None
    error: WireError | None = None
    moved: trio.Event = field(default_factory=trio.Event)

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.report is not None or self.error is not None

    @property
    def progress(self) -> tuple[int, int]:
        """How many posts were replayed, here and elsewhere, and how many are to be."""
        here = (0, 0) if self.replay is None else (self.replay.done, self.replay.of)
        all_told = [here, *((each.done, each.of) for each in self.told.values())]
        return sum(done for done, _ in all_told), sum(of for _, of in all_told)

    @property
    def is_asked_about(self) -> bool:
        """Whether somebody still waits for it."""
        return trio.current_time() <= self.asked_at + bounds.PREVIEW_ASKED_S

    def on(self) -> None:
        """It has got on."""
        moved, self.moved = self.moved, trio.Event()
        moved.set()


class Previews:
    """See the module. `run` must be running.

    Args:
        node_id: this node's (16 bytes).
        region: where it stands.
        commits: this node's store.
        executor: where posts are replayed.
        wall: for when a preview was made.
        others: the members that can be reached.
        peers: see `contracts`.
    """

    def __init__(
        self,
        node_id: bytes,
        region: str,
        commits: Commits,
        executor: Executor,
        wall: WallClock,
        others: Callable[[], list[bytes]],
        peers: Peers,
    ) -> None:
        self._node_id = node_id
        self._region = region
        self._commits = commits
        self._executor = executor
        self._wall = wall
        self._others = others
        self._peers = peers
        self._elsewhere = Elsewhere(peers)
        self._running: Task | None = None
        self._gathering: dict[Wanted, Task] = {}
        self._finished: OrderedDict[Wanted, Task] = OrderedDict()
        self._wake = trio.Event()

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {PREVIEWED: self._tell}

    def begin(self, wanted: Wanted, before: PolicyEngine, engine: PolicyEngine) -> Task:
        """Begin a preview; or the one that is under way, or is over and was not asked for yet.

        Args:
            wanted: what it is of.
            before, engine: see `Task`.

        Raises:
            WireError: `busy`: another one is under way.
        """
        now = trio.current_time()
        if (waits := self._gathering.get(wanted)) is not None:
            return waits
        finished = self._finished.pop(wanted, None)
        if finished is not None and now < finished.asked_at + bounds.PREVIEW_ASKED_S:
            return finished
        if self._running is not None and self._running.wanted == wanted:
            return self._running
        if self._running is not None or len(self._gathering) >= bounds.PREVIEWS_GATHERED:
            raise WireError(BUSY, "this node is at another preview", retry_after_ms=1_000)
        self._running = Task(wanted, before, engine, now)
        self._wake.set()
        return self._running

    def knows(self, wanted: Wanted) -> bool:
        """Whether a preview is under way, or over and not asked for yet."""
        running = self._running
        under_way = running is not None and running.wanted == wanted
        return under_way or wanted in self._gathering or wanted in self._finished

    async def wait(self, task: Task) -> None:
        """Wait until a preview has got on, for a bounded time."""
        task.asked_at = trio.current_time()
        if not task.ended:
            with trio.move_on_after(bounds.PREVIEW_WAIT_S):
                await task.moved.wait()
        if task.ended:
            self._finished.pop(task.wanted, None)

    async def run(self) -> None:
        """Make the previews that are asked for, for ever."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                if self._running is not None:
                    nursery.start_soon(self._make, self._running)

    async def _make(self, task: Task) -> None:
        """See a preview to its end: what others replay goes on while this node is free for the next."""
        self._gathering[task.wanted] = task
        try:
            async with trio.open_nursery() as others:
                for number, region in enumerate(task.wanted.elsewhere):
                    others.start_soon(self._ask, task, number, region)
                try:
                    await self._replay(task)
                except Exception as error:
                    task.error = _failure(error)
                    others.cancel_scope.cancel()
                finally:
                    self._running = None
            if task.error is None and not task.is_asked_about:
                task.error = WireError(NOT_FOUND, _GIVEN_UP)
            if task.error is None:
                await self._report(task)
        except Exception as error:
            task.error = _failure(error)
        finally:
            del self._gathering[task.wanted]
        self._finished[task.wanted] = task
        while len(self._finished) > _FINISHED_KEPT:
            self._finished.popitem(last=False)
        task.on()

    async def _ask(self, task: Task, number: int, region: Region) -> None:
        """Have another region replay the same."""

        def tell(said: Replayed) -> None:
            task.told[number] = said
            task.on()

        wanted = task.wanted
        asked = Asked(wanted.document, wanted.posts, wanted.compared)
        await self._elsewhere.ask(region, asked, lambda: task.is_asked_about, tell)

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

    async def _replay(self, task: Task) -> None:
        asked = self._commits.store.engine, task.before, task.engine, task.wanted.posts
        replay = task.replay = await self._executor.run(
            partial(Replay, *asked, self._wall.now_us(), self._executor.spent_s)
        )
        while not replay.ended:
            if not task.is_asked_about:
                raise WireError(NOT_FOUND, _GIVEN_UP)
            if replay.taken_s > bounds.PREVIEW_S:
                break
            await self._executor.run(replay.step)
            task.on()
        replay.comparison.left = replay.of - replay.done

    async def _report(self, task: Task) -> None:
        """Say what came of it, here and elsewhere, and keep what an activation asks for."""
        assert task.replay is not None, "it has been replayed"
        comparison, wanted, told = task.replay.comparison, task.wanted, list(_ended(task))
        found = [*objections(comparison), *map(no_such, wanted.absent)]
        for region, said in told:
            found += [unseen(region.names[0])] if said is None else in_region(said.region, said.found)
        said_elsewhere = [said for _, said in told if said is not None]
        counts = counts_hash(comparison.counts())
        if said_elsewhere:
            counts = counts_hash([counts, *([each.region, each.counts] for each in said_elsewhere)])
        preview = Preview(
            *(wanted.document, wanted.compared, self._node_id, self._wall.now_us() // 1000),
            comparison.posts + sum(int(each.report["posts"]) for each in said_elsewhere if each.report),
            counts,
            together(found),
        )
        if wanted.whole:
            before = previews.kept(self._commits.store)
            await self._commits.run(
                partial(previews.keep, before=before, preview=preview), Admission.ESSENTIAL, urgent=True
            )
        task.preview = preview
        task.report = {
            **shortened(comparison.report(), bounds.PREVIEW_REPORT_BYTES, bounds.PREVIEW_RULES),
            "preview": preview.hash,
            "document": wanted.document,
            "compared": wanted.compared,
            "at_ms": preview.at_ms,
            "found": [msgspec.to_builtins(each) for each in preview.found],
            "blocks": preview.blocking,
            "region": self._region,
            "regions": [{"region": each.region, **(each.report or {})} for each in said_elsewhere],
        }


def _ended(task: Task) -> Iterator[tuple[Region, Replayed | None]]:
    """Of each other region what a node there said at last, if one did."""
    for number, region in enumerate(task.wanted.elsewhere):
        said = task.told.get(number)
        yield region, None if said is None or said.report is None else said


def _failure(error: Exception) -> WireError:
    """Why a preview came to nothing."""
    if isinstance(error, WireError):
        return error
    log.error("a preview failed", exc_info=error)
    return WireError(BUSY, f"the preview failed: {error}", retry_after_ms=1_000)
