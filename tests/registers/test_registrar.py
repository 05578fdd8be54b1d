"""A registrar that is asked while its node ends says what any node says that reaches no seat."""

from __future__ import annotations

from random import Random

import pytest
import trio
from folkmoot.node.actors.registrar import Registrar
from folkmoot.protocol.consensus.ballot import ZERO
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.messages import Answer, Told
from folkmoot.protocol.consensus.proposer import Send
from folkmoot.protocol.errors import NO_QUORUM, WireError

NODE, SEAT = b"n" * 16, b"s" * 16


class Own:
    """This node knows of one seat."""

    def __init__(self) -> None:
        self.configuration: Configuration | None = Configuration(1, [Seat(SEAT, NODE)])
        self.changed = trio.Event()

    async def learn(self, configuration: Configuration) -> bool:
        return False


class Empty:
    """A seat that keeps nothing, and answers at once."""

    async def ask(self, send: Send) -> Answer | None:
        return Told(ZERO, None)

    async def names_of(self, seat: Seat, configuration: Configuration) -> set[str] | None:
        return set()


async def test_a_register_asked_for_while_the_node_ends(autojump_clock: trio.abc.Clock) -> None:
    registrar = Registrar(NODE, Empty(), Random(1))
    registrar.follow(Own())
    async with trio.open_nursery() as nursery:
        await nursery.start(registrar.run)
        assert await registrar.read("roster") is None
        nursery.cancel_scope.cancel()
    with pytest.raises(WireError) as refused:
        await registrar.read("roster")
    assert refused.value.kind is NO_QUORUM
