"""What is decided about other things than posts, and what becomes of what it is about, at whole nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.protocol.errors import NOT_FOUND, WireError
from folkmoot.protocol.moderation.decision import Action
from folkmoot.protocol.moderation.label import label_item
from folkmoot.protocol.record import Record

from tests.node.harness import Client, Town
from tests.node.people import OPERATOR, Author
from tests.node.test_gate import gated
from tests.node.test_moderation import decide, decision
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


SCENES = (profile_fields_are_hidden_from_others, algorithms_are_refused_to_others, labels_are_on_no_page)


async def test_what_is_decided_about_others_than_posts(tmp_path: Path) -> None:
    """One town for all scenes, since what takes time is to found it."""
    async with gated(tmp_path) as town:
        for scene in SCENES:
            async with town.client(town[0]) as operator, town.client(town[1]) as client:
                await operator.auth(OPERATOR)
                await scene(town, operator, client)
