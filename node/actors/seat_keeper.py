"""The seat keeper: finds out which seats there are, founds the first, has them grow and spread, ends changes.

Gossip carries the number of the configuration each node knows; whoever knows a lesser one asks. A cluster
begins with one seat: at the founder with the least id, as all founders compute alike. What they cannot
compute is the seat's id, which is drawn with its store so that no other store can pass for it; so the first
configuration is made there, and only once a majority of the founders has said that it knows none. A founder
whose disk was lost can therefore not found again what it has forgotten.

The keeper of seats is the first node, in the order of ids, that holds a seat and is alive. When two think
that they are, both work towards the same, and the register of seats decides.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Final, Protocol

import trio
from folkmoot.node.contracts import Liveness, Peers, PeerUnreachable
from folkmoot.node.registers import seat_change
from folkmoot.protocol import codec, limits
from folkmoot.protocol.consensus import wire
from folkmoot.protocol.consensus.configuration import SIZES, Configuration, Seat, recovery_number
from folkmoot.protocol.consensus.seating import MAY_HOLD, Patience, evened_seats, spread, wanted_seats
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, WireError
from folkmoot.protocol.gossip.members import Member
from folkmoot.protocol.ring.roster import Roster
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)

# The key under which a member's gossip carries the number of the configuration it knows.
META_KEY: Final = "seats"

LOOK_S: Final = 1.0
REST_S: Final = 3.0  # when there was nothing to do
PROVE_S: Final = 1.5
PROVE_PAUSE_S: Final = 0.1
RESUME_S: Final = 2.0
EVEN_AFTER_S: Final = 30.0  # that a region could have been given a seat of another


class KeptSeat(Protocol):
    """This node's own seat, and what it knows of others."""

    @property
    def seat(self) -> Seat: ...

    @property
    def configuration(self) -> Configuration | None: ...

    async def learn(self, configuration: Configuration) -> bool: ...

    @property
    def damaged(self) -> bool: ...

    async def forget_damaged(self) -> None: ...

    async def went_back(self, seen: int) -> None: ...

    def prove(self) -> None: ...


class Known(Protocol):
    """Who is a member."""

    @property
    def roster(self) -> Roster | None: ...


class Gossip(Liveness, Protocol):
    """Who is reachable, and what they say of themselves."""

    def members(self) -> Mapping[bytes, Member]: ...


class SeatKeeper:
    """See the module.

    Args:
        node_id: this node's (16 bytes).
        founders: the founders' ids, of a node that is one of them; else empty.
        own: this node's seat.
        registers: reads and changes them.
        topology: who is a member.
        gossip: who is reachable.
        peers: the other nodes.
        random: draws pauses.
    """

    def __init__(
        self,
        node_id: bytes,
        founders: Sequence[bytes],
        own: KeptSeat,
        registers: seat_change.Registers,
        topology: Known,
        gossip: Gossip,
        peers: Peers,
        random: Random,
    ) -> None:
        self._node_id = node_id
        self._founders = sorted(founders)
        self._own = own
        self._registers = registers
        self._topology = topology
        self._gossip = gossip
        self._peers = peers
        self._random = random
        self._patience = Patience[list[Seat]](EVEN_AFTER_S)

    async def run(self) -> None:
        """Prove this node's seat, then look after all of them until cancelled."""
        await self._prove()
        while True:
            try:
                settled = await self._look()
            except (WireError, StorageError) as error:
                settled = False
                log.info("the seats stay as they are for now: %s", error)
            await trio.sleep(self._random.uniform(0.5, 1.0) * (REST_S if settled else LOOK_S))

    async def set_seats(self, nodes: Iterable[bytes]) -> Configuration:
        """Have these nodes hold the seats.

        Args:
            nodes: 1, 3 or 5 members of the roster, each once; each must be reachable, but for those that hold
                one now.

        Raises:
            WireError: `bad_request`, `no_quorum`, `uncertain`; `conflict`, when others were decided.
        """
        wanted = list(nodes)
        for node in wanted:
            if wanted.count(node) > 1:
                raise WireError(BAD_REQUEST, f"node {node.hex()} is named twice, and can hold one seat")
        today = self._own.configuration
        if today is None:
            raise WireError(BAD_REQUEST, "this node has not learned yet which seats there are; ask another")
        if today.joint:
            today = await self._finish(today)
        held = {seat.node: seat for seat in today.seats}
        told = await self._stores_of(wanted)
        coming = []
        for node in wanted:
            if node not in (self._topology.roster or ()):
                raise WireError(BAD_REQUEST, f"node {node.hex()} is not a member of the cluster")
            if node not in told and node not in held:
                raise WireError(BAD_REQUEST, f"node {node.hex()} does not answer, and cannot be given a seat")
            coming.append(Seat(told[node], node) if node in told else held[node])
        if set(coming) == set(today.seats):
            return today
        decided = await self._change(today, coming)
        if set(decided.seats) != set(coming):
            raise WireError(
                CONFLICT,
                f"other seats were decided meanwhile, in configuration {decided.number}: see "
                "`folkmoot seats show`, and set them again if they are not what they should be",
                details={"configuration": decided.number, "nodes": [seat.node for seat in decided.seats]},
            )
        return decided

    async def recover(self) -> Configuration:
        """Go on with this node's seat alone, whatever the others have decided meanwhile.

        Raises:
            WireError: `conflict`, while so many seats answer that nothing has to be given up; not when they
                cannot decide because what the only one kept is damaged.
        """
        today = await self._silenced()
        number = recovery_number(0 if today is None else today.number, self._node_id)
        await self._own.forget_damaged()
        alone = Configuration(number, [self._own.seat])
        await self._own.learn(alone)
        log.warning("configuration %d: this node holds the only seat, by an operator's consent", number)
        return alone

    async def _silenced(self) -> Configuration | None:
        """The newest configuration that can be heard of, once it is sure that its seats decide nothing.

        Raises:
            WireError: `conflict`, when a quorum of them answers.
        """
        while True:
            today = self._own.configuration
            told = await self._ask_all(self._reachable()[: limits.SEATS_ASKED])
            if today is not None:
                told |= await self._ask_all([seat.node for seat in today.all_seats if seat.node not in told])
            for each in told.values():
                await self._take(each)
            if self._own.configuration == today:
                break
        if today is None or self._own.damaged:
            return today
        if today.is_quorum({each.seat for each in told.values()}):
            answer = sum(any(seat.id == each.seat for each in told.values()) for seat in today.all_seats)
            raise WireError(
                CONFLICT,
                f"{answer} of the {len(today.all_seats)} seats of configuration {today.number} answer, and "
                "they can decide: nothing has to be given up; `folkmoot seats set` moves seats",
                details={"configuration": today.number, "answering": answer},
            )
        return today

    # Looking.

    async def _prove(self) -> None:
        """Ask others what this node's seat told them, before it answers anyone: see `actors.acceptor`.

        Not for as long as data waits (`actors.standing`): a seat that is left waiting for one that is lost
        holds up all that is decided, and one that went back is found out by whoever asks it later, too.
        """
        waiting = {seat.node for seat in self._seats_of_others()}
        with trio.move_on_after(PROVE_S):
            while waiting:
                others = [node for node in self._reachable() if node != self._node_id]
                told = await self._ask_all(sorted({*waiting, *others[: limits.SEATS_ASKED]}))
                await self._own.went_back(max((each.seen for each in told.values()), default=0))
                for each in told.values():
                    await self._take(each)
                waiting -= set(told)
                await trio.sleep(PROVE_PAUSE_S if waiting else 0)
        if waiting:
            log.warning(
                "nothing was heard for %.1f s of what this node's seat told %s; it answers from what is on "
                "its disk, and is given up should they remember more",
                PROVE_S,
                ", ".join(node.hex()[:8] for node in sorted(waiting)),
            )
        self._own.prove()

    def _seats_of_others(self) -> list[Seat]:
        """The other seats beside this node's, when it has a say."""
        known = self._own.configuration
        seats = [] if known is None else known.all_seats
        return [seat for seat in seats if seat != self._own.seat] if self._own.seat in seats else []

    async def _look(self) -> bool:
        """One round; whether there was nothing to do."""
        await self._catch_up()
        today = self._own.configuration
        if today is None:
            await self._found()
            return False
        if today.joint:
            await trio.sleep(0 if self._is_keeper(today) else self._random.uniform(0.5, 1.0) * RESUME_S)
            if self._own.configuration == today:
                await self._finish(today)
            return False
        return not self._is_keeper(today) or not await self._grow(today)

    async def _catch_up(self) -> None:
        """Ask whoever knows a later configuration; all, as long as none is known."""
        mine = self._own.configuration
        number = 0 if mine is None else mine.number
        roster = self._topology.roster or ()
        ahead = [
            node
            for node, member in self._gossip.members().items()
            if node != self._node_id and member.is_live and _number_of(member) > number
        ]
        ahead.sort(key=lambda node: (node not in roster, node))  # gossip may tell of any number of others
        for told in (await self._ask_all(ahead[: limits.SEATS_ASKED])).values():
            await self._take(told)

    async def _take(self, told: wire.SeatResult) -> None:
        if told.configuration is not None:
            await self._own.learn(told.configuration)

    async def _found(self) -> None:
        """Make the first configuration, at the first of the founders, if most of them know of none."""
        if not self._founders or self._founders[0] != self._node_id:
            return
        others = [node for node in self._founders if node != self._node_id]
        told = await self._ask_all(others)
        known = [each for each in told.values() if each.configuration is not None]
        for each in known:
            await self._take(each)
        if not known and 2 * (len(told) + 1) > len(self._founders):
            await self._own.learn(Configuration.first(self._own.seat))

    async def _grow(self, today: Configuration) -> bool:
        """Change the seats, when there should be others; whether they were changed."""
        roster = self._topology.roster
        if roster is None:
            return True
        members = {node.node_id: node.region for node in roster.nodes if node.standing in MAY_HOLD}
        holders = [seat.node for seat in today.seats]
        free = [node for node in self._reachable() if node in members and node not in holders]
        staying = [node for node in holders if node in members]
        likely = spread((members[node] for node in staying), {node: members[node] for node in free})[
            : SIZES[-1]
        ]
        stores = await self._stores_of([*staying, *likely])
        coming = wanted_seats(today, members, stores)
        evened = None if coming is not None else evened_seats(today, members, stores)
        if self._patience.is_over(evened, trio.current_time()):
            coming = evened
        if coming is not None:
            await self._change(today, coming)
        return coming is not None

    async def _change(self, today: Configuration, coming: Sequence[Seat]) -> Configuration:
        log.info("configuration %d: the seats change to %d", today.number, len(coming))
        joint = await seat_change.begin_change(self._registers, self._own.learn, today, coming)
        return await self._finish(joint) if joint.joint else joint

    async def _finish(self, joint: Configuration) -> Configuration:
        settled = await seat_change.finish_change(self._registers, self._own.learn, joint)
        log.info("configuration %d: there are %d seats", settled.number, len(settled.seats))
        return settled

    def _is_keeper(self, today: Configuration) -> bool:
        holders = sorted(seat.node for seat in today.all_seats)
        alive = [node for node in holders if node == self._node_id or self._gossip.alive(node)]
        return alive[:1] == [self._node_id]

    def _reachable(self) -> list[bytes]:
        members = self._gossip.members()
        return [node for node in sorted(members) if node == self._node_id or self._gossip.alive(node)]

    async def _stores_of(self, nodes: Sequence[bytes]) -> dict[bytes, bytes]:
        """The seat id of each of these nodes that answers, by node id."""
        return {node: told.seat for node, told in (await self._ask_all(nodes)).items()}

    async def _ask_all(self, nodes: Sequence[bytes]) -> dict[bytes, wire.SeatResult]:
        """What some nodes say of seats, by node id; who does not is left out."""
        answers: dict[bytes, wire.SeatResult] = {}

        async def ask(node: bytes) -> None:
            told = await self._ask(node)
            if told is not None:
                answers[node] = told

        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(ask, node)
        return {node: answers[node] for node in nodes if node in answers}

    async def _ask(self, node: bytes) -> wire.SeatResult | None:
        """What a node says of seats; None when it does not."""
        if node == self._node_id:
            return wire.SeatResult(self._own.seat.id, self._own.configuration)
        params = wire.plain(wire.SeatParams(self._own.seat.id))
        try:
            answer = await self._peers.call(node, wire.SEAT, params, limits.REGISTER_ASK_TIMEOUT_S)
            return wire.read_seat(answer)
        except (WireError, PeerUnreachable) as error:
            log.debug("node %s does not say what it knows of seats: %s", node.hex()[:8], error)
            return None


def _number_of(member: Member) -> int:
    """The configuration that a member's gossip says it knows; a garbled number says nothing."""
    try:
        return codec.shaped(member.meta.get(META_KEY, 0), int, "the number of a configuration")
    except WireError:
        return 0
