"""A run of what was drawn beforehand: every request is sent when it is due, and its delay counts from then.

As with the open loop of `load`, whoever is slow delays nobody's asking: what is due while earlier requests
are unanswered is sent all the same, and what could not be sent in time is late by the time it waited. So
nothing is left out of the figures (no coordinated omission), and how far sending fell behind is told, since a
run that cannot keep up measures itself.

Memory is bounded by the schedule, whose length is: one number is kept for each request.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import trio
from folkmoot.cli.bench.links import PATIENCE_S, link_with_room, write_down
from folkmoot.cli.bench.mixes import Action
from folkmoot.cli.bench.tally import ACKNOWLEDGED, spread_ms
from folkmoot.cli.journal import Journal
from folkmoot.protocol.client import Client, LinkBroken
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import Reply, result_of
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.record import Record


class Due(NamedTuple):
    """One request.

    Args:
        due_s: seconds after the begin.
        action: what it counts as.
        method, params: what is asked.
        record: what it writes, if it does.
    """

    due_s: float
    action: Action
    method: str
    params: Mapping[str, Any]
    record: Record | None = None


@dataclass(slots=True)
class ReplayTally:
    """The figures of one run.

    Args:
        late_s: of each action, seconds from when each request was due to its answer, in order of answers.
        statuses: records by what became of them.
        failed: requests that got no result, by the error's name.
        lag_ms: how old home feeds said they might be.
        unanswered: requests that were due and had no answer, or were not even sent, when patience ended.
        behind_s: by how much the latest request was sent after it was due.
        last_s: when the last answer came, on trio's clock.
    """

    late_s: dict[Action, array[float]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    lag_ms: array[float] = field(default_factory=lambda: array("d"))
    unanswered: int = 0
    behind_s: float = 0.0
    last_s: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether every request was answered, and every record acknowledged."""
        acknowledged = sum(self.statuses[status] for status in ACKNOWLEDGED)
        return not self.unanswered and not self.failed and acknowledged == self.statuses.total()

    def summary(self, seconds: float) -> dict[str, Any]:
        """For `--json`.

        Args:
            seconds: from the first request to the last answer.
        """
        return {
            "seconds": round(seconds, 3),
            "actions": {
                str(action): {
                    "count": len(late_s),
                    "per_s": round(len(late_s) / seconds, 1) if seconds else 0.0,
                    "ms": spread_ms(late_s),
                }
                for action, late_s in sorted(self.late_s.items())
            },
            "statuses": dict(self.statuses),
            "failed": dict(self.failed),
            "unanswered": self.unanswered,
            "behind_ms": round(self.behind_s * 1000, 3),
            "lag_ms": spread_ms([lag_ms / 1000 for lag_ms in self.lag_ms]),
        }


class Replay:
    """One run.

    Args:
        clients: one a connection, connected; requests are dealt out to them in turn.
        requests: by when they are due.
        level: what writes ask for.
        journal: where acknowledgements are written down; None for nowhere.
    """

    def __init__(
        self, clients: Sequence[Client], requests: Sequence[Due], level: str, journal: Journal | None
    ) -> None:
        self.tally = ReplayTally()
        self._clients = clients
        self._requests = requests
        self._level = level
        self._journal = journal
        self._unanswered = 0
        self._answered = trio.Event()
        self._sending = trio.CancelScope()
        self._stopped = False

    def stop(self) -> None:
        """Ask for nothing more; `run` returns once what is asked is answered."""
        self._stopped = True
        self._sending.cancel()

    async def run(self) -> float:
        """Ask for everything when it is due, and wait for the answers; the seconds that it all took."""
        began = trio.current_time()
        ends_s = self._requests[-1].due_s if self._requests else 0.0
        self._sending.deadline = began + ends_s + PATIENCE_S
        with self._sending:
            async with trio.open_nursery() as nursery:
                for index, client in enumerate(self._clients):
                    part = self._requests[index :: len(self._clients)]
                    nursery.start_soon(self._send, client, part, began)
        with trio.move_on_after(PATIENCE_S):
            while self._unanswered:
                self._answered = trio.Event()
                await self._answered.wait()
        self.tally.unanswered += self._unanswered
        return max(self.tally.last_s - began, 0.0)

    async def _send(self, client: Client, part: Sequence[Due], began: float) -> None:
        sent = 0
        try:
            for request in part:
                await trio.sleep_until(began + request.due_s)
                link = await link_with_room(client, self.tally.failed)
                if link is None:
                    return
                self._submit(link, request, began + request.due_s)
                sent += 1
        finally:
            if not self._stopped:
                self.tally.unanswered += len(part) - sent

    def _submit(self, link: Link, request: Due, due: float) -> None:
        def on_reply(reply: Reply) -> None:
            self._unanswered -= 1
            self._count(request, reply, due)
            self._answered.set()

        self.tally.behind_s = max(self.tally.behind_s, trio.current_time() - due)
        self._unanswered += 1
        link.submit(request.method, dict(request.params), on_reply)

    def _count(self, request: Due, reply: Reply, due: float) -> None:
        now = self.tally.last_s = trio.current_time()
        try:
            result = result_of(reply)
        except WireError as error:
            self.tally.failed[f"{request.action}: {error.kind.name}"] += 1
        except LinkBroken:
            self.tally.failed[f"{request.action}: link_broken"] += 1
        else:
            self.tally.late_s.setdefault(request.action, array("d")).append(now - due)
            if request.record is not None:
                self._written(request.record, result["results"][0])
            elif type(result.get("lag_ms")) in (int, float):
                self.tally.lag_ms.append(result["lag_ms"])

    def _written(self, record: Record, answer: Mapping[str, Any]) -> None:
        self.tally.statuses[answer["status"]] += 1
        if self._journal is not None:
            write_down(self._journal, [(record, answer["status"], answer.get("achieved"))], self._level)
