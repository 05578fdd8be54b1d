"""The recollection: what this node remembers of the standings of the others, and what it tells them of it.

A peer's word on itself is held against its watermark, and the watermark is durable before the answer. Greater
marks that come with acknowledgements are kept once a second: a disk that goes back by less than that, and is
put in place while everybody who heard is killed, too, is not found out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import trio
from folkmoot.node.contracts import Joined, PeerUnreachable
from folkmoot.node.standing.lives import Life, Lives
from folkmoot.node.standing.messages import MEET, WHO, Links, Meeting, Who
from folkmoot.node.standing.records import StandingRecords
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params, Request
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.standing import Finding, Mark, State, Statement, Watermarks, judge
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)

WHO_TIMEOUT_S: Final = 1.0
KEEP_INTERVAL_S: Final = 1.0


class Recollection:
    """See the module.

    Args:
        records: what is kept.
        names: node id → name of every member of the roster, as far as known.
        links: how others are asked.
    """

    _statement: Callable[[], Statement]

    def __init__(
        self, records: StandingRecords, names: Callable[[], Mapping[bytes, str]], links: Links
    ) -> None:
        self._records = records
        self._names = names
        self._links = links
        self._watermarks = Watermarks(records.watermarks())
        self._lives = Lives()
        self._latest: dict[bytes, tuple[bytes, int]] = {}
        self._names_refused: set[bytes] = set()

    def follow(self, statement: Callable[[], Statement]) -> None:
        """Say, before anybody asks, what this node says of itself."""
        self._statement = statement

    def state_of(self, node_id: bytes) -> State:
        """What another node is, as far as this one knows."""
        return self._watermarks.of(node_id).state

    def is_old(self, node_id: bytes) -> bool:
        """Whether another node is amnesiac."""
        return self.state_of(node_id) is State.AMNESIAC

    def heard_from(self, node_id: bytes, joined: Joined) -> bool:
        """Remember the mark that came with an answer to a join; whether that is an acknowledgement."""
        of_this_life = joined.mark is None or self._watermarks.raise_to(node_id, Mark(*joined.mark))
        return of_this_life and joined.counted and self.state_of(node_id) is State.WHOLE

    def hear_requests(self, node_id: bytes, requests: Sequence[Request]) -> None:
        """Remember the mark that came with a peer's latest request."""
        match requests[-1].params if requests else None:
            case {"mark": [int(boot), int(commit)]}:
                self._watermarks.raise_to(node_id, Mark(boot, commit))

    def methods(self) -> dict[str, Callable[[bytes, Params], Any]]:
        """What other nodes may ask, by name."""
        return {MEET: self.meet, WHO: self.who}

    async def meet(self, node_id: bytes, params: Params) -> dict[str, Any]:
        """Hold a node's word on itself against what is remembered of it; durable before it is answered."""
        meeting = codec.shaped(params, Meeting, MEET)
        statement = meeting.statement
        known = self._watermarks.of(node_id)
        own = self._statement()
        echo = [own.instance, trio.current_time()]
        answer: dict[str, Any] = {"watermark": list(known.mark), "statement": own.to_wire(), "echo": echo}
        names = self._names()
        if taken := [other for other, name in names.items() if name == statement.name and other != node_id]:
            self._refuse_name(node_id, statement.name, taken[0])
            answer["name_taken"] = taken[0]
        if node_id not in names:
            return {**answer, "finding": Finding.FITS.value}
        life = Life(statement.instance, statement.boot)
        alive = float("-inf")
        if meeting.echo is not None and meeting.echo[0] == own.instance:
            alive = min(meeting.echo[1], trio.current_time())
        rival = await self._rival(node_id, statement, life, alive)
        answer["again"] = self._lives.is_doubtful(node_id, life)
        if rival:
            log.warning(
                "two processes say they are node %s: boot %d runs, and boot %d is refused as a copy of it",
                node_id.hex(),
                rival.boot,
                statement.boot,
            )
            return {**answer, "finding": Finding.FITS.value, "rival": rival.to_wire()}
        finding = self.hear(node_id, statement)
        after = self._watermarks.of(node_id)
        if (after.mark.boot, after.state) != (known.mark.boot, known.state):
            await self._keep()
        return {**answer, "finding": finding.value}

    async def who(self, node_id: bytes, params: Params) -> dict[str, Any]:
        """Which process this is; whoever is asked after says that there is another one in its name."""
        because = codec.shaped(params, Who, WHO).because
        own = self._statement()
        if because.instance != own.instance:
            log.warning(
                "a copy of this node, named %s, was started (boot %d, after this one's %d); it is refused",
                because.name,
                because.boot,
                own.boot,
            )
        return Life(own.instance, own.boot).to_wire()

    async def _rival(self, node_id: bytes, statement: Statement, life: Life, alive: float) -> Life | None:
        """The process that a new one must give way to, if there is one."""
        now = trio.current_time()
        news = self._lives.hear(node_id, life, now, alive)
        accepted = self._watermarks.of(node_id).mark.boot
        if statement.state is State.WHOLE:
            return None
        if rival := self._lives.rival_of(node_id, life, accepted):
            return rival
        if not news:
            return None
        try:
            params = {"because": statement.to_wire()}
            told = await self._links.call(node_id, WHO, params, WHO_TIMEOUT_S)
            there = codec.shaped(told, Life, f"the answer to {WHO}")
        except (WireError, PeerUnreachable):
            self._links.drop(node_id)  # whoever it was is gone
            return None
        if there.instance == life.instance or (there.boot > life.boot and there.boot != accepted):
            return None
        self._lives.hear(node_id, there, trio.current_time(), alive=now)
        return there

    def _refuse_name(self, node_id: bytes, name: str, holder: bytes) -> None:
        if node_id not in self._names_refused and len(self._names_refused) < limits.GOSSIP_STRANGERS:
            self._names_refused.add(node_id)
            log.warning("node %s calls itself %s, which is node %s", node_id.hex(), name, holder.hex())

    def hear(self, node_id: bytes, statement: Statement) -> Finding:
        """Take in a member's word on itself, and say what to make of it."""
        before = self._watermarks.of(node_id)
        if self._is_outdated(node_id, statement):
            return judge(before.mark, statement)
        finding = self._watermarks.hear(node_id, statement)
        after = self._watermarks.of(node_id)
        if after.state is not before.state or finding is Finding.OLD:
            log.log(
                logging.WARNING if after.state is State.AMNESIAC else logging.INFO,
                "%s (%s) is %s: it claims %s, and %s is remembered",
                statement.name,
                node_id.hex(),
                after.state.value,
                tuple(statement.claim),
                tuple(before.mark),
            )
        return finding

    def _is_outdated(self, node_id: bytes, statement: Statement) -> bool:
        """Whether the same process has said something later already: each change of its word is a change
        of its store."""
        said = statement.instance, statement.commit
        latest = self._latest.get(node_id, said)
        if latest[0] == said[0] and latest[1] > said[1]:
            return True
        self._latest[node_id] = said
        return False

    async def run(self) -> None:
        """Keep what is heard, until cancelled."""
        while True:
            await trio.sleep(KEEP_INTERVAL_S)
            try:
                await self._keep()
            except (WireError, StorageError) as error:
                log.warning("what is remembered of other nodes is not kept yet: %s", error)

    async def _keep(self) -> None:
        """Make durable what was heard."""
        if names := self._names():
            self._watermarks.retain(names)
        if not self._watermarks.changed:
            return
        self._watermarks.changed = False
        try:
            await self._records.keep_watermarks(dict(self._watermarks.rows()))
        except (WireError, StorageError):
            self._watermarks.changed = True
            raise
