"""The quorums that nodes could form, by what stands on their disks, looked at whenever one of them changes.

A node acknowledges under the epoch of a range that is durable on its disk and under no other, before and
after any crash. So at every moment the disks tell which epochs could gather a quorum of a range, whether or
not anybody asks for one just then. That makes this sharper than waiting for a write that is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from folkmoot.node.simulation.ownership import topology_of
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.storage.memory_engine import Change


class EpochWatch:
    """See the module.

    Attributes:
        compared: how often the epochs of a range were looked at.
        complaints: what went wrong, a sentence each.
    """

    def __init__(self) -> None:
        self.compared = 0
        self.complaints: list[str] = []
        self._known: dict[str, tuple[bytes, RangeMap]] = {}

    def committed(self, disk: str, node_id: bytes, changes: Iterable[Change]) -> None:
        """A commit is durable.

        Args:
            disk: its name; a node that runs twice has two.
            node_id: whose it is.
            changes: the rows it wrote.
        """
        for topology in filter(None, map(topology_of, changes)):
            before = self._known.get(disk)
            self._known[disk] = node_id, topology.ranges
            for owner in topology.ranges.ranges:
                if before is None or before[1].get(owner.id) != owner:
                    self._judge(owner.start)

    def forget(self, disk: str) -> None:
        """A disk is another one from now on: its node counts for nothing until it has learned what is."""
        self._known.pop(disk, None)

    def ranges_on(self, disk: str) -> RangeMap | None:
        """The ranges that stand on a disk; None as long as none were committed there."""
        known = self._known.get(disk)
        return None if known is None else known[1]

    def owns(self, node_id: bytes, key: bytes) -> bool:
        """Whether a node has a slot of the range of a key, by the newest epoch that is on any disk, and knows
        that it does: who comes back to a range may not have heard of it yet."""
        owners = [(ranges.lookup(key), whose) for whose, ranges in self._known.values()]
        if not owners:
            return False
        newest, _ = max(owners, key=lambda each: each[0].epoch)
        return node_id in newest.nodes() and all(
            node_id in owner.nodes() for owner, whose in owners if whose == node_id
        )

    def _judge(self, key: bytes) -> None:
        """Look at who could acknowledge what is at `key`, and under which epoch."""
        self.compared += 1
        disks = Counter(node_id for node_id, _ in self._known.values())
        groups: dict[RangeDescriptor, set[bytes]] = {}
        for node_id, ranges in self._known.values():
            if disks[node_id] == 1:  # who runs twice is not believed
                groups.setdefault(ranges.lookup(key), set()).add(node_id)
        if len(groups) < 2:
            return
        writing = [owner for owner, nodes in groups.items() if _is_quorum(owner, nodes, read=False)]
        for owner, nodes in groups.items():
            others = [other for other in writing if other != owner]
            if others and _is_quorum(owner, nodes, read=True):
                self.complaints.append(
                    f"epoch {owner.epoch} of range {owner.id} and epoch {others[0].epoch} of range "
                    f"{others[0].id} can both form a quorum for {key.hex() or 'the first key'}"
                )


def _is_quorum(owner: RangeDescriptor, nodes: set[bytes], *, read: bool) -> bool:
    return levels.satisfied("quorum", owner.slots, nodes, "", read=read)
