"""Accounts that race for handles, through real registrars whose messages are lost, or come much too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from random import Random

import pytest
import trio
from folkmoot.node.actors.registrar import Registrar
from folkmoot.node.registers.accounts import AccountRegisters
from folkmoot.protocol import limits
from folkmoot.protocol.accounts.actions import Action, Create, SetHandle
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.messages import Accept, Answer
from folkmoot.protocol.consensus.proposer import Send
from folkmoot.protocol.consensus.value import Value
from folkmoot.protocol.errors import CONFLICT, WireError
from folkmoot.protocol.identity import KeyPair
from trio.testing import MockClock

from tests.consensus.world import SeatOnDisk, seat

BEGAN_US = 1_700_000_000_000_000
QUARANTINE_US = int(limits.HANDLE_QUARANTINE_S * 1e6)
SKEW_S = 240
MONTH_S = 31 * 86_400.0
HANDLES = ("lily", "li1y", "rose", None)


def now_us(skew_us: int = 0) -> int:
    return BEGAN_US + skew_us + int(trio.current_time() * 1e6)


async def elapse(seconds: float, mock_clock: MockClock) -> None:
    """Let virtual time pass."""
    await trio.sleep(seconds)


class Network:
    """Three seats, and how badly they are reached."""

    def __init__(self, random: Random, nursery: trio.Nursery, clock: MockClock) -> None:
        self.random = random
        self.clock = clock
        self.nursery = nursery
        self.disks = {each.id: SeatOnDisk(each) for each in map(seat, (1, 2, 3))}
        self.configuration: Configuration | None = Configuration(
            1, [each.seat for each in self.disks.values()]
        )
        self.changed = trio.Event()
        self.is_bad = False

    async def learn(self, configuration: Configuration) -> bool:
        return False


class Line:
    """One node's way to the seats. At times all that it sends is held up for many minutes, and comes then."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._held_until = 0.0
        self.holds: tuple[str, float] | None = None  # accepts for what registers, and for how long

    async def ask(self, send: Send) -> Answer | None:
        random, disk = self._network.random, self._network.disks[send.seat.id]
        if self.holds and isinstance(send.ask, Accept) and send.ask.register.startswith(self.holds[0]):
            self._network.nursery.start_soon(self._deliver, self.holds[1], send)
            return None
        if self._network.is_bad:
            if random.random() < 0.01:
                self._held_until = trio.current_time() + random.uniform(300, 1_200)
            if (held_s := self._held_until - trio.current_time()) > 0:
                self._network.nursery.start_soon(self._deliver, held_s, send)
                await elapse(limits.REGISTER_ASK_TIMEOUT_S, self._network.clock)
                return None
            if random.random() < 0.03:
                return None
        await elapse(random.uniform(0.001, 0.1), self._network.clock)
        answer = disk.answer(send.ask)
        await elapse(random.uniform(0.001, 0.1), self._network.clock)
        return None if self._network.is_bad and random.random() < 0.03 else answer

    async def names_of(self, seat: Seat, configuration: Configuration) -> set[str] | None:
        return None

    async def _deliver(self, after_s: float, send: Send) -> None:
        await elapse(after_s, self._network.clock)
        self._network.disks[send.seat.id].answer(send.ask)


class ReadsLightly(Registrar):
    """The mistake: what is about to be taken over is read as everything else is."""

    async def rewrite(self, name: str, *, timeout_s: float = limits.REGISTER_TIMEOUT_S) -> Value | None:
        configuration = self._own.configuration
        assert configuration is not None
        told = await self._query(name, configuration, trio.current_time() + timeout_s)
        return await super().rewrite(name, timeout_s=timeout_s) if told is None else told.value


async def stand(
    network: Network, registrar: type[Registrar], lines: Sequence[Line]
) -> list[AccountRegisters]:
    """Nodes at these lines, each with a clock of its own."""
    nodes = []
    for number, line in enumerate(lines):
        each = registrar(bytes((number + 1,)) * 16, line, network.random)
        each.follow(network)
        await network.nursery.start(each.run)
        skew_us = network.random.randint(-SKEW_S, SKEW_S) * 1_000_000
        nodes.append(AccountRegisters(each, partial(now_us, skew_us)))
    return nodes


@dataclass
class Person:
    """An account, and the nodes it asks.

    Args:
        key: its only one.
        nodes: what they do with registers.
        met: kinds of errors.
    """

    key: KeyPair
    nodes: list[AccountRegisters]
    met: list[str] = field(default_factory=list)

    async def do(self, action: Action, random: Random, patience_s: float = 60.0) -> None:
        """Try it once, at any node, which may break off in the middle."""
        node = random.choice(self.nodes)
        with trio.move_on_after(patience_s):
            try:
                chain = await node.read(self.key.account)
                previous = chain.entries[-1].operation if chain.entries else None
                operation = Operation.sign(
                    self.key, self.key.account, action, previous=previous, stamp=now_us()
                )
                await node.change(operation)
            except WireError as error:
                self.met.append(error.kind.name)

    async def live(self, random: Random, clock: MockClock) -> None:
        """Want one handle, and another, for two hours."""
        for _ in range(30):
            await self.do(SetHandle(random.choice(HANDLES)), random, random.choice([0.3, 1.0, 60.0]))
            await elapse(random.choice([1, 20, 120, 700]), clock)


async def race(seed: int, clock: MockClock) -> tuple[list[Chain], list[Person]]:
    """Three months, in each of which three accounts want two handles; the chains that come of it."""
    random = Random(seed)
    async with trio.open_nursery() as nursery:
        network = Network(random, nursery, clock)
        nodes = await stand(network, Registrar, [Line(network) for _ in range(4)])
        people = [Person(KeyPair(bytes([number]) * 32), random.sample(nodes, 2)) for number in (1, 2, 3)]
        for person in people:
            key = person.key
            await nodes[0].change(Operation.sign(key, key.account, Create(), previous=None, stamp=now_us()))
        network.is_bad = True
        for _ in range(3):
            async with trio.open_nursery() as month:
                for person in people:
                    month.start_soon(person.live, random, clock)
            await elapse(MONTH_S, clock)
        network.is_bad = False
        chains = [await nodes[0].read(person.key.account) for person in people]
        nursery.cancel_scope.cancel()
    return chains, people


def terms(chain: Chain) -> list[tuple[str, int, int]]:
    """Which registers an account's handles had, from when to when."""
    ended = []
    named: tuple[str, int] | None = None
    for operation, decided_us in chain.entries:
        handle = operation.action.handle if isinstance(operation.action, SetHandle) else None
        register = None if handle is None else register_name(handle)
        if named is not None and named[0] != register:
            ended.append((*named, decided_us))
            named = None
        if named is None and register is not None:
            named = (register, decided_us)
    return ended if named is None else [*ended, (*named, 2**63)]


def broken(chains: list[Chain]) -> list[str]:
    """The registers that two accounts had at a time, or one too soon after another."""
    by_register: dict[str, list[tuple[int, int, bytes]]] = {}
    for chain in chains:
        for register, began_us, ended_us in terms(chain):
            by_register.setdefault(register, []).append((began_us, ended_us, chain.account))
    return [
        register
        for register, held in by_register.items()
        for (_, ended_us, one), (began_us, _, other) in pairwise(sorted(held))
        if one != other and began_us < ended_us + QUARANTINE_US - 2 * SKEW_S * 1_000_000
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_no_two_accounts_have_one_handle_whatever_is_late(seed: int, autojump_clock: MockClock) -> None:
    chains, people = await race(seed, autojump_clock)
    assert broken(chains) == []
    assert CONFLICT.name in {kind for person in people for kind in person.met}, "nobody raced"
    assert sum(len(terms(chain)) for chain in chains) > 3


@pytest.mark.parametrize("registrar", [Registrar, ReadsLightly])
async def test_what_was_under_way_does_not_arrive_after_its_claim_was_taken_over(
    registrar: type[Registrar], autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        network = Network(Random(1), nursery, autojump_clock)
        slow, prompt = Line(network), Line(network)
        theirs, ours = await stand(network, registrar, [slow, prompt])
        alice, bob = (Person(KeyPair(bytes([number]) * 32), []) for number in (1, 2))
        for person, node in ((alice, theirs), (bob, ours)):
            person.nodes.append(node)
            await person.do(Create(), network.random)
        stale_s = limits.HANDLE_CLAIM_STALE_S + 3 * SKEW_S
        slow.holds = ("account/", stale_s + 600)
        await alice.do(SetHandle("lily"), network.random)
        await bob.do(SetHandle("li1y"), network.random)
        assert bob.met == [CONFLICT.name], "the claim is young"
        await trio.sleep(stale_s)
        await bob.do(SetHandle("li1y"), network.random)
        await trio.sleep(1_200)
        chains = [await ours.read(person.key.account) for person in (alice, bob)]
        nursery.cancel_scope.cancel()
    handles = [chain.state.handle for chain in chains]
    assert handles == (["lily", "li1y"] if registrar is ReadsLightly else [None, "li1y"])
    assert bool(broken(chains)) == (registrar is ReadsLightly)
