"""Where a local cluster lives on disk, and how its nodes are prepared.

<state home>/folkmoot/clusters/NAME/
    cluster.json       the manifest: who the nodes are; written last, so that it stands for a whole layout
    operator.key       the account that may inject faults
    ca/                the cluster's own certificate authority (absent with TLS off)
    nodes/NODE/        one data directory a node, with its configuration and its log
    supervisor.lock    held by the running supervisor, its process id inside
    control.sock       how commands talk to it
    faults.json        the faults in force, so that a restarted node gets its own again
    backups-RUN/       what a run of chaos has backed up, while it runs and if it failed
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.toml_text import render
from folkmoot.node.data_directory import DataDirectory, read_key, replace_file, write_gossip_ring, write_key
from folkmoot.protocol.identity import SEED_BYTES, KeyPair, account_to_text

PROGRAM: Final = (sys.executable, "-m", "folkmoot.cli")
LOCAL: Final = "local"
NODES_MAX: Final = 64
ALL: Final = "all"


class NodeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a local cluster."""

    name: str
    region: str
    id: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a local cluster is made of.

    Args:
        program: the command line that is followed by `start …` to run a node.
        ca: the CA certificate's path; None with TLS off.
    """

    name: str
    nodes: tuple[NodeEntry, ...]
    program: tuple[str, ...]
    ca: str | None

    def regions(self) -> dict[str, str]:
        """The region of each node, by its name, in order."""
        return {node.name: node.region for node in self.nodes}

    def find(self, words: Iterable[str]) -> list[NodeEntry]:
        """The nodes named by node names, regions or `all`, each once, in the manifest's order.

        Raises:
            Usage: a word names none.
        """
        wanted: set[str] = set()
        for word in words:
            found = {node.name for node in self.nodes if word in (node.name, node.region, ALL)}
            if not found:
                names = ", ".join(node.name for node in self.nodes)
                raise Usage(f"no node or region {word!r} in cluster {self.name}; there are {names}")
            wanted |= found
        return [node for node in self.nodes if node.name in wanted]


@dataclass(frozen=True, slots=True)
class Shape:
    """What to build.

    Args:
        nodes: how many.
        regions: dealt out to the nodes in turn.
        replicas: as in `cluster.replicas`; None for min(3, nodes).
        tls: whether certificates are made and used.
        settings: further `section.key` → TOML value for every node.
    """

    nodes: int
    regions: tuple[str, ...]
    replicas: int | dict[str, int] | None = None
    tls: bool = True
    settings: tuple[tuple[str, Any], ...] = ()


def state_home() -> Path:
    """Where local clusters live unless told otherwise."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home).absolute() / "folkmoot" / "clusters"


@dataclass(frozen=True, slots=True)
class ClusterDirectory:
    """The directory of one local cluster."""

    path: Path

    @property
    def manifest_file(self) -> Path:
        return self.path / "cluster.json"

    @property
    def operator_key_file(self) -> Path:
        return self.path / "operator.key"

    @property
    def lock_file(self) -> Path:
        return self.path / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        return self.path / "supervisor.log"

    @property
    def faults_file(self) -> Path:
        return self.path / "faults.json"

    def data(self, node: str) -> DataDirectory:
        """The data directory of the node called `node`."""
        return DataDirectory(self.path / "nodes" / node)

    def config_file(self, node: str) -> Path:
        return self.data(node).path / "folkmoot.toml"

    def log_file(self, node: str) -> Path:
        return self.data(node).path / "node.log"

    @property
    def exists(self) -> bool:
        """Whether a whole layout is there."""
        return self.manifest_file.is_file()

    def manifest(self) -> Manifest:
        """What the cluster is made of.

        Raises:
            OperatorError: there is none, or it is damaged.
        """
        try:
            return msgspec.json.decode(self.manifest_file.read_bytes(), type=Manifest)
        except FileNotFoundError as error:
            raise OperatorError(
                f"there is no local cluster in {self.path}", hint="folkmoot cluster up"
            ) from error
        except (OSError, msgspec.MsgspecError) as error:
            raise OperatorError(f"{self.manifest_file} is unreadable: {error}") from error

    def operator(self) -> KeyPair:
        """The key whose account every node takes orders from."""
        return read_key(self.operator_key_file)

    def create(self, name: str, shape: Shape, program: Sequence[str] = PROGRAM) -> Manifest:
        """Lay out a new cluster; nothing runs yet. A layout left half made by an earlier attempt is replaced.

        Args:
            name: also the cluster's id.
            shape: what to build.
            program: what runs a node.
        """
        source = random.SystemRandom()
        if (self.path / "nodes").exists():
            self.delete()
        (self.path / "nodes").mkdir(mode=0o700, parents=True)
        self.path.chmod(0o700)
        write_key(self.operator_key_file, source.randbytes(32))
        ring = self.path / "gossip.ring"
        write_gossip_ring(ring, (source.randbytes(32),))
        entries: list[NodeEntry] = []
        for node, region in _names(shape):
            self.data(node).create(source, ring)
            entries.append(NodeEntry(name=node, region=region, id=self.data(node).node_id()))
        ca = self._create_certificates(name, entries) if shape.tls else None
        for entry in entries:
            self.config_file(entry.name).write_text(render(self._config(name, shape, entries, entry)))
        manifest = Manifest(name=name, nodes=tuple(entries), program=tuple(program), ca=ca)
        replace_file(self.manifest_file, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        return manifest

    def delete(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path)

    def _create_certificates(self, name: str, entries: Iterable[NodeEntry]) -> str:
        # X.509 takes a tenth of a second to import, which every other command would pay.
        from folkmoot.node.certificates import create_ca, create_node

        ca = create_ca(self.path / "ca", name)
        for entry in entries:
            create_node(self.path / "ca", self.data(entry.name).path / "tls", name, entry.id)
        return str(ca)

    def _config(
        self, name: str, shape: Shape, entries: Sequence[NodeEntry], entry: NodeEntry
    ) -> dict[str, dict[str, Any]]:
        founders = [_founder(each, self.data(each.name).service_key().account) for each in entries]
        document = node_document(name, shape, founders, entry, self.operator().account)
        if shape.tls:
            # All of it is one person's on one machine: any node may let others in.
            document["tls"]["ca_key"] = str(self.path / "ca" / "ca.key")
        return document


def node_document(
    name: str, shape: Shape, founders: Sequence[dict[str, str]], entry: NodeEntry, operator: bytes
) -> dict[str, dict[str, Any]]:
    """The configuration of one node.

    Args:
        name: the cluster's id.
        shape: the cluster's.
        founders: as they stand in the configuration of each.
        entry: which node.
        operator: the account that may inject faults.
    """
    document: dict[str, dict[str, Any]] = {
        "node": {"name": entry.name, "region": entry.region},
        "cluster": {
            "id": name,
            "replicas": shape.replicas or min(3, shape.nodes),
            "founders": list(founders),
        },
        "tls": {"mode": "mutual" if shape.tls else "off"},
        "gossip": {"profile": "loopback"},
        "faults": {"enabled": True},
        "log": {"json": False},
        "operators": {"accounts": [account_to_text(operator)]},
    }
    for setting, value in shape.settings:
        section, _, key = setting.partition(".")
        document.setdefault(section, {})[key] = value
    return document


def sample_document(name: str, shape: Shape) -> dict[str, dict[str, Any]]:
    """The configuration the first node would get, with made-up keys: to look at before anything is made."""
    entries = [
        NodeEntry(name=node, region=region, id=f"{index:032x}")
        for index, (node, region) in enumerate(_names(shape))
    ]
    accounts = [KeyPair(index.to_bytes(SEED_BYTES, "big")).account for index in range(len(entries))]
    founders = [_founder(entry, account) for entry, account in zip(entries, accounts, strict=True)]
    return node_document(name, shape, founders, entries[0], accounts[0])


def _founder(entry: NodeEntry, service_account: bytes) -> dict[str, str]:
    return {
        "id": entry.id,
        "name": entry.name,
        "region": entry.region,
        "service_account": account_to_text(service_account),
    }


def node_regions(shape: Shape) -> dict[str, str]:
    """How the nodes of a cluster are called, in order, and the region of each."""
    return dict(_names(shape))


def _names(shape: Shape) -> list[tuple[str, str]]:
    """(name, region) of each node: the regions in turn, `eu-1`, `us-1`, `ap-1`, `eu-2`, …"""
    dealt: list[tuple[str, str]] = []
    for index in range(shape.nodes):
        region = shape.regions[index % len(shape.regions)]
        dealt.append((f"{region}-{index // len(shape.regions) + 1}", region))
    return dealt
