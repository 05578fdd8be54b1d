"""The plan: what has to change so that every range is where placement wants it.

Wanted is what `placement` makes of the members in good standing. Of a range's slots those that are wanted
stay; the others are paired, region by region, with the nodes that are wanted and have none. What is left over
are slots to add, and once nothing else is to be done, slots to drop: so no range ever has fewer replicas than
before. A plan is worked out anew whenever anything changed. What was begun shows in the descriptors and is
gone on with; a joint slot whose two nodes are both unwanted goes to the second first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.movement import Add, Change, Drop, Move
from folkmoot.protocol.ring.placement import place
from folkmoot.protocol.ring.ranges import RangeDescriptor, Slot
from folkmoot.protocol.ring.roster import Replicas, Roster
from folkmoot.protocol.ring.topology import Topology


@dataclass(frozen=True, slots=True)
class Plan:
    """See the module.

    Args:
        changes: by range id, in the order in which they are made; ranges that are as wanted are left out.
        blocked: why nothing more can be planned, in sentences; empty when the plan leads to what is wanted.
    """

    changes: Mapping[int, tuple[Change, ...]]
    blocked: tuple[str, ...] = ()


def plan(topology: Topology, replicas: Replicas) -> Plan:
    """What has to change.

    Args:
        topology: as decided.
        replicas: how many there are to be, unless the roster says.
    """
    roster, counts = topology.roster, topology.roster.replicas
    counts = replicas if counts is None else counts
    changes: dict[int, tuple[Change, ...]] = {}
    try:
        members = roster.in_good_standing()
        for descriptor in topology.ranges.ranges:
            wanted = place(members, counts, descriptor.id)
            if found := changes_of(descriptor, wanted, roster):
                changes[descriptor.id] = found
    except RingError as error:
        return Plan({}, (str(error),))
    return Plan(changes)


def changes_of(descriptor: RangeDescriptor, wanted: tuple[Slot, ...], roster: Roster) -> tuple[Change, ...]:
    """What has to change of one range, in order."""
    regions = {slot.reader: slot.region for slot in wanted}
    under_way = [_gone_on_with(descriptor, slot, regions, roster) for slot in descriptor.slots]
    coming = [node for node in regions if node not in descriptor.nodes()]
    changes: list[Change] = [change for change in under_way if change is not None]
    going = [slot for slot in descriptor.slots if len(slot.nodes) == 1 and slot.reader not in regions]
    for slot in list(going):
        recipient = next((node for node in coming if regions[node] == slot.region), None)
        if recipient is not None:
            coming.remove(recipient)
            going.remove(slot)
            changes.append(Move(descriptor.id, slot.reader, recipient, _is_dead(slot.reader, roster)))
    changes += [Add(descriptor.id, regions[node], node) for node in coming]
    if not changes:
        changes += [Drop(descriptor.id, slot.reader, _is_dead(slot.reader, roster)) for slot in going]
    return tuple(changes)


def _gone_on_with(
    descriptor: RangeDescriptor, slot: Slot, regions: Mapping[bytes, str], roster: Roster
) -> Change | None:
    """What ends a joint slot: its wanted node alone, or when both are, a slot each."""
    if len(slot.nodes) == 1:
        return None
    first, second = slot.nodes
    if first in regions and second in regions:
        return Add(descriptor.id, regions[second], second)
    donor, recipient = (second, first) if first in regions else (first, second)
    return Move(descriptor.id, donor, recipient, _is_dead(donor, roster))


def _is_dead(node_id: bytes, roster: Roster) -> bool:
    node = roster.get(node_id)
    return node is not None and node.standing == "dead"
