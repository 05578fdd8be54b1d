"""What projections ask of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from folkmoot.node.projections.logs import Latest, Read
from folkmoot.node.projections.stretches import Stretch
from folkmoot.storage.projecting import Batch


class ReadsLogs(Protocol):
    """Reads the logs of ranges; see `logs`.

    Attributes:
        own_log: the name of this node's log.
    """

    own_log: bytes

    def is_own(self, stretch: Stretch) -> bool: ...

    async def read_own(self, wanted: Sequence[tuple[Stretch, int]]) -> list[Batch]: ...

    async def read_others(
        self, wanted: Sequence[tuple[Stretch, Mapping[bytes, int]]]
    ) -> list[tuple[Stretch, Read]]: ...

    def keeps(self, account: bytes) -> bool: ...

    async def latest_elsewhere(self, account: bytes, limit: int) -> Latest | None: ...
