"""The follower of accounts, alone: when it may say that it knows all, and whom it believes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.accounts.keys import AccountKeys
from folkmoot.node.actors.account_follower import CHANGES, NONE, TELL, AccountFollower, newest_accepted
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.registers.accounts import account_register
from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.actions import AddKey, Create
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.consensus import wire
from folkmoot.protocol.consensus.ballot import Ballot
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.messages import State
from folkmoot.protocol.consensus.value import Value
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.storage.transaction import Admission, WriteTransaction

from tests.node.alone import Commits
from tests.node.doubles import Everybody, InlineExecutor, ScriptedPeers
from tests.storage.chains import followed

ME, ONE, TWO = (bytes([number]) * 16 for number in (1, 2, 3))
ANN = KeyPair(b"a" * 32)
SOON_S = 1.0
CREATED = followed(Chain(ANN.account), ANN, Create())
PHONE, LAPTOP = (followed(CREATED, ANN, AddKey(KeyPair(seed * 32).account)) for seed in (b"p", b"l"))


class Elsewhere:
    """A seat elsewhere, with registers that it has accepted."""

    def __init__(self) -> None:
        self.log = b"L" * 16
        self.accepted: list[Chain] = []
        self.away = False
        self.told: list[bytes] = []

    async def answer(self, method: str, params: Mapping[str, Any]) -> Any:
        if self.away:
            raise PeerUnreachable("away")
        if method == TELL:
            self.told.append(params["chain"])
            return {}
        assert method == CHANGES
        after = params["after"] if params["log"] == self.log else 0
        found = self.accepted[after : after + 1]
        return {
            "log": self.log,
            "accounts": [(each.account, each.hashes[-1] if each.number else NONE) for each in found],
            "through": after + len(found),
            "more": after + 1 < len(self.accepted),
        }


class Registers:
    """What was decided."""

    def __init__(self) -> None:
        self.chains: dict[bytes, Chain] = {}
        self.reads = 0

    async def read(self, account: bytes) -> Chain:
        self.reads += 1
        return self.chains.get(account, Chain(account))


class Place:
    """A follower, and all that it asks."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.commits, self.registers = Commits(ME, nursery), Registers()
        self.keys = AccountKeys(self.commits.store)
        self.one, self.two = Elsewhere(), Elsewhere()
        seats = [Seat(node, node) for node in (ME, ONE, TWO)]
        self.seats = SimpleNamespace(configuration=Configuration(1, seats))
        self.everybody = Everybody()
        roster = SimpleNamespace(nodes=[SimpleNamespace(node_id=each) for each in (ME, ONE, TWO)])
        self.peers = ScriptedPeers({ONE: self.one.answer, TWO: self.two.answer})
        self.follower = AccountFollower(
            ME,
            self.keys,
            self.commits,
            self.registers,
            self.seats,
            SimpleNamespace(roster=roster),
            self.everybody,
            self.peers,
            InlineExecutor(),
            Random(1),
        )

    async def looked(self, autojump_clock: trio.testing.MockClock) -> None:
        """Have it ask, and wait until it has."""
        self.follower.look_now()
        await trio.sleep(SOON_S)

    def known(self) -> tuple[bytes, ...]:
        return self.keys.chain(ANN.account).hashes


@asynccontextmanager
async def place(autojump_clock: trio.testing.MockClock) -> AsyncIterator[Place]:
    async with trio.open_nursery() as nursery:
        made = Place(nursery)
        nursery.start_soon(made.follower.run)
        await trio.sleep(SOON_S)
        yield made
        nursery.cancel_scope.cancel()


async def test_keys_are_confirmed_by_a_majority_of_the_seats(autojump_clock: trio.testing.MockClock) -> None:
    async with place(autojump_clock) as here:
        assert here.follower.confirmed
        here.one.away = True
        await trio.sleep(limits.ACCOUNTS_CONFIRMED_S)
        await here.looked(autojump_clock)
        assert here.follower.confirmed, "two of three are a majority"
        here.two.away = True
        await trio.sleep(limits.ACCOUNTS_CONFIRMED_S - 1)
        assert here.follower.confirmed, "for a while what was said last is enough"
        await trio.sleep(2 + limits.ACCOUNTS_FOLLOW_S)
        assert not here.follower.confirmed
        here.one.away = False
        await here.looked(autojump_clock)
        assert here.follower.confirmed


async def test_who_sees_that_most_seats_are_gone_does_not_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with place(autojump_clock) as here:
        here.everybody.gone = frozenset({ONE, TWO})
        assert not here.follower.confirmed
        here.everybody.gone = frozenset({ONE})
        assert here.follower.confirmed


async def test_what_seats_have_accepted_is_read_from_its_register(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with place(autojump_clock) as here:
        assert here.known() == () and here.registers.reads == 0
        here.registers.chains[ANN.account] = PHONE
        here.two.accepted = [CREATED]
        await here.looked(autojump_clock)
        assert here.known() == PHONE.hashes, "the register decides, not the seat"
        assert here.registers.reads == 1
        here.one.accepted = [PHONE, PHONE]
        here.two.accepted = [CREATED, Chain(ANN.account)]
        await here.looked(autojump_clock)
        assert here.registers.reads == 1, "what is known is not read again"
        here.one.log = b"another run     "
        await here.looked(autojump_clock)
        assert here.registers.reads == 1 and here.known() == PHONE.hashes


async def test_of_two_chains_that_go_different_ways_the_register_decides(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with place(autojump_clock) as here:
        told = here.follower.methods()[TELL]
        await told(ONE, {"account": ANN.account, "chain": PHONE.encode()})
        assert here.known() == PHONE.hashes
        await told(ONE, {"account": ANN.account, "chain": CREATED.encode()})
        assert here.known() == PHONE.hashes, "an older one is no news"
        here.registers.chains[ANN.account] = PHONE
        await told(ONE, {"account": ANN.account, "chain": LAPTOP.encode()})
        assert (here.known(), here.registers.reads) == (PHONE.hashes, 1)
        here.registers.chains[ANN.account] = LAPTOP
        await told(ONE, {"account": ANN.account, "chain": LAPTOP.encode()})
        assert here.known() == LAPTOP.hashes, "what was told before was never decided"


async def test_a_chain_is_believed_only_with_its_signatures(autojump_clock: trio.testing.MockClock) -> None:
    async with place(autojump_clock) as here:
        told = here.follower.methods()[TELL]
        payload, signature, decided_us = PHONE.entries[1].to_wire()
        forged = bytes([signature[0] ^ 1]) + signature[1:]
        entries = [PHONE.entries[0].to_wire(), [payload, forged, decided_us]]
        for data in (codec.pack(entries), b"\xc1", codec.pack([entries[1]])):
            with pytest.raises(WireError):
                await told(ONE, {"account": ANN.account, "chain": data})
        assert here.known() == ()


async def test_a_change_is_told_to_all_and_kept_first(autojump_clock: trio.testing.MockClock) -> None:
    async with place(autojump_clock) as here:
        here.two.away = True
        await here.follower.tell(CREATED)
        assert here.known() == CREATED.hashes
        assert here.one.told == [CREATED.encode()] and here.two.told == []


def _keep(name: str, kept: bytes, transaction: WriteTransaction) -> None:
    transaction.registers.put(name, kept)


async def test_a_node_tells_what_its_own_seat_has_accepted(autojump_clock: trio.testing.MockClock) -> None:
    async with place(autojump_clock) as here:
        name = account_register(ANN.account)
        ballot = Ballot(1, ME)
        value = Value(1, PHONE.encode(), [bytes(16)])
        states = [State(ballot), State(ballot, ballot, value)]
        for state, newest in zip(states, (NONE, PHONE.hashes[-1]), strict=True):
            kept = wire.encode_state(state)
            await here.commits.run(partial(_keep, name, kept), Admission.ESSENTIAL)
            told = await here.follower.methods()[CHANGES](ONE, {"log": bytes(16), "after": 0})
            assert told["accounts"] == [(ANN.account, newest)]
            assert newest_accepted(name, kept) == (ANN.account, newest)
        again = {"log": told["log"], "after": told["through"]}
        assert (await here.follower.methods()[CHANGES](ONE, again))["accounts"] == []
