"""What a read that found too few replicas says: who is out of reach is one thing, damage another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from folkmoot.node.routing import Router
from folkmoot.protocol.errors import LEVEL_UNREACHABLE
from folkmoot.protocol.ring.ranges import Slot

from tests.node.doubles import everyone

HERE, THERE, BEYOND = (bytes([number]) * 16 for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("nodes", "asked", "sentence"),
    [
        ((HERE, THERE), (), "one needs replicas that cannot be reached from here"),
        (
            (HERE,),
            (HERE,),
            "one needs more replicas than can tell: this node could not read its own copy; the logs say why",
        ),
        (
            (HERE, THERE, BEYOND),
            (HERE, THERE),
            "one needs more replicas than can tell: this node could not read its own copy and 1 other did "
            "not answer, or could not; the logs say why",
        ),
        (
            (THERE, BEYOND),
            (THERE, BEYOND),
            "one needs more replicas than can tell: 2 others did not answer, or could not; the logs say why",
        ),
    ],
)
def test_why_a_level_is_not_reached(
    nodes: tuple[bytes, ...], asked: tuple[bytes, ...], sentence: str
) -> None:
    everybody: Any = SimpleNamespace(reachable=lambda node: True, alive=lambda node: True)
    topology: Any = SimpleNamespace(region_of=lambda node: "eu")
    router = Router(HERE, "eu", topology, everybody, everyone)
    slots = [Slot("eu", (node,)) for node in nodes]
    error = router.unreachable(slots, cast(Any, "one"), asked)
    assert (error.kind, error.message) == (LEVEL_UNREACHABLE, sentence)
