"""The standing actor: keeps a disk that went back out of every quorum, and a second process of one node out.

At its start, before it gossips, a node shows its claim to the peers it remembers; later to every member it
reaches. Their answers decide (see `protocol.standing`). It is *unproven* until a majority of the other
replicas of each of its ranges has found nothing against it and has durably heard of this boot, or until
`cluster.proof_wait` is over. It is *amnesiac* when one of them remembers more than its disk has, until the
rebuilder is done. Meanwhile it keeps what it is sent and coordinates, but its acknowledgements say that they
do not count, and it answers no reads. Peers remember the same of it, so neither has to be believed alone.

A process that a peer has not accepted yet is asked after: if an earlier one still speaks as that node, the
later is the copy and ends. One that speaks with a boot lower than the accepted one ends as well. So of two
there is one left, and the accepted one is never told to go.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import trio
from folkmoot.node.contracts import Joined, PeerUnreachable
from folkmoot.node.standing.lives import NameTaken, NodeCloned, cloned, superseded
from folkmoot.node.standing.messages import MEET, Echo, Links, Met
from folkmoot.node.standing.records import Own, StandingRecords, opened, others_of
from folkmoot.node.transport.interface import Address
from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.standing import (
    INSTANCE_BYTES,
    NO_MARK,
    Finding,
    Mark,
    State,
    Statement,
    heard_enough,
)

log = logging.getLogger(__name__)

MEET_TIMEOUT_S: Final = 3.0
FIRST_MEET_S: Final = 2.0
PACE_S: Final = 0.25
INTERVAL_S: Final = 10.0
NEVER_S: Final = float("inf")


class Rebuilding(Protocol):
    """Fetches from the other replicas what this node lacks."""

    async def rebuild(self, is_old: Callable[[bytes], bool]) -> None:
        """Returns once every range has been compared with enough of its other replicas."""
        ...

    def progress(self) -> dict[str, Any] | None: ...


class Remembering(Protocol):
    """What is remembered of the others."""

    def state_of(self, node_id: bytes) -> State: ...

    def is_old(self, node_id: bytes) -> bool: ...

    def hear(self, node_id: bytes, statement: Statement) -> Finding: ...

    def heard_from(self, node_id: bytes, joined: Joined) -> bool: ...

    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is asked of the topology and of gossip.

    Args:
        ranges: the nodes of each range, as far as known.
        names: node id → name of every member of the roster, as far as known.
        reachable: whether a node is held alive or merely suspected.
        given_up: the nodes of which an operator said that they never come back.
    """

    ranges: Callable[[], Iterable[Collection[bytes]]]
    names: Callable[[], Mapping[bytes, str]]
    reachable: Callable[[bytes], bool]
    given_up: Callable[[], Collection[bytes]]


class Standing:
    """See the module. `run` must have started before the node gossips.

    Args:
        node_id, name, data: this node's; the data directory is named in errors.
        records: what is kept.
        recollection: what is remembered of the others.
        cluster: see `Cluster`.
        links: how others are asked.
        rebuilder: see `Rebuilding`.
        random_bytes: of this process, for its instance.
        boot: the number of this boot.
        proof_wait_s: how long a start waits for a majority that cannot be asked.
        give_up_seat: makes this node's seat another one: a disk that went back has lost its promises, too.
    """

    def __init__(
        self,
        node_id: bytes,
        name: str,
        data: str,
        records: StandingRecords,
        recollection: Remembering,
        cluster: Cluster,
        links: Links,
        rebuilder: Rebuilding,
        random_bytes: Callable[[int], bytes],
        boot: int,
        proof_wait_s: float,
        give_up_seat: Callable[[], Awaitable[None]],
    ) -> None:
        self._node_id, self._name, self._data = node_id, name, data
        self._records, self._cluster = records, cluster
        self._recollection = recollection
        self._links, self._rebuilder = links, rebuilder
        self._proof_wait_s = proof_wait_s
        self._give_up_seat = give_up_seat
        self._instance = random_bytes(INSTANCE_BYTES)
        self._own = opened(records.own(), records.commit, boot)
        self._fits: dict[bytes, tuple[int, State]] = {}  # what each peer last found nothing against
        self._met_at: dict[bytes, float] = {}
        self._echoes: dict[bytes, Echo] = {}
        self._meeting: set[bytes] = set()
        self._greatest = NO_MARK
        self._left_s = NEVER_S  # of the wait for the others
        self._counted = self._running = False
        self._why = "it has not asked the other replicas yet"
        self._woken = trio.Event()
        self._amnesiac = trio.Event()
        self._deciding = trio.Lock()

    # What the rest of the node asks.

    @property
    def counted(self) -> bool:
        """Whether this node's acknowledgements and answers count."""
        return self._counted

    @property
    def mark(self) -> list[int]:
        """What goes with every acknowledgement: this life's boot, and the number of the latest change."""
        return [self._own.boot, self._records.commit]

    def counts(self, node_id: bytes) -> bool:
        """Whether a node may fill its slots, as far as this one knows."""
        if node_id == self._node_id:
            return self._counted
        return self._recollection.state_of(node_id) is State.WHOLE

    def state_of(self, node_id: bytes) -> str:
        """`whole`, `unproven` or `amnesiac`."""
        if node_id == self._node_id:
            whole = self._own.state is State.WHOLE and not self._counted
            return (State.UNPROVEN if whole else self._own.state).value
        return self._recollection.state_of(node_id).value

    def signed(self, result: dict[str, Any]) -> dict[str, Any]:
        """The answer to a join, with this node's mark and whether it counts."""
        result["mark"] = self.mark
        if not self._counted:
            result["counted"] = False
        return result

    def acknowledged(self, node_id: bytes, joined: Joined) -> bool:
        """Whether a peer's answer to a join is an acknowledgement that counts; its mark is remembered."""
        return self._recollection.heard_from(node_id, joined)

    def wake(self) -> None:
        """Somebody may be there who was not."""
        self._woken.set()

    def status(self) -> dict[str, Any]:
        """What this node knows of itself."""
        return {
            "state": self.state_of(self._node_id),
            "counted": self._counted,
            "why": self._why,
            "boot": self._own.boot,
            "claim": list(self._own.claim),
            "commit": self._records.commit,
            "rebuild": self._rebuilder.progress() if self._own.state is State.AMNESIAC else None,
        }

    # How it runs.

    async def run(
        self, addresses: Iterable[Address], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Show this node's standing to whoever is at these peers' ports, before it gossips, and then to every
        member; and rebuild when it must be; until cancelled.

        Raises:
            NodeCloned: another process is this node already, or was accepted as it.
            NameTaken: another node has its name.
        """
        await self._begin(addresses)
        task_status.started()
        await self._go_on()

    async def _begin(self, addresses: Iterable[Address]) -> None:
        await self._records.keep_own(self._own)
        self._left_s = self._proof_wait_s
        if self._own.state is State.AMNESIAC:
            self._amnesiac.set()
        at = tuple(dict.fromkeys(addresses))
        for _ in range(2):  # to be proven, and to be heard as proven
            refusals: list[NodeCloned | NameTaken] = []
            with self._waiting(FIRST_MEET_S):
                async with trio.open_nursery() as nursery:
                    for address in at:
                        nursery.start_soon(self._meet_at, address, refusals)
            if refusals:
                raise refusals[0]
            await self._decide()
            if self._counted:
                return

    async def _go_on(self) -> None:
        self._running = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._recollection.run)
            nursery.start_soon(self._rebuild_on)
            while True:
                self._woken = trio.Event()
                due = self._due()
                for node_id in due:
                    self._meeting.add(node_id)
                    nursery.start_soon(self._meet, node_id)
                await self._decide()
                waits = not self._counted and 0 < self._left_s < NEVER_S
                with self._waiting(PACE_S if due or self._meeting or waits else INTERVAL_S):
                    await self._woken.wait()

    @contextmanager
    def _waiting(self, most_s: float) -> Iterator[None]:
        """Wait for so long at most.

        A node that stood still for longer, stopped or suspended, could not ask anybody in that time: it has
        waited for the others no longer than it meant to.
        """
        began = trio.current_time()
        with trio.move_on_after(most_s):
            yield
        self._left_s -= min(trio.current_time() - began, most_s)

    def _due(self) -> list[bytes]:
        """Members that are to be met now: they have not heard what this node is, or not for a while."""
        now, current = trio.current_time(), (self._own.boot, self._own.state)
        return [
            node_id
            for node_id in self._cluster.names()
            if node_id != self._node_id
            and node_id not in self._meeting
            and self._cluster.reachable(node_id)
            and (self._fits.get(node_id) != current or now >= self._met_at[node_id] + INTERVAL_S)
        ]

    async def _meet(self, node_id: bytes) -> None:
        sent, echo = self.statement(), self._echoes.get(node_id)
        params = {"statement": sent.to_wire(), "echo": None if echo is None else list(echo)}
        try:
            told = await self._links.call(node_id, MEET, params, MEET_TIMEOUT_S)
            await self._take(node_id, sent, told)
        except (WireError, PeerUnreachable) as error:
            log.debug("%s was not met: %s", node_id.hex()[:8], error)
            await trio.sleep(PACE_S)
        finally:
            self._meeting.discard(node_id)
            self._woken.set()

    async def _meet_at(self, address: Address, refusals: list[NodeCloned | NameTaken]) -> None:
        """Meet whoever is at an address, while no gossip says who that is."""
        sent = self.statement()
        try:
            params = {"statement": sent.to_wire()}
            node_id, told = await self._links.call_address(address, MEET, params, FIRST_MEET_S)
            if node_id != self._node_id:
                await self._take(node_id, sent, told)
        except (NodeCloned, NameTaken) as error:
            refusals.append(error)
        except (WireError, PeerUnreachable) as error:
            log.debug("nobody was met at %s: %s", address, error)

    async def _take(self, node_id: bytes, sent: Statement, told: Any) -> None:
        """Take in the answer of a peer to what was sent."""
        met = codec.shaped(told, Met, f"the answer to {MEET}")
        if met.name_taken is not None and not self._running:
            raise NameTaken(self._name, met.name_taken.hex())
        if met.rival is not None:
            raise cloned(self._data, self._node_id, sent.boot, met.rival.boot)
        if met.finding is Finding.SUPERSEDED and sent.boot == self._own.boot:
            raise superseded(self._data, self._node_id, sent.boot, met.watermark[0])
        self._met_at[node_id] = float("-inf") if met.again else trio.current_time()
        if node_id in self._cluster.names():
            self._echoes[node_id] = met.echo
            self._recollection.hear(node_id, met.statement)
        watermark = Mark(*met.watermark)
        self._greatest = max(self._greatest, watermark)
        if met.finding is Finding.OLD:
            self._fits[node_id] = sent.boot, sent.state
            await self._forget_standing(node_id, sent, watermark)
        elif met.finding is Finding.FITS:
            self._fits[node_id] = sent.boot, sent.state

    async def _forget_standing(self, node_id: bytes, sent: Statement, watermark: Mark) -> None:
        """Somebody remembers more than this disk has."""
        async with self._deciding:
            if self._own.state is State.AMNESIAC or sent.boot != self._own.boot:
                return
            self._counted = False
            self._why = (
                f"node {node_id.hex()[:8]} remembers change {watermark.commit} of boot {watermark.boot}, and "
                f"this disk had come to change {sent.claim[1]} of boot {sent.claim[0]}: it is an older copy"
            )
            log.warning("this node is amnesiac, and is being rebuilt: %s", self._why)
            # First: should this process end in between, it is found out again.
            await self._give_up_seat()
            await self._become(replace(self._own, state=State.AMNESIAC))
            self._amnesiac.set()

    async def _decide(self) -> None:
        """See whether enough is heard to be whole, and to count."""
        others, given_up = others_of(self._cluster.ranges(), self._node_id), self._cluster.given_up()
        async with self._deciding:
            waited = self._left_s <= 0
            if self._own.state is State.UNPROVEN:
                sound = {node for node in self._fits if not self._recollection.is_old(node)}
                enough = heard_enough(others, self._heard(sound), given_up)
                if not enough and not waited:
                    self._why = "not enough of the other replicas could be asked yet what they remember of it"
                    return
                if not enough:
                    log.warning(
                        "no majority of the other replicas was there for %.0f s; this node believes its disk",
                        self._proof_wait_s,
                    )
                await self._become(replace(self._own, state=State.WHOLE))
            if self._own.state is State.WHOLE and not self._counted:
                self._counted = waited or heard_enough(others, self._heard(self._fits), given_up)
                self._why = (
                    "" if self._counted else "not enough of the other replicas have heard of this boot"
                )

    def _heard(self, nodes: Iterable[bytes]) -> set[bytes]:
        current = self._own.boot, self._own.state
        return {node for node in nodes if self._fits.get(node) == current}

    async def _rebuild_on(self) -> None:
        while True:
            await self._amnesiac.wait()
            await self._rebuilder.rebuild(self._recollection.is_old)
            async with self._deciding:
                self._amnesiac = trio.Event()
                greatest = max(self._greatest, self._own.claim, Mark(self._own.boot, self._records.commit))
                self._left_s = NEVER_S
                self._why = "not enough of the other replicas have heard that it was rebuilt"
                await self._become(
                    replace(self._own, state=State.WHOLE, boot=greatest.boot + 1, claim=greatest)
                )
            log.warning("this node was rebuilt and is whole again")
            self._woken.set()

    async def _become(self, own: Own) -> None:
        """Be something else, durably first."""
        await self._records.keep_own(own)
        self._own = own
        self._woken.set()

    def statement(self) -> Statement:
        """This node's word on itself."""
        own = self._own
        return Statement(
            self._name,
            self._instance,
            own.boot,
            own.state,
            (own.claim.boot, own.claim.commit),
            self._records.commit,
        )
