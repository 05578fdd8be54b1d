"""What a page leaves out without asking anybody."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.posts import Ref
from folkmoot.node.projections.selecting import Selection
from folkmoot.protocol import codec, limits
from folkmoot.protocol.feed.audience import Hide, PageKind, Reason, Show
from folkmoot.protocol.feed.viewer import PUBLIC, Viewer
from folkmoot.protocol.feed.words import MutedWords
from folkmoot.storage.rows import Counts
from folkmoot.storage.shown_post import Post

from tests.node.people import Author


@pytest.mark.parametrize(
    ("kind", "expected"), [(PageKind.HOME, Hide(Reason.CLOCK)), (PageKind.AUTHOR, Show())], ids=str
)
async def test_a_node_whose_clock_is_behind_has_posts_wait_but_on_their_authors_pages(
    kind: PageKind, expected: object
) -> None:
    post = Author(1).post()
    behind_us = time.time_ns() // 1000 - 2 * limits.STAMP_AHEAD_US
    nobody = cast("Any", None)  # nothing is read
    selection = Selection(nobody, nobody, nobody, nobody, lambda: behind_us, lambda account: False)
    found = Post(codec.pack(post.to_wire()), [], Counts(0, 0), 0)
    place = Place(b"", Ref(post.author, post.item))
    [selected] = await selection.select(PUBLIC, kind, [place], [found])
    assert selected.decision == expected


class NothingKept:
    """Posts of a node that keeps none."""

    def divided(self, keys: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
        return keys, []

    def own_cells(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [None for _ in keys]


async def test_others_have_their_turn_while_words_are_looked_for() -> None:
    posts = [Author(number).post() for number in range(1, 129)]
    kept, nobody = cast("Any", NothingKept()), cast("Any", None)
    defining = cast("Any", SimpleNamespace(community={}))
    now_us = time.time_ns() // 1000
    selection = Selection(kept, nobody, nobody, defining, lambda: now_us, lambda account: False)
    found = [Post(codec.pack(post.to_wire()), [], Counts(0, 0), 0) for post in posts]
    places = [Place(b"", Ref(post.author, post.item)) for post in posts]
    viewer = Viewer(Author(99).account, words=MutedWords({"hay": 2**60}))
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(another)
        await selection.select(viewer, PageKind.HOME, places, found)
        nursery.cancel_scope.cancel()
    assert turns >= 4
