"""Accounts on whole nodes over sockets: keys come and go, and every gate that can know of it does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.node.accounts.keys import AccountKeys
from folkmoot.node.actors.account_follower import AccountFollower
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.node.moderation.quota import QuotaRates, Rate
from folkmoot.protocol import limits
from folkmoot.protocol.accounts.actions import (
    Action,
    AddKey,
    Close,
    Create,
    Recover,
    Restore,
    RevokeKey,
    RotateKey,
    SetHandle,
    Suspend,
)
from folkmoot.protocol.accounts.chain import Entry
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import (
    CONFLICT,
    FORBIDDEN,
    NO_QUORUM,
    NOT_FOUND,
    RATE_LIMITED,
    REFUSED_BY_POLICY,
    REVOKED_KEY,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from folkmoot.storage.interface import Table

from tests.node.harness import Client, Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.node.test_gate import POLICY
from tests.registers.seats import seated
from tests.waiting import until

LOST, FOUND, RESCUE = (KeyPair(bytes([number]) * 32) for number in (101, 102, 103))


class Person(Author):
    """An account with a chain of operations.

    Attributes:
        chain: those that were made, in order.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.chain: list[Operation] = []

    def operation(self, action: Action, by: KeyPair | None = None) -> Operation:
        """The next one, not yet made."""
        previous = self.chain[-1] if self.chain else None
        stamp = self.stamp()
        return Operation.sign(by or self.device, self.account, action, previous=previous, stamp=stamp)

    async def does(self, client: Client, action: Action, by: KeyPair | None = None) -> dict[str, Any]:
        """Make it; what the account is then."""
        operation = self.operation(action, by)
        told: dict[str, Any] = await client.call("account.change", operation=operation.to_wire())
        self.chain.append(operation)
        return told

    def post_by(self, key: KeyPair) -> Record:
        """A post of this account, signed by one of its keys."""
        item, body = self.item(), {"text": "from another device"}
        stamp = self.stamp()
        return Record.sign(key, author=self.account, kind="post", item=item, body=body, stamp=stamp)


async def refused(client: Client, person: Person, action: Action, by: KeyPair | None = None) -> WireError:
    """Why an account cannot do something."""
    with pytest.raises(WireError) as error:
        await client.call("account.change", operation=person.operation(action, by).to_wire())
    return error.value


async def known_everywhere(town: Town, account: bytes, number: int) -> None:
    """Wait until every running node knows of so many operations on an account."""
    await until(
        lambda: all(keys(node).state(account).number == number for node in town.running()),
        what="all nodes to know the account's newest operation",
        within_s=2 * limits.ACCOUNTS_FOLLOW_S,
    )


def keys(node: Node) -> AccountKeys:
    """What a node knows of accounts."""
    return node.parts.accounts.keys


def follower(node: Node) -> AccountFollower:
    """How it comes to know."""
    return node.parts.accounts.follower


async def test_a_device_that_was_added_writes_at_every_node(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        person = Person(1)
        async with town.client(town[0]) as client:
            assert (await client.put_one(person.post_by(FOUND)))["error"]["name"] == REVOKED_KEY.name
            await person.does(client, Create(RESCUE.account))
            told = await person.does(client, AddKey(FOUND.account, "phone"))
        assert told["keys"] == [person.account, FOUND.account]
        assert told["recoverable"] and told["number"] == 2 and not told["closed"]
        await known_everywhere(town, person.account, 2)
        for node in town.nodes:
            async with town.client(node) as client:
                result = await client.put_one(person.post_by(FOUND))
                assert result["status"] == "stored", node.name
                got = await client.call("account.get", account=person.account)
                assert {key: got[key] for key in told} == told
                past = await client.call("account.history", account=person.account, after=1)
                [entry] = past["operations"]
                assert (past["number"], Entry.from_wire(entry).operation) == (2, person.chain[1])
        assert len(await town_feed(town, person)) == 3


async def town_feed(town: Town, person: Person) -> list[dict[str, Any]]:
    async with town.client(town[1]) as client:
        return await client.feed(person.account)


async def test_a_revoked_key_writes_nowhere_any_more_and_what_it_wrote_stays(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        person = Person(1)
        async with town.client(town[0]) as client, town.client(town[1]) as other:
            await person.does(client, Create(RESCUE.account))
            await person.does(client, AddKey(LOST.account))
            await known_everywhere(town, person.account, 2)
            assert (await other.put_one(person.post_by(LOST)))["status"] == "stored"
            await person.does(client, RotateKey(LOST.account, FOUND.account))
            await known_everywhere(town, person.account, 3)
            assert (await other.put_one(person.post_by(LOST)))["error"]["name"] == REVOKED_KEY.name
            assert (await other.put_one(person.post_by(FOUND)))["status"] == "stored"
            assert (await refused(other, person, AddKey(LOST.account))).kind is CONFLICT
            assert (await refused(other, person, AddKey(RESCUE.account), LOST)).kind is REVOKED_KEY
            told = await person.does(other, Recover((KeyPair(bytes([9]) * 32).account,)), RESCUE)
            assert len(told["keys"]) == 1
            await known_everywhere(town, person.account, 4)
            assert (await client.put_one(person.post()))["error"]["name"] == REVOKED_KEY.name
            assert len(await other.feed(person.account)) == 2


async def test_a_proof_ends_with_the_key_that_gave_it(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town:
        await seated(town, 1)
        person = Person(1)
        private = [person.account, "mute", Author(2).account]
        async with town.client(town[0]) as client, town.client(town[0]) as thief:
            await person.does(client, Create(RESCUE.account))
            await person.does(client, AddKey(LOST.account))
            await thief.session.authenticate(LOST, person.account)
            await client.auth(person)
            await thief.call("record.get", keys=[private])
            await person.does(client, RevokeKey(LOST.account, "stolen"))
            with pytest.raises(WireError) as error:
                await thief.call("record.get", keys=[private])
            assert error.value.kind is UNAUTHENTICATED
            await client.call("record.get", keys=[private])
            with pytest.raises(WireError) as error:
                await thief.session.authenticate(LOST, person.account)
            assert error.value.kind is REVOKED_KEY


async def test_an_operation_is_made_once_and_only_upon_the_newest(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        person = Person(1)
        async with town.client(town[0]) as client, town.client(town[2]) as other:
            told = await person.does(client, Create(RESCUE.account))
            again = await other.call("account.change", operation=person.chain[0].to_wire())
            assert again == told
            one, two = person.operation(AddKey(LOST.account)), person.operation(AddKey(FOUND.account))
            results: list[Any] = []

            async def change(who: Client, operation: Operation) -> None:
                try:
                    results.append(await who.call("account.change", operation=operation.to_wire()))
                except WireError as error:
                    results.append(error.kind)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(change, client, one)
                nursery.start_soon(change, other, two)
            assert CONFLICT in results and len([each for each in results if each is not CONFLICT]) == 1
            now = await other.call("account.get", account=person.account, current=True)
            assert now["number"] == 2 and len(now["keys"]) == 2


async def test_a_node_that_was_away_learns_what_it_missed(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        person, away = Person(1), town[2]
        async with town.client(town[0]) as client:
            await person.does(client, Create(RESCUE.account))
            await person.does(client, AddKey(LOST.account))
            await known_everywhere(town, person.account, 2)
            await away.stop()
            await person.does(client, RevokeKey(LOST.account))
        await town.start(away)
        await known_everywhere(town, person.account, 3)
        async with town.client(away) as client:
            assert (await client.put_one(person.post_by(LOST)))["error"]["name"] == REVOKED_KEY.name


async def test_a_node_that_is_cut_off_takes_posts_and_labels_what_it_should_not_have(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        person, other = Person(1), Author(2)
        alone, *majority = town.nodes
        async with town.client(alone) as there, town.client(majority[0]) as here:
            await person.does(here, Create(RESCUE.account))
            await person.does(here, AddKey(LOST.account))
            await known_everywhere(town, person.account, 2)
            await until(lambda: follower(alone).confirmed, what="keys to be confirmed", within_s=30)
            before = person.post_by(LOST)
            assert (await there.put_one(before))["status"] == "stored"
            for node in majority:
                town.cut(alone, node)
            await until(lambda: not follower(alone).confirmed, what="the node to be cut off", within_s=30)
            blocked = await refused(there, person, RevokeKey(LOST.account))
            assert blocked.kind is NO_QUORUM and blocked.kind.retryable
            good, stolen = other.post(), None
            await person.does(here, RevokeKey(LOST.account))
            stolen = person.post_by(LOST)
            for record in (good, stolen):
                assert (await there.put_one(record, "one"))["status"] == "stored"
            assert (await here.put_one(person.post_by(LOST)))["error"]["name"] == REVOKED_KEY.name
            town.heal()
            await known_everywhere(town, person.account, 3)

            async def labelled() -> bool:
                cell = await here.get(stolen, level="quorum")
                return cell is not None and [_value(label) for label in cell["labels"]] == ["revoked-key"]

            await until(labelled, what="the stolen key's post to be labelled everywhere", within_s=40)
            for record in (good, before):
                cell = await here.get(record, level="quorum")
                assert cell is not None and not cell["labels"], "nothing was wrong with it"
            await until(lambda: not alone.commits.store.unconfirmed(1), what="all to be looked at")


def _value(label: list[bytes]) -> Any:
    return Record.from_wire(label).body["value"]


async def test_suspended_by_operators_and_closed_for_good(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.format(name="first", doubtful="rubbish"))
    gate = GateSection(policy=policy)
    async with founded(tmp_path, nodes=1, gate=gate) as town, town.client(town[0]) as client:
        await seated(town, 1)
        person = Person(1)
        await person.does(client, Create(RESCUE.account))
        judged = await refused(client, person, SetHandle("rubbish"))
        assert judged.kind is REFUSED_BY_POLICY and judged.details is not None
        assert (judged.details["rule"], judged.details["field"]) == ("look-twice", "handle")
        await person.does(client, SetHandle("marit"))
        assert (await refused(client, person, Suspend("spam"), OPERATOR.device)).kind is UNAUTHENTICATED
        await client.auth(OPERATOR)
        assert (await refused(client, person, Suspend("spam"))).kind is FORBIDDEN, (
            "not signed by the operator"
        )
        assert (await person.does(client, Suspend("spam"), OPERATOR.device))["suspended"]
        assert (await client.put_one(person.post()))["error"]["name"] == FORBIDDEN.name
        await person.does(client, Restore("it was another"), OPERATOR.device)
        assert (await client.put_one(person.post()))["status"] == "stored"
        told = await person.does(client, Close(), RESCUE)
        assert told["closed"] and told["keys"] == [] and "handle" not in told
        assert (await client.put_one(person.post()))["error"]["name"] == FORBIDDEN.name
        assert (await refused(client, person, AddKey(FOUND.account))).kind is CONFLICT


async def test_a_handle_is_one_account_s(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        one, other = Person(1), Person(2)
        async with town.client(town[0]) as client, town.client(town[1]) as elsewhere:
            for person in (one, other):
                await person.does(client, Create(RESCUE.account))
            assert (await one.does(client, SetHandle("marit")))["handle"] == "marit"
            await known_everywhere(town, one.account, 2)
            found = await elsewhere.call("handle.get", handle="Marit")
            assert found == {"handle": "marit", "account": one.account}
            assert (await refused(elsewhere, other, SetHandle("marit"))).kind is CONFLICT
            await one.does(client, SetHandle("marit.elsewhere"))
            await known_everywhere(town, one.account, 3)
            with pytest.raises(WireError) as error:
                await elsewhere.call("handle.get", handle="marit")
            assert error.value.kind is NOT_FOUND
            taken = await refused(elsewhere, other, SetHandle("marit"))
            assert taken.kind is CONFLICT and taken.details, "in quarantine"
            assert taken.details["free_at_us"] > 0
            assert (await one.does(client, SetHandle("marit")))["handle"] == "marit", (
                "its own it may have back"
            )


async def test_an_account_cannot_keep_handles_from_others_without_end(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await seated(town, 1)
        one, other = Person(1), Person(2)
        for person in (one, other):
            await person.does(client, Create(RESCUE.account))
        names = [f"marit-{number}" for number in range(2, 3 + limits.HANDLES_GIVEN_UP)]
        for name in names:
            await one.does(client, SetHandle(name))
        error = await refused(client, one, SetHandle("marit"))
        assert error.kind is CONFLICT and error.details is not None
        days = (error.details["free_at_us"] - time.time_ns() // 1000) / (86_400 * 1e6)
        assert 29 < days < 31 and error.details["given_up"] == limits.HANDLES_GIVEN_UP + 1
        await other.does(client, SetHandle("marit"))
        await other.does(client, SetHandle(None))
        await one.does(client, SetHandle(names[0]))
        await one.does(client, SetHandle(None))
        assert (await refused(client, one, SetHandle("mara"))).kind is CONFLICT
        await client.auth(OPERATOR)
        assert (await one.does(client, SetHandle("mara")))["handle"] == "mara"


async def test_a_damaged_account_is_learned_again(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        person, damaged = Person(1), town[1]
        async with town.client(town[0]) as client:
            await person.does(client, Create(RESCUE.account))
            await person.does(client, AddKey(LOST.account))
        await known_everywhere(town, person.account, 2)
        with damaged.commits.store.engine.begin(write=True) as transaction:
            transaction.put(Table.ACCOUNTS, person.account, b"not a chain, nor sealed")
            transaction.commit()
        keys(damaged)._known.clear()
        async with town.client(damaged) as client:
            assert (await client.put_one(person.post()))["error"]["name"] == "busy"
            follower(damaged).look_now()

            async def stored() -> bool:
                return bool((await client.put_one(person.post_by(LOST)))["status"] == "stored")

            await until(stored, what="the node to know the account again", within_s=20)


async def test_an_address_cannot_make_accounts_without_end(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await seated(town, 1)
        plenty = Rate(1_000.0, 1_000)
        rates = QuotaRates(plenty, plenty, Rate(per_second=1e-6, burst=3))
        town[0].parts.gatekeeper.reconfigure(None, rates)
        for number in range(3):
            await Person(1000 + number).does(client, Create())
        error = await refused(client, Person(5000), Create())
        assert error.kind is RATE_LIMITED and error.retry_after_ms
        await client.auth(OPERATOR)
        await Person(5000).does(client, Create())
