"""The replicas of a cluster, each read alone: one client a node, which an operator's key lets look inside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from folkmoot.cli.clients import open_client
from folkmoot.cli.connection import Target
from folkmoot.cli.errors import OperatorError, Unreachable
from folkmoot.protocol.client import Client, ClientSettings, LinkBroken
from folkmoot.protocol.client import Unreachable as NoNodeAnswers
from folkmoot.protocol.client.link_terms import NoAnswer
from folkmoot.protocol.errors import FORBIDDEN, UNAUTHENTICATED, FolkmootError, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.ring.ranges import RangeDescriptor

_EACH: Final = ClientSettings(
    name="folkmoot-check/1", carry_token=False, deadline_s=8.0, attempt_s=8.0, attempts=2
)


class NotReadable(FolkmootError):
    """A replica did not give what it was asked for.

    Args:
        replica: which.
        cause: what went wrong.
    """

    def __init__(self, replica: Replica, cause: FolkmootError) -> None:
        super().__init__(f"{replica.name}: {cause}")
        self.replica = replica
        self.gone = not isinstance(cause, WireError) or isinstance(cause, NoAnswer)


@dataclass(frozen=True, slots=True)
class Replica:
    """One node, asked directly.

    Args:
        node_id: 16 bytes.
        name: as the roster has it.
        client: connected to this node only.
    """

    node_id: bytes
    name: str
    client: Client

    async def cells(self, start: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        """The first of its cells within bounds; none when there are none.

        Raises:
            NotReadable: it does not answer, or cannot read them itself.
        """
        try:
            found = (await self.client.call("debug.cells", {"start": start, "end": end}))["cells"]
        except (WireError, LinkBroken, NoNodeAnswers) as error:
            if isinstance(error, WireError) and error.kind in (UNAUTHENTICATED, FORBIDDEN):
                raise
            raise NotReadable(self, error) from error
        return [(key, data) for key, data in found]

    async def ranges(self) -> list[RangeDescriptor]:
        """The whole range map, as it knows it.

        Raises:
            OperatorError: the map changed while it was read.
        """
        found: list[RangeDescriptor] = []
        while page := (await self.client.call("debug.ranges", {"first": len(found)}))["ranges"]:
            found += [RangeDescriptor.from_wire(wire) for wire in page]
        _check_whole(found)
        return found

    async def figures(self) -> dict[str, Any]:
        """What `cluster.status` says of this node itself.

        Raises:
            NotReadable: it does not answer.
        """
        try:
            figures: dict[str, Any] = (await self.client.status())["node"]
        except (WireError, LinkBroken, NoNodeAnswers) as error:
            raise NotReadable(self, error) from error
        return figures


@dataclass(frozen=True, slots=True)
class Replicas:
    """Every node of a cluster that is a replica.

    Args:
        cluster: its id.
        reached: by node id.
        silent: node id → name of those that do not answer.
    """

    cluster: str
    reached: Mapping[bytes, Replica]
    silent: Mapping[bytes, str]


def _check_whole(ranges: Sequence[RangeDescriptor]) -> None:
    bounds = [(one.end, other.start) for one, other in pairwise(ranges)]
    whole = ranges and ranges[0].start == b"" and ranges[-1].end == b""
    if not whole or any(end != start for end, start in bounds):
        raise OperatorError("the ranges changed while they were read; run the check again")


@asynccontextmanager
async def open_replicas(target: Target, operator: KeyPair) -> AsyncIterator[Replicas]:
    """Connect to every node that is a replica of something, or may be soon.

    Who holds no range and is not to have any (drained, leaving, given up, no member) has nothing to compare.
    Who was given up for dead serves nobody: as long as ranges name it, it is as silent as if it were away.

    Raises:
        Unreachable: not one node answered.
        WireError: the nodes do not believe the operator's key.
    """
    async with AsyncExitStack() as stack:
        async with open_client(target) as client:
            status = await client.status()
        reached: dict[bytes, Replica] = {}
        silent: dict[bytes, str] = {}
        for node in status["nodes"]:
            node_id = bytes.fromhex(node["id"])
            if not node["ranges"] and node["roster"] != "member":
                continue
            try:
                alone = Target((node["address"] or "",), target.ca)
                if node["roster"] == "dead":
                    raise Unreachable(f"{node['name']} is given up for dead")
                if node["address"] is None or node["state"] not in ("alive", "suspect"):
                    raise Unreachable(f"{node['name']} is {node['state']}")
                each = await stack.enter_async_context(open_client(alone, operator, _EACH))
            except Unreachable:
                silent[node_id] = node["name"]
                continue
            reached[node_id] = Replica(node_id, node["name"], each)
        yield Replicas(status["cluster"], reached, silent)
