"""What the intake needs of others: the gate, the keys and whoever brings records on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from folkmoot.node.contracts import Put, Settle
from folkmoot.node.moderation.lookups import NOTHING, LookedUp
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation.verdict import Verdict
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level


class Gate(Protocol):
    """Quota and policy; `judge_batch` may leave the last records of many for another call."""

    def look_at_batch(
        self, records: Sequence[Record], account_exempt: bool, address: str, now: float
    ) -> list[WireError | None]: ...

    async def look_up(self, records: Sequence[Record]) -> LookedUp: ...

    def judge_batch(
        self,
        records: Sequence[Record],
        account_exempt: bool,
        address: str,
        now: float,
        looked_up: LookedUp = NOTHING,
    ) -> list[Verdict | WireError]: ...

    def settle_batch(
        self,
        records: Sequence[Record],
        changed: Sequence[bool],
        held: Sequence[bool],
        account_exempt: bool,
        address: str,
        now: float,
    ) -> None: ...


class Keys(Protocol):
    """Which keys may sign; see `accounts.key_gate`."""

    def refusal(self, author: bytes, key: bytes) -> WireError | None: ...

    async def take(self, records: Sequence[Record]) -> None: ...


class Coordination(Protocol):
    """Brings puts to their replicas."""

    async def put(self, puts: Sequence[Put], level: Level, settle: Settle) -> None: ...
