"""Watching a local cluster: every node is asked, again and again, whom it sees and what it owes.

A node that does not answer is silent; nothing is concluded from that alone. Who is dead is what the *others*
say, which is also how the time until a fault is noticed is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import trio
from folkmoot.cli.clients import open_client
from folkmoot.cli.connection import Target
from folkmoot.cli.errors import OperatorError, Unreachable
from folkmoot.protocol.client import ClientSettings, LinkBroken
from folkmoot.protocol.errors import WireError

POLL_S: Final = 0.03
RETRY_S: Final = 0.1
_IMPATIENT: Final = ClientSettings(
    name="folkmoot-demo/1", carry_token=False, deadline_s=1.0, attempt_s=1.0, attempts=1
)


class NeverSeen(OperatorError):
    """What was waited for did not come about in time."""


class Watcher:
    """See the module.

    Args:
        described: the cluster, as its supervisor describes it.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        self._ca = Path(described["ca"]) if described["ca"] else None
        self._addresses: dict[str, str] = {}
        self.update(described)
        self._ids = {node["id"]: node["name"] for node in described["nodes"]}
        self._status: dict[str, dict[str, Any]] = {}  # observer → its latest answer, while it answers
        self._changed = trio.Event()

    def update(self, described: Mapping[str, Any]) -> None:
        """Take in where nodes listen now."""
        self._addresses.update(
            {node["name"]: node["address"] for node in described["nodes"] if node["address"]}
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        async with trio.open_nursery() as nursery:
            for name in self._addresses:
                nursery.start_soon(self._watch, name)

    async def _watch(self, name: str) -> None:
        while True:
            try:
                async with open_client(
                    Target((self._addresses[name],), self._ca), settings=_IMPATIENT
                ) as client:
                    while True:
                        self._seen(name, await client.status())
                        await trio.sleep(POLL_S)
            except (Unreachable, LinkBroken, WireError):
                self._seen(name, None)
            await trio.sleep(RETRY_S)

    def _seen(self, observer: str, status: dict[str, Any] | None) -> None:
        if status is None:
            self._status.pop(observer, None)
        else:
            self._status[observer] = status
        self._changed.set()
        self._changed = trio.Event()

    def answers(self, name: str) -> bool:
        """Whether a node answered when it was last asked."""
        return name in self._status

    def views_of(self, name: str) -> dict[str, str]:
        """How the others that answer see a node: observer → state.

        One that has just started and has heard nothing of the node yet sees nothing.
        """
        views = {}
        for observer, status in self._status.items():
            for seen in status["nodes"] if observer != name else ():
                if self._ids.get(seen["id"]) == name and seen["state"] != "unknown":
                    views[observer] = seen["state"]
        return views

    def owed_to(self, names: Iterable[str]) -> int:
        """Hints and queued cells that the nodes which answer still hold for others."""
        wanted = {node_id for node_id, name in self._ids.items() if name in set(names)}
        owed = 0
        for status in self._status.values():
            figures = status["node"]
            owed += figures["replication"]["queued"]
            owed += sum(count for node_id, count in figures["hints"].items() if node_id in wanted)
        return owed

    async def wait(self, condition: Callable[[], bool], within_s: float, what: str) -> float:
        """Wait until `condition` holds; the seconds it took.

        Args:
            condition: looks at this watcher.
            within_s: the deadline.
            what: the sentence's end if it never does.

        Raises:
            NeverSeen: it did not hold in time.
        """
        began = trio.current_time()
        with trio.move_on_after(within_s):
            while not condition():
                await self._changed.wait()
            return trio.current_time() - began
        raise NeverSeen(f"after {within_s:g} s {what}", hint="folkmoot cluster logs shows why")
