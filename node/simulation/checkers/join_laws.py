"""I2: join is associative, commutative and idempotent, over the states that this run reached.

Besides whatever nodes committed, each record alone is a reachable state: a node that heard only of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from random import Random

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict
from folkmoot.protocol.crdt import cell as cells
from folkmoot.protocol.crdt.cell import Cell

Join = Callable[[Cell, Cell], Cell]

STATES_PER_KEY = 8
TRIPLES_PER_KEY = 6


def check(evidence: Evidence, join: Join | None = None) -> Verdict:
    """Put `join` to its laws; without one, what nodes join cells by now: it may be another than at import."""
    join = join or cells.join
    random = Random(f"{evidence.seed}/laws")  # noqa: S311 - repeatable on purpose
    alone: dict[bytes, list[Cell]] = {}
    for record in evidence.history.submitted:
        alone.setdefault(record.key, []).append(Cell.of(record))
    inquiry = Inquiry("I2")
    for key, states in evidence.witness.states.items():
        reached = [*states.values(), *alone.get(key, ())]
        sample = random.sample(reached, min(STATES_PER_KEY, len(reached)))
        for law, one, other in _laws(sample, join, random):
            if inquiry.fails(one.encode() == other.encode()):
                inquiry.complain(f"join is not {law} at {key.hex()}")
    return inquiry.verdict()


def _laws(states: list[Cell], join: Join, random: Random) -> Iterator[tuple[str, Cell, Cell]]:
    """Each law with the two sides that must be equal."""
    for a in states:
        yield "idempotent", join(a, a), a
    for a, b in combinations(states, 2):
        both = join(a, b)
        yield "commutative", both, join(b, a)
        yield "absorbing what it holds", join(both, b), both
    for _ in range(TRIPLES_PER_KEY if len(states) > 2 else 0):
        a, b, c = random.sample(states, 3)
        yield "associative", join(join(a, b), c), join(a, join(b, c))
