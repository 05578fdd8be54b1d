"""`cluster.metrics`: what a node measures of itself, for operators. Where else it is to be had, such as over
HTTP, asks for the same `text`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.environment import Executor
from folkmoot.node.metrics.registry import Family, Registry
from folkmoot.node.operators import operators_only
from folkmoot.protocol.connection import Params


class MetricsMethods:
    """See the module.

    Args:
        registry: the node's.
        executor: where text is made of it.
    """

    def __init__(self, registry: Registry, executor: Executor) -> None:
        self._registry = registry
        self._executor = executor

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"cluster.metrics": self.metrics}

    async def metrics(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The figures of the node that is asked."""
        operators_only(asker, "metrics")
        content_type, text = await self.text()
        return {"content_type": content_type, "text": text}

    async def text(self) -> tuple[str, str]:
        """The figures as text, and its media type."""
        families = self._registry.collect()
        return await self._executor.run(lambda: _written(families))


def _written(families: list[Family]) -> tuple[str, str]:
    # Imported here: the library takes a tenth of a second, which a node need not wait for when it starts.
    from folkmoot.node.metrics.exposition import CONTENT_TYPE, text_of

    return CONTENT_TYPE, text_of(families)
