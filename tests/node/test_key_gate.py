"""The gate's view of keys: for how long they are believed, and what is made of what was taken meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from folkmoot.node.accounts.key_gate import KeyGate
from folkmoot.node.accounts.keys import AccountKeys
from folkmoot.node.contracts import Put, PutResult, Settle
from folkmoot.protocol.accounts.actions import AddKey, Create, RevokeKey
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.errors import NO_QUORUM, REVOKED_KEY
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.interface import Table
from folkmoot.storage.transaction import Admission

from tests.node.alone import Commits
from tests.node.people import Author
from tests.storage.chains import followed

SERVICE, RESCUE = KeyPair(b"s" * 32), KeyPair(b"r" * 32)
HOUR_S = 3600.0
SOON_S = 1.0


class Wall:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def now_us(self) -> int:
        return self.us


class Follower:
    """Says what a test wants of whether keys are confirmed."""

    def __init__(self) -> None:
        self.confirmed = False
        self.confirmed_at: float | None = None
        self._confirming = trio.Event()

    def confirm(self, asked_at: float | None = None) -> None:
        self.confirmed, self.confirmed_at = True, trio.current_time() if asked_at is None else asked_at
        self._confirming.set()
        self._confirming = trio.Event()

    async def wait_confirmed(self) -> None:
        await self._confirming.wait()


class Coordination:
    """Takes puts, unless told that replicas are away."""

    def __init__(self) -> None:
        self.status = "stored"
        self.asked = 0
        self.put_: list[Put] = []

    async def put(self, puts: Sequence[Put], level: Level, settle: Settle) -> None:
        results: Mapping[int, PutResult] = {n: PutResult(self.status) for n in range(len(puts))}
        self.asked += 1
        if self.status == "stored":
            self.put_ += puts
        settle(results)


class Desk:
    """A gate, and all that it asks."""

    def __init__(self, commits: Commits, wall: Wall) -> None:
        self.commits, self.wall = commits, wall
        self.keys = AccountKeys(commits.store)
        self.follower, self.coordination = Follower(), Coordination()
        self.gate = KeyGate(
            self.keys, self.follower, commits, self.coordination, SERVICE, wall, limit_s=2 * HOUR_S
        )

    async def keep(self, chain: Chain) -> None:
        await self.commits.run(lambda tx: tx.accounts.put(chain), Admission.ESSENTIAL)
        self.keys.has_changed(chain.account)

    def labelled(self) -> list[bytes]:
        """The ids of the records that were labelled."""
        return [put.record.body["subject_id"] for put in self.coordination.put_]


@asynccontextmanager
async def desk(autojump_clock: trio.testing.MockClock) -> AsyncIterator[Desk]:
    async with trio.open_nursery() as nursery:
        made = Desk(Commits(b"n" * 16, nursery), Wall())
        await made.gate.open()
        nursery.start_soon(made.gate.run)
        await trio.sleep(SOON_S)
        yield made
        nursery.cancel_scope.cancel()


def revoked(author: Author, at_us: int) -> Chain:
    """Of an account whose first key was revoked then."""
    chain = followed(Chain(author.account), author.device, Create(RESCUE.account))
    chain = followed(chain, RESCUE, RevokeKey(author.account))
    entries = [entry._replace(decided_us=at_us) for entry in chain.entries]
    return Chain(author.account, entries)


async def test_first_keys_are_good_where_nothing_was_ever_changed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with desk(autojump_clock) as here:
        author, other = Author(1), Author(2)
        assert here.gate.refusal(author.account, author.account) is None
        error = here.gate.refusal(author.account, other.account)
        assert error is not None and error.kind is REVOKED_KEY


async def test_nothing_is_taken_once_keys_were_unconfirmed_for_too_long(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with desk(autojump_clock) as here:
        author = Author(1)
        here.follower.confirm()
        here.follower.confirmed = False
        await trio.sleep(2 * HOUR_S - 1)
        assert here.gate.refusal(author.account, author.account) is None
        await trio.sleep(2)
        error = here.gate.refusal(author.account, author.account)
        assert error is not None and error.kind is NO_QUORUM and "2.0 hours" in error.message
        here.follower.confirm()
        assert here.gate.refusal(author.account, author.account) is None


async def test_a_restart_does_not_begin_the_time_anew(autojump_clock: trio.testing.MockClock) -> None:
    async with desk(autojump_clock) as here:
        author = Author(1)
        here.follower.confirm()
        await trio.sleep(SOON_S)
        here.wall.us += int(3 * HOUR_S * 1e6)
        again = Desk(here.commits, here.wall)
        await again.gate.open()
        error = again.gate.refusal(author.account, author.account)
        assert error is not None and error.kind is NO_QUORUM


async def test_what_was_taken_while_cut_off_is_looked_at_once_keys_are_confirmed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with desk(autojump_clock) as here:
        early, late, never, deleted = (Author(number) for number in range(1, 5))
        posts = [each.post() for each in (early, late, never)]
        like = never.record("like", late.item() + never.account, {"on": True}, place=late.account)
        gone = deleted.deletion(deleted.post())
        await here.gate.take([*posts, gone, like])
        assert len(here.commits.store.unconfirmed(10)) == 3, "posts, and nothing that cannot be labelled"
        await here.keep(revoked(early, here.wall.us - 1))
        await here.keep(revoked(late, here.wall.us + 1))
        here.coordination.status = "uncertain"
        here.follower.confirm()
        await trio.sleep(SOON_S)
        assert here.coordination.asked and len(here.commits.store.unconfirmed(10)) == 3, (
            "nothing is forgotten"
        )
        here.coordination.status = "stored"
        await trio.sleep(10)
        here.follower.confirm()
        await trio.sleep(SOON_S)
        assert here.labelled() == [posts[0].id]
        assert here.commits.store.unconfirmed(10) == []
        label = here.coordination.put_[0].record
        assert label.author == SERVICE.account and label.body["value"] == "revoked-key"


async def test_who_hears_of_a_revocation_late_looks_at_what_was_taken_since(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with desk(autojump_clock) as here:
        author, other = Author(1), Author(2)
        gone = revoked(author, here.wall.us + 1_000_000)
        await here.keep(Chain(author.account, gone.entries[:1]))
        here.follower.confirm()
        before = author.post()
        await here.gate.take([before])
        here.wall.us += 2_000_000
        after = author.post()
        await here.gate.take([after, other.post()])
        assert here.commits.store.unconfirmed(10) == []
        await here.keep(gone)
        await trio.sleep(SOON_S)
        assert here.labelled() == [after.id]
        assert here.commits.store.unconfirmed(10) == []


async def test_a_post_that_waited_while_its_key_was_revoked_is_looked_at(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with desk(autojump_clock) as here:
        author = Author(1)
        here.follower.confirm()
        await here.keep(revoked(author, here.wall.us - 1))
        post = author.post()
        await here.gate.take([post])
        await trio.sleep(SOON_S)
        assert here.labelled() == [post.id]


async def test_an_account_that_was_not_known_to_have_changed_is_looked_at_all_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with desk(autojump_clock) as here:
        author, post = Author(1), Author(1).post()
        here.follower.confirm()
        await here.gate.take([post])
        await here.keep(revoked(author, here.wall.us - 1))
        await trio.sleep(SOON_S)
        assert here.labelled() == [post.id]


async def test_what_came_after_the_seats_were_asked_waits_until_they_are_asked_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """What they said does not tell of what was revoked since."""
    async with desk(autojump_clock) as here:
        author, asked_at = Author(1), trio.current_time()
        await trio.sleep(SOON_S)
        post = author.post()
        await here.gate.take([post])
        here.follower.confirm(asked_at)
        await trio.sleep(SOON_S)
        assert len(here.commits.store.unconfirmed(10)) == 1
        await here.keep(revoked(author, here.wall.us - 1))
        here.follower.confirm()
        await trio.sleep(SOON_S)
        assert here.labelled() == [post.id] and here.commits.store.unconfirmed(10) == []


async def test_what_cannot_be_looked_at_yet_is_not_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    async with desk(autojump_clock) as here:
        author = Author(1)
        here.follower.confirm()
        await trio.sleep(SOON_S)
        post = author.post()
        await here.gate.take([post])
        await here.keep(revoked(author, here.wall.us - 1))
        here.commits.refusals.append(DiskFull("full"))
        await trio.sleep(SOON_S)
        assert not here.commits.refusals and not here.labelled()
        await trio.sleep(10)
        assert here.labelled() == [post.id]


async def test_nobody_s_clock_has_a_post_labelled_whose_key_was_never_revoked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The node that had the key added was ahead of this one."""
    async with desk(autojump_clock) as here:
        author, device = Author(1), KeyPair(b"d" * 32)
        added = followed(Chain(author.account), author.device, Create(RESCUE.account))
        added = followed(added, author.device, AddKey(device.account))
        await here.keep(
            Chain(
                author.account,
                [each._replace(decided_us=here.wall.us + 60_000_000) for each in added.entries],
            )
        )
        item, body = author.item(), {"text": "from another device"}
        post = Record.sign(
            device, author=author.account, kind="post", item=item, body=body, stamp=here.wall.us
        )
        await here.gate.take([post])
        here.follower.confirm()
        await trio.sleep(SOON_S)
        assert here.labelled() == [] and here.commits.store.unconfirmed(10) == []


async def test_a_damaged_note_keeps_no_other_from_being_looked_at(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with desk(autojump_clock) as here:
        author, other = Author(1), Author(2)
        await here.gate.take([other.post()])
        [(at, _)] = here.commits.store.unconfirmed(1)
        with here.commits.store.engine.begin(write=True) as transaction:
            transaction.put(Table.UNCONFIRMED, at, b"damaged")
            transaction.commit()
        stolen = author.post()
        await here.gate.take([stolen])
        await here.keep(revoked(author, here.wall.us - 1))
        here.follower.confirm()
        await trio.sleep(SOON_S)
        assert here.labelled() == [stolen.id]
        assert here.commits.store.unconfirmed(10) == []


async def test_a_node_whose_time_is_damaged_starts_and_takes_nothing_until_keys_are_confirmed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with desk(autojump_clock) as here:
        with here.commits.store.engine.begin(write=True) as transaction:
            transaction.put(Table.META, b"accounts-confirmed", b"damaged")
            transaction.commit()
        again, author = Desk(here.commits, here.wall), Author(1)
        await again.gate.open()
        refused = again.gate.refusal(author.account, author.account)
        assert refused is not None and refused.kind is NO_QUORUM
        again.follower.confirm()
        assert again.gate.refusal(author.account, author.account) is None


async def test_what_cannot_be_noted_is_not_taken(autojump_clock: trio.testing.MockClock) -> None:
    async with desk(autojump_clock) as here:
        post = Author(1).post()
        here.commits.refusals.append(DiskFull("full"))
        with pytest.raises(DiskFull):
            await here.gate.take([post])
        here.follower.confirm()
        here.commits.refusals.append(DiskFull("full"))
        await here.gate.take([post])
        assert here.commits.refusals, "while keys are confirmed nothing is noted"
        here.commits.refusals.clear()
