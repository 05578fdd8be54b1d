"""The blind review, from where people stand: what is given to whom, and what becomes of their answers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.moderation import drawing
from folkmoot.protocol.errors import BAD_REQUEST, FORBIDDEN, NOT_FOUND, UNAUTHENTICATED
from folkmoot.protocol.moderation.decision import Role
from folkmoot.protocol.moderation.sampling import KIND, MILLION, Answer, Sample, samples_of
from folkmoot.protocol.moderation.verdict import Action
from folkmoot.protocol.record import Record

from tests.node.harness import Client, Town
from tests.node.people import OPERATOR, Author
from tests.node.test_gate import expect, gated
from tests.waiting import until

NUMBERS = itertools.count(2**100)


def somebody() -> Author:
    """An account of its own for each scene."""
    return Author(next(NUMBERS))


def answer_to(given: dict[str, Any], *labels: str, by: Author = OPERATOR, **more: Any) -> Record:
    """An answer to what was given out."""
    post, draw = Record.from_wire(given["post"]), given["draw"]
    said = Answer(post.item, post.id, draw["drawn_us"], draw["id"], by.account, Role.OPERATOR, labels)
    stamp = by.post().stamp
    return Record.sign(
        by.device, kind=KIND, item=said.item, body={**said.body(), **more}, stamp=stamp, place=post.place
    )


async def judge(client: Client, given: dict[str, Any], record: Record) -> dict[str, Any]:
    told: dict[str, Any] = await client.call(
        "moderation.judge", record=record.to_wire(), ticket=given["ticket"], level="all"
    )
    return told


async def given_posts(client: Client, most: int = 20) -> list[dict[str, Any]]:
    """All that somebody is given, who says no to each."""
    found: list[dict[str, Any]] = []
    passing: dict[str, Any] = {}
    for _ in range(most):
        given = await client.call("moderation.sample", **passing)
        if given["post"] is None:
            break
        found.append(given)
        passing = {"passing": given["ticket"]}
    return found


async def wait_for(client: Client, posts: Sequence[Record]) -> dict[bytes, dict[str, Any]]:
    """What is given of some posts, by their ids, once each was drawn."""
    found: dict[bytes, dict[str, Any]] = {}

    async def all_there() -> bool:
        for each in await given_posts(client):
            found[Record.from_wire(each["post"]).id] = each
        return {each.id for each in posts} <= found.keys()

    await until(all_there, what="the posts to be drawn", within_s=20)
    return found


async def samples(client: Client, since: int = 0) -> list[Sample]:
    """All that was answered, once every range has been looked through."""
    records: list[Record] = []

    async def whole() -> bool:
        records.clear()
        missing, cursor = False, None
        while True:
            more: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
            page = await client.call("moderation.samples", since=since, **more)
            records.extend(map(Record.from_wire, page["items"]))
            missing, cursor = missing or bool(page["missing"]), page["cursor"]
            if cursor is None:
                return not missing

    await until(whole, what="all ranges to be looked through", within_s=20)
    return samples_of(records)


async def what_is_drawn_is_given_blind_and_answered(town: Town, operator: Client, client: Client) -> None:
    ann = somebody()
    posts = [
        ann.record("post", ann.item(), {"text": "fine", "lang": "de-AT"}),
        ann.post("buy now"),
        ann.post("utter rubbish"),
    ]
    results, _ = await client.put(*posts, level="all")
    assert [each["status"] for each in results] == ["stored", "stored", "held"]
    await expect(client, UNAUTHENTICATED, "moderation.sample")
    await client.auth(ann)
    await expect(client, FORBIDDEN, "moderation.sample")
    await expect(client, FORBIDDEN, "moderation.samples")

    given = await wait_for(operator, posts)
    fine, advert, rubbish = (given[each.id] for each in posts)
    for each in (fine, advert, rubbish):
        assert each.keys() == {"post", "draw", "ticket", "labels"}, "and nothing of what became of it"
        assert each["draw"].keys() == {"id", "drawn_us"}
        assert each["labels"] == ["advert", "doubtful"]
    assert await samples(operator) == []
    asked = [(each.place, each.item, each.id) for each in posts]
    gone = (posts[0].place, posts[0].item, b"\x01" * 32)
    told = await operator.call("moderation.texts", posts=[*asked, gone])
    assert told["records"] == [*(each.to_wire() for each in posts), None]
    await expect(client, FORBIDDEN, "moderation.texts", posts=asked)

    mine = answer_to(fine, "rude"), answer_to(advert, "advert"), answer_to(rubbish)
    for post, answer in zip((fine, advert, rubbish), mine, strict=True):
        assert (await judge(operator, post, answer))["status"] == "stored"
        assert (await judge(operator, post, answer))["status"] == "duplicate", "sent once more"
    found = {each.draw.version: each for each in await samples(operator)}
    one, two, three = (found[each.id] for each in posts)
    assert (one.draw.action, one.draw.language, one.answer.labels) == (Action.ACCEPT, "de-at", ("rude",))
    assert (two.draw.action, two.draw.rule, two.draw.labels) == (Action.LABEL, "no-adverts", ("advert",))
    assert (three.draw.action, three.draw.rule, three.answer.is_fine) == (Action.HOLD, "look-twice", True)
    assert {each.author for each in (one, two, three)} == {ann.account}
    assert {each.draw.millionths for each in (one, two, three)} == {MILLION}
    assert len({each.draw.policy for each in (one, two, three)}) == 1
    latest = max(each.draw.drawn_us for each in (one, two, three))
    assert await samples(operator, latest + 1) == []
    key = [mine[0].place, mine[0].kind, mine[0].item]
    await expect(client, FORBIDDEN, "record.get", keys=[key])


async def nobody_else_is_asked_meanwhile_and_nobody_about_their_own(
    town: Town, operator: Client, client: Client
) -> None:
    own = OPERATOR.post("what I say")
    await client.put(own, level="all")
    ann = somebody()
    post = ann.post("what she says")
    await client.put(post, level="all")
    given = (await wait_for(operator, [post]))[post.id]
    assert own.id not in await wait_for(operator, [])
    forged = Record.from_wire(given["post"])
    bad = answer_to(given, draw=b"\x05" * 32)
    await expect(operator, NOT_FOUND, "moderation.judge", record=bad.to_wire(), ticket=given["ticket"])
    await expect(operator, BAD_REQUEST, "moderation.judge", record=forged.to_wire(), ticket=given["ticket"])
    payload, signature = answer_to(given, "rude").to_wire()
    unsigned = [payload, bytes(len(signature))]
    refused = await operator.call("moderation.judge", record=unsigned, ticket=given["ticket"])
    assert refused["status"] == "refused" and refused["error"]["name"] == "bad_signature"
    told = await operator.call("moderation.samples", since=given["draw"]["drawn_us"])
    drawn = {Record.from_wire(frame).id for frame in told["items"]}
    assert given["draw"]["id"] not in drawn, "who has not answered is told nothing"
    ben = somebody()
    await client.auth(ben)
    his = answer_to(given, by=ben, role="moderator")
    await expect(client, FORBIDDEN, "moderation.judge", record=his.to_wire(), ticket=given["ticket"])
    [result], _ = await client.put(answer_to(given, by=somebody(), role="expert"))
    assert result["error"]["name"] == "forbidden", "nor by another way"


async def what_is_deleted_is_neither_given_nor_kept(town: Town, operator: Client, client: Client) -> None:
    ann = somebody()
    kept, gone = ann.post("stays"), ann.post("goes")
    await client.put(kept, gone, level="all")
    given = (await wait_for(operator, [kept, gone]))[gone.id]
    await client.put(ann.deletion(gone), level="all")
    answer = answer_to(given)
    await expect(operator, NOT_FOUND, "moderation.judge", record=answer.to_wire(), ticket=given["ticket"])

    def erased() -> bool:
        stores = [node.parts.moderation.drawing.kept() for node in town.nodes]
        return gone.id not in {each.draw.version for some in stores for each in some}

    await until(erased, what="what was drawn of it to be erased", within_s=20)


SCENES = (
    what_is_drawn_is_given_blind_and_answered,
    nobody_else_is_asked_meanwhile_and_nobody_about_their_own,
    what_is_deleted_is_neither_given_nor_kept,
)


async def test_the_blind_review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One town for all scenes, since what takes time is to found it; its nodes draw everything."""
    monkeypatch.setattr(drawing, "DRAWS_CHECK_S", 0.2)
    async with gated(tmp_path, sample=1.0) as town:
        for scene in SCENES:
            async with town.client(town[0]) as operator, town.client(town[1]) as client:
                await operator.auth(OPERATOR)
                await scene(town, operator, client)
