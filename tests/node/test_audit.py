"""An audit of a running cluster: what is counted, that it is found from any node, and what is refused."""

from __future__ import annotations

from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest
from folkmoot.node.moderation.auditing import Auditor
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BUSY,
    FORBIDDEN,
    LEVEL_UNREACHABLE,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.moderation import verdict
from folkmoot.protocol.moderation.decision import Action, Role
from folkmoot.protocol.moderation.fairness.bias import Measure, audit
from folkmoot.protocol.moderation.fairness.tally import EVERYBODY, Tally
from folkmoot.protocol.moderation.sampling import Draw
from folkmoot.protocol.record import Record
from folkmoot.storage import audited

from tests.moderation.samples import answered, drawn, signed_draw
from tests.node.harness import Client, Town
from tests.node.people import OPERATOR, Author
from tests.node.test_gate import expect, gated
from tests.node.test_moderation import decide, decision

DIALECTS = b"""
version = 1
name = "signs"
unicode = "14.0.0"
appeal = "Nobody is judged by these."

[[lists]]
id = "greetings"
category = "greeting"
severity = 1
words = ["habari"]
"""


def written(language: str, text: str, count: int, first: int) -> list[Record]:
    """Posts in a language, each by somebody else."""
    authors = (Author(number) for number in range(first, first + count))
    return [each.record("post", each.item(), {"text": text, "lang": language}) for each in authors]


def draw_of(post: Record, node: bytes) -> Draw:
    """That it was drawn: one of five of what was held back, one of fifty of the rest."""
    held = "rubbish" in post.body["text"]
    said: dict[str, Any] = {"action": verdict.Action.HOLD, "rule": "look-twice"} if held else {}
    return drawn(
        post_item=post.item,
        version=post.id,
        node=node,
        drawn_us=post.stamp,
        millionths=200_000 if held else 20_000,
        language=post.body["lang"],
        **said,
    )


def answer_to(draw: Record) -> Record:
    """That nothing is wrong with it."""
    answer = answered(draw, OPERATOR.device, role=Role.OPERATOR)
    return Record.sign(
        OPERATOR.device,
        kind=draw.kind,
        item=answer.item,
        body=answer.body(),
        stamp=draw.stamp + 1,
        place=draw.place,
    )


async def counted(client: Client, **asked: Any) -> tuple[Tally, int]:
    """All pages of an audit, added up; and how many there were."""
    tally, pages = Tally(), 0
    cursor: dict[str, Any] = {}
    while True:
        page = await client.call("moderation.audit", **asked, **cursor)
        assert page["missing"] == []
        tally.add(Tally.from_wire(page["numbers"]))
        pages += 1
        if page["cursor"] is None:
            return tally, pages
        cursor = {"cursor": page["cursor"]}


async def what_one_replica_does_not_count_another_does(town: Town, operator: Client) -> None:
    own, counting = Auditor._own, Auditor._counted

    async def busy(self: Any, asked: Any) -> Any:
        if self._store is town[0].commits.store:
            raise WireError(BUSY, "planted")
        return await own(self, asked)

    async def unreached(self: Any, start: bytes, question: Any) -> Any:
        if not start:
            raise WireError(LEVEL_UNREACHABLE, "planted")
        return await counting(self, start, question)

    with pytest.MonkeyPatch.context() as plant:
        plant.setattr(Auditor, "_own", busy)
        tally, _ = await counted(operator)
        assert tally.of(EVERYBODY).posts == 101
        plant.setattr(Auditor, "_counted", unreached)
        page = await operator.call("moderation.audit")
        assert len(page["missing"]) == 1


async def test_languages_that_nobody_speaks_push_none_out_of_a_page(tmp_path: Path) -> None:
    async with gated(tmp_path) as town, town.client(town[0]) as operator:
        invented = [f"{first}{second}" for first in "abc" for second in ascii_lowercase]
        authors = enumerate([*invented, "zu"], 500)
        records = [each for number, language in authors for each in written(language, "good", 1, number)]
        await operator.put(*records, level="all")
        await operator.auth(OPERATOR)
        tally, _ = await counted(operator)
        assert tally.groups == [*invented, "zu"] and tally.of("zu").posts == 1


async def test_a_bias_is_found_in_what_nodes_and_people_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audited, "AUDIT_ROWS", 40)
    async with gated(tmp_path) as town, town.client(town[0]) as operator, town.client(town[1]) as client:
        before = Author(1).post()
        held = written("sw", "habari, rubbish", 25, 100)
        labelled = written("en", "Buy now!", 3, 200)
        fine = written("en", "good morning", 57, 300) + written("sw-KE", "habari", 15, 400)
        results, _ = await client.put(before, *held, *labelled, *fine, level="all")
        assert [each["status"] for each in results].count("held") == len(held)
        await expect(client, UNAUTHENTICATED, "moderation.audit")
        await client.auth(Author(2))
        await expect(client, FORBIDDEN, "moderation.audit")
        await operator.auth(OPERATOR)
        for each in held[:22]:
            await decide(operator, decision(each, Action.RELEASE))

        tally, _ = await counted(operator)
        assert tally.of(EVERYBODY).posts == 101 and tally.of("sw").posts == 40 and tally.of("en").posts == 60
        swahili, english = tally.of("sw", "look-twice"), tally.of("en", "no-adverts")
        assert (swahili.flagged, swahili.decided, swahili.overturned) == (25, 22, 22)
        assert sum(swahili.waits.ended.values()) == 22 and sum(swahili.waits.lasting.values()) == 3
        assert english.flagged == 3
        alarms = audit(tally).alarms
        assert {(each.measure, each.group) for each in alarms} == {(Measure.FLAG_RATE, "sw")}

        sampled = [*held[:22], *fine[:50]]
        node = town[0].environment.secrets.service()
        draws = [signed_draw(draw_of(each, node.account), node, each.author) for each in sampled]
        answers = [answer_to(draw) for draw in draws]
        await operator.put(*draws, *answers, level="all")
        tally, _ = await counted(operator)
        assert tally.of("sw").fine_flagged.members == 22 and tally.of("en").fine.members == 50
        assert (Measure.FALSE_POSITIVES, "sw") in {(each.measure, each.group) for each in audit(tally).alarms}

        by_region, _ = await counted(operator, by="region")
        assert by_region.of(EVERYBODY, "look-twice").flagged == 25 and by_region.of(EVERYBODY).posts == 0
        by_dialect, _ = await counted(operator, by="dialect", dialects=DIALECTS)
        assert by_dialect.of("greeting").posts == 40 and by_dialect.of(EVERYBODY).posts == 101
        await expect(operator, BAD_REQUEST, "moderation.audit", by="dialect", dialects=b"version = 2")
        await expect(operator, BAD_REQUEST, "moderation.audit", by="dialect")

        await what_one_replica_does_not_count_another_does(town, operator)
        later, _ = await counted(operator, since=max(each.stamp for each in fine) + 60_000_000)
        assert later.of(EVERYBODY).posts == 0
