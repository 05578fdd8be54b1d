"""What tests of seats ask of whole nodes."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol.consensus.configuration import Configuration

from tests.node.harness import Town
from tests.node.nodes import Node
from tests.waiting import until


def registrar(node: Node) -> Any:
    return node.parts.registers.registrar


def acceptor(node: Node) -> Any:
    return node.parts.registers.acceptor


async def seated(town: Town, count: int, within_s: float = 30.0) -> Configuration:
    """Wait until all running nodes know one settled configuration of so many seats."""

    def same() -> Configuration | None:
        known = [acceptor(node).configuration for node in town.running()]
        first: Configuration | None = known[0]
        if first is None or first.joint or len(first.seats) != count or any(each != first for each in known):
            return None
        return first

    found = await until(same, what=f"{count} seats that all know of", within_s=within_s)
    assert found is not None
    return found
