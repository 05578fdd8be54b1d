"""Policies in layers for tests: a base, layers of regions, and what a community adds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from folkmoot.protocol.moderation.bundle import pack_bundle

from tests.moderation.documents import HEAD, rule, word_list

BASE: Final = word_list("base", ["base"]) + rule("base", ["base"], "label", label="base")
TOP: Final = "community.toml"


def own(region: str, then: str = "label") -> str:
    """What a region adds: something about posts with its name."""
    return word_list(region, [region]) + rule(
        region, [region], then, label=region if then == "label" else None
    )


def files_of(
    base: str = BASE, community: str = "", named: Mapping[str, str] | None = None, **regions: str
) -> dict[str, bytes]:
    """The files of a policy in layers.

    Args:
        base, community: what these two say.
        named: the layers that the community's document names, by region; those of `regions` by default.
        regions: what the layers of regions say.
    """
    named = {region: f"{region}.toml" for region in regions} if named is None else named
    table = "[regions]\n" + "".join(f'{region} = "{file}"\n' for region, file in named.items())
    extends = f'extends = "base.toml"\n{HEAD}'
    layers = {f"{region}.toml": (extends + said).encode() for region, said in regions.items()}
    top = (extends + (table if named else "") + community).encode()
    return {"base.toml": (HEAD + base).encode(), TOP: top, **layers}


def bundle(base: str = BASE, community: str = "", **regions: str) -> bytes:
    """The same as it is sent to nodes."""
    return pack_bundle(TOP, files_of(base, community, None, **regions))


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The narrowest of some files, all of which lie in a folder then."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder / TOP
