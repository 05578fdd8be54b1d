"""The gate from where a client stands: labels, reviews, refusals, quotas, and rules that change under way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.protocol.errors import FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.key import KIND_AT, KIND_BYTE
from folkmoot.protocol.limits import PAGE_LABELS_PER_POST
from folkmoot.protocol.moderation.label import Label, parse_label
from folkmoot.protocol.record import Record

from tests.node.harness import Client, Town, founded
from tests.node.people import OPERATOR, Author
from tests.waiting import until

POLICY = """
version = 1
name = "{name}"
unicode = "14.0.0"
appeal = "Ask the town clerk."

[[lists]]
id = "adverts"
category = "spam"
severity = 2
words = ["buy now"]

[[lists]]
id = "doubtful"
category = "abuse"
severity = 3
words = ["{doubtful}"]

[[patterns]]
id = "secrets"
category = "fraud"
severity = 5
regex = 'my password is \\S+'

[[rules]]
id = "no-adverts"
when = ["adverts"]
then = "label"
label = "advert"
reason = "Sells something."
notice = {{de = "Verkauft etwas."}}

[[rules]]
id = "look-twice"
when = ["doubtful"]
then = "hold"
label = "doubtful"
reason = "Somebody should look at this."

[[rules]]
id = "no-secrets"
when = ["secrets"]
then = "refuse"
reason = "Gives away a secret."
"""


@asynccontextmanager
async def gated(tmp_path: Path, **rates: Any) -> AsyncIterator[Town]:
    """A town whose nodes share a policy file."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.format(name="first", doubtful="rubbish"))
    async with founded(tmp_path / "nodes", gate=GateSection(policy=policy, **rates)) as town:
        yield town


def told(record: Record) -> list[Any]:
    return [record.place, record.kind, record.item]


async def test_labels_are_records_signed_by_the_service_account(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        record = Author(1).post("Offer! Buy now!")
        result = await client.put_one(record, "all")
        assert result["status"] == "stored"
        verdict = result["verdict"]
        assert (verdict["action"], verdict["rule"], verdict["reason"]) == (
            *("label", "no-adverts"),
            "Sells something.",
        )
        assert (verdict["field"], verdict["span"]) == ("text", [7, 14])
        assert [label["value"] for label in verdict["labels"]] == ["advert"]

        [item] = await client.feed(record.author, "all")
        assert item["record"] == record.to_wire()
        [frame] = item["labels"]
        label_record = Record.from_wire(frame)
        label_record.verify()
        assert label_record.author == town[0].environment.secrets.service().account
        label = parse_label(label_record.item, label_record.body)
        assert (label.value, label.rule, label.span) == ("advert", "no-adverts", (7, 14))
        assert (label.subject_id, label.policy) == (record.id, verdict["policy"])

        for node in town.nodes:
            async with town.client(node) as reader:
                cell = await reader.get(record, "all")
                assert cell is not None and cell["labels"] == [frame]


async def test_a_record_brought_again_brings_the_same_label_and_an_edit_a_newer_one(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        author = Author(1)
        first = author.post("Offer! Buy now!")
        await client.put(first, level="all")
        before = town[0].cells()
        assert len(before) == 2
        for _ in range(3):
            assert (await client.put_one(first, "all"))["status"] == "duplicate"
        assert town[0].cells() == before

        edit = author.post("Buy now, cheaper!", first.item)
        await client.put(edit, level="all")
        for record in (edit, first):
            await client.put(record, level="all")
            cell = await client.get(edit, "all")
            assert cell is not None
            [frame] = cell["labels"]
            label = Record.from_wire(frame)
            assert (label.body["subject_id"], label.stamp) == (edit.id, edit.stamp)


async def test_a_crowd_does_not_hide_the_labels_of_the_gate(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        advert = Author(1).post("Offer! Buy now!")
        await client.put(advert, level="all")
        crowd = [
            say(Author(number), advert, value) for number in range(100, 130) for value in ("!", "\U0010ffff")
        ]
        results, _ = await client.put(*crowd, level="all")
        assert {result["status"] for result in results} == {"stored"}
        ours = town[0].environment.secrets.service().account
        for node in town.nodes:
            async with town.client(node) as reader:
                [item] = await reader.feed(advert.author)
                cell = await reader.get(advert)
                assert cell is not None
                for labels in (item["labels"], cell["labels"]):
                    assert len(labels) == PAGE_LABELS_PER_POST
                    assert Record.from_wire(labels[0]).author == ours


def say(who: Author, post: Record, value: str, reason: str = "So.", **more: Any) -> Record:
    """A label by a client."""
    label = Label(post.item, value, who.account, post.id, reason)
    return who.record("label", label.item, label.body() | more, place=post.author)


async def test_labels_by_clients_are_read_and_judged(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        post, who = Author(1).post(), Author(2)
        item = Label(post.item, "rude", who.account, post.id, "").item
        with pytest.raises(WireError, match="subject_id"):
            who.record("label", item, {"value": "rude"}, place=post.author)
        results, _ = await client.put(
            say(who, post, "rude"),
            say(who, post, "leak", "my password is hunter2"),
            say(who, post, "rubbish"),
        )
        assert [result["status"] for result in results] == ["stored", "refused", "held"]
        assert results[1]["error"]["details"]["field"] == "reason"
        assert results[2]["verdict"]["field"] == "value"


async def test_an_innocent_record_has_no_verdict(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        result = await client.put_one(Author(1).post("A walk in the park."))
        assert result["status"] == "stored" and "verdict" not in result


async def test_a_held_record_waits_where_only_its_author_sees_it(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        author, stranger = Author(1), Author(2)
        record = author.post("What rubbish is this")
        result = await client.put_one(record, "all")
        assert (result["status"], result["verdict"]["rule"]) == ("held", "look-twice")
        assert result["verdict"]["span"] == [5, 12]
        assert [label["value"] for label in result["verdict"]["labels"]] == ["doubtful"]
        assert [key[KIND_AT] for key in town[0].cells()] == [KIND_BYTE["held"]] * 2, (
            "not even its label is public, nor why it waits"
        )
        assert await client.feed(author.account, "all") == []
        assert await client.get(record, "all") is None
        assert (await client.put_one(record, "all"))["status"] == "held", "sent again, it still waits"

        held = [author.account, "held", bytes([KIND_BYTE["post"]]) + record.item]
        await expect(client, UNAUTHENTICATED, "record.get", keys=[held])
        await client.auth(stranger)
        await expect(client, FORBIDDEN, "record.get", keys=[held])
        async with town.client(town[1]) as another:
            await another.auth(author)
            [cell] = (await another.call("record.get", keys=[held], level="all"))["cells"]
            assert cell["records"] == [record.to_wire()]
            deletion = author.deletion(record)
            assert (await another.put_one(deletion, "all"))["status"] == "stored"
            [cell] = (await another.call("record.get", keys=[held], level="all"))["cells"]
            assert cell["records"] == [deletion.to_wire()], "what waited is erased too"


async def expect(client: Client, kind: Any, method: str, **params: Any) -> WireError:
    """The error with which a request must be answered."""
    with pytest.raises(WireError) as refused:
        await client.call(method, **params)
    assert refused.value.kind is kind
    return refused.value


async def test_a_refusal_says_why_and_whom_to_ask(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        bad, good = Author(1).post("my password is hunter2"), Author(1).post("fine")
        results, _ = await client.put(bad, good)
        assert [result["status"] for result in results] == ["refused", "stored"]
        error = results[0]["error"]
        assert (error["code"], error["name"], error["retryable"]) == (204, "refused_by_policy", False)
        details = error["details"]
        assert (details["rule"], details["reason"]) == ("no-secrets", "Gives away a secret.")
        assert (details["span"], details["appeal"]) == ([0, 22], "Ask the town clerk.")
        assert len(details["policy"]) == 64
        assert await client.get(bad, "all") is None


async def test_deletions_pass_every_policy(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        author = Author(1)
        record = author.post("Buy now")
        await client.put(record, level="all")
        assert (await client.put_one(author.deletion(record), "all"))["status"] == "stored"
        assert await client.feed(author.account, "all") == []


async def test_the_policy_is_reloaded_when_its_file_changes(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as client:
        assert (await client.put_one(Author(1).post("sheer nonsense")))["status"] == "stored"
        policy = tmp_path / "policy.toml"
        policy.write_text(POLICY.format(name="second", doubtful="nonsense"))

        async def in_force(name: str) -> bool:
            gate = (await client.call("cluster.status"))["node"]["gate"]
            return bool(gate["name"] == name and not gate["outdated"])

        await until(lambda: in_force("second"), what="the second policy")
        assert (await client.put_one(Author(1).post("sheer nonsense")))["status"] == "held"

        policy.write_text("version = ")

        async def outdated() -> bool:
            return bool((await client.call("cluster.status"))["node"]["gate"]["outdated"])

        await until(outdated, what="the broken policy to be reported")
        assert (await client.put_one(Author(1).post("sheer nonsense")))["status"] == "held", (
            "the old one stays"
        )


async def test_only_operators_are_told_of_the_policy_file(tmp_path: Path) -> None:
    """Where it is, and what a draft of it says that is not in force, is nobody else's business."""
    async with gated(tmp_path) as town, town.client(town[0]) as client, town.client(town[0]) as operator:
        policy = tmp_path / "policy.toml"
        policy.write_text("version = ")
        await operator.auth(OPERATOR)

        async def told_of(asker: Client) -> dict[str, Any]:
            gate: dict[str, Any] = (await asker.call("cluster.status"))["node"]["gate"]
            return gate

        async def complained() -> list[str]:
            errors: list[str] = (await told_of(operator))["errors"]
            return errors

        [error] = await until(complained, what="the broken policy to be reported")
        assert f"{policy}:1" in error
        assert (await told_of(operator))["file"] == str(policy)
        for someone in (None, Author(1)):
            if someone is not None:
                await client.auth(someone)
            status = await client.call("cluster.status")
            assert not {"file", "errors"} & set(status["node"]["gate"])
            assert status["node"]["gate"]["outdated"] is True
            assert str(tmp_path) not in repr(status)


async def test_quotas_say_when_to_come_back_and_operators_have_none(tmp_path: Path) -> None:
    async with gated(tmp_path, account_rate=60.0, account_burst=5) as town:
        async with town.client(town[0]) as client:
            author = Author(1)
            results, _ = await client.put(*(author.post(str(number)) for number in range(8)))
            assert [result["status"] for result in results] == [*["stored"] * 5, *["refused"] * 3]
            error = results[-1]["error"]
            assert (error["name"], error["retryable"]) == ("rate_limited", True)
            assert 0 < error["retry_after_ms"] <= 1000
            assert (await client.put_one(Author(2).post()))["status"] == "stored", "another has their own"

            async def let_in() -> bool:
                return bool((await client.put_one(author.post("later")))["status"] == "stored")

            await until(let_in, what="the bucket to fill again", within_s=5)
        async with town.client(town[0]) as client:
            assert (await client.auth(OPERATOR))["roles"] == ["operator"]
            results, _ = await client.put(*(author.post(str(number)) for number in range(50)))
            assert {result["status"] for result in results} == {"stored"}


async def test_bringing_somebodys_post_again_costs_them_nothing(tmp_path: Path) -> None:
    async with gated(tmp_path, account_rate=1.0, account_burst=5) as town:
        author = Author(1)
        first = author.post()
        async with town.client(town[0]) as client:
            assert (await client.put_one(first, "all"))["status"] == "stored"
        await town[2].stop()
        async with town.client(town[0]) as stranger, town.client(town[1]) as another:
            for _ in range(4):
                results, _ = await stranger.put(*[first] * 4)
                assert {result["status"] for result in results} == {"duplicate"}
            for client in (stranger, another):
                assert (await client.put_one(first, "all"))["status"] == "uncertain", "one of three is gone"
            results, _ = await stranger.put(*(author.post(str(number)) for number in range(5)), level="all")
        assert [result["status"] for result in results] == [*["uncertain"] * 4, "refused"]
        assert results[-1]["error"]["name"] == "rate_limited"


async def test_an_address_has_a_quota_of_its_own(tmp_path: Path) -> None:
    rates = {"address_rate": 60.0, "address_burst": 10}
    async with gated(tmp_path, **rates) as town, town.client(town[0]) as client:
        results, _ = await client.put(*(Author(number).post() for number in range(1, 21)))
        assert [result["status"] for result in results] == [*["stored"] * 10, *["refused"] * 10]
        assert results[-1]["error"]["name"] == "rate_limited"


async def test_a_reload_changes_rates_and_operators(tmp_path: Path) -> None:
    async with gated(tmp_path, account_rate=60.0, account_burst=1) as town:
        node, author = town[0], Author(1)
        config = msgspec.structs.replace(
            node.config,
            gate=GateSection(account_burst=1000),
            operators=msgspec.structs.replace(node.config.operators, accounts=(author.account,)),
        )
        async with town.client(node) as client:
            results, _ = await client.put(author.post(), author.post("my password is x"))
            assert [result["status"] for result in results] == ["stored", "refused"]
            await node.running.reload(config)
            await until(
                lambda: node.parts.gatekeeper.status().name != "first", what="the policy to be put down"
            )
            results, _ = await client.put(author.post(), author.post("my password is x"))
            assert [result["status"] for result in results] == ["stored", "stored"]
            assert (await client.auth(author))["roles"] == ["operator"]
            assert (await client.auth(OPERATOR))["roles"] == []


FAULT_METHODS: dict[str, dict[str, Any]] = {
    "fault.set": {"links": [{"to": "0" * 32, "cut": True}]},
    "fault.clear": {},
    "fault.list": {},
}


@pytest.mark.parametrize("method", FAULT_METHODS)
async def test_faults_are_for_operators(tmp_path: Path, method: str) -> None:
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        params = FAULT_METHODS[method]
        await expect(client, UNAUTHENTICATED, method, **params)
        await client.auth(Author(1))
        await expect(client, FORBIDDEN, method, **params)
        assert town[0].environment.faults.describe() == {}
        await client.auth(OPERATOR)
        links = (await client.call(method, **params))["links"]
        assert set(links) == ({"0" * 32} if method == "fault.set" else set())
