"""Splitting: at every moment, and in whatever order it is learned, each key has one owner."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.ring import splitting
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.ranges import RangeDescriptor, RangeMap
from folkmoot.protocol.ring.splitting import Reservation, free_ids, is_for, lacking, left_part, reserve

from tests.ring.samples import descriptor, slot, thirds
from tests.ring.test_movement import NOW, WIDE, World

MIDDLE = descriptor(1, 7, b"\x40", b"\x80", slot("eu", 1), slot("us", 2))


def test_both_parts_are_one_epoch_later_on_the_same_slots() -> None:
    reserved = reserve(MIDDLE, b"\x60", 64)
    left = left_part(MIDDLE, reserved)
    assert left == replace(MIDDLE, epoch=8, end=b"\x60", right=64)
    assert reserved.descriptor == replace(MIDDLE, id=64, epoch=8, start=b"\x60")
    further = reserve(left, b"\x50", 65)
    assert further.descriptor.right == 64, "what was right of the whole is right of its right part"
    assert left_part(left, further).right == 65


@pytest.mark.parametrize(
    ("parent", "at", "sentence"),
    [
        (MIDDLE, b"\x40", "not within range 1"),
        (MIDDLE, b"\x80", "not within"),
        (MIDDLE, b"\x3f", "not within"),
        (MIDDLE, b"", "the bound nothing is not within"),
        (MIDDLE, b"\x60" * 41, "cuts an account"),
        (replace(MIDDLE, slots=(slot("eu", 1, 3),)), b"\x60", "is moving"),
    ],
)
def test_where_a_range_is_not_split(parent: RangeDescriptor, at: bytes, sentence: str) -> None:
    with pytest.raises(RingError, match=sentence):
        reserve(parent, at, 64)


@pytest.mark.parametrize(
    "now", [replace(MIDDLE, epoch=8), replace(MIDDLE, slots=(slot("eu", 1),)), replace(MIDDLE, end=b"\x70")]
)
def test_a_reservation_is_for_one_descriptor_alone(now: RangeDescriptor) -> None:
    with pytest.raises(RingError, match="no part of range 1"):
        left_part(now, reserve(MIDDLE, b"\x60", 64))


def test_what_becomes_of_a_reservation() -> None:
    ranges = thirds()
    parent = ranges.ranges[1]
    reserved = reserve(parent, b"\x60", 64)
    moved = ranges.replace(replace(parent, epoch=2))
    assert reserved.standing(ranges) == "pending"
    assert reserved.standing(moved) == "void"
    assert reserved.standing(ranges.join([left_part(parent, reserved), reserved.descriptor])) == "active"
    assert reserve(moved.ranges[1], b"\x60", 64).standing(ranges) == "unknown"
    assert replace(reserved, of=9).standing(ranges) == "unknown"


def test_reservations_and_links_survive_the_wire() -> None:
    reserved = reserve(replace(MIDDLE, right=9), b"\x60", 64)
    kept = codec.unpack(codec.pack(reserved.to_wire()))
    assert Reservation.from_wire(kept) == reserved
    assert RangeDescriptor.from_wire(kept) == reserved.descriptor
    assert Reservation.from_wire(reserved.descriptor.to_wire()) is None


@pytest.mark.parametrize(
    "value", [None, MIDDLE.to_wire() | {"of": -1}, MIDDLE.to_wire() | {"right": -1}, {"of": 1}]
)
def test_nonsense_is_no_reservation(value: Any) -> None:
    with pytest.raises(WireError) as caught:
        Reservation.from_wire(value)
    assert caught.value.kind is BAD_REQUEST


def test_the_last_range_has_none_to_its_right() -> None:
    with pytest.raises(RingError, match="no range 3 to its right"):
        replace(descriptor(0), right=3)


def test_ids_end_where_ranges_do() -> None:
    assert next(free_ids(thirds())) == 3
    bounds = [b"", *(number.to_bytes(2, "big") for number in range(1, limits.RANGES)), b""]
    full = RangeMap(tuple(descriptor(at, 1, bounds[at], bounds[at + 1]) for at in range(limits.RANGES)))
    assert list(free_ids(full)) == []


@dataclass
class Rules:
    """What nodes go by; a planted bug is another rule in one place."""

    reserve: Callable[[RangeDescriptor, bytes, int], Reservation] = reserve
    left_part: Callable[[RangeDescriptor, Reservation], RangeDescriptor] = left_part
    may_replace: Callable[[Reservation, RangeMap], bool] = splitting.may_replace
    is_for: Callable[[Reservation, RangeDescriptor], bool] = is_for
    lacking: Callable[[RangeMap, dict[int, RangeDescriptor]], list[int]] = lacking
    compares: bool = True


Task = Generator[None, None, None]


class Cluster:
    """Nodes that split, move and learn of ranges, a register at a time, and may end anywhere in between.

    Args:
        random: decides who does what next.
        rules: what they go by.

    Attributes:
        registers: what was decided; one that holds nothing stands for what was founded.
        maps: by node, what it knows.
    """

    def __init__(self, random: Random, rules: Rules) -> None:
        self.random = random
        self.rules = rules
        self.founded = thirds()
        self.registers: dict[int, RangeDescriptor | Reservation] = {}
        self.maps = [self.founded] * 4
        self.tasks: list[Task] = []
        self.seen: dict[tuple[int, int], RangeDescriptor] = {}
        self.splits = 0

    # What nodes do.

    def read(self, range_id: int) -> RangeDescriptor | None:
        held = self.registers.get(range_id)
        return held.descriptor if isinstance(held, Reservation) else held or self.founded.get(range_id)

    def adopt(self, node: int, found: dict[int, RangeDescriptor]) -> Task:
        """Learn of what was found, and first of all that it leads to."""
        while missing := self.rules.lacking(self.maps[node], found):
            for range_id in missing:
                yield
                read = self.read(range_id)
                assert read is not None, f"range {range_id} is named and not there"
                found[range_id] = read
        try:
            self.maps[node] = self.maps[node].join(found.values())
        except RingError as error:
            raise AssertionError(f"node {node} cannot use what was decided: {error}") from error

    def ask(self, node: int) -> Task:
        """Hear from another node what is newer, and read what was decided about that."""
        told = self.random.choice(self.maps).newer_than(self.maps[node].epochs())
        found: dict[int, RangeDescriptor] = {}
        for one in self.random.sample(told, len(told)):
            yield
            read = self.read(one.id)
            assert read is not None
            found[one.id] = read
        yield from self.adopt(node, found)

    def move(self, node: int) -> Task:
        """Change the slots of a range as this node knows it, unless it is another meanwhile."""
        known = self.random.choice(self.maps[node].ranges)
        yield
        now = self.read(known.id)
        if now == known:
            numbers = self.random.sample(range(1, 9), 3)
            slots = tuple(slot("eu", number) for number in numbers)
            now = self.registers[known.id] = replace(known, epoch=known.epoch + 1, slots=slots)
        assert now is not None
        yield from self.adopt(node, {known.id: now})

    def split(self, node: int) -> Task:
        """Split a range: learn of it as it is, reserve, decide."""
        range_id = self.random.choice(self.maps[node].ranges).id
        now = self.read(range_id)
        assert now is not None
        yield from self.adopt(node, {range_id: now})
        parent = self.maps[node].get(range_id)
        assert parent is not None
        at = self.random.randbytes(2)
        if not parent.covers(at) or at == parent.start:
            return
        held: RangeDescriptor | Reservation | None = None
        for number in free_ids(self.maps[node]):
            yield
            held = self.registers.get(number)
            if held is None or (
                isinstance(held, Reservation)
                and not self.rules.is_for(held, parent)
                and self.rules.may_replace(held, self.maps[node])
            ):
                held = self.registers[number] = self.rules.reserve(parent, at, number)
            if isinstance(held, Reservation) and self.rules.is_for(held, parent):
                break
        yield
        now = self.read(range_id)
        assert now is not None and isinstance(held, Reservation)
        if now == parent or (not self.rules.compares and now.epoch >= parent.epoch and now.end == parent.end):
            now = self.registers[range_id] = self.rules.left_part(now, held)
            self.splits += 1
        yield from self.adopt(node, {range_id: now})

    # The world around them.

    def decided(self) -> RangeMap:
        """What the registers say: what was founded, and all that it leads to."""
        found: dict[int, RangeDescriptor] = {}
        left = [each.id for each in self.founded.ranges]
        while left:
            read = self.read(left.pop())
            assert read is not None
            found[read.id] = read
            if read.right is not None and read.right not in found:
                left.append(read.right)
        try:
            return RangeMap(tuple(found.values()))
        except RingError as error:
            raise AssertionError(f"what was decided is no partition: {error}") from error

    def check(self, before: RangeMap) -> RangeMap:
        """See that every key has one owner, whose epoch rises when it changes."""
        now = self.decided()
        for each in now.ranges:
            known = self.seen.setdefault((each.id, each.epoch), each)
            assert known == each, f"two descriptors of range {each.id} at epoch {each.epoch}"
            was = before.lookup(each.start)
            assert each == was or each.epoch > was.epoch, f"the epoch of {each.start.hex()} does not rise"
            if each.id != was.id:
                assert each.slots == was.slots, f"range {each.id} begins where nobody has its cells"
        for node, ranges in enumerate(self.maps):
            for each in ranges.ranges:
                known = self.seen.setdefault((each.id, each.epoch), each)
                assert known == each, f"node {node} believes of range {each.id} what was never decided"
        return now

    def live(self, actions: int) -> None:
        now = self.decided()
        for _ in range(actions):
            if len(self.tasks) < 4:
                begin = self.random.choice([self.ask, self.ask, self.move, self.split, self.split])
                self.tasks.append(begin(self.random.randrange(len(self.maps))))
            task = self.random.choice(self.tasks)
            crashes = self.random.random() < 0.03
            if crashes or next(task, "ended") == "ended":
                self.tasks.remove(task)
            now = self.check(now)
        self.finish(now)

    def finish(self, now: RangeMap) -> None:
        """When all is quiet, everybody comes to know what was decided."""
        self.tasks.clear()
        for node in range(len(self.maps)):
            for _ in self.adopt(node, {each.id: each for each in now.ranges}):
                pass
            assert self.maps[node] == now


@pytest.mark.parametrize("seed", range(60))
def test_every_key_has_one_owner_in_whatever_order_it_is_learned(seed: int) -> None:
    cluster = Cluster(Random(seed), Rules())
    cluster.live(600)
    assert cluster.splits


def _forgets_what_was_right(parent: RangeDescriptor, at: bytes, range_id: int) -> Reservation:
    reserved = reserve(parent, at, range_id)
    return replace(reserved, descriptor=replace(reserved.descriptor, right=None))


def _begins_at_the_first_epoch(parent: RangeDescriptor, at: bytes, range_id: int) -> Reservation:
    reserved = reserve(parent, at, range_id)
    return replace(reserved, descriptor=replace(reserved.descriptor, epoch=1))


def _unchecked_left(parent: RangeDescriptor, reserved: Reservation) -> RangeDescriptor:
    right = reserved.descriptor
    return replace(parent, epoch=parent.epoch + 1, end=right.start, right=right.id)


def _is_anybodys(held: Reservation, parent: RangeDescriptor) -> bool:
    return held.of == parent.id


BUGS = {
    "what is pending gives way": Rules(may_replace=lambda held, ranges: held.standing(ranges) != "active"),
    "what is unknown gives way": Rules(
        may_replace=lambda held, ranges: held.standing(ranges) in ("void", "unknown")
    ),
    "an older reservation is decided": Rules(left_part=_unchecked_left, is_for=_is_anybodys),
    "the range may have moved meanwhile": Rules(left_part=_unchecked_left, compares=False),
    "links are not followed": Rules(lacking=lambda ranges, found: []),
    "links are not handed on": Rules(reserve=_forgets_what_was_right, left_part=_unchecked_left),
    "epochs begin again": Rules(
        reserve=_begins_at_the_first_epoch,
        left_part=_unchecked_left,
        is_for=lambda held, parent: held.of == parent.id,
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    """Shows that the cluster above would find one."""
    found = 0
    for seed in range(60):
        try:
            Cluster(Random(seed), BUGS[bug]).live(600)
        except (AssertionError, RingError):
            found += 1
    assert found


@dataclass
class SplitWorld(World):
    """A world whose range is split while its slot moves: of a key's owners, one more at the same slots."""

    splits: int = field(default=0)

    def drive(self) -> None:
        now = self.epochs[-1]
        if self.random.random() < 0.4 and all(len(each.nodes) == 1 for each in now.slots):
            reserved = reserve(replace(now, end=b"\x80"), b"\x40", 64 + self.splits)
            # The key that is written to is one of the right part's: its owner is followed on.
            self.epochs.append(replace(reserved.descriptor, id=now.id, start=now.start, end=now.end))
            self.fenced, self.copied = set(), set()
            self.splits += 1
            return
        super().drive()


@pytest.mark.parametrize("now", [NOW, WIDE], ids=["three regions", "five"])
@pytest.mark.parametrize("seed", range(20))
def test_no_write_is_lost_to_a_split_before_or_after_a_move(now: RangeDescriptor, seed: int) -> None:
    world = SplitWorld(Random(seed), now=now)
    world.live(400)
    world.finish()
    assert world.splits
