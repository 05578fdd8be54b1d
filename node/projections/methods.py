"""`projection.list` and `projection.rebuild`: for operators who look after what is derived on a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from folkmoot.node.actors.indexer import SEARCH, Indexer
from folkmoot.node.actors.projector import Projector
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.operators import operators_only
from folkmoot.node.projections.generations import Generations
from folkmoot.node.projections.pressure import Pressure
from folkmoot.protocol import codec
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import NOT_FOUND, WireError
from folkmoot.protocol.projections.entries import Projection
from msgspec import Meta, Struct


class _Rebuild(Struct):
    """`projection.rebuild`: the name of a projection."""

    name: Annotated[str, Meta(max_length=64)]


class ProjectionMethods:
    """See the module.

    Args:
        projector: has projections be built anew.
        generations: which rows are read, and which are built.
        indexer: the same for the search index.
        pressure: slows clients while either is too far behind.
    """

    def __init__(
        self, projector: Projector, generations: Generations, indexer: Indexer, pressure: Pressure
    ) -> None:
        self._projector = projector
        self._generations = generations
        self._indexer = indexer
        self._pressure = pressure

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"projection.list": self.list, "projection.rebuild": self.rebuild}

    def status(self) -> dict[str, Any]:
        """How far projections have come, as `cluster.status` tells it."""
        lag_s = self._projector.lag_s()
        return {
            "lag_ms": None if lag_s is None else int(lag_s * 1000),
            "applied": self._projector.applied,
            "backfills": self._projector.backfiller.waiting(),
            "rebuilding": [each.word for each in self._generations.building()],
            **({} if (widening := self._projector.widening()) is None else {"widening": widening}),
            "pressure": self._pressure.status(),
            SEARCH: self._indexer.status(),
        }

    async def list(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The projections of the node that is asked, and how far each has come."""
        operators_only(asker, "projections")
        told: list[dict[str, Any]] = []
        for projection, generation in self._generations.all().items():
            one: dict[str, Any] = {"name": projection.word, "generation": generation.live}
            if generation.building is not None:
                one["rebuilding"] = self._projector.progress(projection)
            told.append(one)
        if self._indexer.generation is not None:
            told.append({"name": SEARCH, "generation": self._indexer.generation})
            if (progress := self._indexer.progress()) is not None:
                told[-1]["rebuilding"] = progress
        return {"projections": told, **self.status()}

    async def rebuild(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Have a projection be built anew on the node that is asked; what there is serves meanwhile."""
        operators_only(asker, "rebuilds")
        name = codec.shaped(params, _Rebuild, "projection.rebuild").name
        known = {each.word: each for each in Projection}
        if name == SEARCH:
            return {"name": name, "generation": await self._indexer.rebuild()}
        if name not in known:
            names = ", ".join((*known, SEARCH))
            raise WireError(NOT_FOUND, f"there is no projection {name!r}; there are {names}")
        await self._projector.rebuild(known[name])
        return {"name": name, "generation": self._generations.of(known[name]).building}
