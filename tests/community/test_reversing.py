"""What a policy decided is taken back once it was rolled back, and what people decided stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing
from folkmoot.node.actors.session import Asker
from folkmoot.node.moderation.reversing import Mine, Reversal
from folkmoot.node.slice_search import Around, SliceSearch
from folkmoot.protocol.errors import CONFLICT, FORBIDDEN
from folkmoot.protocol.moderation.bounds import REVERSAL_LOOK_S
from folkmoot.protocol.moderation.decision import Action, Role
from folkmoot.protocol.record import Record
from folkmoot.storage.slices import Slice

from tests.community.test_nodes import activate, all_judge_by, name_of, refused
from tests.moderation.documents import HEAD, rule, word_list
from tests.node.alone import Ranges
from tests.node.harness import Client, founded
from tests.node.people import OPERATOR, Author
from tests.node.test_moderation import decide, decision
from tests.waiting import until

ANN, BEN = Author(50), Author(51)
OLD = word_list("old", ["old harbour"]) + rule("old", ["old"], "label", label="harbour")
BEFORE = (HEAD + OLD).encode()
LISTS = word_list("harbours", ["harbour"]) + word_list("boats", ["boat"])
RULES = rule("harbours", ["harbours"], "label", label="harbour") + rule("boats", ["boats"], "hold")
ROLLED_BACK = (HEAD + LISTS + RULES).encode()


async def reverse(client: Client, document: bytes, **more: Any) -> dict[str, int]:
    """What came of it, in one go."""
    counts: dict[str, int] = {}
    cursor: dict[str, Any] = {}
    while True:
        told = await client.call("policy.reverse", hash=name_of(document), **more, **cursor)
        for word, count in told["counts"].items():
            counts[word] = counts.get(word, 0) + count
        if told["cursor"] is None:
            assert told["progress"] == 1.0
            return counts
        cursor = {"cursor": told["cursor"]}


async def labels_of(client: Client, author: Author) -> list[str]:
    """The values of all labels that are shown on somebody's posts."""
    frames = [frame for item in await client.feed(author.account) for frame in item.get("labels", ())]
    return sorted(Record.from_wire(frame).body["value"] for frame in frames)


async def test_what_was_labelled_and_held_is_taken_back_by_the_nodes_that_said_it(tmp_path: Path) -> None:
    async with (
        founded(tmp_path, nodes=2, replicas=2) as town,
        town.client(town[0]) as client,
        town.client(town[1]) as other,
    ):
        await client.auth(OPERATOR)
        await activate(client, BEFORE, 0)
        await activate(client, ROLLED_BACK, 1)
        await all_judge_by(town, ROLLED_BACK)
        labelled = [ANN.post("the harbour"), BEN.post("another harbour")]
        waits = [ANN.post("a boat"), BEN.post("a boat, too")]
        rejected, decided, old = BEN.post("a third boat"), ANN.post("my harbour"), ANN.post("an old harbour")
        await client.put(labelled[0], waits[0], rejected, decided, old, level="all")
        await other.put(labelled[1], waits[1], level="all")
        await decide(client, decision(rejected, Action.REJECT))
        await decide(client, decision(decided, Action.WARN))
        await refused(CONFLICT, client, "policy.reverse", hash=name_of(ROLLED_BACK))
        await other.auth(ANN)
        await refused(FORBIDDEN, other, "policy.reverse", hash=name_of(ROLLED_BACK))

        await client.call("policy.rollback", replaces=2)
        await all_judge_by(town, BEFORE)
        counted = {"labels": 2, "holds": 2, "people": 1, "same": 1, "settled": 1}
        assert await reverse(client, ROLLED_BACK, dry_run=True) == counted
        assert await labels_of(client, ANN) == ["harbour"] * 3
        assert await reverse(client, ROLLED_BACK) == counted
        assert await labels_of(client, ANN) == ["harbour"] * 2, (
            "one that is as before, one that people decided on"
        )
        assert await labels_of(client, BEN) == []
        assert waits[0].to_wire() in await posts_of(client, ANN)
        assert waits[1].to_wire() in await posts_of(client, BEN)
        assert rejected.to_wire() not in await posts_of(client, BEN)
        assert (await client.call("moderation.held"))["items"] == []
        # Once more: what was taken back is not found, and what was let go waits no more.
        assert await reverse(client, ROLLED_BACK) == {"people": 1, "same": 1, "settled": 3}
        # A person's word goes before what a node has let go.
        await decide(client, decision(waits[1], Action.HOLD))
        assert waits[1].to_wire() not in await posts_of(other, BEN)


async def test_what_a_node_that_is_away_said_is_taken_back_later(tmp_path: Path) -> None:
    async with founded(tmp_path, nodes=3, replicas=3) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        await activate(client, ROLLED_BACK, 0)
        await all_judge_by(town, ROLLED_BACK)
        away = town[2]
        async with town.client(away) as other:
            await other.put(ANN.post("the harbour"), ANN.post("a boat"), level="all")
        await client.call("policy.rollback", replaces=1)
        await away.stop()
        assert await reverse(client, ROLLED_BACK) == {"unreachable": 2}
        await town.start(away)
        await until(
            lambda: away.parts.community.status()["epoch"] == 2, what="the node to hear of the rollback"
        )
        assert await reverse(client, ROLLED_BACK) == {"labels": 1, "holds": 1}
        assert await labels_of(client, ANN) == []


class SlowCasebook:
    """Records that are read only after the time of a step is up."""

    def __init__(self, records: Sequence[Record], clock: trio.testing.MockClock) -> None:
        self._clock = clock
        self._records = {record.key: record for record in records}

    async def records(self, keys: Sequence[bytes], level: str) -> dict[bytes, Record]:
        await trio.lowlevel.checkpoint()
        self._clock.jump(REVERSAL_LOOK_S + 1.0)
        return {key: self._records[key] for key in keys}


class Deciders:
    def roles_of(self, account: bytes) -> set[Role]:
        return {Role.OPERATOR}


class NoGate:
    judges_by: tuple[str, ...] = ()


async def test_a_step_gets_on_however_slowly_a_replica_answers(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = sorted((ANN.post(f"number {number}") for number in range(3)), key=lambda record: record.key)
    ranges = Ranges([bytes(16)])

    async def find(_self: Any, _level: str, start: bytes, **_more: Any) -> Any:
        await trio.lowlevel.checkpoint()
        keys = [record.key for record in records if record.key >= start]
        return Slice(keys, None), ranges.where(start)

    monkeypatch.setattr(SliceSearch, "find", find)
    none: Any = None
    made = Reversal(
        Around(none, ranges, none, none),
        none,
        cast(Any, SlowCasebook(records, autojump_clock)),
        none,
        none,
        Mine(none, cast(Any, NoGate())),
        none,
        lambda: 0,
    )
    step = made.client_methods(cast(Any, Deciders()), none, none)["policy.reverse"]
    cursor: dict[str, Any] = {}
    counts = []
    for _ in range(2 * len(records)):  # as labels, and as what waits
        told = await step(cast(Asker, OPERATOR), {"hash": bytes(32), **cursor})
        counts.append(told["counts"])
        cursor = {"cursor": told["cursor"]}
    assert counts == [{"gone": 1}] * 6 and cursor == {"cursor": None}


async def posts_of(client: Client, author: Author) -> list[list[bytes]]:
    return [item["record"] for item in await client.feed(author.account)]
