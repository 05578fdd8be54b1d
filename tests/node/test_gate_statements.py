"""What gates do by themselves is stated like what people decide: labels, what is held, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from folkmoot.protocol.errors import UNAUTHENTICATED
from folkmoot.protocol.moderation.decision import parse_decision
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record

from tests.node.harness import Client, Town
from tests.node.people import OPERATOR
from tests.node.test_gate import expect, gated
from tests.node.test_moderation import show, somebody
from tests.waiting import until


async def stated(operator: Client, since: int, of: str) -> list[Any]:
    """All pages of one sort of statements."""
    items: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await operator.call("moderation.statements", since=since, of=of, level="all", **cursor)
        assert page["missing"] == []
        items += page["refusals" if of == "refusals" else "items"]
        if page["cursor"] is None:
            return items
        cursor = {"cursor": page["cursor"]}


async def test_what_gates_did_by_themselves_is_told(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as operator, town.client(town[1]) as client:
        await operator.auth(OPERATOR)
        await what_was_done_is_told(town, operator, client)


async def what_was_done_is_told(town: Town, operator: Client, client: Client) -> None:
    ann = somebody()
    sold, doubtful = ann.post("Buy now"), ann.post("rubbish")
    secret = ann.record("post", ann.item(), {"text": "my password is 1234", "lang": "pt-BR"})
    since = sold.stamp
    refused = []
    for node in town.nodes[:2]:
        async with town.client(node) as at:
            results, _ = await at.put(sold, doubtful, secret, secret, level="all")
            refused += [each["error"]["name"] for each in results[2:]]
    assert refused == ["refused_by_policy"] * 4
    await expect(client, UNAUTHENTICATED, "moderation.statements", of="refusals")

    labels = [Record.from_wire(each) for each in await stated(operator, since, "labels")]
    assert {(each.body["subject_id"], each.body["rule"]) for each in labels} == {(sold.id, "no-adverts")}
    assert len({each.author for each in labels}) == 2, "each node speaks for itself"
    slander = Label(sold.item, "rude", ann.account, sold.id, "So I say.")
    await client.put_one(ann.record("label", slander.item, slander.body()), "all")
    assert len(await stated(operator, since, "labels")) == 2, "what others say is no decision of the gate"
    holds = [
        parse_decision(each.item, each.body)
        for each in map(Record.from_wire, await stated(operator, since, "holds"))
    ]
    assert {(each.version, each.rule, each.span) for each in holds} == {(doubtful.id, "look-twice", (0, 7))}
    assert all(each.is_automatic and each.policy is not None for each in holds)

    async def counted() -> bool:
        return len(await stated(operator, since, "refusals")) == 2

    await until(counted, what="both nodes to have counted what they refused", within_s=15.0)
    told = await stated(operator, since, "refusals")
    assert {each["node"] for each in told} == {node.parts.node_id for node in town.nodes[:2]}
    assert {(each["rule"], each["language"]) for each in told} == {("no-secrets", "pt-br")}
    assert "1234" not in repr(told) and repr(ann.account) not in repr(told)
    shown = await show(client, sold)
    [notices] = shown["notices"]
    assert (notices["rule"], notices["in"]) == ("no-adverts", {"de": "Verkauft etwas."})
    assert {Record.from_wire(each).author for each in shown["labels"]} == {each.author for each in labels}
