"""One suite, two engines: everything that takes `engines` or `store` runs over LMDB and over memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from folkmoot.protocol.limits import MIB
from folkmoot.storage.interface import Engine
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.store import Store

from tests.storage.making import open_store


class Engines:
    """Makes engines of one kind, and closes them."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self._directory = directory
        self._open: list[Engine] = []

    def make(self, *, cap_bytes: int = 64 * MIB, map_bytes: int | None = None) -> Engine:
        """A new, empty engine."""
        engine: Engine
        if self.kind == "memory":
            engine = MemoryEngine(cap_bytes=cap_bytes, map_bytes=map_bytes)
        else:
            place = self._directory / str(len(self._open))
            engine = LmdbEngine(place, cap_bytes=cap_bytes, map_bytes=map_bytes)
        self._open.append(engine)
        return engine

    def reopen(self, engine: Engine) -> Engine:
        """The engine that a restart finds where `engine` stopped."""
        again: Engine
        if isinstance(engine, MemoryEngine):
            again = engine.crash()
        else:
            engine.close()
            again = LmdbEngine(self._directory / str(self._open.index(engine)), cap_bytes=engine.cap_bytes)
        self._open[self._open.index(engine)] = again
        return again

    def close(self) -> None:
        for engine in self._open:
            engine.close()


@pytest.fixture(params=["lmdb", "memory"])
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engines]:
    made = Engines(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture
def engine(engines: Engines) -> Engine:
    return engines.make()


@pytest.fixture
def store(engine: Engine) -> Store:
    return open_store(engine)
