"""What is wrong with a node: of its directory, seen from outside; of the running node, as it says itself.

Looking changes nothing: a store that a node has open is left alone, and one that is not there is not made.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from folkmoot.cli.preflight import policy_warnings
from folkmoot.cli.rebuilding import rebuilding_line, waited_for
from folkmoot.cli.seats import (
    WAY_OUT_OF_LOST,
    damage_reasons,
    lost_registers,
    seats_line,
    seats_reasons,
    seats_warnings,
)
from folkmoot.cli.service_states import service_states
from folkmoot.node.actors.acceptor import read_seat
from folkmoot.node.certificates import CertificateFacts, read_certificate
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.data_directory import DataDirectory, read_gossip_ring
from folkmoot.node.standing.records import read_own, read_watermarks
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.limits import DISK_WARN, MIB
from folkmoot.protocol.ring.topology import Topology
from folkmoot.protocol.standing import State
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.schema import SCHEMA
from folkmoot.storage.store import Store

WELL: Final = "well"
WATCH: Final = "watch"
WRONG: Final = "wrong"
UNKNOWN: Final = "unknown"

ROOM_LEAST_BYTES: Final = 256 * MIB
EXPIRY_NEAR: Final = timedelta(days=30)
CLOCK_OFF_MS: Final = 500
NAMES_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one look.

    Args:
        check: what was looked at.
        state: `well`, `watch` (something is not as it should be, and takes care of itself or has time),
            `wrong`, or `unknown` (not looked at; `next` is the command that does).
        sentence: what was found.
        next: the command or step that follows; empty when there is none.
    """

    check: str
    state: str
    sentence: str
    next: str = ""

    def to_json(self) -> dict[str, str]:
        return {"check": self.check, "state": self.state, "sentence": self.sentence, "next": self.next}


def look_at_directory(path: Path, config: NodeConfig | None) -> Iterator[Finding]:
    """Look at a data directory, whether its node runs or not.

    Args:
        path: where it is.
        config: of its node, if known.
    """
    data = DataDirectory(path)
    try:
        node_id = data.node_id()
        data.service_key()
    except FolkmootError as error:
        yield Finding("identity", WRONG, str(error), "folkmoot init --help")
        return
    yield Finding("identity", WELL, f"node {node_id}, its key whole and private")
    yield _gossip_ring((config and config.gossip.keys_file) or data.gossip_ring_file)
    yield _room(path)
    yield from _certificates(path, node_id, config)
    if config is not None and config.gate.policy is not None:
        yield _policy(config.gate.policy, config)
    if config is not None and config.cluster.refound:
        yield Finding(
            "topology",
            WATCH,
            "cluster.refound is on: every start puts the founders' topology in the place of the kept one",
            "take cluster.refound out of the configuration once all nodes have started with it",
        )
    with _unless_held(path) as holder:
        if holder is not None:
            yield Finding("lock", WELL, f"{path} is held by process {holder}: its node runs")
        else:
            yield Finding("lock", WELL, f"nobody holds {path}: its node is stopped")
    if holder is None:
        yield from _store(path, node_id)


def _gossip_ring(file: Path) -> Finding:
    try:
        keys = read_gossip_ring(file)
    except FolkmootError as error:
        return Finding("gossip_ring", WRONG, str(error), "mend it, then folkmoot config check")
    return Finding("gossip_ring", WELL, f"{file} is private; {len(keys)} keys open what it is sent")


def _room(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    sentence = f"{free / MIB:.0f} MiB are free on the disk of {path}"
    if free >= ROOM_LEAST_BYTES:
        return Finding("disk", WELL, sentence)
    return Finding("disk", WATCH, sentence, "make room on it; writes are refused before it is full")


def _policy(file: Path, config: NodeConfig) -> Finding:
    try:
        warnings = policy_warnings(file, config)
    except FolkmootError as error:
        return Finding("policy", WRONG, str(error), "folkmoot config check; a node does not start with it")
    if warnings:
        return Finding("policy", WATCH, "; ".join(warnings), "mend the policy, or bring what it needs")
    return Finding("policy", WELL, f"{file} can be followed")


def _certificates(path: Path, node_id: str, config: NodeConfig | None) -> Iterator[Finding]:
    if config is not None and config.tls.mode == "off":
        yield Finding("certificates", WELL, "TLS is off: for loopback only, and nobody proves who he is")
        return
    tls = path / "tls"
    files = (config.tls.certificate, config.tls.ca) if config else (tls / "node.crt", tls / "ca.crt")
    if config is None and not files[0].exists():
        yield Finding(
            "certificates", WATCH, f"{files[0]} does not exist", "name the configuration with --config"
        )
        return
    for file in files:
        try:
            facts = read_certificate(file)
        except FolkmootError as error:
            yield Finding("certificates", WRONG, str(error), "folkmoot cert --help")
        else:
            yield _certificate(file, facts, node_id)
    key = config.tls.ca_key if config else tls / "ca.key"
    if key.is_relative_to(path) and key.exists():
        yield Finding(
            "ca_key",
            WATCH,
            f"{key} is here: whoever takes this directory can make nodes of the cluster",
            f"rm {key}, with a copy elsewhere, unless more nodes are to join through this one",
        )


def _certificate(file: Path, facts: CertificateFacts, node_id: str) -> Finding:
    again = "folkmoot cert create-ca --help" if facts.is_ca else "folkmoot cert create-node --help"
    named = facts.name.node_id if facts.name else None
    if not facts.is_ca and (named is None or named.hex() != node_id):
        whose = "no node" if named is None else f"node {named.hex()}"
        return Finding("certificates", WRONG, f"{file} is of {whose}, and this is node {node_id}", again)
    now = datetime.now(UTC)
    until = f"{facts.not_after:%Y-%m-%d}"
    if not facts.not_before <= now < facts.not_after:
        since = f"{facts.not_before:%Y-%m-%d}"
        return Finding("certificates", WRONG, f"{file} is valid from {since} to {until}", again)
    if facts.not_after - now < EXPIRY_NEAR:
        return Finding("certificates", WATCH, f"{file} is valid until {until} only", again)
    return Finding("certificates", WELL, f"{file} is valid until {until}")


@contextmanager
def _unless_held(path: Path) -> Iterator[str | None]:
    """Who holds a directory: a process id, or None."""
    lock = path / "LOCK"
    if not lock.exists():
        yield None
        return
    descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        yield os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "?"
    else:
        yield None
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a node runs on a data directory."""
    with _unless_held(path) as holder:
        return holder is not None


def _store(path: Path, node_id: str) -> Iterator[Finding]:
    """Look into the store of a node that is stopped."""
    file = path / "store" / "data.mdb"
    if not file.exists():
        yield Finding(
            "store",
            WATCH,
            "there is no store: the node begins empty, and is rebuilt first if its peers know it",
            "folkmoot start",
        )
        return
    try:
        engine = LmdbEngine(path, cap_bytes=max(MIB, file.stat().st_size))
        try:
            yield from _opened(Store(engine, owner=None), path, node_id)
        finally:
            engine.close()
    except FolkmootError as error:
        yield Finding("store", WRONG, str(error), f"folkmoot store verify --data {path}")


def _opened(store: Store, path: Path, node_id: str) -> Iterator[Finding]:
    owner = store.owner
    if owner.node.hex() != node_id:
        yield Finding(
            "store",
            WRONG,
            f"the store is of node {owner.node.hex()}, and the directory of node {node_id}",
            "put the store into its own directory, or start with an empty one",
        )
        return
    yield Finding("store", WELL, f"schema {SCHEMA}, of cluster {owner.cluster}, at change {store.sequence}")
    yield Finding(
        "damage", UNKNOWN, "not looked for: every row would be read", f"folkmoot store verify --data {path}"
    )
    yield from _registers(store)
    yield from _clock(store)
    own = read_own(store)
    if own is None:
        yield Finding("standing", WATCH, "it was never shown to the peers", "folkmoot start")
    elif own.state is State.AMNESIAC:
        yield Finding(
            "standing",
            WATCH,
            f"amnesiac: peers remember more than change {own.claim.commit} of boot {own.claim.boot}; it was "
            "not rebuilt to the end",
            "folkmoot start; it goes on by itself",
        )
    else:
        yield Finding("standing", WELL, f"{own.state.value} when it was stopped, in boot {own.boot}")
    names = _names(store)
    for node, row in sorted(read_watermarks(store).items()):
        old = row.state is State.AMNESIAC
        yield Finding(
            "watermarks",
            WATCH if old else WELL,
            f"{names.get(node, node.hex())} was heard of to change {row.mark.commit} of boot {row.mark.boot}"
            + (", and its disk is older" if old else ""),
            "folkmoot status" if old else "",
        )


def _registers(store: Store) -> Iterator[Finding]:
    """Look at all that the node's seat keeps: there is little of it, and it may be nowhere else."""
    if not (damaged := store.damaged_registers()):
        return
    names = ", ".join(damaged[:NAMES_TOLD]) + (", …" if len(damaged) > NAMES_TOLD else "")
    record = read_seat(store)
    if record is not None and record.is_needed:
        start = f"folkmoot start, then {WAY_OUT_OF_LOST}"
        yield Finding("registers", WRONG, f"{lost_registers(len(damaged))}: {names}", start)
        return
    yield Finding(
        "registers",
        WATCH,
        f"of {len(damaged)} registers what this seat kept is damaged: {names}; the other seats have them",
        "folkmoot start; it becomes another seat by itself when it is asked about them",
    )


def _clock(store: Store) -> Iterator[Finding]:
    own = read_own(store)
    ahead_ms = 0 if own is None else own.boot - int(time.time() * 1000)
    if ahead_ms > 60_000:
        yield Finding(
            "clock",
            WATCH,
            f"the last boot is {ahead_ms / 1000:.0f} s ahead of this machine's clock: it was set back since",
            "set the clock, for example with chronyc makestep",
        )
    else:
        yield Finding("clock", WELL, "not behind the last boot")


def _names(store: Store) -> dict[bytes, str]:
    data = store.meta_get("topology")
    if data is None:
        return {}
    return {node.node_id: node.name for node in Topology.decode(data).roster.nodes}


def look_at_running(status: dict[str, Any], clock_off_ms: float) -> Iterator[Finding]:
    """Look at what a running node says.

    Args:
        status: the answer to `cluster.status`.
        clock_off_ms: how far its clock is ahead of this machine's.
    """
    figures = status["node"]
    own = next((node for node in status["nodes"] if node["id"] == figures["id"]), {"name": figures["id"]})
    where = "ahead of" if clock_off_ms >= 0 else "behind"
    off = f"its clock is {abs(clock_off_ms):.0f} ms {where} this machine's"
    far = abs(clock_off_ms) > CLOCK_OFF_MS
    yield Finding("clock", WATCH if far else WELL, off, "compare both with a time server" if far else "")
    yield _standing(own["name"], status)
    yield _seats(status)
    yield from _keys(figures)
    for node in status["nodes"]:
        if node["id"] == figures["id"] or not node["member"]:
            continue
        standing = node.get("standing", "whole")
        well = node["state"] == "alive" and standing == "whole"
        yield Finding(
            "peers",
            WELL if well else WATCH,
            f"{node['name']} is {node['state']}, its disk {standing}",
            "" if well else "look at its log, and run folkmoot doctor there",
        )
    store = figures["store"]
    share = store["live_bytes"] / max(1, store["room_bytes"])
    yield Finding(
        "room",
        WATCH if share >= DISK_WARN else WELL,
        f"{share:.0%} of what it may keep is in use",
        "raise store.disk_cap, or make room on the disk" if share >= DISK_WARN else "",
    )
    outdated = figures["gate"]["outdated"]
    yield Finding(
        "policy",
        WATCH if outdated else WELL,
        "its file is broken, and what it said before is in force" if outdated else "as its file says",
        "folkmoot config check" if outdated else "",
    )
    yield from (Finding(*each) for each in service_states(figures))
    damaged = store["damaged"]
    yield Finding(
        "damage",
        WATCH if damaged else WELL,
        f"{damaged} cells are damaged, {store['mended']} were mended since it started",
        "look at the disk; they are mended once enough other replicas can be asked" if damaged else "",
    )


def _seats(status: dict[str, Any]) -> Finding:
    if lost := damage_reasons(status):
        return Finding("seats", WRONG, lost[0], WAY_OUT_OF_LOST)
    if missed := seats_reasons(status["seats"]):
        return Finding(
            "seats", WATCH, missed[0], "bring their nodes back, or see folkmoot seats recover --help"
        )
    if crowded := seats_warnings(status):
        return Finding("seats", WATCH, crowded[0], "wait; should it stay so, folkmoot seats set NODE...")
    return Finding("seats", WELL, seats_line(status["seats"]).removeprefix("seats: "))


def _keys(figures: dict[str, Any]) -> Iterator[Finding]:
    """Whether a node can tell keys that were revoked; nothing of one whose version does not say."""
    if (keys := figures.get("keys")) is None:
        return
    if keys["confirmed"]:
        yield Finding("keys", WELL, "it knows of every key that was revoked")
        return
    hours, limit = keys["unconfirmed_s"] / 3600, keys["limit_s"] / 3600
    over = hours > limit
    yield Finding(
        "keys",
        WRONG if over else WATCH,
        f"most seats have not answered for {hours:.1f} hours: it cannot tell keys revoked since, and "
        + ("takes no records any more" if over else f"takes records until {limit:g} hours are over"),
        "bring the nodes of the seats back: folkmoot seats show",
    )


def _standing(name: str, status: dict[str, Any]) -> Finding:
    standing = status["node"].get("standing")
    if standing is None:
        return Finding("standing", WATCH, f"{name} is of a version that does not say", "upgrade it")
    if standing["counted"]:
        return Finding("standing", WELL, f"{name} has all it acknowledged, and counts in every quorum")
    sentence = f"{name} is {standing['state']} and does not count: {standing['why']}"
    if not (rebuild := standing["rebuild"]):
        return Finding("standing", WATCH, sentence, "start the other replicas; it counts once they answer")
    sentence += f"; {rebuilding_line(rebuild)}"
    if waiting := waited_for(status):
        return Finding("standing", WATCH, sentence, f"start {', '.join(waiting)}: it is rebuilt from these")
    return Finding("standing", WATCH, sentence, "wait; it is rebuilt by itself")
