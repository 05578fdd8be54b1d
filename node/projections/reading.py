"""Reading on in the logs of all ranges, for a run: what is new waits with it until it is applied.

This node's own log is read as far as there is room for what waits, one lane after the other. Other nodes are
asked beside that, and what they tell waits, too; none is asked for more of a range as long as something of it
waits.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Protocol

import trio
from folkmoot.node.projections.logs import Read, Unread
from folkmoot.node.projections.runs import Run, Step
from folkmoot.node.projections.stretches import Stretch, Stretches
from folkmoot.protocol import limits
from folkmoot.protocol.projections import bounds
from folkmoot.storage import projections
from folkmoot.storage.projecting import Batch
from folkmoot.storage.store import Store


class ReadsLogs(Protocol):
    """See `logs`.

    Attributes:
        own_log: the name of this node's log.
    """

    own_log: bytes

    def is_own(self, stretch: Stretch) -> bool: ...

    async def read_own(
        self, wanted: Sequence[tuple[Stretch, int]], most: int, without: Container[int]
    ) -> list[Batch]: ...

    def divided(self, wanted: Sequence[Unread]) -> Iterator[tuple[bytes, Sequence[Unread]]]: ...

    async def ask(self, node_id: bytes, wanted: Sequence[Unread]) -> list[tuple[Stretch, Read]]: ...


class LogReading:
    """See the module.

    Args:
        store: this node's.
        logs: where it is read.
        stretches: what is followed now.
        wake: called when another node has answered.
    """

    def __init__(self, store: Store, logs: ReadsLogs, stretches: Stretches, wake: Callable[[], None]) -> None:
        self._store = store
        self._logs = logs
        self._stretches = stretches
        self._wake = wake

    async def read(self, run: Run, asking: trio.Nursery) -> None:
        """Read what is new in own logs that may have something new, and have others be asked.

        Args:
            asking: where others are asked.
        """
        own_log, began = self._logs.own_log, trio.current_time()
        own: list[tuple[Stretch, int]] = []
        others: list[Unread] = []
        for name, stretch in self._stretches():
            positions = run.positions.get(name)
            if positions is None:
                positions = run.positions[name] = self._kept_positions(run, stretch)
            if name in run.waiting:
                continue
            if not self._logs.is_own(stretch):
                if name not in run.asked and run.ask_at.get(name, 0.0) <= began:
                    others.append((stretch, positions))
            elif self._store.lane_changed(stretch.lane, after := positions.get(own_log, 0)) or not positions:
                own.append((stretch, after))
            else:
                run.ends[name] = own_log
                run.current_at[name] = began
        for node_id, some in self._logs.divided(others):
            run.asked.update(stretch.name for stretch, _ in some)
            asking.start_soon(self._ask, run, node_id, some)
        room = bounds.CHANGES_READ - run.changes_waiting
        if not own or room <= 0:
            return
        batches = await self._logs.read_own(own, room, run.without)
        for (stretch, _), batch in zip(own, batches, strict=False):
            run.waiting[stretch.name] = Step(stretch, Read(own_log, batch), began)

    async def _ask(self, run: Run, node_id: bytes, some: Sequence[Unread]) -> None:
        """Ask another node."""
        began = trio.current_time()
        found = await self._logs.ask(node_id, some)
        busy = {stretch.name for stretch, read in found if read.batch.changed}
        for stretch, _ in some:
            if stretch.name not in busy:
                run.ask_at[stretch.name] = trio.current_time() + limits.PROJECTION_ASK_S
        run.asked.difference_update(stretch.name for stretch, _ in some)
        run.waiting.update((stretch.name, Step(stretch, read, began)) for stretch, read in found)
        self._wake()

    def _kept_positions(self, run: Run, stretch: Stretch) -> dict[bytes, int]:
        with self._store.engine.begin() as transaction:
            return projections.cursors_at(transaction, run.number, *stretch.name)
