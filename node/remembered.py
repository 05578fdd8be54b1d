"""What a node remembers across restarts besides its cells: small values in the store's meta table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from folkmoot.node.actors.membership import Numbers
from folkmoot.node.commits import Commits
from folkmoot.node.transport.interface import Address
from folkmoot.protocol import codec
from folkmoot.storage.transaction import Admission

_NUMBERS: Final = "gossip.numbers"
_ADDRESSES: Final = "gossip.addresses"
_TOPOLOGY: Final = "topology"


class Remembered:
    """See the module.

    Args:
        commits: the node's store.
    """

    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    def numbers(self) -> Numbers | None:
        """Incarnation and boot number of the last boot."""
        value = self._get(_NUMBERS)
        return None if value is None else Numbers(*value)

    async def keep_numbers(self, numbers: Numbers) -> None:
        await self._put(_NUMBERS, [numbers.incarnation, numbers.boot])

    def addresses(self) -> list[Address]:
        """Where peers were last met: a restarted node finds its cluster without seeds."""
        return [Address(host, port) for host, port in self._get(_ADDRESSES) or ()]

    async def keep_addresses(self, addresses: Iterable[Address]) -> None:
        await self._put(_ADDRESSES, [list(address) for address in addresses])

    def topology(self) -> dict[str, Any] | None:
        """The newest roster and range descriptors, as they travel."""
        value: dict[str, Any] | None = self._get(_TOPOLOGY)
        return value

    async def keep_topology(self, topology: dict[str, Any]) -> None:
        await self._put(_TOPOLOGY, topology)

    def _get(self, name: str) -> Any:
        data = self._commits.store.meta_get(name)
        return None if data is None else codec.unpack(data)

    async def _put(self, name: str, value: Any) -> None:
        data = codec.pack(value)
        await self._commits.run(
            lambda transaction: transaction.meta_put(name, data), Admission.ESSENTIAL, urgent=True
        )
