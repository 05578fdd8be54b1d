"""Previews in other regions: whom a node asks, what it believes, and that what is told has bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
import trio.testing
from folkmoot.node.moderation.elsewhere import REPLAY, Asked, Elsewhere, Region, Replayed, shortened
from folkmoot.protocol import codec
from folkmoot.protocol.errors import BUSY, NOT_FOUND, WireError
from folkmoot.protocol.moderation.bounds import PREVIEW_ELSEWHERE_BYTES, PREVIEW_ELSEWHERE_RULES
from folkmoot.protocol.moderation.objections import Objection, in_region, together
from folkmoot.protocol.moderation.replay import Comparison

from tests.community.people import document
from tests.moderation.documents import engine
from tests.node.doubles import ScriptedPeers

ONE, TWO = b"\x01" * 16, b"\x02" * 16
EU = Region(("eu", "no"), (ONE, TWO))
ASKED = Asked(document("new"), 100, document("old"))
POLICY = engine().document
REPORT = Comparison(POLICY, POLICY).report()

Answer = Callable[[str, Mapping[str, Any]], Awaitable[Any]]


def says(*answers: Any) -> Answer:
    """A node that gives these answers, the last again and again."""
    left = list(answers)

    async def answer(method: str, params: Mapping[str, Any]) -> Any:
        await trio.lowlevel.checkpoint()
        assert method == REPLAY and params == {
            "document": document("new"),
            "posts": 100,
            "compared": document("old"),
        }
        said = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(said, WireError):
            raise said
        return said

    return answer


def told(report: Any = REPORT, region: str = "eu", **more: Any) -> dict[str, Any]:
    return {"region": region, "done": 1, "of": 2, "report": report, "counts": bytes(32), **more}


async def heard(
    one: Answer, two: Answer | None = None, wanted: int = 100
) -> tuple[list[Replayed], list[bytes]]:
    """What was told of, and who was asked."""
    peers = ScriptedPeers({ONE: one, TWO: two or says(WireError(NOT_FOUND, "?"))})
    found: list[Replayed] = []
    await Elsewhere(peers).ask(EU, ASKED, lambda: len(peers.calls) < wanted, found.append)
    return found, [node for node, _ in peers.calls]


async def test_a_node_is_asked_until_there_is_a_report(autojump_clock: trio.testing.MockClock) -> None:
    later = WireError(BUSY, "later", retry_after_ms=700)
    found, asked = await heard(says(later, told(None), told(None), told()))
    assert [each.report is None for each in found] == [True, True, False] and asked == [ONE] * 4


@pytest.mark.parametrize(
    "answer",
    [
        WireError(NOT_FOUND, "it has no such document"),
        told(region="us"),
        told({}),
        told({**REPORT, "posts": "many"}),
        told({**REPORT, "more": "x" * PREVIEW_ELSEWHERE_BYTES}),
        told(found=[{"name": "n" * 100, "what": "x"}]),
        "nonsense",
    ],
    ids=["not-found", "another-region", "empty", "no-number", "too-long", "a-long-name", "nonsense"],
)
async def test_another_node_is_asked_where_one_gives_nothing(
    autojump_clock: trio.testing.MockClock, answer: Any
) -> None:
    found, asked = await heard(says(answer), says(told(region="no")))
    assert [each.region for each in found] == ["no"] and asked == [ONE, TWO]
    found, asked = await heard(says(answer))
    assert found == [] and asked == [ONE, TWO]


async def test_it_ends_when_nobody_wants_to_know(autojump_clock: trio.testing.MockClock) -> None:
    found, asked = await heard(says(told(None)), wanted=3)
    assert len(found) == 3 == len(asked)


def test_a_long_report_is_shortened_until_it_fits() -> None:
    sample = {"text": "x" * 280}
    rules = [{"rule": f"r{at}", "samples": {"gained": [sample] * 3, "lost": []}} for at in range(100)]
    languages = [{"language": "l" * 35, "posts": at, "said": "x" * 400} for at in range(64)]
    report = {**REPORT, "rules": rules, "languages": languages}
    short = shortened(report, PREVIEW_ELSEWHERE_BYTES, PREVIEW_ELSEWHERE_RULES)
    assert len(codec.pack(short)) <= PREVIEW_ELSEWHERE_BYTES
    assert len(short["rules"]) == PREVIEW_ELSEWHERE_RULES and short["languages"] == languages[:32]
    assert short["rules"][0] == {"rule": "r0", "samples": {"gained": [], "lost": []}}
    assert shortened(REPORT, PREVIEW_ELSEWHERE_BYTES, PREVIEW_ELSEWHERE_RULES) == REPORT


def test_of_each_name_that_blocks_one_is_told_however_much_there_is() -> None:
    notes = [Objection("note", f"{at}") for at in range(40)]
    many = [Objection("never_matches", f"{at}", True) for at in range(40)]
    found = together([*notes, *many, Objection("fails", "last", True)])
    assert len(found) == 32 and {each.name for each in found} == {"never_matches", "fails"}
    assert found[:2] == (many[0], Objection("fails", "last", True))
    [moved] = in_region("eu", [Objection("fails", "x" * 300, True, "r")])
    assert moved.what.startswith("in region eu: x") and len(moved.what) == 300 and moved.rule == "r"
