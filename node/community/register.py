"""The community's register: read and changed as a whole, by the rules in `protocol.community`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from folkmoot.protocol.community.value import REGISTER, Community
from folkmoot.protocol.consensus.value import Make, Value


class Registers(Protocol):
    """See `actors.registrar`."""

    async def change(self, name: str, make: Make, request: bytes | None = None) -> Value | None: ...

    async def read(self, name: str) -> Value | None: ...


class Known(NamedTuple):
    """What the register held at one moment.

    Attributes:
        version: the register's; 0 before it held anything.
        community: its value.
    """

    version: int
    community: Community

    @classmethod
    def of(cls, value: Value | None) -> Known:
        """What a register's value says.

        Raises:
            WireError: `bad_request`: it is none of a community.
        """
        if value is None:
            return NOTHING
        return cls(value.version, Community.decode(value.body))


NOTHING = Known(0, Community())


class CommunityRegister:
    """See the module.

    Args:
        registers: reads and changes registers.
    """

    def __init__(self, registers: Registers) -> None:
        self._registers = registers

    async def read(self) -> Known:
        """What it holds now.

        Raises:
            WireError: `no_quorum`.
        """
        return Known.of(await self._registers.read(REGISTER))

    async def change(self, change: Callable[[Community], Community], request: bytes | None = None) -> Known:
        """Change it, and return what it holds then.

        Args:
            change: called once an attempt, and must not wait. May raise `WireError` to refuse.
            request: names this change (16 bytes): under the same one it is made once.

        Raises:
            WireError: what `change` raises; `conflict`, when there is no room; `no_quorum`; `uncertain`.
        """

        def make(value: Value | None) -> bytes | None:
            before = Known.of(value).community
            after = change(before)
            return None if after == before else after.encode()

        return Known.of(await self._registers.change(REGISTER, make, request))
