"""Movement: the order of its steps, and that no order of the world's events loses a write to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from folkmoot.protocol.ring import levels, movement
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.ring.movement import (
    Copy,
    Fence,
    Finished,
    Hand,
    Impossible,
    Move,
    Propose,
    is_fenced,
    next_step,
)
from folkmoot.protocol.ring.ranges import RangeDescriptor

from tests.ring.samples import descriptor, node_id, slot

C, D, A, B = map(node_id, (1, 4, 2, 3))
MOVE = Move(0, C, D)
BURIAL = replace(MOVE, donor_is_dead=True)
NOW = descriptor(0, 7, b"", b"", slot("eu", 1), slot("us", 2), slot("ap", 3))


def moving(*numbers: int, epoch: int = 8) -> RangeDescriptor:
    return replace(NOW, epoch=epoch, slots=(slot("eu", *numbers), *NOW.slots[1:]))


@pytest.mark.parametrize(
    ("move", "now", "fenced", "copied", "step"),
    [
        pytest.param(MOVE, NOW, (), (), Propose(moving(1, 4)), id="begin"),
        pytest.param(MOVE, moving(1, 4), (), (), Fence((C, D, A, B)), id="fence everybody one can"),
        pytest.param(MOVE, moving(1, 4), (D, A, B), (), Fence((C,)), id="never without the donor"),
        pytest.param(MOVE, moving(1, 4), (C, A, B), (), Fence((D,)), id="nor the recipient"),
        pytest.param(MOVE, moving(1, 4), (C, D), (), Fence((A, B)), id="nor a majority"),
        pytest.param(MOVE, moving(1, 4), (C, D, A), (), Fence((B,)), id="nor a region"),
        pytest.param(MOVE, moving(1, 4), (C, D, A, B), (), Copy((C,)), id="then copy"),
        pytest.param(MOVE, moving(1, 4), (C, D, A, B), (A,), Copy((C,)), id="from the donor and nobody else"),
        pytest.param(
            MOVE, moving(1, 4), (C, D, A, B), (C,), Propose(moving(4, 1, epoch=9)), id="then move reads"
        ),
        pytest.param(MOVE, moving(4, 1), (), (C,), Fence((D, C, A, B)), id="and fence readers"),
        pytest.param(MOVE, moving(4, 1), (A, B, C, D), (), Propose(moving(4, epoch=9)), id="then it is done"),
        pytest.param(MOVE, moving(4), (), (), Finished(), id="finished"),
        pytest.param(BURIAL, NOW, (), (), Propose(moving(1, 4)), id="of the dead: begin"),
        pytest.param(BURIAL, moving(1, 4), (D,), (), Fence((A, B)), id="of the dead: fence who lives"),
        pytest.param(BURIAL, moving(1, 4), (D, A, B), (), Copy((A, B)), id="of the dead: copy from both"),
        pytest.param(BURIAL, moving(1, 4), (D, A, B), (A,), Copy((B,)), id="of the dead: one is too few"),
        pytest.param(
            BURIAL, moving(1, 4), (D, A, B), (A, B), Propose(moving(4, epoch=9)), id="of the dead: done"
        ),
        pytest.param(
            BURIAL, moving(4, 1), (D, A, B), (), Propose(moving(4, epoch=9)), id="dead after reads moved"
        ),
    ],
)
def test_steps(
    move: Move,
    now: RangeDescriptor,
    fenced: tuple[bytes, ...],
    copied: tuple[bytes, ...],
    step: movement.Step,
) -> None:
    assert next_step(move, now, fenced=set(fenced), copied=set(copied)) == step


@pytest.mark.parametrize(
    ("move", "now"),
    [
        pytest.param(Move(0, node_id(9), D), NOW, id="the donor has no slot"),
        pytest.param(Move(0, C, A), NOW, id="the recipient has another slot"),
        pytest.param(MOVE, moving(1, 9), id="the slot is moving elsewhere"),
    ],
)
def test_moves_that_cannot_be_made(move: Move, now: RangeDescriptor) -> None:
    assert isinstance(next_step(move, now), Impossible)


def test_the_only_replica_cannot_be_dead() -> None:
    assert isinstance(next_step(BURIAL, descriptor(0, 8, b"", b"", slot("eu", 1, 4)), fenced={D}), Impossible)


@pytest.mark.parametrize("numbers", [(2, 3), (1, 3), (1, 2)])
def test_of_three_slots_in_one_region_two_fences_are_enough(numbers: tuple[int, ...]) -> None:
    now = descriptor(0, 7, b"", b"", slot("eu", 1), slot("eu", 2), slot("eu", 3))
    assert is_fenced(now, set(map(node_id, numbers)))
    assert not is_fenced(now, {node_id(numbers[0])})


MOVE_BACK = Move(0, D, C)
ADD = movement.Add(0, "eu", D)
DROP = movement.Drop(0, C)
DROP_NEXT = movement.Drop(0, A)
E = node_id(5)
THREE = descriptor(0, 7, b"", b"", slot("eu", 1), slot("eu", 2), slot("eu", 3))
TWO = replace(THREE, slots=THREE.slots[1:])
FOUR = replace(THREE, slots=(*THREE.slots, slot("eu", 5)))


@pytest.mark.parametrize(
    ("change", "now", "fenced", "copied", "step"),
    [
        pytest.param(ADD, NOW, (), (), Propose(moving(1, 4)), id="share a slot"),
        pytest.param(ADD, moving(1, 4), (C, D, A, B), (), Copy((C,)), id="copy behind a fence"),
        pytest.param(
            ADD,
            moving(1, 4),
            (C, D, A, B),
            (C,),
            Propose(replace(NOW, epoch=9, slots=(*NOW.slots, slot("eu", 4)))),
            id="a slot of its own",
        ),
        pytest.param(ADD, replace(NOW, slots=(*NOW.slots, slot("eu", 4))), (), (), Finished(), id="added"),
        pytest.param(DROP, NOW, (), (), Fence((C, A, B)), id="drop behind a fence"),
        pytest.param(DROP, NOW, (C, A, B), (), Hand((A, B), (C,)), id="its region's last is handed on"),
        pytest.param(
            DROP, NOW, (C, A, B), (A,), Propose(replace(NOW, epoch=8, slots=NOW.slots[1:])), id="drop"
        ),
        pytest.param(DROP, THREE, (C, A), (), Propose(replace(THREE, epoch=8, slots=TWO.slots)), id="to two"),
        pytest.param(DROP_NEXT, TWO, (A,), (), Fence((B,)), id="two that were three are both fenced"),
        pytest.param(DROP_NEXT, TWO, (A, B), (), Hand((B,), (A,)), id="the last gets all first"),
        pytest.param(
            DROP_NEXT, TWO, (A, B), (B,), Propose(replace(TWO, epoch=8, slots=TWO.slots[1:])), id="to one"
        ),
        pytest.param(
            replace(DROP, donor_is_dead=True),
            FOUR,
            (A, B, E),
            (),
            Hand((A, B, E), (A, B, E)),
            id="of the dead",
        ),
        pytest.param(DROP, replace(NOW, slots=NOW.slots[1:]), (), (), Finished(), id="dropped"),
    ],
)
def test_steps_of_slots_that_come_and_go(
    change: movement.Change,
    now: RangeDescriptor,
    fenced: tuple[bytes, ...],
    copied: tuple[bytes, ...],
    step: movement.Step,
) -> None:
    assert next_step(change, now, fenced=set(fenced), copied=set(copied)) == step


@pytest.mark.parametrize("now", [moving(1, 4), descriptor(0, 7, b"", b"", slot("eu", 1))])
def test_slots_that_cannot_be_dropped(now: RangeDescriptor) -> None:
    assert isinstance(next_step(DROP, now), Impossible)


@dataclass
class Pass:
    """A copy under way: it goes through the writes there are, and meets each once."""

    donor: bytes
    recipient: bytes
    epoch: int
    left: list[int]


@dataclass
class World:
    """Nodes, each at an epoch of its own, that are written to and read at any epoch there has been.

    Whatever a node is asked under another epoch than its own, it refuses. A read must see every write that
    was acknowledged before it began.

    Attributes:
        epochs: the descriptors that were decided, the newest last.
        known: by node, the epoch it has adopted.
        held: by node, the writes it has.
        acknowledged: the writes that clients were told of.
        fenced, copied: what the driver knows of the newest epoch.
    """

    random: Random
    changes: Sequence[movement.Change] = (MOVE,)
    now: RangeDescriptor = NOW
    level: Level = "quorum"
    step: Callable[..., movement.Step] = next_step
    dead: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        nodes = dict.fromkeys((*self.now.nodes(), D))
        self.left = list(self.changes)
        self.epochs = [self.now]
        self.known = dict.fromkeys(nodes, 0)
        self.held: dict[bytes, set[int]] = {node: set() for node in nodes}
        self.acknowledged: set[int] = set()
        self.fenced: set[bytes] = set()
        self.copied: set[bytes] = set()
        self.passes: list[Pass] = []
        self.writes = 0
        self.region = self.random.choice([each.region for each in self.now.slots])

    def living(self) -> list[bytes]:
        return [node for node in self.known if node not in self.dead]

    def write(self) -> None:
        epoch = self.random.randrange(len(self.epochs))
        asked = self.epochs[epoch]
        reached = {node for node in self.living() if self.random.random() < 0.7}
        acked = {node for node in asked.nodes() if self.known[node] == epoch and node in reached}
        self.writes += 1
        for node in acked:
            self.held[node].add(self.writes)
        if levels.satisfied(self.level, asked.slots, acked, self.region):
            self.acknowledged.add(self.writes)

    def read(self) -> None:
        epoch = self.random.randrange(len(self.epochs))
        asked = self.epochs[epoch]
        readers = [each.reader for each in asked.slots if each.reader not in self.dead]
        answered = {node for node in readers if self.known[node] == epoch and self.random.random() < 0.7}
        if levels.satisfied(self.level, asked.slots, answered, self.region, read=True):
            seen = set().union(*(self.held[node] for node in answered))
            assert self.acknowledged <= seen, f"{self.acknowledged - seen} read at epoch {epoch}"

    def gossip(self) -> None:
        node = self.random.choice(self.living())
        self.known[node] = self.random.randint(self.known[node], len(self.epochs) - 1)

    def copy(self) -> None:
        """One more cell of a pass, which ends when the donor has none that it has not met."""
        if not self.passes:
            return
        under_way = self.random.choice(self.passes)
        if under_way.left:
            write = under_way.left.pop(self.random.randrange(len(under_way.left)))
            self.held[under_way.recipient].add(write)
        else:
            self.passes.remove(under_way)
            if under_way.epoch == len(self.epochs) - 1:
                is_drop = bool(self.left) and isinstance(self.left[0], movement.Drop)
                self.copied.add(under_way.recipient if is_drop else under_way.donor)

    def drive(self) -> None:
        if not self.left:
            return
        step = self.step(self.left[0], self.epochs[-1], fenced=self.fenced, copied=self.copied)
        match step:
            case Finished():
                self.left.pop(0)
            case Propose(proposed):
                assert proposed.epoch == self.epochs[-1].epoch + 1
                self.epochs.append(proposed)
                self.fenced, self.copied = set(), set()
            case Fence(nodes):
                node = self.random.choice([node for node in nodes if node not in self.dead])
                self.known[node] = len(self.epochs) - 1
                self.fenced.add(node)
            case Copy(donors):
                epoch = len(self.epochs) - 1
                donor = self.random.choice(donors)
                if (donor, epoch) not in [(each.donor, each.epoch) for each in self.passes]:
                    recipient = getattr(self.left[0], "recipient", b"")
                    self.passes.append(Pass(donor, recipient, epoch, sorted(self.held[donor])))
            case Hand(recipients, donors):
                self.hand(self.random.choice(recipients), self.random.choice(donors))
            case Impossible(reason):
                raise AssertionError(reason)

    def hand(self, recipient: bytes, donor: bytes) -> None:
        """Begin a pass for a drop, unless it is under way."""
        epoch = len(self.epochs) - 1
        if (recipient, donor, epoch) not in [
            (each.recipient, each.donor, each.epoch) for each in self.passes
        ]:
            self.passes.append(Pass(donor, recipient, epoch, sorted(self.held[donor])))

    def forget(self) -> None:
        """The driver comes back and knows only what was decided."""
        self.fenced, self.copied = set(), set()
        self.passes.clear()

    def live(self, actions: int) -> None:
        everything = [self.write, self.read, self.gossip, self.copy, self.drive, self.forget]
        weights = [6, 6, 2, 6, 4, 0.1]
        for action in self.random.choices(everything, weights, k=actions):
            action()

    def finish(self) -> None:
        """Drive to the end, then read the newest epoch from every quorum that there may be."""
        for _ in range(1_000):
            if not self.left:
                break
            self.drive()
            self.copy()
        else:
            raise AssertionError("the move never ends")
        for node in self.living():
            self.known[node] = len(self.epochs) - 1
        for _ in range(50):
            self.read()


WIDE = descriptor(0, 7, b"", b"", slot("eu", 1), slot("eu", 2), slot("eu", 3), slot("us", 5), slot("us", 6))
LONELY = descriptor(0, 7, b"", b"", slot("eu", 1))


@pytest.mark.parametrize("now", [NOW, WIDE, FOUR, LONELY], ids=["three regions", "five", "four", "one"])
@pytest.mark.parametrize("level", ["quorum", "local_quorum", "each_quorum"])
@pytest.mark.parametrize("seed", range(20))
def test_no_write_is_lost_to_a_move(now: RangeDescriptor, level: Level, seed: int) -> None:
    world = World(Random(seed), now=now, level=level)
    world.live(400)
    world.finish()
    assert world.epochs[-1].slots[0].nodes == (D,)


@pytest.mark.parametrize("now", [NOW, WIDE, FOUR], ids=["three regions", "five", "four"])
@pytest.mark.parametrize("seed", range(20))
def test_no_write_is_lost_with_a_donor_that_died(now: RangeDescriptor, seed: int) -> None:
    world = World(Random(seed), [BURIAL], now=now)
    for _ in range(40):
        world.write()
    world.dead.add(C)
    world.live(400)
    world.finish()


@pytest.mark.parametrize("now", [NOW, WIDE, FOUR, LONELY], ids=["three regions", "five", "four", "one"])
@pytest.mark.parametrize(
    "changes", [(ADD,), (ADD, DROP), (ADD, DROP, MOVE_BACK)], ids=["add", "add, drop", "all"]
)
@pytest.mark.parametrize("seed", range(20))
def test_no_write_is_lost_to_slots_that_come_and_go(
    now: RangeDescriptor, changes: Sequence[movement.Change], seed: int
) -> None:
    world = World(Random(seed), changes, now=now)
    world.live(600)
    world.finish()


def _unfenced(move: Move, now: RangeDescriptor, **known: set[bytes]) -> movement.Step:
    return next_step(move, now, fenced=set(now.nodes()), copied=known.get("copied", set()))


def _uncopied(move: Move, now: RangeDescriptor, **known: set[bytes]) -> movement.Step:
    return next_step(move, now, fenced=known.get("fenced", set()), copied={move.donor})


def _half_fenced(move: Move, now: RangeDescriptor, **known: set[bytes]) -> movement.Step:
    fenced = known.get("fenced", set())
    return next_step(
        move, now, fenced=set(now.nodes()) if fenced else fenced, copied=known.get("copied", set())
    )


def _hasty(move: Move, now: RangeDescriptor, **known: set[bytes]) -> movement.Step:
    step = next_step(move, now, fenced=set(now.nodes()), copied={move.donor})
    return (
        Propose(replace(now, epoch=now.epoch + 1, slots=(slot("eu", 4), *now.slots[1:])))
        if now is NOW
        else step
    )


@pytest.mark.parametrize("bug", [_unfenced, _uncopied, _half_fenced, _hasty])
def test_a_planted_bug_loses_a_write(bug: Callable[..., movement.Step]) -> None:
    """Shows that the world above would find one."""
    lost = 0
    for seed in range(60):
        world = World(Random(seed), step=bug)
        try:
            world.live(400)
            world.finish()
        except AssertionError:
            lost += 1
    assert lost
