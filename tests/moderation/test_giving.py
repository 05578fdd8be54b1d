"""Giving out what was drawn: what is read for it, and what is done about nodes that do not answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
import trio
from folkmoot.node.moderation.sampling import BlindReview
from folkmoot.protocol.moderation.bounds import SAMPLE_TRIES
from folkmoot.protocol.record import Record
from folkmoot.storage import draws
from folkmoot.storage.draws import NUMBER_BYTES, Drawn

from tests.moderation.decisions import MAX, MO, NODE
from tests.moderation.samples import drawn
from tests.moderation.test_drawing import Commits, desk
from tests.node.people import Author
from tests.storage.making import run

ANN, BEN = Author(2**81), Author(2**81 + 1)


class Casebook:
    """Knows some versions.

    Args:
        versions: they.
    """

    def __init__(self, versions: Sequence[Record]) -> None:
        self._versions = {each.id: each for each in versions}

    async def versions(self, posts: Sequence[tuple[bytes, bytes]], level: str) -> list[Record | None]:
        await trio.lowlevel.checkpoint()
        return [self._versions.get(version) for _, version in posts]


def numbered(number: int, post: Record) -> Drawn:
    draw = drawn(post_item=post.item, version=post.id)
    return Drawn(number.to_bytes(NUMBER_BYTES, "big") + post.key, draw)


def review(posts: Sequence[Record], there: Sequence[Record]) -> BlindReview:
    """The review of a node that drew some posts, some of which are still there."""
    commits = Commits()
    run(commits.store, lambda tx: draws.keep(tx, [numbered(at, post) for at, post in enumerate(posts)]))
    drawing = desk(commits, share=1.0, share_actioned=1.0)
    return BlindReview(drawing, cast(Any, Casebook(there)), NODE, cast(Any, None))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The keys of the rows that were read, as they are."""
    made: list[bytes] = []
    read = draws._read

    def counted(at: bytes, row: bytes) -> Drawn | None:
        made.append(at)
        return read(at, row)

    monkeypatch.setattr(draws, "_read", counted)
    return made


async def test_what_is_not_given_is_not_read(reads: list[bytes]) -> None:
    posts = [ANN.post(f"number {number}") for number in range(70)]
    posts[:10] = [BEN.post(f"own {number}") for number in range(10)]
    made = review(posts, posts)
    passing = None
    for _ in range(30):
        given = await made.give(BEN.account, passing)
        assert given is not None
        passing = given["at"]
    reads.clear()
    given = await made.give(BEN.account, passing)
    assert given is not None and Record.from_wire(given["post"]).id == posts[40].id, "neither own nor passed"
    assert reads == [given["at"]]
    reads.clear()
    given = await made.give(MO.account, None)
    assert given is not None and Record.from_wire(given["post"]).id == posts[0].id
    for _ in range(9):
        given = await made.give(MO.account, given["at"])
        assert given is not None
    given = await made.give(MO.account, given["at"])
    assert given is not None and Record.from_wire(given["post"]).id == posts[41].id, "others were given those"
    assert len(reads) == 11


async def test_what_is_gone_is_passed_over_in_one_go(reads: list[bytes]) -> None:
    posts = [ANN.post(f"number {number}") for number in range(SAMPLE_TRIES + 2)]
    made = review(posts, posts[-1:])
    assert await made.give(MO.account, None) is None, "not all in one go"
    assert len(reads) == SAMPLE_TRIES
    given = await made.give(MAX.account, None)
    assert given is not None and Record.from_wire(given["post"]).id == posts[-1].id
    assert len(reads) == SAMPLE_TRIES + 2
