"""A node's own figures, as `cluster.status` tells them of the node that is asked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Protocol

from folkmoot.node.accounts.parts import AccountParts
from folkmoot.node.actors.copier import Copier
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.actors.intake import Intake
from folkmoot.node.actors.membership import MembershipActor
from folkmoot.node.actors.repairer import Repairer
from folkmoot.node.actors.replica import Replica
from folkmoot.node.actors.replicator import Replicator
from folkmoot.node.actors.scrubber import Scrubber
from folkmoot.node.actors.session import Sessions
from folkmoot.node.actors.standing import Standing
from folkmoot.node.commits import Commits
from folkmoot.node.community.parts import CommunityParts
from folkmoot.node.live.parts import LiveParts
from folkmoot.node.media.parts import MediaParts
from folkmoot.node.metrics.caches import caches_told
from folkmoot.node.moderation.parts import ModerationParts
from folkmoot.node.movement.parts import MovementParts
from folkmoot.node.projections.parts import ProjectionParts
from folkmoot.node.push_pulls import PushPulls
from folkmoot.node.registers.parts import RegisterParts
from folkmoot.storage.backup.restore import mark_of
from folkmoot.storage.bounded import CacheFigures
from folkmoot.storage.store import Store


class Parts(Protocol):
    """The parts of a node that are told of."""

    node_id: bytes
    commits: Commits
    sessions: Sessions
    intake: Intake
    replica: Replica
    replicator: Replicator
    repairer: Repairer
    scrubber: Scrubber
    movement: MovementParts
    membership: MembershipActor
    gatekeeper: Gatekeeper
    standing: Standing
    registers: RegisterParts
    accounts: AccountParts
    community: CommunityParts
    projections: ProjectionParts
    push_pulls: PushPulls
    live: LiveParts
    media: MediaParts
    moderation: ModerationParts


def figures(parts: Parts, for_operator: bool) -> dict[str, Any]:
    """What each part of the node has done since it began, and what it holds now.

    What is told of files and of what is in them is for operators only.
    """
    store = parts.commits.store
    gossip, traffic = parts.membership.statistics()
    return {
        "id": parts.node_id.hex(),
        "sessions": parts.sessions.open_count,
        "live": parts.live.statistics()._asdict(),
        "standing": parts.standing.status(),
        "seat": parts.registers.acceptor.status(),
        "projections": parts.projections.status(),
        "keys": parts.accounts.gate.status(),
        "store": _store(store),
        "intake": parts.intake.statistics()._asdict(),
        "replica": _replica(parts.replica),
        "replication": {**_replication(parts.replicator), "hints_dropped": store.hints_dropped},
        "hints": {node.hex(): state.waiting for node, state in sorted(store.hint_states().items())},
        "repair": _repair(parts.repairer),
        "copy": _copy(parts.movement.copier),
        "eviction": asdict(parts.movement.evictor.statistics()),
        "movement": parts.movement.mover.statistics().to_wire(),
        "splits": asdict(parts.movement.splitter.statistics()),
        "scrub": asdict(parts.scrubber.statistics()),
        "gossip": {
            "alive": gossip.alive,
            "suspect": gossip.suspect,
            "dead": gossip.dead,
            "incarnation": gossip.incarnation,
            "refutations": gossip.refutations,
            "lag_ms": round(gossip.lag_s * 1000, 1),
            "sent_bytes": traffic.sent_bytes,
        },
        "media": parts.media.status(for_operator=for_operator),
        "caches": caches_told(caches_of(parts)),
        "clock": parts.push_pulls.clocks.status(),
        "gate": parts.gatekeeper.status().to_wire(for_operator=for_operator),
        "policy": parts.community.status(),
    }


def caches_of(parts: Parts) -> dict[str, CacheFigures]:
    """What the node's caches have done, by name."""
    return {**parts.commits.store.shown.figures(), **parts.projections.caches()}


def _store(store: Store) -> dict[str, Any]:
    usage = store.usage()
    return {
        "live_bytes": usage.live_bytes,
        "file_bytes": usage.file_bytes,
        "cap_bytes": usage.cap_bytes,
        "room_bytes": usage.room_bytes,
        "warn": usage.warn,
        "sequence": store.sequence,
        "restored": mark_of(store),
        "damaged": len(store.damage.keys),
        "damaged_more": store.damage.more,
        "unmendable": store.damage.waiting,
        "mended": store.damage.mended_count,
    }


def _replica(replica: Replica) -> dict[str, int]:
    counts = replica.statistics()
    return {"puts": counts.puts, "joins": counts.joins, "changed": counts.changed}


def _replication(replicator: Replicator) -> dict[str, int]:
    counts = replicator.statistics()
    return {
        "sent": counts.sent,
        "hinted": counts.hinted,
        "unhinted": counts.unhinted,
        "queued": sum(counts.queued.values()),
    }


def _repair(repairer: Repairer) -> dict[str, int]:
    counts = repairer.statistics()
    return {
        "comparisons": counts.comparisons,
        "mismatches": counts.mismatches,
        "fetched": counts.fetched,
        "pushed": counts.pushed,
    }


def _copy(copier: Copier) -> dict[str, Any]:
    counts = copier.statistics()
    return {
        "running": {str(range_id): one.to_wire() for range_id, one in sorted(counts.running.items())},
        "complete": counts.complete,
        "failed": counts.failed,
        "cells": counts.cells,
        "bytes": counts.cell_bytes,
    }
