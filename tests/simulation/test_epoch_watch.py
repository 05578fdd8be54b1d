"""Which quorums could be formed is read off the disks: what is said of epochs that stand side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from folkmoot.node.simulation.epoch_watch import EpochWatch
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.protocol.ring.topology import Topology
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import Change
from folkmoot.storage.rows import seal

from tests.ring.samples import descriptor, node_id, numbered, slot

A, B, C, D = (slot("eu", number) for number in range(1, 5))
MOVING = slot("eu", 3, 4)
FOUNDED = descriptor(0, 1, b"", b"", A, B, C)
JOINT = descriptor(0, 2, b"", b"", A, B, MOVING)
MOVED = descriptor(0, 3, b"", b"", A, B, D)


def learned(watch: EpochWatch, number: int, *owners: RangeDescriptor) -> None:
    """A node's disk has these ranges from now on."""
    encoded = Topology(numbered(4), RangeMap(owners)).encode()
    change = Change(Table.META, b"topology", seal(b"topology", encoded))
    watch.committed(f"n{number}", node_id(number), [change])


@pytest.mark.parametrize(
    ("known", "is_broken"),
    [
        pytest.param([FOUNDED, FOUNDED, FOUNDED], False, id="all the same"),
        pytest.param([FOUNDED, FOUNDED, JOINT, JOINT], False, id="one knows more"),
        pytest.param([FOUNDED, JOINT, FOUNDED, JOINT], False, id="a joint slot wants both its nodes"),
        pytest.param([FOUNDED, JOINT, JOINT, MOVED], False, id="fenced: the first epoch has one node left"),
        pytest.param([FOUNDED, MOVED, FOUNDED, MOVED], True, id="not fenced: a quorum under either"),
        pytest.param([JOINT, MOVED, JOINT, MOVED], True, id="the old reader answers beside the new"),
    ],
)
def test_two_epochs_that_both_have_a_quorum_are_told(
    known: Sequence[RangeDescriptor], is_broken: bool
) -> None:
    watch = EpochWatch()
    for number, owner in enumerate(known, 1):
        learned(watch, number, owner)
    assert watch.compared > 0
    assert bool(watch.complaints) is is_broken
    if is_broken:
        assert "can both form a quorum for the first key" in watch.complaints[0]


def test_a_part_of_a_split_range_is_compared_with_the_whole_it_was() -> None:
    left = descriptor(0, 2, b"", b"\x80", A, B, C)
    right = descriptor(1, 2, b"\x80", b"", A, B, D)
    watch = EpochWatch()
    for number in (1, 3):
        learned(watch, number, FOUNDED)
    for number in (2, 4):
        learned(watch, number, left, right)
    assert "epoch 1 of range 0 and epoch 2 of range 1 can both form a quorum for 80" in watch.complaints


def test_a_disk_that_was_exchanged_counts_for_nothing_until_it_has_learned() -> None:
    watch = EpochWatch()
    for number in (1, 3):
        learned(watch, number, FOUNDED)
    watch.forget("n3")
    for number in (2, 4):
        learned(watch, number, MOVED)
    assert watch.complaints == []


def test_a_node_that_runs_twice_is_not_believed() -> None:
    """Its peers find out, and heed neither; so a quorum of two is one that only it could make."""
    watch = EpochWatch()
    learned(watch, 1, FOUNDED)
    learned(watch, 3, FOUNDED)
    learned(watch, 4, MOVED)
    encoded = Topology(numbered(4), RangeMap((MOVED,))).encode()
    change = Change(Table.META, b"topology", seal(b"topology", encoded))
    watch.committed("n1-copy-1", node_id(1), [change])
    assert watch.complaints == []
    learned(watch, 2, MOVED)
    assert watch.complaints == [], "nor is the old epoch able to gather two without it"


def test_rows_that_are_no_topology_are_passed_over() -> None:
    watch = EpochWatch()
    watch.committed(
        "n1", node_id(1), [Change(Table.META, b"topology", None), Change(Table.CELLS, b"k", b"v")]
    )
    assert watch.compared == 0
