"""What rules may ask about the author of a record: for how long the cluster has known them, and how far what
people decided about them speaks for them. See decision 53.

The replicas of an author's range are asked, each for what its own disk says; of what they answer the longest
time counts, and the decisions of whoever knows most of them. What was answered is believed for some minutes.
Whoever does not answer in time is not waited for; if nobody does, the signals are unknown.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Annotated, Any, Final, NamedTuple

import trio
from cachetools import TTLCache
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import Peers, PeerUnreachable, Topology
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.moderation.lookups import LookedUp
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.moderation.bounds import (
    AUTHORS_BELIEVED_S,
    AUTHORS_KNOWN,
    AUTHORS_SILENT_S,
    AUTHORS_WAIT_S,
    TENURE_APART_US,
    TENURE_FIRST_S,
    TENURE_SURE_US,
)
from folkmoot.protocol.moderation.statistics.proportions import Share, clopper_pearson
from folkmoot.protocol.moderation.tenure import Mark, Tenure
from folkmoot.protocol.record import Record
from folkmoot.storage import authors
from folkmoot.storage.errors import StorageError
from folkmoot.storage.transaction import Admission
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

ASK: Final = "replica.authors"
TRUST_CONFIDENCE: Final = 0.90
"""Of the interval whose lower end trust is: so it is too high in one of twenty cases."""

_STORED: Final = "authors.tenure"
_UNAVAILABLE: Final[Mapping[str, str]] = {}
_NOTHING: Final[Mapping[str, Value]] = {}

Account = Annotated[bytes, Meta(min_length=limits.ACCOUNT_BYTES, max_length=limits.ACCOUNT_BYTES)]
_Count = Annotated[int, Meta(ge=0)]


class _Asked(Struct):
    """`replica.authors`: what a node knows of these accounts."""

    accounts: Annotated[list[Account], Meta(max_length=limits.PASS_RECORDS)]


class _Answer(NamedTuple):
    """What a node knows of one account.

    Args:
        age_us: for how long at least; 0 for what it does not know.
        perhaps_longer: see `tenure.Known`.
        favoured, settled: see `authors.Standing`.
    """

    age_us: _Count
    perhaps_longer: bool
    favoured: _Count
    settled: _Count


class _Told(Struct):
    answers: Annotated[list[_Answer], Meta(max_length=limits.PASS_RECORDS)]


class AuthorSignals:
    """A lookup (see `lookups`) of the family `author`, and what other nodes ask for theirs. `run` must be
    running.

    Args:
        node_id: this node's.
        commits: this node's store.
        wall: dates what is noted.
        executor: where the store is read.
        topology, peers: see `contracts`.
    """

    unavailable: Mapping[str, str] = _UNAVAILABLE

    def __init__(
        self,
        node_id: bytes,
        commits: Commits,
        wall: WallClock,
        executor: Executor,
        topology: Topology,
        peers: Peers,
    ) -> None:
        self._node_id = node_id
        self._commits = commits
        self._wall = wall
        self._executor = executor
        self._topology = topology
        self._peers = peers
        self._tenure = Tenure()
        self._silent: TTLCache[bytes, Mapping[str, Value]] = TTLCache(
            AUTHORS_KNOWN, AUTHORS_SILENT_S, timer=trio.current_time
        )
        self._known: TTLCache[bytes, Mapping[str, Value]] = TTLCache(
            AUTHORS_KNOWN, AUTHORS_BELIEVED_S, timer=trio.current_time
        )

    async def run(self) -> None:
        """Note now and then how far the store has come, for ever."""
        store = self._commits.store
        try:
            kept = store.meta_get(_STORED)
            marks = [] if kept is None else codec.shaped(codec.unpack(kept), list[Mark], "marks")
            self._tenure = Tenure(marks, store.sequence)
        except (StorageError, WireError) as error:
            log.warning("since when accounts are known is lost, and counted anew: %s", error)
        await trio.sleep(TENURE_FIRST_S)
        while True:
            if self._tenure.note(store.sequence, self._wall.now_us()):
                await self._keep()
            await trio.sleep(TENURE_APART_US / 1e6)

    async def _keep(self) -> None:
        note = codec.pack([list(mark) for mark in self._tenure.marks])
        try:
            await self._commits.run(
                lambda transaction: transaction.meta_put(_STORED, note), Admission.CLIENT_PUT
            )
        except (StorageError, WireError) as error:
            log.warning("since when accounts are known could not be noted: %s", error)

    def methods(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[dict[str, Any]]]]:
        """What other nodes may ask, by name."""
        return {ASK: self._tell}

    async def of(self, records: Sequence[Record]) -> LookedUp:
        """The signals of the authors of records."""
        named = {each.author for each in records}
        found = {author: known for author in named if (known := self._at_hand(author)) is not None}
        if unknown := sorted(named - found.keys()):
            asked = await self._ask(unknown)
            self._known.update(asked)
            self._silent.update(dict.fromkeys(set(unknown) - asked.keys(), _NOTHING))
            found |= asked
        return {each.id: found[each.author] for each in records if each.author in found}

    def _at_hand(self, author: bytes) -> Mapping[str, Value] | None:
        """What was answered of an author lately, or that nobody did."""
        known = self._known.get(author)
        return self._silent.get(author) if known is None else known

    async def _ask(self, accounts: Sequence[bytes]) -> dict[bytes, Mapping[str, Value]]:
        """Ask the replicas of the accounts' ranges, all at once; what those say that answer in time."""
        by_node: dict[bytes, list[bytes]] = {}
        for account in accounts:
            for node_id in self._topology.where(place_prefix(account)).nodes():
                by_node.setdefault(node_id, []).append(account)
        answers: dict[bytes, list[_Answer]] = {}

        async def ask(node_id: bytes, some: list[bytes]) -> None:
            try:
                for account, answer in zip(some, await self._answers(node_id, some), strict=True):
                    answers.setdefault(account, []).append(answer)
            except (WireError, PeerUnreachable, ValueError) as error:
                log.debug("node %s does not tell of authors: %s", node_id.hex()[:8], error)

        with trio.move_on_after(AUTHORS_WAIT_S):
            async with trio.open_nursery() as nursery:
                for node_id in sorted(by_node):
                    nursery.start_soon(ask, node_id, by_node[node_id])
        return {account: signals_of(some) for account, some in answers.items()}

    async def _answers(self, node_id: bytes, accounts: list[bytes]) -> Sequence[_Answer]:
        if node_id == self._node_id:
            return await self._executor.run(partial(self._own, accounts))
        told = await self._peers.call(node_id, ASK, {"accounts": accounts}, AUTHORS_WAIT_S)
        return codec.shaped(told, _Told, f"the answer to {ASK}").answers

    async def _tell(self, node_id: bytes, params: Any) -> dict[str, Any]:
        asked = codec.shaped(params, _Asked, ASK)
        answers = await self._executor.run(partial(self._own, asked.accounts))
        return {"answers": [list(each) for each in answers]}

    def _own(self, accounts: Iterable[bytes]) -> list[_Answer]:
        """What this node's disk says; blocks."""
        now_us, answers = self._wall.now_us(), []
        for account in accounts:
            known, favoured, settled = authors.standing(self._commits.store.engine, account)
            since = None if known is None else self._tenure.known(known)
            age_us = 0 if since is None else max(0, now_us - since.since_us)
            longer = known is not None and (not self._tenure.marks if since is None else since.perhaps_longer)
            answers.append(_Answer(age_us, longer, favoured, settled))
        return answers


def signals_of(answers: Iterable[_Answer]) -> Mapping[str, Value]:
    """The signals of one author; those are left out that are unknown.

    Args:
        answers: of at least one node.
    """
    told = list(answers)
    oldest, best = max(told), max(told, key=lambda each: each.settled)
    signals: dict[str, Value] = {}
    if not oldest.perhaps_longer or oldest.age_us >= TENURE_SURE_US:
        signals["author.age_s"] = float(oldest.age_us // 1_000_000)
    if best.settled:
        signals["author.trust"] = trust(min(best.favoured, best.settled), best.settled)
    return signals


@lru_cache(4_096)
def trust(favoured: int, settled: int) -> float:
    """How often at least people decide in an author's favour, by what they have settled.

    Args:
        favoured: how often they did.
        settled: how often they decided anything; at least once.
    """
    return round(clopper_pearson(Share(favoured, settled), TRUST_CONFIDENCE).low, 3)
