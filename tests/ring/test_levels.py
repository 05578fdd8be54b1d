"""Levels: against a slow obvious reading of their definitions, and the quorums that must meet."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, combinations

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.ring import levels
from folkmoot.protocol.ring.levels import LEVELS, Level
from folkmoot.protocol.ring.ranges import Slot
from hypothesis import given
from hypothesis import strategies as st

from tests.ring.samples import node_id, slot

REGIONS = ["ap", "eu", "us"]


@st.composite
def slot_sets(draw: st.DrawFn) -> tuple[Slot, ...]:
    """Up to five slots, some of them moving."""
    slots = []
    for number in range(draw(st.integers(1, 5))):
        nodes = (2 * number, 2 * number + 1)[: draw(st.integers(1, 2))]
        slots.append(slot(draw(st.sampled_from(REGIONS)), *nodes))
    return tuple(slots)


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[Slot, ...], frozenset[bytes], str, bool]:
    """Slots, who answered (strangers included), the local region, and whether it is a read."""
    slots = draw(slot_sets())
    acked = draw(st.frozensets(st.integers(0, 11).map(node_id)))
    return slots, acked, draw(st.sampled_from(REGIONS)), draw(st.booleans())


def obvious(level: Level, slots: Iterable[Slot], acked: frozenset[bytes], local: str, read: bool) -> bool:
    """The definitions, word for word."""
    done = [(slot.region, (slot.nodes[0] in acked) if read else set(slot.nodes) <= acked) for slot in slots]
    everywhere = [acked for _, acked in done]
    by_region = {region: [acked for where, acked in done if where == region] for region, _ in done}

    def most(answers: list[bool]) -> bool:
        return 2 * answers.count(True) > len(answers)

    return {
        "one": any(everywhere),
        "local_quorum": most(by_region.get(local, everywhere)),
        "quorum": most(everywhere),
        "each_quorum": all(map(most, by_region.values())),
        "all": all(everywhere),
    }[level]


@pytest.mark.parametrize("level", LEVELS)
@given(case=cases())
def test_satisfied_is_the_definition(
    level: Level, case: tuple[tuple[Slot, ...], frozenset[bytes], str, bool]
) -> None:
    slots, acked, local, read = case
    assert levels.satisfied(level, slots, acked, local, read=read) == obvious(
        level, slots, acked, local, read
    )


@pytest.mark.parametrize("level", LEVELS)
@given(case=cases())
def test_possible_means_that_some_set_of_the_rest_satisfies(
    level: Level, case: tuple[tuple[Slot, ...], frozenset[bytes], str, bool]
) -> None:
    slots, unreachable, local, read = case
    rest = [node for found in slots for node in found.nodes if node not in unreachable]
    subsets = chain.from_iterable(combinations(rest, size) for size in range(len(rest) + 1))
    expected = any(obvious(level, slots, frozenset(subset), local, read) for subset in subsets)
    assert levels.possible(level, slots, unreachable, local, read=read) == expected


@given(cases())
def test_achieved_names_the_highest_level_reached(
    case: tuple[tuple[Slot, ...], frozenset[bytes], str, bool],
) -> None:
    slots, acked, local, read = case
    answer = levels.achieved(slots, acked, local, read=read)
    reached = [level for level in LEVELS if obvious(level, slots, acked, local, read)]
    assert answer["level"] == (reached[-1] if reached else "none")
    assert answer["slots"] == len(slots)
    assert (answer["acks"] == 0) == (answer["level"] == "none")
    assert (answer["acks"] == len(slots)) == (answer["level"] == "all")


@pytest.mark.parametrize("level", LEVELS)
@given(case=cases())
def test_missing_slots_are_enough_and_none_is_there_for_nothing(
    level: Level, case: tuple[tuple[Slot, ...], frozenset[bytes], str, bool]
) -> None:
    slots, acked, local, read = case
    lacking = levels.missing(level, slots, acked, local, read=read)
    assert (lacking == []) == obvious(level, slots, acked, local, read)
    named = {bytes.fromhex(node) for entry in lacking for node in entry["nodes"]}
    assert obvious(level, slots, acked | named, local, read)
    counted = levels.achieved(slots, acked, local, read=read)["acks"]
    assert levels.achieved(slots, acked | named, local, read=read)["acks"] == counted + len(lacking)


@pytest.mark.parametrize(
    ("level", "weaker"),
    [("all", LEVELS), ("each_quorum", ["quorum", "local_quorum", "one"]), ("quorum", ["one"])],
)
@given(case=cases())
def test_a_stronger_level_implies_the_weaker(
    level: Level, weaker: list[Level], case: tuple[tuple[Slot, ...], frozenset[bytes], str, bool]
) -> None:
    slots, acked, local, read = case
    if levels.satisfied(level, slots, acked, local, read=read):
        assert all(levels.satisfied(other, slots, acked, local, read=read) for other in weaker)


def minimal(level: Level, slots: tuple[Slot, ...], local: str, *, read: bool) -> list[frozenset[bytes]]:
    """The smallest sets of nodes that satisfy a level."""
    nodes = [node for found in slots for node in ((found.reader,) if read else found.nodes)]
    subsets = chain.from_iterable(combinations(nodes, size) for size in range(len(nodes) + 1))
    enough = [s for s in map(frozenset, subsets) if levels.satisfied(level, slots, s, local, read=read)]
    return [one for one in enough if not any(other < one for other in enough)]


MEETING: list[tuple[Level, Level]] = [
    ("quorum", "quorum"),
    ("each_quorum", "quorum"),
    ("quorum", "each_quorum"),
    ("all", "one"),
    ("one", "all"),
    ("each_quorum", "local_quorum"),
    ("local_quorum", "each_quorum"),
]


@pytest.mark.parametrize(("written", "asked"), MEETING)
@given(slots=slot_sets(), writer=st.sampled_from(REGIONS), reader=st.sampled_from(REGIONS))
def test_reads_meet_writes(
    written: Level, asked: Level, slots: tuple[Slot, ...], writer: str, reader: str
) -> None:
    for acked in minimal(written, slots, writer, read=False):
        for answered in minimal(asked, slots, reader, read=True):
            assert acked & answered


@given(slots=slot_sets(), local=st.sampled_from(REGIONS))
def test_local_quorums_of_one_region_meet(slots: tuple[Slot, ...], local: str) -> None:
    for acked in minimal("local_quorum", slots, local, read=False):
        for answered in minimal("local_quorum", slots, local, read=True):
            assert acked & answered


def test_levels_that_need_not_meet_do_not() -> None:
    slots = (slot("ap", 1), slot("eu", 2), slot("us", 3))
    assert any(
        not (acked & answered)
        for acked in minimal("quorum", slots, "eu", read=False)
        for answered in minimal("one", slots, "eu", read=True)
    )


THREE = (slot("ap", 1), slot("eu", 2), slot("us", 3))
MOVING = (slot("ap", 1, 4), slot("eu", 2), slot("us", 3))


@pytest.mark.parametrize(
    ("slots", "acked", "read", "reached", "acks"),
    [
        (THREE, set(), False, "none", 0),
        (THREE, {1}, False, "one", 1),
        (THREE, {2}, False, "local_quorum", 1),
        (THREE, {1, 3}, False, "quorum", 2),
        (THREE, {1, 2, 3}, False, "all", 3),
        (THREE, {9}, False, "none", 0),
        (MOVING, {1}, False, "none", 0),
        (MOVING, {1, 4}, False, "one", 1),
        (MOVING, {1, 3}, False, "one", 1),
        (MOVING, {1, 3}, True, "quorum", 2),
        (MOVING, {4, 3}, True, "one", 1),
    ],
)
def test_examples_seen_from_eu(
    slots: tuple[Slot, ...], acked: set[int], read: bool, reached: str, acks: int
) -> None:
    answer = levels.achieved(slots, set(map(node_id, acked)), "eu", read=read)
    assert answer == {"level": reached, "acks": acks, "slots": 3}


def test_each_quorum_stops_short_of_all_where_a_region_has_three() -> None:
    slots = (slot("eu", 1), slot("eu", 2), slot("eu", 3), slot("us", 4))
    acked = {node_id(number) for number in (1, 2, 4)}
    assert levels.achieved(slots, acked, "eu")["level"] == "each_quorum"
    assert levels.missing("all", slots, acked, "eu") == [{"region": "eu", "nodes": [node_id(3).hex()]}]


@pytest.mark.parametrize("value", ["ONE", "none", "", None, 1, b"one"])
def test_other_words_are_no_levels(value: object) -> None:
    with pytest.raises(WireError) as caught:
        levels.parse_level(value)
    assert caught.value.kind is BAD_REQUEST


def test_the_words_of_the_contract_are() -> None:
    assert [levels.parse_level(level) for level in LEVELS] == list(LEVELS)
