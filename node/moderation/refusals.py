"""The log of refusals: what the gate sends back leaves no record, and is counted here instead.

Refusals are written in groups, some seconds after they were made, so that nobody who is refused has the disk
wait for them; a crash loses those of the last seconds. Each node counts its own. Whoever asks one node is
told those of all that can be reached, node by node.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

import msgspec
import trio
from cachetools import LRUCache
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.environment import WallClock
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.media.references import references
from folkmoot.protocol.moderation.bounds import REFUSALS_PAGE, REFUSALS_REST_S, REFUSALS_WAITING
from folkmoot.protocol.moderation.grounds import told_signals
from folkmoot.protocol.moderation.verdict import Verdict
from folkmoot.protocol.record import Record
from folkmoot.storage import refusals
from folkmoot.storage.errors import StorageError
from folkmoot.storage.refusals import KEY_BYTES, Refusal
from folkmoot.storage.transaction import Admission
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

ASK: Final = "gate.refusals"

Page = tuple[list[dict[str, Any]], bytes | None, list[bytes]]
_Key = Annotated[bytes, Meta(max_length=KEY_BYTES)]


class _Asked(Struct):
    """`gate.refusals`: those after a key, since a time."""

    since: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]
    after: _Key = b""


class _Told(Struct):
    items: Annotated[list[tuple[_Key, Refusal]], Meta(max_length=REFUSALS_PAGE)]


class RefusalLog:
    """See the module. `run` must be running.

    Args:
        node_id: this node's.
        commits: this node's store.
        wall: dates what is refused.
        peers: see `contracts`.
        members: the other nodes of the cluster.
    """

    def __init__(
        self,
        node_id: bytes,
        commits: Commits,
        wall: WallClock,
        peers: Peers,
        members: Callable[[], Sequence[bytes]],
    ) -> None:
        self._node_id = node_id
        self._commits = commits
        self._wall = wall
        self._peers = peers
        self._members = members
        self._waiting: deque[Refusal] = deque()
        self._known: LRUCache[bytes, bool] = LRUCache(REFUSALS_WAITING)
        self._wake = trio.Event()
        self.dropped = 0

    def hear(self, record: Record, verdict: Verdict) -> None:
        """A record was refused; one that is sent again is not counted again, as far as it is remembered."""
        found = verdict.decisive
        assert found is not None, "what is refused is refused for a reason"
        if record.id in self._known:
            return
        self._known[record.id] = True
        if len(self._waiting) >= REFUSALS_WAITING:
            self.dropped += 1
            return
        language = record.body.get("lang")
        self._waiting.append(
            Refusal(
                self._wall.now_us(),
                record.kind,
                found.rule,
                verdict.policy,
                found.reason,
                found.field,
                found.span,
                dict(told_signals(found.signals)),
                language.lower() if isinstance(language, str) else "",
                sorted({(each.mime or "").partition("/")[0] for each in references(record)} - {""}),
            )
        )
        self._wake.set()

    async def run(self) -> None:
        """Write what was refused, for ever."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            some = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                keep = partial(refusals.keep, refusals=some)
                await self._commits.run(keep, Admission.CLIENT_PUT, rows=len(some))
            except (StorageError, WireError) as error:
                self.dropped += len(some)
                log.warning("%d refusals are not counted: %s", len(some), error)
            await trio.sleep(REFUSALS_REST_S)

    def methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[dict[str, Any]]]]:
        """What other nodes may ask, by name."""
        return {ASK: self._tell}

    async def page(
        self, start: bytes, since_us: int
    ) -> tuple[list[dict[str, Any]], bytes | None, list[bytes]]:
        """Some of what the nodes of the cluster have refused since a time.

        Args:
            start: where the last page ended; empty for the first.
            since_us: microseconds since 1970.

        Returns:
            The refusals, each with its `node` and `key`; where the next page begins, None after the last; and
            the nodes that could not be asked.
        """
        missing: list[bytes] = []
        at, after = start[: limits.NODE_ID_BYTES], start[limits.NODE_ID_BYTES :]
        for node_id in sorted({self._node_id, *self._members()}):
            if node_id < at:
                continue
            asked = {"since": since_us, "after": after if node_id == at else b""}
            try:
                told = await self._ask(node_id, asked)
            except (WireError, PeerUnreachable, StorageError) as error:
                log.info("node %s does not tell what it refused: %s", node_id.hex()[:8], error)
                missing.append(node_id)
                continue
            if told:
                named = {"node": node_id}
                items = [{**named, "key": key, **_plain(refusal)} for key, refusal in told]
                return items, node_id + told[-1][0], missing
        return [], None, missing

    async def _ask(self, node_id: bytes, asked: dict[str, Any]) -> list[tuple[bytes, Refusal]]:
        if node_id == self._node_id:
            return self._own(asked["after"], asked["since"])
        answer = await self._peers.call(node_id, ASK, asked, limits.REPLICA_READ_TIMEOUT_S)
        return codec.shaped(answer, _Told, f"the answer to {ASK}").items

    async def _tell(self, node_id: bytes, params: Any) -> dict[str, Any]:
        asked = codec.shaped(params, _Asked, ASK)
        try:
            found = self._own(asked.after, asked.since)
        except StorageError as error:
            raise error.to_wire_error() from error
        return {"items": [[key, _plain(refusal)] for key, refusal in found]}

    def _own(self, after: bytes, since_us: int) -> list[tuple[bytes, Refusal]]:
        return refusals.page(self._commits.store.engine, after, since_us, REFUSALS_PAGE)


def _plain(refusal: Refusal) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(refusal, builtin_types=(bytes,))
    return plain
