"""What must hold of a world, as checks that any join can be put to; each raises `AssertionError`."""

from __future__ import annotations

from folkmoot.protocol.crdt.cell import Cell

from tests.crdt.world import World, covers, expected


def check_definition(world: World) -> None:
    """Every state is the one its records define, and its bytes read back as the same state."""
    for state in world.reached():
        definition = expected(state.known, world.history_max)
        assert state.cell.encode() == definition.encode()
        assert state.cell.clock == definition.clock
        assert Cell.decode(state.cell.encode()) == state.cell


def check_laws(world: World) -> None:
    """Join is associative, commutative and idempotent over states that were reached (I2)."""
    reached = [state.cell for state in world.reached()]
    join = world.join
    for _ in range(10):
        a, b, c = (world.random.choice(reached) for _ in range(3))
        assert join(a, a).encode() == a.encode(), "idempotent"
        assert join(a, b).encode() == join(b, a).encode(), "commutative"
        assert join(join(a, b), c).encode() == join(a, join(b, c)).encode(), "associative"


def check_convergence(world: World) -> None:
    """Quiet and connected, nodes hold the same bytes (I3)."""
    assert len({state.cell.encode() for state in world.settle()}) == 1


def check_nothing_returns(world: World) -> None:
    """Whoever replays what, in whatever order: what was superseded or deleted stays so (I6)."""
    final = world.settle()[0]
    replayed = final.cell
    for record in world.random.sample(world.written, len(world.written)):
        if record in final.known:
            replayed = world.join(replayed, Cell.of(record))
            assert replayed.survivors == final.cell.survivors
    assert replayed.encode() == final.cell.encode()


def check_shape(world: World) -> None:
    """One survivor a device at most, none in knowledge of another; bounds kept; a deletion stands alone."""
    for state in world.reached():
        cell = state.cell
        devices = [record.device for record in cell.survivors]
        assert len(set(devices)) == len(devices)
        assert not any(covers(one, other) for one in cell.survivors for other in cell.survivors)
        assert len(cell.history) <= world.history_max
        assert not set(cell.survivors) & set(cell.history)
        assert all(cell.covers(record) for record in cell.records())
        if any(record.deleted for record in state.known):
            assert cell.deleted and len(cell.survivors) == 1 and cell.history == ()


CHECKS = (check_definition, check_laws, check_convergence, check_nothing_returns, check_shape)
