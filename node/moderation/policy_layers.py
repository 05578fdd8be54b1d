"""Policies in layers, put together: from files in one folder, or from the bundle that nodes keep.

    base.toml ◀── eu.toml ◀── community.toml        where the region eu has a layer of its own
    base.toml ◀────────────── community.toml        in all other regions

The narrowest document names the one that it extends, and under `[regions]` the layer of each region, which
extends the same one, whatever may stand between them. So each region's policy is the base, the region's layer
and the community's document, each tightened by the next, and all of them are checked wherever one is read.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from folkmoot.node.configuration.toml_source import TomlSource, TomlSyntaxError
from folkmoot.node.moderation.matchers import DIALECT
from folkmoot.protocol.limits import POLICY_BYTES
from folkmoot.protocol.moderation.bounds import POLICY_FILES, POLICY_LAYERS, POLICY_REGIONS
from folkmoot.protocol.moderation.bundle import pack_bundle, read_bundle
from folkmoot.protocol.moderation.policy import Dialect, PolicyDocument, PolicyError, Regional, policy_hash
from folkmoot.protocol.moderation.policy_reading import read_policy
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.roster import check_slug

Read = Callable[[Path], bytes]

_BESIDE: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def read_policy_bytes(file: Path) -> bytes:
    """The bytes of a policy file.

    Raises:
        PolicyError: it cannot be read, or is larger than any policy may be.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise PolicyError([f"{file}: is no regular file, and reading it might never end"])
        with file.open("rb") as stream:
            data = stream.read(POLICY_BYTES + 1)
    except OSError as error:
        raise PolicyError([f"{file}: cannot be read: {error.strerror}; check gate.policy"]) from error
    if len(data) > POLICY_BYTES:
        raise PolicyError([f"{file}: larger than {POLICY_BYTES} bytes, which is the most a policy may be"])
    return data


def parse_policy(
    file: Path, data: bytes, *, read: Read = read_policy_bytes, region: str = ""
) -> PolicyDocument:
    """Read and validate a policy as it is in one region; see `parse_regional`.

    Args:
        file, data, read: see there.
        region: the region's name.

    Raises:
        PolicyError: with every problem found.
    """
    return parse_regional(file, data, read=read).within(region)


def parse_regional(file: Path, data: bytes, *, read: Read = read_policy_bytes) -> Regional:
    """Read and validate the bytes of a policy file, and of those that it names, for all regions.

    Args:
        file: its path, as problems should show it.
        data: its contents.
        read: gives the bytes of another policy file, beside this one.

    Raises:
        PolicyError: with every problem found; where it is one region's, with the region.
    """
    return _Layers(file, data, read).regional()


def parse_whole(file: Path, data: bytes) -> PolicyDocument:
    """Read and validate one document that stands alone, and names no others.

    Args:
        file: what it is called, as problems should show it.
        data: its contents.

    Raises:
        PolicyError: with every problem found.
    """

    def refuse(other: Path) -> bytes:
        raise PolicyError([f"{other.name} is not here, and this document has to stand alone"])

    return parse_regional(file, data, read=refuse).everywhere


def parse_document(called: Path, data: bytes) -> Regional:
    """Read and validate a policy for all nodes: one document, or a bundle of several.

    Args:
        called: what problems call a document that stands alone; those of a bundle have names.
        data: what is named by its SHA-256, as the policy is in all regions.

    Raises:
        PolicyError: with every problem found.
    """
    bundle = read_bundle(data)
    if bundle is None:
        return Regional(parse_whole(called, data))
    layers = _Layers(Path(bundle.top), bundle.files[bundle.top], _among(bundle.files))
    used = {file.name for file in layers.files(None)}
    if idle := sorted(bundle.files.keys() - used):
        raise PolicyError([f"{name}: is among the layers of this policy, and none names it" for name in idle])
    return layers.regional().named(policy_hash(data))


def gathered(file: Path) -> Gathered:
    """A policy as it is sent to nodes: a file alone as it is, one with others as a bundle.

    Raises:
        PolicyError: a file is missing, or is none; whether the policy is valid, `Gathered.read` says.
    """
    layers = _Layers(file, read_policy_bytes(file), read_policy_bytes)
    files = {each.name: layers.bytes_of(each) for each in layers.files(None)}
    return Gathered(files[file.name] if len(files) == 1 else pack_bundle(file.name, files), layers)


def layers_of(data: bytes, region: str | None = None) -> dict[str, bytes]:
    """The documents that a policy for all nodes is made of, by name, the widest first.

    Args:
        data: what is named by its SHA-256.
        region: leaves out those that are not in force there.

    Returns:
        A document that stands alone has no name.

    Raises:
        PolicyError: it cannot be read.
    """
    bundle = read_bundle(data)
    if bundle is None:
        return {"": data}
    layers = _Layers(Path(bundle.top), bundle.files[bundle.top], _among(bundle.files))
    return {file.name: bundle.files[file.name] for file in layers.files(region)}


def _among(files: Mapping[str, bytes]) -> Read:
    """Reads from the files of a bundle."""

    def read(file: Path) -> bytes:
        if file.name not in files:
            raise PolicyError([f"{file} is not among the layers of this policy"])
        return files[file.name]

    return read


class _Layers:
    """The files of one policy, each read and parsed once.

    Args:
        file, data, read: see `parse_regional`.
    """

    def __init__(self, file: Path, data: bytes, read: Read) -> None:
        self._top = file
        self._read = read
        self._sources = {file: (_source(file, data), data)}
        self._merged: dict[tuple[Path, ...], PolicyDocument] = {}
        # What the narrowest document says is looked at in each region, and is the same there.
        several = bool(self._sources[file][0].data.get("regions"))
        self._dialect = Dialect(cache(DIALECT.fold), cache(DIALECT.flaw)) if several else DIALECT

    def regional(self) -> Regional:
        """All that they say, in all regions."""
        problems: dict[str, str] = {}
        more = 0

        def merge(wider: tuple[Path, ...], where: str) -> PolicyDocument | None:
            """What stands on some layers, if nothing is wrong; what was said already is not said again."""
            nonlocal more
            try:
                return self._document((*wider, self._top))
            except PolicyError as error:
                problems.update({each: f"{each}{where}" for each in error.told if each not in problems})
                more += error.more
                return None

        everywhere = merge(self._wider(self._top), "")
        regions = {
            region: merge(wider, f" (in region {region})") for region, wider in self._regions().items()
        }
        if problems or everywhere is None:
            raise PolicyError(tuple(problems.values()), more)
        return Regional(everywhere, {region: each for region, each in regions.items() if each is not None})

    def files(self, region: str | None) -> list[Path]:
        """All that are used, or those that are in one region; the widest first."""
        regions, base = self._regions(), self._wider(self._top)
        chains = [base, *regions.values()] if region is None else [regions.get(region, base)]
        return [*dict.fromkeys(file for chain in chains for file in chain), self._top]

    def bytes_of(self, file: Path) -> bytes:
        """Those of a file that is used."""
        return self._sources[file][1]

    def _document(self, chain: tuple[Path, ...]) -> PolicyDocument:
        """Some layers put together, the widest first."""
        found = self._merged.get(chain)
        if found is None:
            below = self._document(chain[:-1]) if len(chain) > 1 else None
            source, data = self._sources[chain[-1]]
            found = read_policy(
                *(source.data, source.locate),
                hash=policy_hash(data),
                dialect=self._dialect,
                below=below,
            )
            self._merged[chain] = found
        return found

    def _regions(self) -> dict[str, tuple[Path, ...]]:
        """What the narrowest document stands on in each region that has a layer of its own."""
        source = self._sources[self._top][0]
        table = source.data.get("regions", {})
        where = source.locate(("regions",))
        if not isinstance(table, dict) or len(table) > POLICY_REGIONS:
            raise PolicyError([f"{where}: regions is a table of at most {POLICY_REGIONS} regions' layers"])
        return {region: self._region(source, region, name) for region, name in table.items()}

    def _region(self, source: TomlSource, region: str, name: object) -> tuple[Path, ...]:
        where = source.locate(("regions", region))
        try:
            check_slug(region, "the region")
        except RingError as error:
            raise PolicyError([f"{where}: {error}"]) from error
        base, layer = self._wider(self._top), self._beside(self._top, name, where)
        self._load(layer, where)
        chain = (*self._wider(layer, room=POLICY_LAYERS - 1), layer)
        if self._top in chain or (base and base[-1] not in chain[:-1]):
            what = f"has to extend {base[-1].name}" if base else f"cannot stand on {self._top.name}"
            raise PolicyError(
                [f"{where}: {layer.name} {what}, as {self._top.name} does (in region {region})"]
            )
        return chain

    def _wider(self, file: Path, room: int = POLICY_LAYERS) -> tuple[Path, ...]:
        """What a file stands on, the widest first.

        Args:
            file: one that was read.
            room: for how many layers there is, itself among them.
        """
        chain = [file]
        while (named := self._sources[chain[-1]][0].data.get("extends")) is not None:
            source = self._sources[chain[-1]][0]
            where = source.locate(("extends",))
            wider = self._beside(chain[-1], named, where)
            if len(chain) >= room or wider in chain:
                raise PolicyError(
                    [f"{where}: {named} is here already, or one layer more than {POLICY_LAYERS}"]
                )
            self._load(wider, where)
            chain.append(wider)
        return tuple(reversed(chain[1:]))

    def _beside(self, file: Path, named: object, where: str) -> Path:
        if not isinstance(named, str) or not _BESIDE.fullmatch(named):
            raise PolicyError([f"{where}: a layer is named as a file in the same folder"])
        return file.with_name(named)

    def _load(self, file: Path, where: str) -> None:
        """Have a file read that is named somewhere."""
        if file in self._sources:
            return
        if len(self._sources) >= POLICY_FILES:
            raise PolicyError([f"{where}: {file.name} is one file more than {POLICY_FILES}"])
        try:
            data = self._read(file)
        except PolicyError as error:
            raise PolicyError([f"{where}: {each}" for each in error.problems]) from error
        source = _source(file, data)
        if "regions" in source.data:
            at = source.locate(("regions",))
            raise PolicyError([f"{at}: only the narrowest document names the layers of regions"])
        self._sources[file] = source, data


def _source(file: Path, data: bytes) -> TomlSource:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyError([f"{file}:{line}: not UTF-8, which TOML must be"]) from error
    try:
        return TomlSource(file, text)
    except TomlSyntaxError as error:
        raise PolicyError([str(error)]) from error
    except RecursionError as error:
        raise PolicyError([f"{file}: nested too deeply to be a policy"]) from error


@dataclass(frozen=True, slots=True)
class Gathered:
    """A policy from files.

    Args:
        data: as it is sent to nodes.
        layers: what it was made of.
    """

    data: bytes
    layers: _Layers

    def read(self) -> Regional:
        """What it says in all regions, with problems at their places in the files.

        Raises:
            PolicyError: with every problem found.
        """
        return self.layers.regional().named(policy_hash(self.data))
