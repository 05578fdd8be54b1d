"""What nodes ask each other about their standings: `standing.meet` and `standing.who`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Protocol

from folkmoot.node.standing.lives import Life
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.standing import Finding, Statement
from msgspec import Meta, Struct

MEET: Final = "standing.meet"
WHO: Final = "standing.who"

_Pair = Annotated[list[int], Meta(min_length=2, max_length=2)]


Echo = tuple[bytes, float]
"""What a process gives to be returned: its instance, and when it gave it by its own monotonic clock."""


class Meeting(Struct):
    """`standing.meet`: a node's word on itself, and the echo it was given last by whom it tells."""

    statement: Statement
    echo: Echo | None = None


class Met(Struct):
    """The answer: what is remembered of the asker, what follows, and the answering node's own word.

    Args:
        echo: to be returned with the next meeting.
        again: that one is wanted now: others speak as the same node, and the answer shows who lives.
    """

    watermark: _Pair
    finding: Finding
    statement: Statement
    echo: Echo
    again: bool = False
    rival: Life | None = None
    name_taken: bytes | None = None


class Who(Struct):
    """`standing.who`: which process are you? Asked because of another one."""

    because: Statement


class Links(Protocol):
    """How other nodes are asked."""

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any: ...

    def drop(self, node_id: bytes) -> None:
        """End the link to a node, which is to be dialled anew."""
        ...

    async def call_address(
        self, address: Address, method: str, params: Mapping[str, Any], timeout_s: float
    ) -> tuple[bytes, Any]: ...
