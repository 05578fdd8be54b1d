"""Roles and policies on whole nodes: known everywhere, judged by everywhere, kept over restarts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.community import documents
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.protocol.community import bounds
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    TOO_LARGE,
    ErrorKind,
    WireError,
)
from folkmoot.protocol.moderation.policy import PolicyError
from folkmoot.storage.transaction import Admission

from tests.community.previewing import previewed
from tests.moderation.documents import HEAD, condition, model, rule, word_list
from tests.node.harness import Client, Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.registers.seats import seated
from tests.waiting import until

WRITER, MODERATOR, EXPERT = Author(1), Author(2), Author(3)


def policy(word: str, then: str = "label") -> bytes:
    """A document that does something about posts with a word."""
    label = "found" if then == "label" else None
    return (HEAD + word_list("words", [word]) + rule("found", ["words"], then, label=label)).encode()


def name_of(document: bytes) -> bytes:
    return hashlib.sha256(document).digest()


async def put_policy(client: Client, document: bytes) -> bytes:
    name: bytes = (await client.call("policy.put", document=document))["hash"]
    return name


async def activate(client: Client, document: bytes, replaces: int, **more: Any) -> dict[str, Any]:
    name = await put_policy(client, document)
    preview = (await previewed(client, name))["preview"]
    told: dict[str, Any] = await client.call(
        "policy.activate", hash=name, replaces=replaces, preview=preview, **more
    )
    return told


async def refused(kind: ErrorKind, client: Client, method: str, **params: Any) -> WireError:
    with pytest.raises(WireError) as error:
        await client.call(method, **params)
    assert error.value.kind is kind, error.value
    return error.value


def judges(node: Node) -> bytes:
    return bytes.fromhex(node.parts.gatekeeper.judging)


async def all_judge_by(town: Town, document: bytes) -> None:
    await until(
        lambda: all(judges(node) == name_of(document) for node in town.running()),
        what="all nodes to judge by the document",
    )


async def labels(town: Town, node: Node, text: str) -> list[str]:
    """What the node's gate labels a post with."""
    async with town.client(node) as client:
        result = await client.put_one(WRITER.post(text))
    return [each["value"] for each in result.get("verdict", {}).get("labels", ())]


async def test_a_policy_is_in_force_everywhere_and_goes_back(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(policy("own"))
    own = GateSection(policy=file)
    async with founded(tmp_path / "town", nodes=3, gate=own) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        assert await labels(town, town[1], "own") == ["found"]
        told = await activate(client, policy("first"), 0, reason="to begin with")
        assert told["policy"]["epoch"] == 1 and told["proposal"] is None
        await all_judge_by(town, policy("first"))
        for node in town.nodes:
            assert await labels(town, node, "first") == ["found"]
            assert await labels(town, node, "own") == []
        status = await client.call("policy.status")
        assert (status["acknowledged"], len(status["nodes"]), status["current"]) == (3, 3, True)
        await refused(CONFLICT, client, "policy.activate", hash=name_of(policy("first")), replaces=0)
        back = await client.call("policy.rollback", replaces=1)
        assert back["policy"] == {
            "epoch": 2,
            "hash": None,
            "percent": 100,
            "previous": None,
        }
        await all_judge_by(town, policy("own"))
        log = (await client.call("community.get", current=True))["log"]
        assert [each["what"] for each in log] == ["rolled back", "activated"]
        assert log[1]["by"] == OPERATOR.account and log[1]["reason"] == "to begin with"


async def test_roles_are_asked_of_the_register_and_known_everywhere(tmp_path: Path) -> None:
    async with (
        founded(tmp_path, nodes=3) as town,
        town.client(town[0]) as operator,
        town.client(town[1]) as other,
    ):
        await operator.auth(OPERATOR)
        assert (await other.auth(MODERATOR))["roles"] == []
        await refused(FORBIDDEN, other, "role.grant", account=EXPERT.account, role="expert")
        request = bytes(16)
        for _ in range(2):
            told = await operator.call(
                "role.grant", account=MODERATOR.account, role="moderator", request=request
            )
        assert told["roles"] == ["moderator"]
        await operator.call("role.grant", account=MODERATOR.account, role="expert")

        async def known() -> bool:
            return bool((await other.auth(MODERATOR))["roles"] == ["expert", "moderator"])

        await until(known, what="the other node to know of the roles")
        await other.call("role.grant", account=EXPERT.account, role="expert")
        await refused(FORBIDDEN, other, "role.grant", account=EXPERT.account, role="operator")
        await refused(FORBIDDEN, other, "policy.put", document=policy("x"))
        await refused(BAD_REQUEST, operator, "role.grant", account=bytes(34), role="expert")
        holders = (await other.call("community.get"))["holders"]
        assert {each["account"]: each["roles"] for each in holders} == {
            MODERATOR.account: ["moderator", "expert"],
            EXPERT.account: ["expert"],
        }
        await operator.call("role.revoke", account=MODERATOR.account, role="moderator")
        # The live session of whoever lost a role loses it too, at whatever node.
        await until(
            lambda: not town[1].parts.community.roles.of(MODERATOR.account) & {"moderator"},
            what="the other node to know that the role is gone",
        )
        await refused(FORBIDDEN, other, "role.grant", account=WRITER.account, role="expert")


async def test_a_rule_that_refuses_takes_two_persons(tmp_path: Path) -> None:
    async with (
        founded(tmp_path, nodes=1) as town,
        town.client(town[0]) as operator,
        town.client(town[0]) as second,
    ):
        await operator.auth(OPERATOR)
        await operator.call("role.grant", account=MODERATOR.account, role="moderator")
        await second.auth(MODERATOR)
        strict = policy("spam", "refuse")
        told = await activate(operator, strict, 0)
        assert told["policy"]["epoch"] == 0 and told["proposal"]["rules"] == ["found"]
        seen = {"hash": name_of(strict), "percent": 100, "replaces": 0}
        await refused(FORBIDDEN, operator, "policy.confirm", **seen)
        await refused(CONFLICT, second, "policy.confirm", **{**seen, "percent": 10})
        assert (await second.call("policy.get", hash=name_of(strict)))["document"] == strict
        assert (await second.call("policy.confirm", **seen))["policy"]["epoch"] == 1
        await all_judge_by(town, strict)
        # What was refused before is refused still: one person is enough to add what only labels.
        more = word_list("more", ["mild"]) + rule("more", ["more"], "label", label="mild")
        mild = strict + more.encode()
        assert (await activate(operator, mild, 1))["policy"]["epoch"] == 2


async def test_who_judges_without_its_models_says_so(tmp_path: Path) -> None:
    asks = HEAD + model("m", labels=["toxic"]) + condition("r", "scores.toxic > 0.5")
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        await activate(client, asks.encode(), 0)
        await all_judge_by(town, asks.encode())
        [node] = (await client.call("policy.status"))["nodes"]
        assert node["acknowledged"] and "model m" in node["why"]


async def test_a_canary_judges_some_accounts_the_same_everywhere(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=2, replicas=2) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        await activate(client, policy("first"), 0)
        await activate(client, policy("second"), 1, percent=40)
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
        assert outcomes[0] == outcomes[1] and 0 < sum(outcomes[0]) < len(people)
        assert (await client.call("policy.status"))["acknowledged"] == 2


async def test_a_node_that_cannot_have_the_document_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "DOCUMENT_RETRY_S", 0.05)
    async with founded(tmp_path, nodes=3) as town, town.client(town[0]) as client:
        await seated(town, 3)
        await client.auth(OPERATOR)
        await activate(client, policy("first"), 0)
        await all_judge_by(town, policy("first"))
        lacking = town[2]
        exchange = lacking.parts.community._exchange

        async def lost(name: bytes) -> bytes:
            raise WireError(NOT_FOUND, "nobody has it")

        with monkeypatch.context() as broken:
            broken.setattr(exchange, "find", lost)
            await activate(client, policy("second"), 1)
            await until(lambda: judges(town[1]) == name_of(policy("second")), what="the others to go on")
            status = await client.call("policy.status")
            assert status["acknowledged"] == 2
            [late] = [each for each in status["nodes"] if not each["acknowledged"]]
            assert (late["name"], late["state"], late["epoch"]) == (lacking.name, "fetching", 1)
            assert "nobody has it" in late["why"]
            assert judges(lacking) == name_of(policy("first"))
            assert await labels(town, lacking, "first") == ["found"]
        await all_judge_by(town, policy("second"))


async def test_whoever_was_away_learns_of_it_and_after_a_restart_nobody_has_to(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3) as town:
        await seated(town, 3)
        one, other, away = town.nodes
        await away.stop()
        async with town.client(one) as client:
            await client.auth(OPERATOR)
            await client.call("role.grant", account=EXPERT.account, role="expert")
            await activate(client, policy("first"), 0)
            await all_judge_by(town, policy("first"))
            status = await client.call("policy.status")
        assert status["acknowledged"] == 2
        assert {each["name"]: each["state"] for each in status["nodes"]}[away.name] == "unreachable"
        await town.start(away)
        await all_judge_by(town, policy("first"))
        for node in town.nodes:
            await node.stop()
        await town.nursery.start(other.run)  # alone: there is nobody to ask
        assert judges(other) == name_of(policy("first"))
        async with town.client(other) as client:
            assert (await client.auth(EXPERT))["roles"] == ["expert"]


async def test_what_is_no_policy_is_refused_before_anybody_judges_by_it(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        error = await refused(BAD_REQUEST, client, "policy.put", document=policy("x", "destroy"))
        assert any("destroy" in each for each in (error.details or {})["problems"])
        await refused(BAD_REQUEST, client, "policy.put", document=b"\xff")
        await refused(TOO_LARGE, client, "policy.put", document=b"#" * (bounds.DOCUMENT_BYTES + 1))
        await refused(NOT_FOUND, client, "policy.activate", hash=bytes(32), replaces=0)
        await refused(CONFLICT, client, "policy.rollback", replaces=0)


async def test_what_is_too_slow_is_refused_to_whoever_proposes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_document: object, _spent_s: object, _region: str) -> None:
        raise PolicyError(["judging takes too long"])

    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        await activate(client, policy("first"), 0)
        known = await put_policy(client, policy("known"))
        preview = (await previewed(client, known))["preview"]
        monkeypatch.setattr(documents, "tried", refuse)
        error = await refused(BAD_REQUEST, client, "policy.put", document=policy("slow"))
        assert (error.details or {})["problems"] == ["judging takes too long"]
        slow = await town[0].commits.run(
            lambda job: job.policies.put(policy("slow"), frozenset()), Admission.ESSENTIAL
        )
        await refused(BAD_REQUEST, client, "policy.activate", hash=slow, replaces=1)
        await client.call("policy.activate", hash=known, replaces=1, preview=preview)  # tried when it was put
        await client.call("policy.rollback", replaces=2)  # what was in force before is not asked again
        await all_judge_by(town, policy("first"))
