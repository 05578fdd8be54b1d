"""Changing what the community has agreed upon, so that this node and the others go by it at once.

What was decided is on this node's disk and in its gossip, and the nodes that can be reached have been told,
before whoever asked for the change hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from folkmoot.node.community.register import Known
from folkmoot.protocol.community.value import Community


class Register(Protocol):
    """See `community.register`."""

    async def read(self) -> Known: ...

    async def change(
        self, change: Callable[[Community], Community], request: bytes | None = None
    ) -> Known: ...


class Follower(Protocol):
    """See `actors.community_follower`."""

    @property
    def known(self) -> Known: ...

    async def adopt(self, known: Known) -> None: ...

    async def tell(self) -> None: ...


class Agreement:
    """See the module.

    Args:
        register: decides.
        follower: keeps and tells what was decided.
        now_ms: the wall clock, milliseconds since 1970.
    """

    def __init__(self, register: Register, follower: Follower, now_ms: Callable[[], int]) -> None:
        self._register = register
        self._follower = follower
        self.now_ms = now_ms

    @property
    def known(self) -> Known:
        """What the register held last, as far as this node knows."""
        return self._follower.known

    async def read(self) -> Known:
        """What the register holds now, which this node then goes by.

        Raises:
            WireError: `no_quorum`.
            StorageError: it could not be kept here.
        """
        known = await self._register.read()
        await self._follower.adopt(known)
        return known

    async def change(self, change: Callable[[Community], Community], request: bytes | None) -> Known:
        """Have a change decided.

        Args:
            change: from the community as it is to one change later; see `protocol.community`.
            request: names the change (16 bytes), for whoever may have to ask again.

        Returns:
            What the register holds then.

        Raises:
            WireError: what `change` raises; `no_quorum`; `uncertain`.
            StorageError: it was decided, and could not be kept here.
        """
        before = self._follower.known.version
        decided = await self._register.change(change, request)
        await self._follower.adopt(decided)
        if decided.version > before:
            await self._follower.tell()
        return decided
