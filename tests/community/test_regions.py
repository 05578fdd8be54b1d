"""Policies with layers for regions on whole nodes: each judges by its own region's, and all by one policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.community.exchange import FETCH, KEEP
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.moderation.elsewhere import REPLAY
from folkmoot.protocol.community import bounds as community_bounds
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, DISK_FULL, PREVIEW_NEEDED, ErrorKind, WireError
from folkmoot.protocol.moderation import bounds
from folkmoot.protocol.moderation.bundle import pack_bundle
from folkmoot.storage import judged, policies, previews

from tests.community.previewing import previewed
from tests.community.test_nodes import (
    MODERATOR,
    activate,
    all_judge_by,
    labels,
    name_of,
    policy,
    put_policy,
    refused,
)
from tests.community.test_reversing import labels_of, reverse
from tests.moderation.documents import HEAD, rule
from tests.moderation.layered import BASE, TOP, bundle, files_of, own
from tests.node.harness import Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.registers.seats import seated
from tests.waiting import until

LAYERED = bundle(eu=own("eu"), us=own("us"))


async def said(town: Town, text: str) -> dict[str, list[str]]:
    """What the gate of a node of each region labels a post with."""
    return {node.config.node.region: await labels(town, node, text) for node in town.nodes}


async def test_each_region_is_judged_by_its_own_layer(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        told = await activate(client, LAYERED, 0)
        assert told["policy"]["hash"] == name_of(LAYERED)
        await all_judge_by(town, LAYERED)
        assert await said(town, "the base") == {"eu": ["base"], "us": ["base"], "ap": ["base"]}
        assert await said(town, "in eu") == {"eu": ["eu"], "us": [], "ap": []}
        assert await said(town, "in us") == {"eu": [], "us": ["us"], "ap": []}
        status = await client.call("policy.status")
        assert (status["acknowledged"], len(status["nodes"])) == (3, 3)
        assert {each["name"]: each["region"] for each in status["nodes"]} == {
            "node-1": "eu",
            "node-2": "us",
            "node-3": "ap",
        }
        async with town.client(town[1]) as other:  # whoever is judged by it may read all of it
            assert (await other.call("policy.get", hash=name_of(LAYERED)))["document"] == LAYERED
            result = await other.put_one(Author(9).post("in us"))
        assert result["verdict"]["policy"] == name_of(LAYERED).hex()
        # One region's layer is changed: that is another policy for all, under the next epoch.
        changed = bundle(eu=own("eu") + rule("stricter", ["eu"], "label", label="more"), us=own("us"))
        assert (await activate(client, changed, 1))["policy"]["epoch"] == 2
        await all_judge_by(town, changed)
        assert (await said(town, "in eu"))["eu"] == ["eu", "more"]
        await client.call("policy.rollback", replaces=2)
        await all_judge_by(town, LAYERED)
        assert await said(town, "in eu") == {"eu": ["eu"], "us": [], "ap": []}


async def test_whoever_lacks_the_layers_has_not_acknowledged_and_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(community_bounds, "DOCUMENT_RETRY_S", 0.05)
    async with founded(tmp_path, nodes=3) as town, town.client(town[0]) as client:
        await seated(town, 3)
        await client.auth(OPERATOR)
        lacking, plain = town[1], policy("first")
        await activate(client, plain, 0)
        await all_judge_by(town, plain)
        community = lacking.parts.community
        call, keep = community._exchange._peers.call, community._exchange._documents.keep

        async def deaf(node_id: bytes, method: str, params: Any, timeout_s: float) -> Any:
            if method == FETCH:
                raise PeerUnreachable("nobody gives it")
            return await call(node_id, method, params, timeout_s)

        async def full(document: bytes) -> bytes:
            if document == LAYERED:
                raise WireError(BAD_REQUEST, "not kept")
            kept: bytes = await keep(document)
            return kept

        with monkeypatch.context() as broken:
            broken.setattr(community._exchange._peers, "call", deaf)
            broken.setattr(community._exchange._documents, "keep", full)
            # Its region could not be asked what the layer does there, either.
            await activate(client, LAYERED, 1, acknowledged={"unseen_region": "it is away"})

            async def only_one_lacks_it() -> bool:
                nodes = (await client.call("policy.status"))["nodes"]
                late = {each["name"]: each["state"] for each in nodes if not each["acknowledged"]}
                return late == {lacking.name: "fetching"}

            await until(only_one_lacks_it, what="all others to judge by it")
            assert await labels(town, lacking, "first") == ["found"]
        await all_judge_by(town, LAYERED)
        assert (await client.call("policy.status"))["acknowledged"] == 3
        await lacking.stop()
        await town.start(lacking)
        await all_judge_by(town, LAYERED)
        assert await labels(town, lacking, "in us") == ["us"]


async def test_a_layer_that_loosens_is_refused_with_its_line(tmp_path: Path) -> None:
    looser = bundle(us=own("us") + rule("base", ["base"], "accept"))
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        error = await refused(BAD_REQUEST, client, "policy.put", document=looser)
        problems = (error.details or {})["problems"]
        assert any(each.startswith("us.toml:21:1: then is 'accept'") for each in problems), problems
        assert all(each.endswith("(in region us)") for each in problems)
        alone = files_of(eu=own("eu"))[TOP]  # a document without those that it names
        error = await refused(BAD_REQUEST, client, "policy.put", document=alone)
        assert "base.toml is not here" in str(error)


@pytest.mark.parametrize(
    "document",
    [
        bundle(us=rule("base", ["base"], "accept")),
        pack_bundle(TOP, {**files_of(), "idle.toml": b""}),
        pack_bundle(TOP, {name: data for name, data in files_of(us="").items() if name != "us.toml"}),
        LAYERED[:-1],
        b"\x80",
    ],
    ids=["looser", "idle", "missing", "cut", "empty"],
)
async def test_no_node_keeps_for_another_what_it_could_not_judge_by(tmp_path: Path, document: bytes) -> None:
    async with founded(tmp_path, nodes=2, replicas=2) as town:
        one, other = town.nodes
        with pytest.raises(WireError) as error:
            await one.parts.links.call(other.parts.node_id, KEEP, {"document": document}, 5.0)
        assert error.value.kind is BAD_REQUEST
        assert other.parts.community._exchange._documents.find(name_of(document)) is None


async def test_a_canary_judges_the_same_accounts_in_all_regions(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        await activate(client, policy("first"), 0)
        shared = own("second")
        await activate(client, bundle(community=shared, eu=own("eu"), us=own("us")), 1, percent=40)
        for node in town.nodes:
            await until(
                lambda node=node: node.parts.community.status()["epoch"] == 2,  # type: ignore[misc]
                what="the canary to be in force",
            )
        people = [Author(number) for number in range(20, 40)]
        outcomes = []
        for node in town.nodes:
            async with town.client(node) as putting:
                results, _ = await putting.put(*(each.post("second") for each in people))
            outcomes.append(["verdict" in each for each in results])
        assert outcomes[0] == outcomes[1] == outcomes[2] and 0 < sum(outcomes[0]) < len(people)


async def test_a_rule_that_refuses_in_one_region_takes_two_persons(tmp_path: Path) -> None:
    strict = bundle(eu=own("eu"), us=own("us", "refuse"))
    async with (
        founded(tmp_path, nodes=3) as town,
        town.client(town[0]) as operator,
        town.client(town[2]) as second,
    ):
        await operator.auth(OPERATOR)
        await operator.call("role.grant", account=MODERATOR.account, role="moderator")
        await activate(operator, LAYERED, 0)
        told = await activate(operator, strict, 1)
        assert told["policy"]["epoch"] == 1 and told["proposal"]["rules"] == ["us"]
        await until(
            lambda: town[2].parts.community.roles.of(MODERATOR.account), what="the role to be known there"
        )
        await second.auth(MODERATOR)
        seen = {"hash": name_of(strict), "percent": 100, "replaces": 1}
        assert (await second.call("policy.confirm", **seen))["policy"]["epoch"] == 2
        await all_judge_by(town, strict)


async def posted(town: Town, node: Node, *texts: str) -> None:
    """Have a node judge some posts, and keep what it knew of them."""
    before = judged.latest(node.parts.commits.store.engine, 1_000)[1]
    async with town.client(node) as client:
        await client.put(*(Author(70 + at).post(text) for at, text in enumerate(texts)), level="all")
    await until(
        lambda: judged.latest(node.parts.commits.store.engine, 1_000)[1] == before + len(texts),
        what="what was known of the posts to be kept",
    )


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SIGNALS_PAUSE_S", 0.01)


async def test_a_preview_judges_each_post_by_the_policy_of_its_region(tmp_path: Path, soon: None) -> None:
    gate = GateSection(signals_kept=100)
    async with founded(tmp_path, nodes=3, gate=gate) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        await activate(client, bundle(), 0)
        for node in town.nodes:
            await posted(town, node, "in eu", "in us", "nowhere")
        name = await put_policy(client, bundle(eu=own("eu"), us=own("us", "hold")))
        report = await previewed(client, name)
        assert (report["region"], report["posts"]) == ("eu", 3)
        gained = {each["rule"]: each["gained"] for each in report["rules"]}
        assert gained == {"base": 0, "eu": 1}
        [elsewhere] = report["regions"]  # in ap nothing changes
        assert (elsewhere["region"], elsewhere["posts"]) == ("us", 3)
        [us] = [each for each in elsewhere["rules"] if each["rule"] == "us"]
        assert (us["gained"], us["action"]) == (1, "hold")
        assert us["samples"]["gained"][0]["text"] == "in us"
        assert not any(each["rule"] == "eu" for each in elsewhere["rules"])
        # What another region replayed for it is no preview that anybody could activate by.
        assert [len(previews.kept(node.parts.commits.store)) for node in town.nodes] == [2, 0, 0]
        assert (await client.call("policy.activate", hash=name, replaces=1, preview=report["preview"]))[
            "policy"
        ]["epoch"] == 2


async def test_what_nobody_could_try_takes_a_reason(
    tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with founded(tmp_path, nodes=2, replicas=2) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        call = town[0].parts.links.call

        async def deaf(node_id: bytes, method: str, params: Any, timeout_s: float) -> Any:
            if method == REPLAY:
                raise PeerUnreachable("no answer")
            return await call(node_id, method, params, timeout_s)

        monkeypatch.setattr(town[0].parts.community._previews._elsewhere._peers, "call", deaf)
        document = bundle(sa=own("sa"), us=own("us"))
        name = await put_policy(client, document)
        report = await previewed(client, name)
        assert report["blocks"] == ["no_such_region", "unseen_region"]
        asked = {"hash": name, "replaces": 0, "preview": report["preview"]}
        await refused(PREVIEW_NEEDED, client, "policy.activate", **asked)
        why = {"no_such_region": "to come", "unseen_region": "it is away"}
        told = await client.call("policy.activate", **asked, acknowledged=why)
        assert told["policy"]["epoch"] == 1


async def test_what_other_regions_find_speaks_against_it(
    tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = GateSection(signals_kept=100)
    async with founded(tmp_path, nodes=2, replicas=2, gate=gate) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        await posted(town, town[1], *["all in us"] * 20)
        name = await put_policy(client, bundle(us=own("us")))
        report = await previewed(client, name)
        assert "matches_everything" in report["blocks"]
        [found] = [each for each in report["found"] if each["name"] == "matches_everything"]
        assert found["what"].startswith("in region us: us applies to 20 of 20")


async def test_a_shadow_is_that_of_the_region_of_its_node(tmp_path: Path, soon: None) -> None:
    async with founded(tmp_path, nodes=2, replicas=2) as town, town.client(town[1]) as client:
        await client.auth(OPERATOR)
        await client.call("policy.shadow", hash=await put_policy(client, LAYERED))
        await client.put(Author(80).post("in us"), Author(81).post("in eu"))

        async def seen() -> bool:
            return bool((await client.call("policy.shadow"))["shadow"]["posts"] == 2)

        await until(seen, what="the shadow to have judged")
        rules = (await client.call("policy.shadow"))["shadow"]["rules"]
        assert {each["rule"]: each["gained"] for each in rules} == {"base": 0, "us": 1}


async def test_what_the_signers_region_says_as_well_is_not_taken_back(tmp_path: Path) -> None:
    """Both nodes' labels stand for what the policy in force says in their own region, and nothing else."""
    ann, ben = Author(50), Author(51)
    kept = bundle(us=own("us"))
    undone = bundle(community=own("more"), us=own("us"))
    async with (
        founded(tmp_path, nodes=2, replicas=2) as town,
        town.client(town[0]) as client,
        town.client(town[1]) as other,
    ):
        await client.auth(OPERATOR)
        await activate(client, kept, 0)
        await activate(client, undone, 1)
        await all_judge_by(town, undone)
        await client.put(ann.post("more"), level="all")
        await other.put(ben.post("in us"), ben.post("more"), level="all")
        await client.call("policy.rollback", replaces=2)
        await all_judge_by(town, kept)
        assert await reverse(client, undone) == {"labels": 2, "same": 1}
        assert await labels_of(client, ann) == [] and await labels_of(client, ben) == ["us"]


async def test_a_region_is_asked_anew_when_its_first_node_is_lost(
    tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    regions = ("eu", "us", "us")
    async with (
        founded(tmp_path, nodes=3, regions=regions, replicas=3) as town,
        town.client(town[0]) as client,
    ):
        await client.auth(OPERATOR)
        first = min(node.parts.node_id for node in town.nodes[1:])
        call, asked = town[0].parts.links.call, []

        async def half_deaf(node_id: bytes, method: str, params: Any, timeout_s: float) -> Any:
            if method == REPLAY:
                asked.append(node_id)
                if node_id == first:
                    raise PeerUnreachable("no answer")
            return await call(node_id, method, params, timeout_s)

        monkeypatch.setattr(town[0].parts.community._previews._elsewhere._peers, "call", half_deaf)
        report = await previewed(client, await put_policy(client, bundle(us=own("us"))))
        assert len(set(asked)) == 2 and [each["region"] for each in report["regions"]] == ["us"]


async def test_a_plain_document_is_tried_here_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with founded(tmp_path, nodes=2, replicas=2) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        alone = (HEAD + BASE).encode()
        report = await previewed(client, await put_policy(client, alone))
        assert report["regions"] == []
        told = await client.call(
            "policy.activate", hash=name_of(alone), replaces=0, preview=report["preview"]
        )
        assert told["policy"]["hash"] == name_of(alone)


async def test_what_another_node_has_a_node_do_has_bounds(
    tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "DOCUMENTS_KEPT", 2)
    monkeypatch.setattr(bounds, "PREVIEW_WAIT_S", 0.0)
    async with founded(tmp_path, nodes=2, replicas=2) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        mine = [await put_policy(client, policy(word)) for word in ("one", "other")]
        node_id, peers = town[0].parts.node_id, town[1].parts.links

        async def refuses(kind: ErrorKind, method: str, **params: Any) -> WireError:
            with pytest.raises(WireError) as error:
                await peers.call(node_id, method, params, 5.0)
            assert error.value.kind is kind, error.value
            return error.value

        for number in range(community_bounds.ALLOWED_AT_ONCE - 1):
            await refuses(DISK_FULL, KEEP, document=policy(f"n{number}"))
        for name in mine:
            assert name_of((await client.call("policy.get", hash=name))["document"]) == name
        asked, polls = {"document": mine[0], "posts": 10}, 1
        while "report" not in (await peers.call(node_id, REPLAY, asked, 5.0)):
            polls += 1  # asked again and again, which counts once
        assert polls > 1
        for busy in (
            await refuses(BUSY, KEEP, document=policy("more")),
            await refuses(BUSY, REPLAY, document=mine[0], posts=11),
        ):
            assert busy.retry_after_ms
