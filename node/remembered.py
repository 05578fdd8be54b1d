"""What a node remembers across restarts besides its cells: small values in the store's meta table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from folkmoot.node.commits import Commits
from folkmoot.node.standing.boot_numbers import Numbers
from folkmoot.node.transport.interface import Address
from folkmoot.protocol import codec
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.topology import Topology
from folkmoot.storage.boots import begin_boot
from folkmoot.storage.transaction import Admission, WriteTransaction

_NUMBERS: Final = "gossip.numbers"
_ADDRESSES: Final = "gossip.addresses"
_TOPOLOGY: Final = "topology"
_DAMAGE: Final = "damage"
_SCRUBBED: Final = "scrubbed"


class Scrubbed(NamedTuple):
    """How far the self-check of the store has come.

    Attributes:
        lane: the next to be read, 0-63.
        ended_us: wall time at which it last came to the end, microseconds since 1970; 0 for never.
    """

    lane: int
    ended_us: int


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

    async def begin_boot(self, boot: int) -> None:
        """Note in the store that this boot writes from now on, and that its number is used."""
        earlier = self.numbers()
        numbers = codec.pack([earlier.incarnation if earlier else 0, boot])

        def note(transaction: WriteTransaction) -> None:
            begin_boot(transaction, boot)
            transaction.meta_put(_NUMBERS, numbers)

        await self._commits.run(note, Admission.ESSENTIAL, urgent=True)

    async def keep_numbers(self, numbers: Numbers) -> None:
        await self._put(_NUMBERS, codec.pack([numbers.incarnation, numbers.boot]))

    def addresses(self) -> list[Address]:
        """Where peers were last met: a restarted node finds its cluster without seeds."""
        return [Address(host, port) for host, port in self._get(_ADDRESSES) or ()]

    async def keep_addresses(self, addresses: Iterable[Address]) -> None:
        await self._put(_ADDRESSES, codec.pack([list(address) for address in addresses]))

    def topology(self) -> Topology | None:
        """The newest roster and range descriptors this node has adopted.

        Raises:
            RingError: they cannot be used; the sentence says how to go on.
        """
        data = self._commits.store.meta_get(_TOPOLOGY)
        if data is None:
            return None
        try:
            return Topology.decode(data)
        except RingError as error:
            raise RingError(
                f"{error}. Nothing else is lost: stop all nodes of the cluster, start each once with "
                "cluster.refound = true in its configuration, then take that out again"
            ) from error

    async def keep_topology(self, encoded: bytes) -> None:
        await self._put(_TOPOLOGY, encoded)

    def damage(self) -> list[bytes]:
        """The keys of cells that were damaged when that was last kept."""
        return list(self._get(_DAMAGE) or ())

    async def keep_damage(self, keys: Iterable[bytes]) -> None:
        await self._put(_DAMAGE, codec.pack(list(keys)))

    def scrubbed(self) -> Scrubbed:
        """How far the self-check has come."""
        value = self._get(_SCRUBBED)
        return Scrubbed(0, 0) if value is None else Scrubbed(*value)

    async def keep_scrubbed(self, scrubbed: Scrubbed) -> None:
        await self._put(_SCRUBBED, codec.pack(list(scrubbed)))

    def _get(self, name: str) -> Any:
        data = self._commits.store.meta_get(name)
        return None if data is None else codec.unpack(data)

    async def _put(self, name: str, data: bytes) -> None:
        await self._commits.run(
            lambda transaction: transaction.meta_put(name, data), Admission.ESSENTIAL, urgent=True
        )
