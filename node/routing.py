"""Whom to ask for a range: nearest first, suspects last, the unreachable not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from folkmoot.node.contracts import Liveness, Topology, nodes_of
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.ranges import Slot


class Router:
    """Orders the replicas of a range by how well they serve this node.

    Args:
        node_id, region: this node's own.
        topology, liveness: see `contracts`.
        counts: whether a node may fill its slots, this one too: see `protocol.standing`.
    """

    def __init__(
        self,
        node_id: bytes,
        region: str,
        topology: Topology,
        liveness: Liveness,
        counts: Callable[[bytes], bool],
    ) -> None:
        self.node_id = node_id
        self.region = region
        self._topology = topology
        self._liveness = liveness
        self._counts = counts

    @property
    def counts_itself(self) -> bool:
        """Whether this node's own copy may be told."""
        return self._counts(self.node_id)

    def candidates(self, slots: Sequence[Slot], exclude: Iterable[bytes] = ()) -> list[bytes]:
        """The reachable nodes of `slots` that count: this node, its region's, the others'; suspects last."""
        excluded = set(exclude)
        reachable = [
            node
            for node in nodes_of(slots)
            if node not in excluded
            and (node == self.node_id or self._liveness.reachable(node))
            and self._counts(node)
        ]
        return sorted(reachable, key=self._distance)

    def all_alive(self, slots: Sequence[Slot]) -> bool:
        """Whether nobody in `slots` is suspected or gone."""
        return all(node == self.node_id or self._liveness.alive(node) for node in nodes_of(slots))

    def readers(
        self, slots: Sequence[Slot], level: Level, exclude: Iterable[bytes] = ()
    ) -> list[bytes] | None:
        """The nearest nodes whose answers together reach `level`, or None when no set of reachable ones does.

        Nodes are added nearest first until the level is reached; then those it is reached without are left
        out, farthest first, so that `local_quorum` asks nobody abroad.
        """
        readers_only = {slot.reader for slot in slots}
        chosen: list[bytes] = []
        for node in self.candidates(slots, exclude):
            if levels.satisfied(level, slots, set(chosen), self.region, read=True):
                break
            if node in readers_only:
                chosen.append(node)
        if not levels.satisfied(level, slots, set(chosen), self.region, read=True):
            return None
        for node in reversed(list(chosen)):
            fewer = set(chosen) - {node}
            if fewer and levels.satisfied(level, slots, fewer, self.region, read=True):
                chosen.remove(node)
        return chosen

    def unreachable(self, slots: Sequence[Slot], level: Level, exclude: Iterable[bytes] = ()) -> WireError:
        """The answer to a read for which `readers` found too few: who could be reached, who is missing.

        Args:
            slots, level: of the read.
            exclude: who was asked, and did not answer or could not.
        """
        excluded = set(exclude)
        reachable = set(self.candidates(slots, excluded))
        failed = [] if self.node_id not in excluded else ["this node could not read its own copy"]
        others = len((excluded & {slot.reader for slot in slots}) - {self.node_id})
        if others:
            failed.append(f"{others} other{'s' * (others > 1)} did not answer, or could not")
        if failed:
            sentence = f"{level} needs more replicas than can tell: {' and '.join(failed)}; the logs say why"
        else:
            sentence = f"{level} needs replicas that cannot be reached from here"
        return WireError(
            LEVEL_UNREACHABLE,
            sentence,
            retry_after_ms=1000,
            details={
                "achieved": levels.achieved(slots, reachable, self.region, read=True),
                "missing": levels.missing(level, slots, reachable, self.region, read=True),
            },
        )

    def _distance(self, node_id: bytes) -> tuple[bool, bool, bool, bytes]:
        return (
            node_id != self.node_id,
            node_id != self.node_id and not self._liveness.alive(node_id),
            self._topology.region_of(node_id) != self.region,
            node_id,
        )
