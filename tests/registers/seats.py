"""What tests of seats ask of whole nodes."""

from __future__ import annotations

from folkmoot.node.actors.acceptor import Acceptor
from folkmoot.node.actors.registrar import Registrar
from folkmoot.protocol import limits
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.consensus.value import Make, Value

from tests.node.harness import Town
from tests.node.nodes import Node
from tests.waiting import until


def registrar(node: Node) -> Registrar:
    return node.parts.registers.registrar


def acceptor(node: Node) -> Acceptor:
    return node.parts.registers.acceptor


def configuration(node: Node) -> Configuration:
    """Who has seats, as a node knows it that has heard of any."""
    known = acceptor(node).configuration
    assert known is not None, f"{node.name} knows of no seats"
    return known


async def change(node: Node, name: str, make: Make, request: bytes | None = None) -> Value:
    """What a register holds after a change, which leaves something there."""
    value = await registrar(node).change(name, make, request)
    assert value is not None, f"{name} holds nothing"
    return value


async def read(node: Node, name: str, timeout_s: float = limits.REGISTER_TIMEOUT_S) -> Value:
    """What a register holds in which something was decided."""
    value = await registrar(node).read(name, timeout_s=timeout_s)
    assert value is not None, f"{name} holds nothing"
    return value


async def seated(town: Town, count: int, within_s: float = 30.0) -> Configuration:
    """Wait until all running nodes know one settled configuration of so many seats."""

    def same() -> Configuration | None:
        known = [acceptor(node).configuration for node in town.running()]
        first = known[0]
        if first is None or first.joint or len(first.seats) != count or any(each != first for each in known):
            return None
        return first

    found = await until(same, what=f"{count} seats that all know of", within_s=within_s)
    assert found is not None
    return found
