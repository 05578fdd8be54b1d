"""What of a node's parts is measured: everything that they count anyway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from folkmoot.node.figures import Parts, caches_of
from folkmoot.node.media.sealing import STATES
from folkmoot.node.metrics.caches import of_caches
from folkmoot.node.metrics.registry import Family, counter, counters, gauge, gauges
from folkmoot.node.moderation.media.outcome import STATUSES


def measured(parts: Parts) -> Iterator[Family]:
    """All of it, as it is now."""
    yield from of_caches(caches_of(parts))
    yield from _store(parts)
    yield from _writes(parts)
    yield from _derived(parts.projections.status())
    yield from _moderation(parts)
    yield from _others(parts)


def _store(parts: Parts) -> Iterator[Family]:
    store = parts.commits.store
    usage = store.usage()
    room = {"live": usage.live_bytes, "file": usage.file_bytes, "room": usage.room_bytes}
    yield gauges(
        "store_bytes", "What of the store is live, what its file takes, and what may be live.", "of", room
    )
    yield counter("store_changes", "The number of the latest durable change.", store.sequence)
    yield gauge("store_damaged_cells", "Cells that are damaged and not mended yet.", len(store.damage.keys))
    yield counter("store_mended_cells", "Cells that were mended.", store.damage.mended_count)
    waiting = sum(state.waiting for state in store.hint_states().values())
    yield gauge("hints", "Hints that wait for other nodes.", waiting)
    yield counter("hints_dropped", "Hints that were not kept.", store.hints_dropped)


def _writes(parts: Parts) -> Iterator[Family]:
    kept, sent = parts.replica.statistics(), parts.replicator.statistics()
    cells = {"put": kept.puts, "joined": kept.joins}
    yield counters("replica_cells", "Records put here first, and cells joined for others.", "how", cells)
    yield counter("replica_changes", "Of both, those that changed something.", kept.changed)
    yield parts.replica.commit_s.family()
    yield counter("replication_sent_cells", "Cells sent to other replicas.", sent.sent)
    yield counter("replication_hinted_cells", "Cells that were not, and left a hint.", sent.hinted)
    yield gauge("replication_queued_cells", "Cells that wait to be sent.", sum(sent.queued.values()))
    intake = parts.intake.statistics()
    yield counter("intake_passes", "Passes that have carried records.", intake.passes)
    yield gauge("intake_waiting", "Requests whose records wait for a pass.", intake.waiting)
    repair = parts.repairer.statistics()
    yield counter("repair_comparisons", "Comparisons with other replicas.", repair.comparisons)
    yield counter("repair_mismatches", "Those that found ranges to differ.", repair.mismatches)


def _derived(status: dict[str, Any]) -> Iterator[Family]:
    yield gauge(
        "projection_lag_seconds",
        "How far behind what is derived may be; without a value before all was read.",
        _seconds(status["lag_ms"]),
    )
    yield counter(
        "projection_applied_changes", "Changes that were made into what is derived.", status["applied"]
    )
    search = status["search"]
    yield gauge("search_lag_seconds", "How far behind the search index may be.", _seconds(search["lag_ms"]))
    yield gauge("search_index_bytes", "What the search index takes.", search["bytes"])


def _moderation(parts: Parts) -> Iterator[Family]:
    yield from parts.gatekeeper.figures.families()
    dropped = parts.moderation.refusals.dropped
    yield counter("gate_refusals_uncounted", "Refusals that could not be noted for statements.", dropped)
    unkept = parts.community.signals.left_out
    yield counter("gate_signals_left_out", "Posts of which nothing could be kept for previews.", unkept)
    unkept = parts.moderation.drawing.left_out
    yield counter("gate_draws_left_out", "Posts drawn for the blind review that could not be kept.", unkept)
    if (screening := parts.media.screening) is not None:
        told: dict[str, float] = {each: screening.outcomes[each] for each in STATUSES if each != "unchecked"}
        yield counters("screening_outcomes", "Media that were looked at, by what came of it.", "status", told)
        yield gauge("screening_waiting", "Media that wait to be looked at.", screening.waiting)
    if (sealing := parts.media.sealing) is not None:
        counts = sealing.counts()
        sealed: dict[str, float] = {state: counts[state] for state in STATES}
        yield gauges("sealed_media", "Sealed media, by what became of them.", "state", sealed)
        yield gauge("sealed_waiting", "Those that wait to be handed over.", sealing.waiting)
        yield counter("sealed_refused", "Uploads erased, as there was no room to seal them.", sealing.refused)


def _others(parts: Parts) -> Iterator[Family]:
    live = parts.live.statistics()
    yield gauge("sessions", "Connections of clients.", parts.sessions.open_count)
    yield gauge("live_subscriptions", "Streams that clients follow.", live.subscriptions)
    hosted = parts.projections.hosting.streams
    yield gauge("live_hosted_streams", "Streams that clients of other nodes follow here.", hosted)
    yield gauge("live_logs", "Ranges whose ends are watched for them.", live.logs)
    gossip, traffic = parts.membership.statistics()
    members = {"alive": gossip.alive, "suspect": gossip.suspect, "dead": gossip.dead}
    yield gauges("members", "Nodes that gossip knows, by how they are held.", "state", members)
    yield gauge("loop_lag_seconds", "How late the event loop is.", gossip.lag_s)
    yield counter("gossip_sent_bytes", "Bytes of gossip sent.", traffic.sent_bytes)


def _seconds(lag_ms: int | None) -> float | None:
    return None if lag_ms is None else lag_ms / 1000
