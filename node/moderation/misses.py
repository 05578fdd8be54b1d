"""Which nodes were asked for a model in vain, and which models are not to be looked for any more.

A node that has no such model may be given it any moment, so it is asked again soon; one that gave something
else under its name makes everybody fetch that again, so it is asked ever more seldom. Bytes whose hash is
right and that cannot be asked are the same wherever they come from: they are not fetched again, until this
node is started anew, perhaps as a version that reads them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import trio
from cachetools import LRUCache
from folkmoot.protocol.moderation.bounds import (
    MODEL_ABSENT_S,
    MODEL_MISSES,
    MODEL_WASTED_S,
    MODELS_LOOK_S,
)
from folkmoot.protocol.moderation.policy import Model

_Key = tuple[str, tuple[str, ...]]


class _Miss(NamedTuple):
    wait_s: float
    until: float
    why: str | None


class Misses:
    """See the module. What is remembered is bounded: of what is wanted, the latest."""

    def __init__(self) -> None:
        self._of_nodes: LRUCache[tuple[str, bytes], _Miss] = LRUCache(MODEL_MISSES)
        self._for_good: dict[_Key, str] = {}

    def keep(self, wanted: Collection[Model]) -> None:
        """Forget what is no longer wanted.

        Args:
            wanted: all models that are.
        """
        hashes, keys = {model.hash for model in wanted}, {_key(model) for model in wanted}
        for each in [each for each in self._of_nodes if each[0] not in hashes]:
            del self._of_nodes[each]
        self._for_good = {key: why for key, why in self._for_good.items() if key in keys}

    def give_up(self, model: Model, why: str) -> None:
        """Have a model looked for no more, since it can be asked nowhere.

        Args:
            model: what the policy says of it: another may expect other labels of the same bytes.
            why: what is said of it.
        """
        self._for_good[_key(model)] = why

    def for_good(self, model: Model) -> str | None:
        """Why a model is not looked for any more; None while it is."""
        return self._for_good.get(_key(model))

    def missed(self, model: Model, node_id: bytes, wasted: str | None = None) -> None:
        """Have a node not be asked for a model for a time, each time for twice as long as before.

        Args:
            model: which.
            node_id: the node's.
            wasted: what was wrong with what it gave; None where it gave nothing.
        """
        before = self._of_nodes.get((model.hash, node_id))
        wait_s = MODELS_LOOK_S if before is None else 2 * before.wait_s
        wait_s = min(wait_s, MODEL_ABSENT_S if wasted is None else MODEL_WASTED_S)
        until = trio.current_time() + wait_s
        self._of_nodes[model.hash, node_id] = _Miss(wait_s, until, wasted)

    def due(self, model: Model, nodes: Sequence[bytes]) -> list[bytes]:
        """Those of some nodes that may be asked for a model now."""
        now = trio.current_time()
        missed = {node_id: self._of_nodes.get((model.hash, node_id)) for node_id in nodes}
        return [node_id for node_id, miss in missed.items() if miss is None or miss.until <= now]

    def told(self, model: Model, nodes: Sequence[bytes]) -> str:
        """What came of asking some nodes for a model."""
        for node_id in nodes:
            miss = self._of_nodes.get((model.hash, node_id))
            if miss is not None and miss.why is not None:
                return miss.why
        return "no other node that can be reached has it"


def _key(model: Model) -> _Key:
    return model.hash, model.labels
