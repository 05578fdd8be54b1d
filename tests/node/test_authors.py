"""What a gate is told about authors by those who keep what they wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.node.moderation import authors
from folkmoot.node.moderation.authors import _Answer, signals_of, trust
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.moderation.bounds import TENURE_SURE_US
from folkmoot.protocol.moderation.decision import Action
from folkmoot.protocol.moderation.tenure import Mark, Tenure

from tests.moderation.documents import HEAD, condition, word_list
from tests.node.harness import founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author
from tests.node.test_moderation import decide, decision

DAY_US = 86_400_000_000


@pytest.mark.parametrize(
    ("answers", "signals"),
    [
        ([(0, False, 0, 0)], {"author.age_s": 0.0}),
        ([(5_000_000, False, 0, 0), (9_999_999, False, 0, 0)], {"author.age_s": 9.0}),
        ([(DAY_US, True, 0, 0), (0, False, 0, 0)], {}),
        ([(TENURE_SURE_US, True, 0, 0)], {"author.age_s": TENURE_SURE_US / 1e6}),
        ([(0, False, 0, 1), (0, False, 9, 10)], {"author.age_s": 0.0, "author.trust": trust(9, 10)}),
        ([(0, False, 7, 3)], {"author.age_s": 0.0, "author.trust": trust(3, 3)}),
    ],
)
def test_the_longest_time_counts_and_the_most_decisions(
    answers: list[tuple[int, bool, int, int]], signals: dict[str, Value]
) -> None:
    assert signals_of(_Answer(*each) for each in answers) == signals


def test_trust_is_what_can_be_promised() -> None:
    assert trust(0, 1) == trust(0, 50) == 0.0 and trust(1, 1) == 0.05
    assert trust(10, 10) < trust(20, 20) < trust(200, 200) < 1.0
    assert trust(9, 10) < trust(90, 100) < 0.9


async def test_rules_know_how_long_authors_have_been_here_and_what_people_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben, policy = Author(31), Author(32), tmp_path / "policy.toml"
    policy.write_text(
        HEAD
        + word_list("doubtful", ["rubbish"])
        + condition("doubtful", "hits.doubtful && (author.age_s < 86400.0 || author.trust < 0.2)")
        + '[degrade]\nauthor.trust = "ignore"\n'
    )
    monkeypatch.setattr(authors, "AUTHORS_BELIEVED_S", 0.01)
    monkeypatch.setattr(authors, "AUTHORS_WAIT_S", 30.0)  # a busy machine is no silent node
    async with (
        founded(tmp_path / "nodes", gate=GateSection(policy=policy)) as town,
        town.client(town[0]) as client,
        town.client(town[1]) as operator,
    ):
        await operator.auth(OPERATOR)
        await client.put(ann.post(), level="all")
        for node in town.nodes:
            aged(node, 10 * DAY_US)
        await client.put(ben.post(), level="all")
        results, _ = await client.put(ann.post("rubbish"), ben.post("rubbish"), Author(33).post("rubbish"))
        assert [each["status"] for each in results] == ["stored", "held", "held"]
        assert "signals" in results[1]["verdict"] and results[1]["verdict"]["signals"]["author.age_s"] == 0.0

        posts = [ann.post(f"number {number}") for number in range(3)]
        await client.put(*posts, level="all")
        for post in posts:
            await decide(operator, decision(post, Action.REMOVE))
        [found] = (await town[0].parts.moderation.authors.of([posts[0]])).values()
        assert found["author.trust"] == 0.0 and float(str(found["author.age_s"])) >= 10 * 86_400 - 1
        [held], _ = await client.put(ann.post("more rubbish"))
        assert held["status"] == "held", "by what people think of what they wrote"
        await decide(operator, decision(posts[0], Action.RESTORE))
        [found] = (await town[2].parts.moderation.authors.of([posts[0]])).values()
        assert found["author.trust"] == trust(1, 3)

        await town[1].stop()
        await town[2].stop()
        [told] = (await town[0].parts.moderation.authors.of([posts[1]])).values()
        assert told["author.trust"] == trust(1, 3), "as its own disk says"


def aged(node: Node, by_us: int) -> None:
    """Have what a node has now be as old as that, and let it have been there before that."""
    sequence, now_us = node.commits.store.sequence, node.parts.environment.wall.now_us()
    marks = Mark(0, now_us - 2 * by_us), Mark(sequence, now_us - by_us)
    node.parts.moderation.authors._tenure = Tenure(marks, sequence)
