"""The plan: what has to change so that every range is where placement wants it.

Wanted is what `placement` makes of the members in good standing. Of a range's slots those that are wanted
stay; the others are paired, region by region, with the nodes that are wanted and have none. What is left over
are slots to add, and once nothing else is to be done, slots to drop: so no range ever has fewer replicas than
before. A plan is worked out anew whenever anything changed. What was begun shows in the descriptors and is
gone on with; a joint slot whose two nodes are both unwanted stays with its reader, unless that one is dead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.movement import Add, Change, Drop, Move
from folkmoot.protocol.ring.placement import place
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap, Slot
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


NOTHING_TO_DO: Final = Plan({})


def plan(topology: Topology) -> Plan:
    """See `Planner.plan`."""
    return Planner().plan(topology)


class Planner:
    """Works out plans, and remembers where ranges are wanted for as long as the roster stays the same.

    Ranges change often while they move and the roster does not, and placing takes a hash a range and member.
    May be asked by several threads.
    """

    def __init__(self) -> None:
        self._placed: tuple[Roster | None, Replicas, dict[int, tuple[Slot, ...]]] = (None, 0, {})

    def plan(self, topology: Topology) -> Plan:
        """What has to change; nothing as long as nobody agreed on how many replicas there are to be, because
        then what the founders computed is what they wanted."""
        roster, counts = topology.roster, replicas_of(topology)
        if counts is None:
            return NOTHING_TO_DO
        changes: dict[int, tuple[Change, ...]] = {}
        placed_for, placed_by, placed = self._placed
        if (placed_for, placed_by) != (roster, counts):
            placed = {}
            self._placed = roster, counts, placed
        try:
            members = roster.in_good_standing()
            for descriptor in topology.ranges.ranges:
                wanted = placed.get(descriptor.id) or place(members, counts, descriptor.id)
                placed[descriptor.id] = wanted
                if found := changes_of(descriptor, wanted, roster):
                    changes[descriptor.id] = found
        except RingError as error:
            return Plan({}, (str(error),))
        return Plan(changes)


def replicas_of(topology: Topology) -> Replicas | None:
    """How many replicas the roster asks for, as far as there can be so many; see `possible_replicas`."""
    asked = topology.roster.replicas
    return None if asked is None else possible_replicas(asked, topology.roster, topology.ranges)


def possible_replicas(asked: Replicas, roster: Roster, ranges: RangeMap) -> Replicas:
    """How many replicas there are to be for now, of those that are asked for.

    A total grows with the cluster up to what was asked for, so that one node may begin alone; but no range is
    to have fewer than before because a node went.
    """
    if not isinstance(asked, int):
        return asked
    members = sum(node.standing == "member" for node in roster.nodes)
    return min(asked, max(members, *(len(each.slots) for each in ranges.ranges)))


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
    """What ends a joint slot: its wanted node alone, or a slot each.

    Each has its own when both are wanted, and when the second is wanted and does not stand where the slot
    does: then it was to be one more, and what becomes of its host is another change.
    """
    if len(slot.nodes) == 1:
        return None
    first, second = slot.nodes
    gone = _is_dead(first, roster)
    if second in regions and (first in regions or (regions[second] != slot.region and not gone)):
        return Add(descriptor.id, regions[second], second)
    # Of two that are unwanted it is the reader's, whatever it was meant to become: whoever went on to the
    # second would then find them the other way round, and go on to the first, for ever.
    stays = first in regions or (second not in regions and not gone)
    donor, recipient = (second, first) if stays else (first, second)
    return Move(descriptor.id, donor, recipient, _is_dead(donor, roster))


def _is_dead(node_id: bytes, roster: Roster) -> bool:
    node = roster.get(node_id)
    return node is not None and node.standing == "dead"
