"""Policy documents at one node: kept in its store by their hashes, and compiled into engines."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from cachetools import LRUCache
from folkmoot.node.commits import Commits
from folkmoot.node.environment import Executor
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.policy_layers import parse_document
from folkmoot.node.moderation.scorers import Scorers
from folkmoot.node.moderation.trial import tried
from folkmoot.protocol.community.bounds import DOCUMENT_BYTES, ENGINES_KEPT
from folkmoot.protocol.community.candidates import FETCHED, Origin, gives_way
from folkmoot.protocol.errors import TOO_LARGE, WireError
from folkmoot.protocol.limits import ACCOUNT_BYTES
from folkmoot.protocol.moderation.policy import PolicyDocument, Regional
from folkmoot.storage import policies
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.transaction import Admission

log = logging.getLogger(__name__)


class Documents:
    """See the module.

    Args:
        commits: the node's store.
        executor: where documents are read and compiled.
        in_use: hashes of those that must stay, as things are.
        models: where this node's text models lie.
        region: where this node stands.
    """

    def __init__(
        self,
        commits: Commits,
        executor: Executor,
        in_use: Callable[[], Collection[bytes]],
        models: Path,
        region: str,
    ) -> None:
        self._commits = commits
        self._executor = executor
        self._in_use = in_use
        self._models = models
        self._region = region
        self._brought: dict[bytes, Origin] = {}
        self._read: LRUCache[bytes, Regional] = LRUCache(ENGINES_KEPT)
        self._compiled: LRUCache[tuple[str, tuple[str, ...]], PolicyEngine] = LRUCache(ENGINES_KEPT)
        self._tried: LRUCache[bytes, None] = LRUCache(ENGINES_KEPT)

    def find(self, name: bytes) -> bytes | None:
        """The document with this hash; None where it is not kept, or is damaged and has to be fetched."""
        try:
            with self._commits.store.engine.begin() as transaction:
                return policies.read(transaction, name)
        except StoreCorrupt as error:
            log.error("policy %s is damaged on this disk and fetched anew: %s", name.hex()[:12], error)
            return None

    async def keep(self, document: bytes, origin: Origin = FETCHED) -> bytes:
        """Have a document on disk; its hash.

        Args:
            document: its bytes.
            origin: who brings it.

        Raises:
            WireError: `too_large`.
            StorageError: it could not be kept.
        """
        if len(document) > DOCUMENT_BYTES:
            raise WireError(
                TOO_LARGE, f"a policy of {len(document)} bytes; a community's has at most {DOCUMENT_BYTES}"
            )
        in_use, brought, gone = frozenset(self._in_use()), dict(self._brought), list[bytes]()

        def choose(free: Sequence[bytes], full: bool) -> bytes | None:
            goes = gives_way(origin, free, brought, full)
            gone.extend(() if goes is None else (goes,))
            return goes

        name = await self._commits.run(
            lambda transaction: transaction.policies.put(document, in_use, choose),
            Admission.ESSENTIAL,
            urgent=True,
        )
        for each in gone:
            self._brought.pop(each, None)
        # What an operator put stays theirs when a node sends it, too; the other way round it becomes theirs.
        if len(self._brought.get(name, FETCHED)) != ACCOUNT_BYTES and origin != FETCHED:
            self._brought[name] = origin
        return name

    async def read(self, document: bytes) -> Regional:
        """What a document says in each region, and is valid in all of them.

        Raises:
            PolicyError: with every problem found; places name the layer, or the document by its hash.
        """
        name = hashlib.sha256(document).digest()
        found = self._read.get(name)
        if found is None:
            found = await self._executor.run(partial(parse_document, Path(name.hex()[:12]), document))
            self._read[name] = found
        return found

    async def compile(self, document: bytes, region: str | None = None) -> PolicyEngine:
        """An engine that judges by a document; the latest are at hand.

        Args:
            document: its bytes.
            region: as which it is in this one; by default in this node's own.

        Raises:
            PolicyError: as for `read`.
        """
        policy = (await self.read(document)).within(self._region if region is None else region)
        engine = self._compiled.get((policy.hash, policy.layers))
        if engine is None:
            engine = await self._executor.run(partial(_compile, policy, self._models))
            self._compiled[policy.hash, policy.layers] = engine
        return engine

    async def usable(self, document: bytes) -> Regional:
        """What a document says in each region, if this node can judge by it.

        Raises:
            PolicyError: as for `read`.
        """
        await self.compile(document)
        return await self.read(document)

    async def propose(self, document: bytes) -> Regional:
        """What a document says that somebody wants in force: in no region must judging take too long.

        Raises:
            PolicyError: with every problem found; see `trial`.
        """
        found = await self.read(document)
        name = hashlib.sha256(document).digest()
        if name not in self._tried:
            for region, policy in found.different().items():
                await self._executor.run(partial(tried, policy, self._executor.spent_s, region))
            self._tried[name] = None
        return found


def _compile(policy: PolicyDocument, models: Path) -> PolicyEngine:
    return PolicyEngine(policy, Scorers(policy, [models]))
