"""Moderation by people, from where they stand: what waits, what is decided, and what everybody sees of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.moderation import methods
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.moderation.bounds import DECISIONS_OF_ONE
from folkmoot.protocol.moderation.decision import Action, Decision, Role, Subject, parse_decision
from folkmoot.protocol.record import Record
from folkmoot.storage import waiting

from tests.node.harness import Client, Town
from tests.node.people import OPERATOR, Author
from tests.node.test_gate import expect, gated
from tests.waiting import until

SECOND = Author(2**199)
NUMBERS = itertools.count(1)


def decision(
    about: Record,
    action: Action,
    by: Author = OPERATOR,
    *,
    role: Role = Role.OPERATOR,
    reverses: Sequence[Record] = (),
    **more: Any,
) -> Record:
    """A decision about a version, signed."""
    stamp = by.post().stamp  # whose number it is
    named = tuple(parse_decision(each.item, each.body).mark for each in reverses)
    number = 0 if role is Role.AUTOMATIC else stamp
    subject = Subject(about.kind, about.item)
    one = Decision(
        *(subject, about.id, action, role, by.account, number, "Because of the rules."),
        reverses=named,
        **more,
    )
    return Record.sign(
        by.device, kind="decision", item=one.item, body=one.body(), stamp=stamp, place=about.place
    )


async def decide(client: Client, record: Record, level: str = "all") -> dict[str, Any]:
    told: dict[str, Any] = await client.call("moderation.decide", record=record.to_wire(), level=level)
    return told


async def show(client: Client, post: Record, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = await client.call(
        "moderation.show", author=post.author, item=post.item, level="all", **more
    )
    return told


def somebody() -> Author:
    """An account of its own for each scene."""
    return Author(next(NUMBERS))


async def queue(client: Client, **asked: Any) -> list[dict[str, Any]]:
    """All pages of what waits."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await client.call("moderation.held", level="all", **asked, **cursor)
        assert page["missing"] == []
        items += page["items"]
        if page["cursor"] is None:
            return items
        cursor = {"cursor": page["cursor"]}


async def what_waits_is_found_with_why_by_those_who_may(town: Town, operator: Client, client: Client) -> None:
    ann, ben = somebody(), somebody()
    doubtful = ann.post("What rubbish is this")
    name = ben.record("profile", b"name", {"value": "rubbish"})
    results, _ = await client.put(doubtful, name, ben.post("fine"), level="all")
    assert [each["status"] for each in results] == ["held", "held", "stored"]
    await expect(client, UNAUTHENTICATED, "moderation.held")
    await client.auth(ann)
    await expect(client, FORBIDDEN, "moderation.held")
    await expect(client, FORBIDDEN, "moderation.statements")

    found = await queue(operator)
    items = {each["key"][1]: each for each in found if each["key"][0] in (ann.account, ben.account)}
    assert items["post"]["record"] == doubtful.to_wire() and items["profile"]["record"] == name.to_wire()
    [why] = items["post"]["why"]
    said = Record.from_wire(why)
    said.verify()
    statement = parse_decision(said.item, said.body)
    assert (statement.action, statement.role) == (Action.HOLD, Role.AUTOMATIC)
    assert (statement.rule, statement.span, statement.version) == ("look-twice", (5, 12), doubtful.id)
    assert statement.policy is not None and len(statement.policy) == 64

    told = await show(client, doubtful)
    assert told["waits"] and told["why"] == [why] and told["appeal"] == "Ask the town clerk."
    await client.auth(ben)
    told = await show(client, doubtful)
    assert not {"waits", "why", "record"} & told.keys(), "nobody else's business"


async def what_is_released_is_everywhere_as_it_was_signed(
    town: Town, operator: Client, client: Client
) -> None:
    ann = somebody()
    doubtful = ann.post("What rubbish is this")
    await client.put(doubtful, level="all")
    released = decision(doubtful, Action.RELEASE)
    for status in ("stored", "duplicate"):
        told = await decide(operator, released)
        assert told["status"] == status and told["released"]["achieved"]["level"] == "all"
    for node in town.nodes:
        async with town.client(node) as reader:
            [item] = await reader.feed(ann.account, "one")
            assert item["record"] == doubtful.to_wire() and "decisions" not in item
    assert ann.account not in [each["key"][0] for each in await queue(operator)]
    told = await show(operator, doubtful)
    assert told["decisions"] == [released.to_wire()] and not told["waits"]
    assert told["settled"] == [parse_decision(released.item, released.body).mark]
    for record in (decision(doubtful, Action.RELEASE), decision(ann.post(), Action.REMOVE)):
        with pytest.raises(WireError) as refused:
            await decide(operator, record)
        assert refused.value.kind in (CONFLICT, NOT_FOUND)


async def a_node_that_stops_between_decision_and_release_loses_nothing(
    town: Town, operator: Client, client: Client
) -> None:
    ann = somebody()

    async def stops(self: Any, version: Record, level: str) -> dict[str, Any]:
        raise WireError(CONFLICT, "planted: it stopped here")

    doubtful = ann.post("What rubbish is this")
    await client.put(doubtful, level="all")
    with pytest.MonkeyPatch.context() as plant, pytest.raises(WireError, match="planted"):
        plant.setattr(methods.ModerationMethods, "_release", stops)
        await decide(operator, decision(doubtful, Action.RELEASE))
    for node in town.nodes:
        assert node.cells()[doubtful.key] == Cell.of(doubtful).encode()


async def what_is_removed_is_seen_by_its_author_and_moderators_alone(
    town: Town, operator: Client, client: Client
) -> None:
    ann, ben = somebody(), somebody()
    post, other = ann.post("one"), ann.post("two")
    quoting = ben.record(
        "post", ben.item(), {"text": "see", "quote": {"author": ann.account, "item": post.item}}
    )
    await client.put(post, other, quoting, level="all")
    removed = decision(post, Action.REMOVE, rule="rude", illegal=True)
    assert (await decide(operator, removed))["status"] == "stored"

    async def seen(who: Client) -> list[list[bytes]]:
        return [each["record"] for each in await who.feed(ann.account, "all")]

    assert await seen(client) == [other.to_wire()]
    [item] = await client.feed(ben.account)
    assert item["quote_hidden"] == "removed"
    thread = await client.call("feed.thread", author=ann.account, item=post.item)
    assert thread["items"][0]["gap"]["reason"] == "removed"
    assert await seen(operator) == [other.to_wire(), post.to_wire()]
    await client.auth(ann)
    for who in (client, operator):
        item = (await who.feed(ann.account, "all"))[1]
        assert item["decisions"] == [removed.to_wire()]
        assert item["cautions"] == [
            {"source": "decision", "text": "Because of the rules.", "by": OPERATOR.account}
        ]
    edit = ann.post("three", post.item)
    await client.put(edit, level="all")
    await client.auth(ben)
    assert await seen(client) == [other.to_wire()], "an edit brings nothing back"

    restored = decision(edit, Action.RESTORE, reverses=[removed])
    assert (await decide(operator, restored))["status"] == "stored"
    assert await seen(client) == [other.to_wire(), edit.to_wire()]
    told = await show(client, post)
    assert told["decisions"] == [removed.to_wire(), restored.to_wire()]
    assert (told["visibility"], told["disputed"]) == ("shown", False)


async def warnings_and_labels_are_said_first(town: Town, operator: Client, client: Client) -> None:
    ann = somebody()
    post = ann.post("one")
    await client.put(post, level="all")
    await decide(operator, decision(post, Action.WARN, labels=("rude",)))
    [item] = await client.feed(ann.account, "all")
    said = [(each["source"], each["text"]) for each in item["cautions"]]
    assert said == [("decision", "Because of the rules."), ("label", "rude")]
    await decide(operator, decision(post, Action.LIMIT))
    [item] = await client.feed(ann.account, "all")
    assert "cautions" not in item and len(item["decisions"]) == 1


async def only_those_with_the_role_decide(town: Town, operator: Client, client: Client) -> None:
    ann, ben = somebody(), somebody()
    post = ann.post("one")
    await client.put(post, level="all")
    wrong = [
        decision(post, Action.REMOVE, ben, role=Role.MODERATOR),
        decision(post, Action.HOLD, ben, role=Role.AUTOMATIC),
        decision(post, Action.REMOVE, OPERATOR, role=Role.EXPERT),
    ]
    results, _ = await client.put(*wrong)
    assert [each["error"]["name"] for each in results] == ["forbidden"] * 3
    unseen = decision(post, Action.REMOVE)
    results, _ = await operator.put(unseen)
    assert [each["error"]["name"] for each in results] == ["bad_request"], "nobody looked at what it is about"
    assert "moderation.decide" in results[0]["error"]["message"]
    await expect(
        operator, NOT_FOUND, "moderation.decide", record=decision(ann.post(), Action.REMOVE).to_wire()
    )
    await expect(client, UNAUTHENTICATED, "moderation.decide", record=wrong[0].to_wire())
    await expect(operator, FORBIDDEN, "moderation.decide", record=wrong[0].to_wire())
    await expect(operator, BAD_REQUEST, "moderation.decide", record=post.to_wire())
    by_policy = decision(post, Action.HOLD, Author(3), role=Role.AUTOMATIC)
    assert [each["status"] for each in (await client.put(by_policy))[0]] == ["refused"]
    assert len(await client.feed(ann.account, "all")) == 1
    assert all(not any(key == each.key for each in wrong) for key in town[0].cells())


async def who_did_not_see_what_was_decided_is_told(town: Town, operator: Client, client: Client) -> None:
    ann = somebody()
    for node in town.nodes:
        node.parts.community.reconfigure({OPERATOR.account, SECOND.account})
    post, doubtful = ann.post("one"), ann.post("rubbish")
    await client.put(post, doubtful, level="all")
    removed = decision(post, Action.REMOVE)
    await decide(operator, removed)
    await client.auth(SECOND)
    with pytest.raises(WireError) as refused:
        await decide(client, decision(post, Action.RESTORE, SECOND))
    assert refused.value.kind is CONFLICT
    assert refused.value.details is not None
    assert refused.value.details["marks"] == [parse_decision(removed.item, removed.body).mark]
    # Who decides at the same time, at a node that has not heard: the stricter stands, and it is disputed.
    unaware = decision(post, Action.RESTORE, SECOND)
    for node in town.nodes:
        await node.plant(unaware)
    told = await show(client, post)
    assert (told["visibility"], told["disputed"], told["settled"]) == ("removed", True, [])

    edit = ann.post("more rubbish", doubtful.item)
    await client.put(edit, level="all")
    with pytest.raises(WireError) as refused:
        await decide(client, decision(doubtful, Action.RELEASE, SECOND))
    assert refused.value.kind is CONFLICT, "it is not what waits any more"
    await decide(client, decision(edit, Action.RELEASE, SECOND))
    assert (await client.get(edit, "all") or {})["records"] == [edit.to_wire()]


async def nobody_decides_for_ever(town: Town, operator: Client, client: Client) -> None:
    ann = somebody()
    post = ann.post("one")
    await client.put(post, level="all")
    made: list[Record] = []
    for number in range(DECISIONS_OF_ONE):
        made.append(decision(post, (Action.WARN, Action.LIMIT)[number % 2], reverses=made[-1:]))
        await decide(operator, made[-1], "quorum")
    late = decision(post, Action.RESTORE, reverses=made[-1:])
    await expect(operator, CONFLICT, "moderation.decide", record=late.to_wire())
    assert (await decide(operator, made[-1]))["status"] == "duplicate"

    other = ann.post("two")
    await client.put(other, level="all")
    early, newest = decision(other, Action.WARN), decision(other, Action.REMOVE)
    await decide(operator, newest)
    await expect(operator, CONFLICT, "moderation.decide", record=early.to_wire())
    with pytest.raises(WireError, match="nothing is decided about a follow"):
        await client.call("moderation.show", author=ann.account, item=ann.account, kind="follow")


async def what_was_decided_is_told_since_a_time(town: Town, operator: Client, client: Client) -> None:
    posts = [Author(number).post() for number in range(1, 5)]
    await client.put(*posts, level="all")
    made = [decision(each, Action.REMOVE) for each in posts]
    for each in made:
        await decide(operator, each)

    async def since(stamp: int) -> list[Any]:
        items: list[Any] = []
        cursor: dict[str, Any] = {}
        while True:
            page = await operator.call("moderation.statements", since=stamp, level="all", **cursor)
            items += page["items"]
            if page["cursor"] is None:
                return sorted(items)
            cursor = {"cursor": page["cursor"]}

    assert {tuple(each.to_wire()) for each in made} <= {tuple(each) for each in await since(0)}
    assert await since(made[2].stamp) == sorted(each.to_wire() for each in made[2:])


async def authors_are_told(town: Town, operator: Client, client: Client) -> None:
    ann = somebody()
    post, doubtful = ann.post("one"), ann.post("rubbish")
    await client.put(post, doubtful, level="all")
    made = [decision(post, Action.REMOVE), decision(doubtful, Action.REJECT)]
    await client.auth(ann)

    async def told() -> set[tuple[str, bytes]]:
        items = (await client.call("notice.list", account=ann.account))["items"]
        return {(each["notice"]["sort"], Record.from_wire(each["record"]).id) for each in items}

    async def waits() -> bool:
        return ("held", doubtful.id) in await told()

    await until(waits, what="its author to be told that it waits", within_s=15.0)
    for each in made:
        await decide(operator, each)

    async def decided() -> bool:
        return await told() == {("decision", each.id) for each in made}

    await until(decided, what="its author to be told what became of it", within_s=15.0)


SCENES = (
    authors_are_told,
    what_waits_is_found_with_why_by_those_who_may,
    what_is_released_is_everywhere_as_it_was_signed,
    a_node_that_stops_between_decision_and_release_loses_nothing,
    what_is_removed_is_seen_by_its_author_and_moderators_alone,
    warnings_and_labels_are_said_first,
    only_those_with_the_role_decide,
    what_was_decided_is_told_since_a_time,
    who_did_not_see_what_was_decided_is_told,
    nobody_decides_for_ever,
)


async def test_moderation_by_people(tmp_path: Path) -> None:
    """One town for all scenes, since what takes time is to found it."""
    async with gated(tmp_path) as town:
        for scene in SCENES:
            async with town.client(town[0]) as operator, town.client(town[1]) as client:
                await operator.auth(OPERATOR)
                await scene(town, operator, client)


async def test_the_queue_comes_in_pages_and_who_missed_something_makes_up_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "QUEUE_STEP", 2)
    monkeypatch.setattr(waiting, "REACTIONS_STEP_ROWS", 3)
    async with gated(tmp_path) as town, town.client(town[0]) as operator, town.client(town[1]) as client:
        await operator.auth(OPERATOR)
        posts = [Author(number).post("rubbish") for number in range(1, 6) for _ in range(3)]
        await client.put(*posts, level="all")
        await client.put(*(Author(number).post() for number in range(20)), level="all")
        for limit in (1, 4, 64):
            found = [tuple(each["record"]) for each in await queue(operator, limit=limit)]
            assert sorted(found) == sorted(tuple(each.to_wire()) for each in posts)
        await expect(operator, BAD_REQUEST, "moderation.held", cursor=b"x" * 40)
        await town[2].stop()
        page = await operator.call("moderation.held", level="all")
        assert page["items"] == [] and len(page["missing"]) == len(set(page["missing"])) > 0
        released, kept = posts[0], posts[-1]
        await decide(operator, decision(released, Action.RELEASE), "quorum")
        await decide(operator, decision(kept, Action.REJECT), "quorum")
        await town.restart(town[2])
        await until(lambda: released.key in town[2].cells(), what="it makes up for it", within_s=30)
        assert kept.key not in town[2].cells()
        assert len(await queue(operator)) == len(posts) - 2
