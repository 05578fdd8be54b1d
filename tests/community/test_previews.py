"""Previews on whole nodes: of posts that were judged, kept over restarts, and asked for by activations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.protocol.errors import BAD_REQUEST, FORBIDDEN, PREVIEW_NEEDED
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
from tests.node.harness import Client, founded
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
        one = town[0]
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


async def test_a_policy_judges_without_effect_and_goes_on_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "SHADOW_KEPT_S", 0.01)
    async with founded(tmp_path, nodes=1) as town:
        [node] = town.nodes
        async with town.client(node) as client, town.client(node) as expert:
            await client.auth(OPERATOR)
            await client.call("role.grant", account=EXPERT.account, role="moderator")
            await expert.auth(EXPERT)
            assert await shadow_of(client) is None
            name = await put_policy(client, policy("spam", "refuse"))
            await refused(FORBIDDEN, expert, "policy.shadow", hash=name)
            await refused(BAD_REQUEST, client, "policy.shadow", hash=name, off=True)
            told = (await client.call("policy.shadow", hash=name))["shadow"]
            assert (told["hash"], told["posts"], told["left_out"]) == (name, 0, 0)
            results, _ = await client.put(WRITERS[0].post("spam"), WRITERS[1].post("fine"))
            assert [each["status"] for each in results] == ["stored", "stored"], "it has no effect"
            await judged_so_many(client, 2)
            told = await shadow_of(expert)
            assert told is not None
            [rule] = told["rules"]
            assert (rule["gained"], rule["samples"]["gained"][0]["text"]) == (1, "spam")
            await until(
                lambda: b"found" in (node.parts.commits.store.meta_get("shadow") or b""), what="the disk"
            )
        await town.restart(node)
        async with town.client(node) as client:
            await client.auth(OPERATOR)
            again = await shadow_of(client)
            assert again is not None and (again["posts"], again["since_ms"]) == (2, told["since_ms"])
            await client.put(WRITERS[2].post("spam"))
            await judged_so_many(client, 3)
            # Beside another policy it counts anew.
            await activate(client, policy("other"), 0)
            await all_judge_by(town, policy("other"))
            await client.put(WRITERS[3].post("spam"))
            await judged_so_many(client, 1)
            assert (await client.call("policy.shadow", off=True)) == {"shadow": None}
        await town.restart(node)
        async with town.client(node) as client:
            await client.auth(OPERATOR)
            assert await shadow_of(client) is None


async def shadow_of(client: Client) -> dict[str, Any] | None:
    """What the policy that judges without effect at a node saw so far."""
    told: dict[str, Any] | None = (await client.call("policy.shadow"))["shadow"]
    return told


async def judged_so_many(client: Client, posts: int) -> None:
    """Wait until it has judged so many posts."""

    async def has() -> bool:
        told = await shadow_of(client)
        return told is not None and told["posts"] == posts

    await until(has, what=f"{posts} posts to be judged without effect")
