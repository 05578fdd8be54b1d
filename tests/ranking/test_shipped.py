"""The algorithms that come with every node mean what they say."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.limits import ALGORITHM_NAME_BYTES
from folkmoot.protocol.ranking.document import parse_document
from folkmoot.protocol.ranking.program import Program, compiled
from folkmoot.protocol.ranking.scoring import rank
from folkmoot.protocol.ranking.shipped import LATEST, SHIPPED

from tests.ranking.posts import candidate

HOUR = 3_600.0


def shipped(name: str) -> Program:
    return compiled(parse_document(SHIPPED[name]))


def order(name: str, **said: dict[str, Any]) -> list[str]:
    names = list(said)
    posts = [candidate(100 - number, **said[each]) for number, each in enumerate(names)]
    return [names[each.candidate] for each in rank(shipped(name), posts, lambda: False).ranked]


@pytest.mark.parametrize("name", SHIPPED)
def test_they_are_documents_like_everybodys(name: str) -> None:
    data = codec.encode_canonical(SHIPPED[name])
    assert parse_document(codec.decode_canonical(data)) == shipped(name).document
    assert len(name.encode()) <= ALGORITHM_NAME_BYTES


def test_latest_is_the_newest_first() -> None:
    assert order(LATEST, old={"age_s": 9.0, "likes": 99.0}, new={"age_s": 1.0}, older={"age_s": 9.1}) == [
        "new",
        "old",
        "older",
    ]


def test_best_prefers_what_is_answered_and_forgets_it() -> None:
    assert order(
        "best",
        quiet={"age_s": HOUR},
        liked={"age_s": 3 * HOUR, "likes": 20.0},
        answered={"age_s": 3 * HOUR, "likes": 20.0, "replies": 9.0},
        stale={"age_s": 200 * HOUR, "likes": 500.0, "replies": 90.0},
    ) == ["answered", "liked", "quiet", "stale"]


def test_discover_leaves_out_whom_one_follows() -> None:
    assert order(
        "discover",
        followed={"followed": True, "friends": 9.0},
        own={"own": True, "tag_hits": 3.0},
        warned={"has_warning": True, "friends": 9.0},
        near={"friends": 3.0, "tag_hits": 1.0},
        far={"friends": 1.0},
    ) == ["near", "far"]
