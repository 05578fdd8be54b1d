"""Policy documents at one node: kept in its store by their hashes, and compiled into engines."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from cachetools import LRUCache
from folkmoot.node.commits import Commits
from folkmoot.node.environment import Executor
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.policy_file import parse_whole
from folkmoot.node.moderation.scorers import Scorers
from folkmoot.node.moderation.trial import tried
from folkmoot.protocol.community.bounds import DOCUMENT_BYTES, ENGINES_KEPT
from folkmoot.protocol.errors import TOO_LARGE, WireError
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
    """

    def __init__(
        self,
        commits: Commits,
        executor: Executor,
        in_use: Callable[[], Collection[bytes]],
        models: Path,
    ) -> None:
        self._commits = commits
        self._executor = executor
        self._in_use = in_use
        self._models = models
        self._compiled: LRUCache[bytes, PolicyEngine] = LRUCache(ENGINES_KEPT)
        self._tried: LRUCache[bytes, None] = LRUCache(ENGINES_KEPT)

    def find(self, name: bytes) -> bytes | None:
        """The document with this hash; None where it is not kept, or is damaged and has to be fetched."""
        try:
            with self._commits.store.engine.begin() as transaction:
                return policies.read(transaction, name)
        except StoreCorrupt as error:
            log.error("policy %s is damaged on this disk and fetched anew: %s", name.hex()[:12], error)
            return None

    async def keep(self, document: bytes) -> bytes:
        """Have a document on disk; its hash.

        Raises:
            WireError: `too_large`.
            StorageError: it could not be kept.
        """
        if len(document) > DOCUMENT_BYTES:
            raise WireError(
                TOO_LARGE, f"a policy of {len(document)} bytes; a community's has at most {DOCUMENT_BYTES}"
            )
        in_use = frozenset(self._in_use())
        return await self._commits.run(
            lambda transaction: transaction.policies.put(document, in_use), Admission.ESSENTIAL, urgent=True
        )

    async def compile(self, document: bytes) -> PolicyEngine:
        """An engine that judges by a document; those of the latest documents are at hand.

        Raises:
            PolicyError: with every problem found; places name the document by its hash.
        """
        name = hashlib.sha256(document).digest()
        engine = self._compiled.get(name)
        if engine is None:
            file = Path(name.hex()[:12])
            engine = await self._executor.run(partial(_compile, file, document, self._models))
            self._compiled[name] = engine
        return engine

    async def propose(self, document: bytes) -> PolicyEngine:
        """The same, of a document that somebody wants in force: judging by it must not take too long.

        Raises:
            PolicyError: with every problem found; see `trial`.
        """
        engine = await self.compile(document)
        name = hashlib.sha256(document).digest()
        if name not in self._tried:
            await self._executor.run(partial(tried, engine.document, self._executor.spent_s))
            self._tried[name] = None
        return engine


def _compile(file: Path, document: bytes, models: Path) -> PolicyEngine:
    policy = parse_whole(file, document)
    return PolicyEngine(policy, Scorers(policy, [models]))
