"""What a page leaves out without asking anybody."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest
from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.posts import Ref
from folkmoot.node.projections.selecting import Selection
from folkmoot.protocol import codec, limits
from folkmoot.protocol.feed.audience import Hide, PageKind, Reason, Show
from folkmoot.protocol.feed.viewer import PUBLIC
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
