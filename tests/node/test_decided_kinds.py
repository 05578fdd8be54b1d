"""What is decided about other things than posts, and what becomes of what it is about, at whole nodes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.moderating.deciding import Wish
from folkmoot.cli.moderating.many import decide_all
from folkmoot.cli.moderating.queue import by_author, waiting
from folkmoot.cli.moderating.subjects import Named
from folkmoot.cli.social.lists import lists_of
from folkmoot.protocol.client import connect
from folkmoot.protocol.errors import BAD_REQUEST, NOT_FOUND, WireError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.moderation.decision import Action, Subject
from folkmoot.protocol.moderation.label import label_item
from folkmoot.protocol.record import Record

from tests.node.harness import Client, Town
from tests.node.people import OPERATOR, Author
from tests.node.test_gate import expect, gated
from tests.node.test_moderation import decide, decision, queue, show
from tests.ranking.test_feeds import algorithm
from tests.waiting import until


async def profile_fields_are_hidden_from_others(town: Town, operator: Client, client: Client) -> None:
    ann = Author(1)
    name, bio = (ann.record("profile", item, {"value": "rude"}) for item in (b"name", b"bio"))
    await client.put(name, bio, level="all")
    removed = decision(name, Action.REMOVE)
    await decide(operator, removed)
    for node in town.nodes:
        async with town.client(node) as reader:
            found = await reader.call("account.get", account=ann.account)
            assert found["profile"] == {"bio": "rude"} and "profile_decisions" not in found
            for who in (OPERATOR, ann):
                await reader.auth(who)
                found = await reader.call("account.get", account=ann.account)
                assert found["profile"] == {"name": "rude", "bio": "rude"}
                assert found["profile_decisions"] == {"name": [removed.to_wire()]}
    await client.put(ann.record("profile", b"name", {"value": "ruder"}), level="all")
    found = await client.call("account.get", account=ann.account)
    assert found["profile"] == {"bio": "rude"}, "another name brings nothing back"
    await decide(operator, decision(name, Action.RESTORE, reverses=[removed]))
    found = await client.call("account.get", account=ann.account)
    assert found["profile"] == {"name": "ruder", "bio": "rude"}


async def algorithms_are_refused_to_others(town: Town, operator: Client, client: Client) -> None:
    ann, ben = Author(3), Author(4)
    mine = algorithm(ann, "mine")
    await client.put(mine, ann.post("one"), level="all")

    async def ranked(who: Client) -> dict[str, Any]:
        named = {"account": ann.account, "name": "mine"}
        page: dict[str, Any] = await who.call("feed.ranked", account=ben.account, algorithm=named)
        return page

    async def is_ready() -> bool:
        try:
            return "decisions" not in (await ranked(client))["algorithm"]
        except WireError as error:
            assert error.kind.name == "busy"
            return False

    await until(is_ready, what="projections to have read the logs", within_s=15.0)
    removed = decision(mine, Action.REMOVE)
    await decide(operator, removed)
    with pytest.raises(WireError, match="hidden by a decision") as refused:
        await ranked(client)
    assert refused.value.kind is NOT_FOUND
    await client.auth(ann)
    for who in (operator, client):
        assert (await ranked(who))["algorithm"]["decisions"] == [removed.to_wire()]


async def labels_are_on_no_page(town: Town, operator: Client, client: Client) -> None:
    ann, ben = Author(5), Author(6)
    post = ann.post("one")
    said = ben.record(
        "label",
        label_item(post.item, "liar", ben.account),
        {"value": "liar", "reason": "He lies.", "subject_id": post.id},
        place=ann.account,
    )
    await client.put(post, said, level="all")

    async def labels() -> list[list[bytes]]:
        [item] = await client.feed(ann.account, "all")
        assert Record.from_wire(item["record"]) == post
        found: list[list[bytes]] = item.get("labels", [])
        return found

    assert await labels() == [said.to_wire()]
    removed = decision(said, Action.REMOVE)
    await decide(operator, removed)
    assert await labels() == []
    await decide(operator, decision(said, Action.RESTORE, reverses=[removed]))
    assert await labels() == [said.to_wire()]


async def what_one_account_has_waiting_is_found(town: Town, operator: Client, client: Client) -> None:
    ann, ben = Author(7), Author(8)
    mine, theirs = ([who.post("rubbish") for _ in range(3)] for who in (ann, ben))
    await client.put(*mine, *theirs, level="all")
    for limit in (2, 64):
        found = [tuple(each["record"]) for each in await queue(operator, limit=limit, author=ann.account)]
        assert sorted(found) == sorted(tuple(each.to_wire()) for each in mine)
    assert await queue(operator, author=Author(9).account) == []
    wish, node = Wish(Action.REJECT, "Spam."), town[0]
    async with connect(node.address, ca=node.config.tls.ca, tls=node.config.tls.mode != "off") as moderator:
        await moderator.auth(OPERATOR.device)
        counted = by_author(await waiting(moderator, 100))
        assert {"author": account_to_text(ann.account), "waiting": 3} in counted
        done = partial(decide_all, moderator, OPERATOR.device, wish=wish, level="all")
        posts = [Named(each.place, Subject(each.kind, each.item)) for each in mine]
        assert (await done(posts[:1], None))["decided"] == 1
        told = await done([*posts[:2], Named(ann.account, Subject("post", bytes(16)))], None)
        assert (told["decided"], told["before"], len(told["failed"])) == (1, 1, 1), "where it was broken off"
        told = await done([], ann.account)
        assert (told["decided"], told["before"], told["failed"], told["more"]) == (1, 0, [], False)
        assert not (await waiting(moderator, 100, ann.account)).items
    assert len((await show(operator, mine[0]))["decisions"]) == 1
    page = await operator.call("moderation.held", limit=1, author=ben.account)
    await expect(operator, BAD_REQUEST, "moderation.held", cursor=page["cursor"])


async def lists_are_not_among_those_that_others_are_told_of(
    town: Town, operator: Client, client: Client
) -> None:
    ann = Author(13)
    rude, kind = (ann.record("list", ann.item(), {"name": name}) for name in ("rude", "kind"))
    await client.put(rude, kind, level="all")
    await decide(operator, decision(rude, Action.REMOVE))
    node = town[0]
    async with connect(node.address, ca=node.config.tls.ca, tls=node.config.tls.mode != "off") as reading:
        for own, names in ((None, ["kind"]), (ann.account, ["rude", "kind"])):
            assert [each.name for each in await lists_of(reading, ann.account, own)] == names


async def what_was_never_shown_is_nobodys_business(town: Town, operator: Client, client: Client) -> None:
    ann = Author(11)
    doubtful = ann.post("rubbish")
    await client.put(doubtful, level="all")
    rejected = decision(doubtful, Action.REJECT)
    await decide(operator, rejected)
    told = await show(client, doubtful)
    assert (told["decisions"], told["settled"], told["shown"], told["visibility"]) == ([], [], None, None)
    await client.auth(ann)
    for who in (client, operator):
        assert (await show(who, doubtful))["decisions"] == [rejected.to_wire()]


async def an_edit_of_what_is_held_back_waits(town: Town, operator: Client, client: Client) -> None:
    ann = Author(12)
    post = ann.post("one")
    await client.put(post, level="all")
    await decide(operator, decision(post, Action.HOLD))
    edit = ann.post("one.", post.item)
    for _ in range(2):
        result = await client.put_one(edit, "all")
        assert (result["status"], result["verdict"]["rule"]) == ("held", "under-review")
        assert result["achieved"]["level"] == "all"
    assert await client.feed(ann.account, "all") == []
    assert [each["record"] for each in await queue(operator, author=ann.account)] == [edit.to_wire()]
    told = await decide(operator, decision(edit, Action.RELEASE))
    assert told["released"]["status"] == "duplicate" or told["released"]["status"] == "stored"
    assert [each["record"] for each in await client.feed(ann.account, "all")] == [edit.to_wire()]


SCENES = (
    lists_are_not_among_those_that_others_are_told_of,
    an_edit_of_what_is_held_back_waits,
    what_was_never_shown_is_nobodys_business,
    what_one_account_has_waiting_is_found,
    profile_fields_are_hidden_from_others,
    algorithms_are_refused_to_others,
    labels_are_on_no_page,
)


async def test_what_is_decided_about_others_than_posts(tmp_path: Path) -> None:
    """One town for all scenes, since what takes time is to found it."""
    async with gated(tmp_path) as town:
        for scene in SCENES:
            async with town.client(town[0]) as operator, town.client(town[1]) as client:
                await operator.auth(OPERATOR)
                await scene(town, operator, client)
