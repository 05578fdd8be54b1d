"""Following feeds at a node that does not keep them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio
from folkmoot.node.projections.hosting import WAIT
from folkmoot.protocol import client as clients
from folkmoot.protocol import limits
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.record import Record

from tests.node.followers import follower
from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import Author
from tests.projections.people import SEEN_S, follow, sees, tagged
from tests.projections.test_notifications import is_told, like, mention
from tests.projections.test_streams import begun
from tests.waiting import until

PATIENT = clients.ClientSettings(deadline_s=20.0, name="test/1")


def away_from(town: Town, account: bytes) -> Node:
    """A node that does not keep an account."""
    keepers = town.replicas_of(account)
    return next(node for node in town.nodes if node not in keepers)


def holding(town: Town) -> list[Node]:
    """The nodes that hold streams for others."""
    return [node for node in town.running() if node.parts.projections.hosting.streams]


async def all_have_read(town: Town) -> None:
    """Wait until every node has read all ranges once; of those that are lost later it could not."""
    lags = [node.parts.projections.projector.lag_s for node in town.running()]
    await until(
        lambda: all(lag_s() is not None for lag_s in lags), what="all ranges to be read", within_s=SEEN_S
    )


async def test_a_home_feed_goes_on_when_the_node_that_keeps_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the stream that the client has, and nothing is told from before it began."""
    monkeypatch.setattr(limits, "FOLLOW_WAIT_S", 0.5)
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, nodes=3, regions=("eu",), replicas=2) as town:
        away = away_from(town, ann.account)
        async with town.client(away) as client, follower(away.address) as follows:
            old = ben.post("old", make_uuid7(time.time_ns() // 1_000_000 - 60_000, 1))
            await client.put(follow(ann, ben), old, level="all")
            await sees(client, [old.id], "feed.home", account=ann.account)
            await begun(follows, home=ann.account, credit=1)
            first, second, third, fourth = (ben.post(word) for word in ("one", "two", "three", "four"))
            await client.put(first, level="all")
            await follows.told(first)
            await all_have_read(town)
            [keeper] = holding(town)
            await keeper.stop()
            await client.put(second, third, fourth, level="one")
            assert follows.ids == [first.id], "nothing is told on credit that was not given"
            # Each node that takes the stream over may tell the first again, so there is more than enough.
            await follows.call("feed.credit", subscription=1, credit=50)
            await follows.told(second, third, fourth, within_s=2 * SEEN_S)
            assert holding(town)
            assert (follows.gaps, [each for each in follows.events if "error" in each]) == ([], [])
            assert list(dict.fromkeys(follows.ids)) == [each.id for each in (first, second, third, fourth)]
            await follows.call("feed.unfollow", subscription=1)
            await until(lambda: not holding(town), what="the stream to be given up", within_s=SEEN_S)


async def test_notifications_and_tags_are_told_by_any_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the node that holds a stream has come to know nothing of it."""
    monkeypatch.setattr(limits, "FOLLOW_WAIT_S", 0.5)
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, nodes=2, regions=("eu",), replicas=1) as town:
        away = away_from(town, ann.account)
        async with town.client(away) as client, follower(away.address) as follows:
            post = ann.post("hello")
            await client.put(follow(ann, ben), post, level="all")
            await follows.auth(ann)
            await is_told(follows, ann, [])
            await begun(follows, notifications=ann.account)
            await begun(follows, tag="tea")
            liked, cup = like(ben, post), tagged(ben, "tea")
            await client.put(liked, cup, level="all")
            await follows.told(liked, cup)
            for node in town.nodes:
                node.parts.projections.hosting._askers.clear()
            again = mention(ben, ann)
            await client.put(again, level="all")
            await follows.told(again)


async def test_a_client_goes_on_when_its_own_node_and_the_keeper_are_lost(tmp_path: Path) -> None:
    ann = Author(1)
    async with founded(tmp_path, nodes=4, regions=("eu",), replicas=2) as town:
        keepers = town.replicas_of(ann.account)
        strangers = [node for node in town.nodes if node not in keepers]
        people = map(Author, range(2, 1_000))
        ben = next(each for each in people if town.replicas_of(each.account) == keepers)  # is not lost either
        told: list[bytes] = []
        async with town.client(strangers[1]) as client:
            await client.put(follow(ann, ben), level="all")
            await sees(client, [], "feed.home", account=ann.account)
            addresses = [node.address for node in strangers]
            async with clients.connect(addresses, tls=False, settings=PATIENT) as reader:
                stream = reader.follow({"home": ann.account})

                async def hear() -> None:
                    async for event in stream:
                        told.extend(Record.from_wire(item["record"]).id for item in event.items)

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(hear)
                    await until(lambda: bool(holding(town)), what="the stream", within_s=SEEN_S)
                    first, second = ben.post("first"), ben.post("second")
                    await client.put(first, level="one")
                    await until(lambda: told == [first.id], what="the first", within_s=SEEN_S)
                    await all_have_read(town)
                    await holding(town)[0].stop()
                    await strangers[0].stop()
                    await client.put(second, level="one")
                    await until(lambda: told == [first.id, second.id], what="the second", within_s=SEEN_S)
                    nursery.cancel_scope.cancel()


async def test_what_other_nodes_ask_is_checked_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FOLLOW_SUBSCRIPTIONS_OF_ALL", 1)
    ann, ben = Author(1), Author(2)
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await sees(client, [], "feed.home", account=ann.account)
        parts, other = town[0].parts, bytes(16)
        hosting = parts.projections.hosting

        def asked(account: bytes, **more: object) -> dict[str, object]:
            where = parts.topology.where(follow(ben, ann).key if account == ben.account else old.key)
            base = {"range": where.id, "epoch": where.epoch, "feed": int(CursorKind.FOLLOW_HOME)}
            return {**base, "subject": account, "stream": bytes(16), "viewer": None, **more}

        old = ann.post("old")
        tell, wait = hosting.peer_methods()["feed.tell"], hosting.peer_methods()[WAIT]
        begun_at = await tell(other, asked(ann.account))
        assert begun_at["fresh"] is True
        for wrong in (
            {"feed": int(CursorKind.FOLLOW_NOTIFICATIONS)},  # of nobody
            {"feed": int(CursorKind.AUTHOR)},
            {"viewer": ann.account},  # under a number that another stream has
            {"after": b"short"},
            {"limit": 0},
        ):
            with pytest.raises(WireError) as refused:
                await tell(other, asked(ann.account, **wrong))
            assert refused.value.kind is BAD_REQUEST
        with pytest.raises(WireError) as full:
            await tell(other, asked(ann.account, stream=bytes(15) + b"1"))
        assert full.value.kind.name == "busy"
        assert await wait(other, {"wait_ms": 0}) == {"changed": [], "streams": 1}
        assert await wait(other, {"wait_ms": 0, "closed": [bytes(16)]}) == {"changed": [], "streams": 0}
