"""Previews on whole nodes: of posts that were judged, kept over restarts, and asked for by activations."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.node.configuration.settings import GateSection
from folkmoot.protocol.errors import FORBIDDEN, PREVIEW_NEEDED
from folkmoot.protocol.moderation import bounds
from folkmoot.storage import judged

from tests.community.previewing import previewed
from tests.community.test_nodes import (
    EXPERT,
    activate,
    all_judge_by,
    name_of,
    policy,
    put_policy,
    refused,
)
from tests.moderation.documents import HEAD, condition
from tests.node.harness import founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.waiting import until

WRITERS = [Author(number) for number in range(40, 44)]


async def known(node: Node, posts: int) -> None:
    """Wait until a node keeps what it knew of so many posts."""
    await until(
        lambda: judged.latest(node.parts.commits.store.engine, 1_000)[1] == posts,
        what=f"what was known of {posts} posts to be kept",
    )


async def test_posts_are_replayed_and_their_preview_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "SIGNALS_PAUSE_S", 0.01)
    gate = GateSection(signals_kept=100)
    async with (
        founded(tmp_path, nodes=2, replicas=2, gate=gate) as town,
        town.client(town[0]) as client,
        town.client(town[1]) as other,
    ):
        one, second = town.nodes
        await client.auth(OPERATOR)
        await other.auth(OPERATOR)
        posts = [each.post(f"{text} here") for each in WRITERS for text in ("fine", "spam")]
        await client.put(*posts)
        await client.put(*posts)  # once more, which changes nothing and is not kept
        await known(one, len(posts))
        name = await put_policy(client, policy("spam", "hold"))
        report = await previewed(client, name)
        assert report["posts"] == 8 and report["found"] == []
        [rule] = report["rules"]
        assert (rule["gained"], rule["after"], rule["action"]) == (4, 4, "hold")
        assert {each["text"] for each in rule["samples"]["gained"]} == {"spam here"}
        assert report["queue"]["after"] == 4
        asked = {"hash": name, "replaces": 0}
        error = await refused(PREVIEW_NEEDED, client, "policy.activate", **asked)
        assert (error.details or {})["why"] == "missing"
        await refused(PREVIEW_NEEDED, client, "policy.activate", **asked, preview=bytes(32))
        # Another node asks those that may have made it.
        told = await other.call("policy.activate", **asked, preview=report["preview"])
        assert told["policy"]["epoch"] == 1
        await all_judge_by(town, policy("spam", "hold"))
        [line] = (await client.call("community.get", current=True))["log"]
        assert line["preview"] == report["preview"]
        # What was tried against the policy before says nothing beside this one.
        late = policy("late")
        early = await previewed(client, await put_policy(client, late))
        await activate(client, policy("between"), 1)
        asked = {"hash": name_of(late), "replaces": 2, "preview": early["preview"]}
        error = await refused(PREVIEW_NEEDED, client, "policy.activate", **asked)
        assert (error.details or {})["why"] == "older"
        # A deleted post is not replayed, and nothing is known of it.
        await client.put(WRITERS[0].deletion(posts[1]))
        await known(one, len(posts) - 1)
        again = await previewed(client, name_of(late))
        assert again["posts"] == len(posts) - 1
        assert second.parts.gatekeeper.judging == name_of(policy("between")).hex()


async def test_what_speaks_against_a_policy_is_acknowledged_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "SIGNALS_PAUSE_S", 0.01)
    async with founded(tmp_path, nodes=1) as town:
        [node] = town.nodes
        async with town.client(node) as client:
            await client.auth(OPERATOR)
            await client.call("role.grant", account=EXPERT.account, role="expert")
            await client.put(*(WRITERS[0].post(f"number {number}") for number in range(24)))
            await known(node, 24)
            everything = (HEAD + condition("all", "post.length > 0.0")).encode()
            name = await put_policy(client, everything)
            report = await previewed(client, name)
            assert report["blocks"] == ["matches_everything"]
        await town.restart(node)  # which forgets neither what it knew of posts, nor the preview
        async with town.client(node) as client, town.client(node) as expert:
            await client.auth(OPERATOR)
            await expert.auth(EXPERT)
            await refused(FORBIDDEN, expert, "policy.preview", hash=name)
            asked = {"hash": name, "replaces": 0, "preview": report["preview"], "reason": "a flood"}
            error = await refused(PREVIEW_NEEDED, client, "policy.activate", **asked)
            assert (error.details or {})["found"][0]["rule"] == "all"
            acknowledged = {"matches_everything": "we close for a day"}
            told = await client.call("policy.activate", **asked, acknowledged=acknowledged)
            assert told["policy"]["epoch"] == 1
            [line, *_] = (await client.call("community.get", current=True))["log"]
            assert line["reason"] == "a flood [matches_everything: we close for a day]"
            assert (await previewed(client, name))["posts"] == 24
