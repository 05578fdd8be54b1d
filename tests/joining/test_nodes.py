"""Join tokens on whole nodes: a machine becomes a node with one of them, and failures leave nothing."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from folkmoot.cli.errors import OperatorError, Unreachable, Usage
from folkmoot.cli.joining.authority import ClockSkewed, WrongAuthority
from folkmoot.cli.joining.machine import (
    JoinBroken,
    NameTaken,
    NoAuthority,
    TokenExpired,
    TokenRevoked,
    TokenUnknown,
    TokenUsed,
)
from folkmoot.cli.joining.staging import DirectoryTaken, staged
from folkmoot.protocol import limits
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    CONFLICT,
    FORBIDDEN,
    RATE_LIMITED,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.join_token import JoinToken
from folkmoot.protocol.limits import RANGES_INITIAL
from folkmoot.protocol.ring.placement import place

from tests.joining.newcomers import admit, come, come_and_be_killed, invite, node_in, wish
from tests.node.harness import founded
from tests.node.moving import ask, equal, on_roster, settled_plan, with_newcomer
from tests.node.people import Author
from tests.registers.seats import seated
from tests.waiting import until


async def test_a_machine_becomes_a_member_with_a_token_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with founded(tmp_path / "town", nodes=3, tls=True) as town:
        await seated(town, 3)
        record = Author(1).post()
        async with town.client(town[0]) as client:
            assert (await client.put_one(record, "all"))["status"] == "stored"
        token = await invite(town, town[1], name="eu-9", region="eu", capacity=3_000)
        told = await come(token, tmp_path / "new")
        assert (told["name"], told["region"], told["capacity"]) == ("eu-9", "eu", 3.0)
        late = node_in(tmp_path / "new")
        town.nodes.append(late)
        await town.start(late)
        await until(lambda: on_roster(town, late), what="the newcomer to be a member", within_s=30)
        await settled_plan(town)
        members = town[0].roster
        member = members.get(late.id)
        assert member is not None and member.capacity == 3.0
        drawn = {
            each
            for each in range(RANGES_INITIAL)
            if any(late.id in slot.nodes for slot in place(members, town[0].config.cluster.replicas, each))
        }
        assert {owner.id for owner in town[0].ranges.of_node(late.id)} == drawn != set()
        await equal(town)
        async with town.client(late) as client:
            cell = await client.get(record, "quorum")
            assert cell is not None and cell["records"] == [record.to_wire()]
        [listed] = (await ask(town, late, "join.list"))["tokens"]
        assert listed["state"] == "used" and [each["member"] for each in listed["admitted"]] == [True]
    for secret in (token.encode(), token.secret.hex(), repr(token.secret)):
        assert secret not in caplog.text


async def test_of_two_machines_with_one_token_one_comes_in(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=3, tls=True) as town:
        await seated(town, 3)
        token = await invite(town, town[0])
        outcomes: list[Any] = []

        async def try_at(number: int) -> None:
            try:
                outcomes.append(await admit(town, town[number % 3], wish(token, f"late-{number}")))
            except WireError as error:
                outcomes.append(error)

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(try_at, number)
        refused = [each for each in outcomes if isinstance(each, WireError)]
        assert len(refused) == 3
        assert {(each.kind, (each.details or {}).get("token")) for each in refused} == {(FORBIDDEN, "used")}


async def test_who_asks_again_is_given_the_same_again(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=1, tls=True) as town:
        token = await invite(town, town[0])
        asked = wish(token)
        first, second = [await admit(town, town[0], asked) for _ in range(2)]
        assert first["node"] == second["node"]
        assert first["gossip"] == [town[0].environment.secrets.gossip_ring()[0]]
        [listed] = (await ask(town, town[0], "join.list"))["tokens"]
        assert len(listed["admitted"]) == 1


async def test_a_join_that_is_killed_goes_on_with_the_same_command(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=1, tls=True) as town:
        token = await invite(town, town[0])
        new = tmp_path / "new" / "node"
        for _ in range(2):
            await come_and_be_killed(token, new)
        [left] = new.parent.iterdir()
        assert left.name == f".node.joining-{token.id.hex()}" and left.stat().st_mode & 0o777 == 0o700
        [listed] = (await ask(town, town[0], "join.list"))["tokens"]
        assert listed["state"] == "used"
        unreached = msgspec.structs.replace(token, addresses=["127.0.0.1:1"])
        with pytest.raises(Unreachable):
            await come(unreached, new, region="eu")
        with pytest.raises(JoinBroken, match="was let in with the region eu, and not us: say --region eu"):
            await come(token, new, region="us")
        told = await come(token, new, region="eu")
        assert [each["node"].hex() for each in listed["admitted"]] == [told["id"]]
        assert [each.name for each in new.parent.iterdir()] == ["node"]
        late = node_in(new)
        town.nodes.append(late)
        await town.start(late)
        await until(lambda: on_roster(town, late), what="the newcomer to be a member", within_s=30)


async def test_what_was_left_serves_the_same_token_until_it_is_refused(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=1, tls=True) as town:
        new = tmp_path / "new" / "node"
        first, second = await invite(town, town[0]), await invite(town, town[0])
        await come_and_be_killed(first, new)
        await ask(town, town[0], "join.revoke", id=first.id)
        with pytest.raises(TokenRevoked):
            await come(first, new, region="eu")
        assert not list(new.parent.glob(".*")), "these keys are of no use to anybody"
        await come_and_be_killed(second, new)
        with pytest.raises(Unreachable):
            await come(msgspec.structs.replace(first, addresses=["127.0.0.1:1"]), new, region="eu")
        assert not list(new.parent.glob(".*")), "another attempt takes the place"


def test_one_process_joins_with_a_token_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / "node"
    with (
        staged(place, "one"),
        pytest.raises(DirectoryTaken, match="another process"),
        staged(place, "one"),
    ):
        pass
    assert not list(tmp_path.iterdir())


async def test_every_failure_says_what_it_is_and_leaves_nothing(tmp_path: Path) -> None:
    new = tmp_path / "new"
    async with founded(tmp_path / "town", nodes=1, tls=True) as town:

        async def fails(kind: type[OperatorError], token: JoinToken, **words: Any) -> OperatorError:
            words = {"directory": new / "node", "region": "eu", **words}
            with pytest.raises(kind) as failed:
                await come(token, **words)
            assert failed.value.hint or kind is Usage, "there is a way out"
            assert not new.exists()
            return failed.value

        token = await invite(town, town[0], uses=9)
        other = msgspec.structs.replace
        await fails(TokenExpired, other(token, expires_ms=1))
        await fails(WrongAuthority, other(token, authority=bytes(32)))
        await fails(WrongAuthority, other(token, cluster="city"))
        await fails(TokenUnknown, other(token, secret=bytes(32)))
        await fails(Unreachable, other(token, addresses=["127.0.0.1:1"]))
        await fails(NameTaken, token, name="node-1")
        await fails(Usage, token, region=None)
        await fails(Usage, other(token, name="late"), name="early")
        await fails(OperatorError, token, clients=town[0].address)
        await fails(DirectoryTaken, token, directory=town[0].config.node.data)
        await fails(DirectoryTaken, token, directory=tmp_path / "town")

        once = await invite(town, town[0])
        await come(once, tmp_path / "first", region="eu", name="first")
        await fails(TokenUsed, once)
        await ask(town, town[0], "join.revoke", id=token.id)
        await fails(TokenRevoked, token)
        last = await invite(town, town[0])
        key = town[0].config.tls.ca_key
        key.rename(key.with_suffix(".away"))
        message = str(await fails(NoAuthority, last))
        assert str(key) in message and "install -m 600" in message
        assert (await ask(town, town[0], "join.list"))["tokens"][-1]["state"] == "good", "it is not used up"


async def test_a_clock_that_is_far_off_is_said(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=1, tls=True) as town:
        await town[0].stop()
        town[0].clock_off_us = -600_000_000
        await town.start(town[0])
        with pytest.raises(ClockSkewed, match="600 s ahead"):
            await come(await invite(town, town[0]), tmp_path / "new", region="eu")
        assert not (tmp_path / "new").exists()


async def test_a_node_that_cannot_sign_makes_no_token_that_leads_to_it(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, tls=True) as town:
        key = town[0].config.tls.ca_key
        shutil.move(key, tmp_path / "away")
        with pytest.raises(WireError, match="put the CA's key there") as refused:
            await invite(town, town[0])
        assert refused.value.kind is CONFLICT
        assert (await invite(town, town[0], addresses=["10.0.0.9:7000"])).addresses == ["10.0.0.9:7000"]
        shutil.move(tmp_path / "away", key)
        key.chmod(0o644)
        with pytest.raises(WireError, match="can be read by others"):
            await invite(town, town[0])


async def test_a_node_that_joins_by_its_name_brings_its_capacity(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=3) as town:
        await seated(town, 3)
        late = await with_newcomer(town, tmp_path / "late", capacity=0.25)
        await ask(town, town[0], "node.join", node=late.id)
        member = town[0].roster.get(late.id)
        assert member is not None and member.capacity == 0.25


async def test_a_cluster_without_certificates_says_how_nodes_join_it(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town:
        with pytest.raises(WireError, match="folkmoot init --seed"):
            await invite(town, town[0])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"secret": b"short"}, BAD_REQUEST),
        ({"request": b"x" * (limits.JOIN_REQUEST_BYTES + 1)}, BAD_REQUEST),
        ({"request": b"\x30\x03\x02\x01\x00"}, BAD_REQUEST),
        ({"name": "Not A Name"}, BAD_REQUEST),
        ({"name": "n" * 64}, BAD_REQUEST),
        ({"region": ""}, BAD_REQUEST),
        ({"service": bytes(34)}, BAD_REQUEST),
        ({"secret": bytes(32)}, FORBIDDEN),
        ({"id": b"another!"}, FORBIDDEN),
    ],
)
async def test_hostile_requests_are_refused_and_use_nothing_up(
    tmp_path: Path, change: dict[str, Any], kind: Any
) -> None:
    async with founded(tmp_path, nodes=1, tls=True) as town:
        token = await invite(town, town[0])
        with pytest.raises(WireError) as refused:
            await admit(town, town[0], wish(token, **change))
        assert refused.value.kind is kind
        assert (await ask(town, town[0], "join.list"))["tokens"][0]["state"] == "good"


async def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1, tls=True) as town:
        token = await invite(town, town[0])
        guess = wish(token, secret=bytes(32))
        kinds = []
        async with town.client(town[0]) as client:
            for _ in range(limits.JOINS_PER_MINUTE):
                with pytest.raises(WireError) as refused:
                    await client.call("join.admit", **guess)
                kinds.append(refused.value.kind)
        assert kinds[0] is FORBIDDEN and kinds[-1] is RATE_LIMITED


async def test_tokens_are_for_operators_and_membership_for_whom_a_token_let_in(tmp_path: Path) -> None:
    async with founded(tmp_path / "town", nodes=2, tls=True, replicas=2) as town:
        async with town.client(town[0]) as client:
            for method in ("join.create", "join.list", "join.revoke"):
                with pytest.raises(WireError) as refused:
                    await client.call(method)
                assert refused.value.kind is UNAUTHENTICATED
        admitting = town[0].parts.movement._joins._admitting
        with pytest.raises(WireError) as stranger:
            await admitting.member(b"x" * 16, {})
        assert stranger.value.kind is FORBIDDEN
        token = await invite(town, town[0])
        told = await admit(town, town[0], wish(token))
        await ask(town, town[0], "join.revoke", id=token.id)
        with pytest.raises(WireError) as revoked:
            await admitting.member(told["node"], {})
        assert revoked.value.kind is FORBIDDEN
        epochs = {node.roster.epoch for node in town.nodes}
        assert epochs == {1}, "nobody has changed the roster"
