"""The follower and the keeper, alone: whom they believe, and what they go by without what they lack."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.community_follower import META_KEY, TELL, CommunityFollower
from folkmoot.node.actors.policy_keeper import PolicyKeeper
from folkmoot.node.community.acknowledging import Acknowledgements
from folkmoot.node.community.allowance import Allowance
from folkmoot.node.community.documents import Documents
from folkmoot.node.community.exchange import FETCH, KEEP, DocumentExchange
from folkmoot.node.community.register import NOTHING, Known
from folkmoot.node.moderation.bench import OWN_FILE, Bench
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.protocol.community import bounds
from folkmoot.protocol.community.value import Community, Policy
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.errors import BUSY, NO_QUORUM, NOT_FOUND, UNKNOWN_METHOD, WireError
from folkmoot.protocol.moderation.policy import EMPTY
from folkmoot.storage.interface import Table

from tests.community.people import account, community
from tests.moderation.documents import HEAD, rule, word_list
from tests.node.alone import Commits, damage, disks_first
from tests.node.doubles import InlineExecutor, ScriptedPeers
from tests.waiting import until

ME, ONE, TWO = (bytes([number]) * 16 for number in (1, 2, 3))
SEATS = Configuration(1, [Seat(node, node) for node in (ME, ONE, TWO)])
GOOD = (HEAD + word_list("words", ["x"]) + rule("r", ["words"], "hold")).encode()
LATER_EDITION = GOOD.replace(b"version = 1", b"version = 9")


def name_of(document: bytes) -> bytes:
    return hashlib.sha256(document).digest()


def at(version: int, document: bytes | None = None, epoch: int = 1) -> Known:
    policy = Policy() if document is None else Policy(epoch, name_of(document))
    return Known(version, Community(community(_1=("operator",)).holders, policy))


class Elsewhere:
    """Another node, which has documents and takes them."""

    def __init__(self) -> None:
        self.documents: dict[bytes, bytes] = {}
        self.takes = True

    async def answer(self, method: str, params: Mapping[str, Any]) -> Any:
        await trio.lowlevel.checkpoint()
        if method == FETCH and params["hash"] in self.documents:
            return {"document": self.documents[params["hash"]]}
        if method == KEEP and self.takes:
            return {"hash": name_of(params["document"])}
        if method == TELL:
            return {}
        raise WireError(NOT_FOUND, "it is not here")


class Roster:
    """Who is a member: all three."""

    def __init__(self) -> None:
        self.nodes = [
            SimpleNamespace(node_id=node, name=node.hex()[:2], region="eu") for node in (ME, ONE, TWO)
        ]

    def __contains__(self, node_id: bytes) -> bool:
        return node_id in (ME, ONE, TWO)


class World:
    """What a node's community parts see of the rest.

    Attributes:
        register: what it holds; an error is raised instead.
        told: what gossip says of each member's version.
        announced: what this node had gossip say.
        bench: what the gate was told to judge by.
    """

    roster: Any = Roster()

    def __init__(self) -> None:
        self.register: Known | WireError = NOTHING
        self.reads = 0
        self.told: dict[bytes, int] = {}
        self.announced: list[int] = []
        self.bench: Bench = OWN_FILE
        self._changed = trio.Event()
        self._version = 0

    async def read(self) -> Known:
        self.reads += 1
        await trio.lowlevel.checkpoint()
        if isinstance(self.register, WireError):
            raise self.register
        return self.register

    def says(self, node_id: bytes, version: int) -> None:
        """A member's gossip says so from now on."""
        self.told[node_id] = version
        self._version += 1
        self._changed.set()
        self._changed = trio.Event()

    def members(self) -> Mapping[bytes, Any]:
        return {node: SimpleNamespace(meta={META_KEY: version}) for node, version in self.told.items()}

    def reachable(self, node_id: bytes) -> bool:
        return True

    async def wait_changed(self, seen: int) -> int:
        while seen == self._version:
            await self._changed.wait()
        return self._version

    def convene(self, bench: Bench) -> None:
        self.bench = bench

    @property
    def own(self) -> PolicyEngine:
        return PolicyEngine(EMPTY)

    @property
    def judging(self) -> str:
        engine = self.bench.engine
        return "" if engine is None else engine.document.hash


NO_MODELS = Path("models-that-are-not-there")


class Place:
    """One node's parts, running or not, on one disk."""

    def __init__(self, world: World, commits: Commits) -> None:
        self.world, self.commits = world, commits
        self.elsewhere = {node: Elsewhere() for node in (ONE, TWO)}
        self.peers = ScriptedPeers({node: each.answer for node, each in self.elsewhere.items()})
        self.follower = CommunityFollower(
            ME, world, commits, world, world, self.peers, world.announced.append
        )
        self.documents = Documents(commits, InlineExecutor(), lambda: self.keeper.in_use(), NO_MODELS, "")
        seats: Any = SimpleNamespace(configuration=SEATS)
        self.exchange = DocumentExchange(
            *(ME, self.documents, seats, self.follower.others, self.peers), Allowance()
        )
        self.keeper = PolicyKeeper(world, lambda: self.follower.known, self.documents, self.exchange, commits)
        self.follower.watch(self.keeper.look_now)

    async def run(self, nursery: trio.Nursery) -> None:
        await self.follower.open()
        await self.keeper.open()
        nursery.start_soon(self.follower.run)
        nursery.start_soon(self.keeper.run)

    async def knows(self, known: Known) -> None:
        await until(lambda: self.follower.known == known, what=f"version {known.version} to be known")

    async def judges_by(self, document: bytes) -> None:
        await until(lambda: self.world.judging == name_of(document).hex(), what="the document in force")


@asynccontextmanager
async def begun() -> AsyncIterator[tuple[Place, trio.Nursery]]:
    async with disks_first() as (disks, actors):
        place = Place(World(), Commits(ME, disks))
        await place.run(actors)
        yield place, actors


async def test_what_gossip_says_is_looked_at_and_what_the_register_holds_is_known(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with begun() as (place, _):
        world = place.world
        world.register = at(3)
        world.says(ONE, 5)  # it exaggerates
        await place.knows(at(3))
        assert world.announced == [3]
        world.says(b"stranger" * 2, 9)
        await trio.sleep(bounds.COMMUNITY_READ_S / 2)
        assert world.reads < 5, "strangers and exaggerations are not asked about for ever"
        world.register = at(4)
        await trio.sleep(bounds.COMMUNITY_READ_S)
        assert place.follower.known == at(4), "nobody said so"


async def test_news_is_not_lost_while_the_register_cannot_be_read(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with begun() as (place, _):
        place.world.register = WireError(NO_QUORUM, "too few")
        await place.follower.methods()[TELL](ONE, {"version": 2})
        await trio.sleep(5)
        place.world.register = at(2)
        with trio.fail_after(3):
            await place.knows(at(2))


async def test_older_news_changes_nothing_but_for_registers_that_were_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with begun() as (place, _):
        await place.follower.adopt(at(5))
        await place.follower.adopt(at(4))
        assert place.follower.known == at(5)
        place.world.register = at(2)
        await trio.sleep(2 * bounds.COMMUNITY_READ_S)
        assert place.follower.known == at(2)


async def test_what_is_known_and_in_force_is_on_disk(autojump_clock: trio.testing.MockClock) -> None:
    async with begun() as (place, actors):
        await place.documents.keep(GOOD)
        await place.follower.adopt(at(2, GOOD))
        await place.judges_by(GOOD)
        again = Place(World(), place.commits)
        await again.run(actors)
        assert again.follower.known == at(2, GOOD) and again.world.announced == [2]
        assert again.world.judging == name_of(GOOD).hex() and again.keeper.status()["state"] == "running"


async def test_damage_is_read_and_fetched_anew(autojump_clock: trio.testing.MockClock) -> None:
    async with begun() as (place, actors):
        await place.documents.keep(GOOD)
        await place.follower.adopt(at(2, GOOD))
        await place.judges_by(GOOD)
        for table, key in ((Table.META, b"community"), (Table.POLICIES, name_of(GOOD))):
            damage(place.commits.store, table, key)
        again = Place(World(), place.commits)
        again.world.register = at(2, GOOD)
        again.elsewhere[TWO].documents[name_of(GOOD)] = GOOD
        await again.run(actors)
        assert again.world.judging == "", "it has nothing else to judge by than its own file"
        await again.knows(at(2, GOOD))
        await again.judges_by(GOOD)


@pytest.mark.parametrize(
    ("document", "state"), [(LATER_EDITION, "unusable"), (None, "fetching")], ids=["unusable", "nowhere"]
)
async def test_a_node_that_cannot_go_over_judges_as_before_and_says_why(
    autojump_clock: trio.testing.MockClock, document: bytes | None, state: str
) -> None:
    async with begun() as (place, _):
        await place.documents.keep(GOOD)
        await place.follower.adopt(at(2, GOOD))
        await place.judges_by(GOOD)
        wanted = document or b"nobody has it"
        if document is not None:
            place.elsewhere[ONE].documents[name_of(document)] = document
        await place.follower.adopt(at(3, wanted, epoch=2))
        await trio.sleep(20)
        told = place.keeper.status()
        assert (told["epoch"], told["decided"], told["state"]) == (1, 2, state) and told["why"]
        assert place.world.judging == name_of(GOOD).hex()
        calls = len(place.peers.calls)
        assert calls < 30, "it asks ever less often"
        await place.follower.adopt(at(4, GOOD, epoch=3))
        await until(lambda: place.keeper.status()["epoch"] == 3, what="the rollback")
        assert place.keeper.status()["state"] == "running" and place.keeper.status()["why"] == ""


async def test_a_document_is_believed_by_its_hash(autojump_clock: trio.testing.MockClock) -> None:
    async with begun() as (place, _):
        place.elsewhere[ONE].documents[name_of(GOOD)] = LATER_EDITION
        with pytest.raises(WireError) as lost:
            await place.exchange.find(name_of(GOOD))
        assert lost.value.kind is NOT_FOUND
        place.elsewhere[TWO].documents[name_of(GOOD)] = GOOD
        assert await place.exchange.find(name_of(GOOD)) == GOOD
        asked = len(place.peers.calls)
        assert await place.exchange.find(name_of(GOOD)) == GOOD and len(place.peers.calls) == asked


async def test_a_document_is_on_most_seats_or_it_is_not_activated(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with begun() as (place, _):
        place.elsewhere[ONE].takes = False
        await place.exchange.spread(GOOD)
        assert place.documents.find(name_of(GOOD)) == GOOD
        place.elsewhere[TWO].takes = False
        with pytest.raises(WireError) as few:
            await place.exchange.spread(GOOD)
        assert few.value.kind is NO_QUORUM and "1 of the 3" in few.value.message


def numbered(number: int) -> bytes:
    """Another document."""
    return GOOD + b"# %d\n" % number


async def test_a_node_keeps_so_many_for_another_in_a_minute(autojump_clock: trio.testing.MockClock) -> None:
    async with begun() as (place, _):
        keep = place.exchange.methods()[KEEP]
        for number in range(bounds.ALLOWED_AT_ONCE):
            await keep(ONE, {"document": numbered(number)})
        with pytest.raises(WireError) as busy:
            await keep(ONE, {"document": numbered(99)})
        assert busy.value.kind is BUSY and busy.value.retry_after_ms is not None
        assert place.documents.find(name_of(numbered(99))) is None
        await keep(TWO, {"document": numbered(100)})  # another node has a share of its own
        await trio.sleep(busy.value.retry_after_ms / 1_000)
        await keep(ONE, {"document": numbered(99)})


async def test_what_nodes_send_pushes_out_no_candidate_of_an_operator(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with begun() as (place, _):
        operator, nodes = account(1), [bytes([number]) * 16 for number in range(10, 40)]
        put = [numbered(number) for number in range(bounds.DOCUMENTS_OF_OPERATOR)]
        for document in put:
            await place.documents.keep(document, operator)
        keep = place.exchange.methods()[KEEP]
        await keep(ONE, {"document": numbered(50)})
        await keep(TWO, {"document": put[-1]})  # the same from elsewhere: it is the operator's still
        for number, node in enumerate(nodes):
            await keep(node, {"document": numbered(100 + number)})
            await keep(node, {"document": numbered(200 + number)})
            await keep(node, {"document": numbered(300 + number)})
        assert all(place.documents.find(name_of(document)) == document for document in put)
        assert place.documents.find(name_of(numbered(50))) is None
        assert place.documents.find(name_of(numbered(329))) is not None
        more = numbered(400)
        await place.documents.keep(more, operator)  # beyond the operator's own, the oldest of theirs
        assert [place.documents.find(name_of(each)) is None for each in (*put, more)] == [
            True,
            *[False] * bounds.DOCUMENTS_OF_OPERATOR,
        ]


async def test_one_node_pushes_out_its_own_alone(autojump_clock: trio.testing.MockClock) -> None:
    async with begun() as (place, _):
        keep = place.exchange.methods()[KEEP]
        await keep(TWO, {"document": numbered(50)})
        for number in range(bounds.ALLOWED_AT_ONCE):
            await keep(ONE, {"document": numbered(number)})
        kept = [number for number in range(100) if place.documents.find(name_of(numbered(number)))]
        assert kept == [*range(bounds.ALLOWED_AT_ONCE)[-bounds.DOCUMENTS_OF_NODE :], 50]


async def test_whoever_is_busy_is_asked_again_before_a_document_is_activated(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with begun() as (place, _):
        place.elsewhere[TWO].takes = False
        one, refusals = place.elsewhere[ONE], iter([True, True, False])
        answer = one.answer

        async def busy(method: str, params: Mapping[str, Any]) -> Any:
            if method == KEEP and next(refusals):
                raise WireError(BUSY, "later", retry_after_ms=500)
            return await answer(method, params)

        place.peers._answers = {**place.peers._answers, ONE: busy}
        await place.exchange.spread(GOOD)
        assert place.peers.calls.count((ONE, KEEP)) == 3


async def test_each_member_counts_only_for_what_it_says_itself(
    autojump_clock: trio.testing.MockClock,
) -> None:
    decided = Policy(2, name_of(GOOD))
    same = {"epoch": 2, "hash": name_of(GOOD), "percent": 100, "state": "running", "why": "", "judging": "a"}
    answers: dict[bytes, Any] = {ONE: {**same, "epoch": 1}, TWO: {**same, "state": "unusable", "why": "old"}}

    async def answer(node_id: bytes, method: str, params: Mapping[str, Any]) -> Any:
        await trio.lowlevel.checkpoint()
        if isinstance(answers[node_id], WireError):
            raise answers[node_id]
        return answers[node_id]

    peers = ScriptedPeers({node: partial(answer, node) for node in (ONE, TWO)})
    gathering = Acknowledgements(ME, lambda: same, World(), lambda node: True, peers)
    told = await gathering.gather(decided)
    assert [(each["acknowledged"], each["state"]) for each in told] == [
        (True, "running"),
        (False, "behind"),
        (False, "unusable"),
    ]
    answers |= {ONE: WireError(UNKNOWN_METHOD, "?"), TWO: {"epoch": "much"}}
    told = await gathering.gather(decided)
    assert [each["state"] for each in told[1:]] == ["unreachable", "unreachable"]
    assert "earlier edition" in told[1]["why"]
