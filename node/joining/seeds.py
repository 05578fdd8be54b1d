"""What a node hears from its seeds until it has learned the topology.

A node that is to join knows nothing but its seeds, so what they say of it is said to its operator: a seed
that cannot be reached may come yet and is only reported, but when every seed answers that this node does not
belong to its cluster, waiting cannot help and the node ends with that sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

import trio
from folkmoot.node.transport.errors import TransportError, Untrusted, WrongCluster, WrongNode
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.errors import FolkmootError

log = logging.getLogger(__name__)


class TurnedAway(FolkmootError):
    """No seed takes this node for one of its cluster."""


class Joining:
    """See the module.

    Args:
        seeds: the peers' ports in the configuration.
    """

    def __init__(self, seeds: Iterable[Address]) -> None:
        self._seeds = frozenset(seeds)
        self._answers: dict[Address, str] = {}
        self._turned_away: set[Address] = set()
        self._waiting = False
        self._heard = trio.Event()

    @contextmanager
    def asking(self, address: Address) -> Iterator[None]:
        """Listen to how asking whoever is at `address` fails; the failure goes on."""
        try:
            yield
        except FolkmootError as error:
            if self._waiting:
                self._note(address, error)
            raise

    async def wait(self, wait_learned: Callable[[], Awaitable[object]]) -> None:
        """Wait until the topology is learned.

        Raises:
            TurnedAway: it will not be.
        """
        self._waiting = True
        learned = False
        async with trio.open_nursery() as nursery:

            async def learn() -> None:
                nonlocal learned
                await wait_learned()
                learned = True
                nursery.cancel_scope.cancel()

            nursery.start_soon(learn)
            while not self._seeds or not self._seeds <= self._turned_away:
                self._heard = trio.Event()
                await self._heard.wait()
            nursery.cancel_scope.cancel()
        self._waiting = False
        if not learned:
            raise TurnedAway("; ".join(self._answers[seed] for seed in sorted(self._seeds)))

    def _note(self, address: Address, error: FolkmootError) -> None:
        if self._answers.get(address) != str(error):
            log.warning("seed %s does not help: %s", address, error)
        self._answers[address] = str(error)
        cause = error if isinstance(error, TransportError) else error.__cause__
        if isinstance(cause, WrongCluster | WrongNode | Untrusted):
            self._turned_away.add(address)
            self._heard.set()
        else:
            self._turned_away.discard(address)
