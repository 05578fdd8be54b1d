"""Rules about who may import what, read from the source alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from tests.house.tree import module_of

LAYERS = ("protocol", "storage", "node", "cli")


class Import(NamedTuple):
    """One imported name: `from random import Random` is (`random`, `Random`); `import random` has no name."""

    line: int
    module: str
    name: str | None

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


class Ban(NamedTuple):
    """Modules that a folder may not import.

    Args:
        folder: where the ban holds.
        modules: the banned modules, their submodules included.
        unless: files and folders inside that are free to.
        allowed: names that may be taken out of a banned module all the same.
        because: the reason, and what to do instead.
    """

    folder: str
    modules: frozenset[str]
    unless: tuple[str, ...]
    allowed: frozenset[str]
    because: str


AMBIENT = ("datetime", "multiprocessing", "random", "secrets", "socket", "threading", "time", "uuid")
OUTSIDE = (
    *("anyio", "asyncio", "concurrent", "io", "logging", "nacl.utils", "os", "pathlib", "sched", "select"),
    *("selectors", "signal", "ssl", "subprocess", "tempfile", "trio"),
)

BANS = (
    Ban(
        folder="protocol/",
        modules=frozenset({*AMBIENT, *OUTSIDE}),
        unless=("protocol/client/",),
        allowed=frozenset({"random.Random"}),
        because="protocol/ is pure: time and entropy are arguments, effects are return values",
    ),
    Ban(
        folder="node/",
        modules=frozenset(AMBIENT),
        unless=(
            *("node/transport/tcp.py", "node/transport/udp.py", "node/system.py", "node/certificates.py"),
            "node/simulation/steps.py",  # its one thread runs only while the loop stands still
        ),
        allowed=frozenset({"random.Random"}),
        because="node code takes time, randomness, network and threads from its Environment",
    ),
    Ban(
        folder="storage/",
        modules=frozenset({"trio", "anyio", "asyncio"}),
        unless=(),
        allowed=frozenset(),
        because="storage/ blocks and knows no event loop",
    ),
    Ban(
        folder="",
        modules=frozenset({"msgpack"}),
        unless=("protocol/codec.py", "tests/", "benchmarks/", "examples/"),
        allowed=frozenset(),
        because="one module decides how bytes are spelled: use folkmoot.protocol.codec",
    ),
    Ban(
        folder="",
        modules=frozenset({"lmdb"}),
        unless=("storage/", "tests/", "benchmarks/"),
        allowed=frozenset(),
        because="the store is reached through folkmoot.storage",
    ),
    Ban(
        folder="",
        modules=frozenset({"tomllib"}),
        unless=("node/configuration/toml_source.py", "tests/", "benchmarks/"),
        allowed=frozenset(),
        because="some TOML takes the parser minutes: TomlSource refuses it first",
    ),
)


def imports_of(source: str) -> Iterator[Import]:
    """Every import in `source`, wherever it stands; relative ones keep their dots."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(node.lineno, "." * node.level + (node.module or ""), alias.name)


def layer_complaints(path: str, source: str) -> list[str]:
    """Imports that go against `cli → node → storage → protocol`, are relative, or reach into the tests."""
    layer = path.split("/")[0]
    if layer not in LAYERS:
        return []
    below = {f"folkmoot.{name}" for name in (*LAYERS[: LAYERS.index(layer) + 1], "configs")}
    complaints = []
    for found in imports_of(source):
        if found.module.startswith("."):
            complaints.append(f"{path}:{found.line}: a relative import; write folkmoot.… in full")
            continue
        full = f"{found.module}.{found.name}" if found.module == "folkmoot" else found.module
        if full.startswith("folkmoot.") and not any(_within(full, name) for name in below):
            complaints.append(
                f"{path}:{found.line}: {layer} imports {full}; imports go cli → node → storage → protocol"
            )
    return complaints


def ban_complaints(path: str, source: str) -> list[str]:
    """Imports banned where they stand (see `BANS`)."""
    complaints = []
    for ban in BANS:
        if not path.startswith(ban.folder) or path.startswith(ban.unless):
            continue
        for found in imports_of(source):
            banned = any(_within(found.module, name) or str(found) == name for name in ban.modules)
            if banned and str(found) not in ban.allowed:
                complaints.append(f"{path}:{found.line}: imports {found}; {ban.because}")
    return complaints


def actor_complaints(path: str, source: str) -> list[str]:
    """Actors that import each other: they meet in `node/daemon.py` and nowhere else."""
    if not path.startswith("node/actors/"):
        return []
    own = module_of(path)
    return [
        f"{path}:{found.line}: an actor imports {found}; actors meet in node/daemon.py"
        for found in imports_of(source)
        if _within(found.module, "folkmoot.node.actors") and not _within(found.module, own)
    ]


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")
