"""Pages: every row shown once, in bounded answers, whatever the rows are."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.timeline import Page, parse_limit
from hypothesis import given
from hypothesis import strategies as st

# A row is its size in bytes, or None for a row that shows nothing.
ROWS = st.lists(st.one_of(st.none(), st.integers(1, 50)), max_size=60)


def read(rows: list[int | None], after: bytes | None, limit: int, page_bytes: int, scanned: int) -> Page[int]:
    """Fill one page from the rows after a position; the page's `next` tells where to go on."""
    page = Page[int](limit, page_bytes, scanned)
    start = 0 if after is None else after[0] + 1
    for at in range(start, len(rows)):
        size = rows[at]
        if page.full:
            break
        if size is None:
            page.skip(bytes([at]))
        elif not page.add(bytes([at]), at, size):
            break
    return page


@given(ROWS, st.integers(1, 10), st.integers(1, 120), st.integers(1, 20))
def test_pages_show_every_row_once_and_in_order(
    rows: list[int | None], limit: int, page_bytes: int, scanned: int
) -> None:
    shown: list[int] = []
    after: bytes | None = None
    for _ in range(len(rows) + 1):
        page = read(rows, after, limit, page_bytes, scanned)
        assert len(page.items) <= limit
        assert len(page.items) == 1 or sum(rows[at] or 0 for at in page.items) <= page_bytes
        shown += page.items
        last = page.next_position(exhausted=False)
        done = last is None or last[0] == len(rows) - 1
        after = page.next_position(exhausted=done)
        if after is None:
            break
    assert after is None
    assert shown == [at for at, size in enumerate(rows) if size is not None]


def test_an_empty_page_can_have_a_cursor() -> None:
    page = read([None] * 9, None, 5, 100, 4)
    assert page.items == []
    assert page.full
    assert page.next_position(exhausted=False) == bytes([3])
    assert page.next_position(exhausted=True) is None


@pytest.mark.parametrize(("value", "limit"), [(None, 50), (1, 1), (200, 200)])
def test_limits_of_the_contract(value: Any, limit: int) -> None:
    assert parse_limit(value) == limit


@pytest.mark.parametrize("value", [0, -1, 201, True, "50", 5.0])
def test_other_limits_are_refused(value: Any) -> None:
    with pytest.raises(WireError) as caught:
        parse_limit(value)
    assert caught.value.kind is BAD_REQUEST
