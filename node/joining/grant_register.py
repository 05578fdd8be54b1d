"""The register of join grants: read and changed as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from folkmoot.protocol.consensus.value import Make, Value
from folkmoot.protocol.errors import UNCERTAIN, WireError
from folkmoot.protocol.grants import Grants, read_grants, write_grants

JOINS: Final = "joins"


class Registers(Protocol):
    """See `actors.registrar`."""

    async def change(self, name: str, make: Make) -> Value | None: ...

    async def read(self, name: str) -> Value | None: ...


class GrantRegister:
    """See the module.

    Args:
        registers: reads and changes registers.
    """

    def __init__(self, registers: Registers) -> None:
        self._registers = registers

    async def read(self) -> Grants:
        """All there are, those that are over included.

        Raises:
            WireError: `no_quorum`.
        """
        return _grants_in(await self._registers.read(JOINS))

    async def change(self, change: Callable[[Grants], Grants]) -> Grants:
        """Change them, and return what was decided.

        Args:
            change: called once an attempt, and must not wait. May raise `WireError` to refuse.

        Raises:
            WireError: what `change` raises; `conflict`, when there is no room; `no_quorum`; `uncertain`.
        """

        def make(value: Value | None) -> bytes | None:
            before = _grants_in(value)
            after = change(before)
            return None if after == before else write_grants(after)

        try:
            return _grants_in(await self._registers.change(JOINS, make))
        except WireError as error:
            if error.kind is not UNCERTAIN:
                raise
            raise WireError(
                UNCERTAIN,
                "too few seats answered in time, and the join tokens may yet be changed: once they answer, "
                "see `folkmoot join-token ls` and ask for the same again. A token that nobody was told lets "
                "nobody in",
                details=error.details,
            ) from error


def _grants_in(value: Value | None) -> Grants:
    return read_grants(None if value is None else value.body)
