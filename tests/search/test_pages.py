"""One page of a search: whence ages are counted, what was searched for all of it, how many ask at once."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from folkmoot.node.actors.session import Asker
from folkmoot.node.search import scattering
from folkmoot.node.search.gathering import Gathered, Wanted
from folkmoot.node.search.methods import Search
from folkmoot.protocol import codec
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.limits import STAMP_AHEAD_US
from folkmoot.storage.search import trending
from folkmoot.storage.search.finding import Hit
from folkmoot.storage.search.index import MEMORY, IndexWriting, SearchIndex

from tests.search.test_index import ANN, BEN, NOW_MS, document, key
from tests.search.test_scattering import A, _Range, scatter

HIT = Hit(5, make_uuid7(NOW_MS, 1) + bytes(32))


class _Gathering:
    """Answers with one hit a time, and with what it is told was searched for it."""

    def __init__(self, *covered: set[int]) -> None:
        self._covered = list(covered)
        self.as_of_ms: list[int] = []

    async def gather(self, wanted: Wanted, after: Hit | None, limit: int, failed: set[bytes]) -> Gathered:
        self.as_of_ms.append(wanted.as_of_ms)
        return Gathered([HIT], self._covered.pop(0), 0)


class _Builder:
    """Asks for as many parts of the listing as it is told to, and ends at what stands there."""

    def __init__(self, parts: int) -> None:
        self._parts = parts

    async def page(self, kind: Any, listing: Any, viewer: Any, after: Any, limit: int) -> PackedPage:
        for _ in range(self._parts):
            [place] = await listing.places(after, limit)
        return PackedPage(0, b"", place.at)


def search(gathering: _Gathering, now: list[int], *, parts: int = 1) -> Search:
    async def nobody(_: Any) -> None:
        return None

    same = SimpleNamespace(id=1)
    whole = [SimpleNamespace(start=b"")] * 3
    ranges: Any = SimpleNamespace(ranges=whole, lookup=lambda _: same)
    stand: Any = gathering
    building: Any = _Builder(parts)
    viewers: Any = SimpleNamespace(of=nobody)
    reading: Any = None
    return Search(stand, lambda: ranges, building, viewers, reading, lambda *_: None, lambda: 1000 * now[0])


async def asked(of: Search, **params: Any) -> dict[str, Any]:
    answer = await of.posts(Asker("::1", bytes(32)), {"query": "tea", **params})
    told: dict[str, Any] = codec.unpack(answer.data)
    return told


async def test_ages_are_counted_from_when_the_first_page_was_asked_for() -> None:
    now, gathering = [NOW_MS], _Gathering({1}, {1}, {1})
    of = search(gathering, now)
    first = await asked(of, best=True)
    now[0] += 3_600_000
    await asked(of, best=True, cursor=first["cursor"])
    await asked(of, best=True)
    ahead_ms = STAMP_AHEAD_US // 1000
    assert gathering.as_of_ms == [NOW_MS + ahead_ms, NOW_MS + ahead_ms, now[0] + ahead_ms]


async def test_a_page_is_covered_by_what_was_searched_for_all_of_it() -> None:
    page = await asked(search(_Gathering({1, 2, 3}, {2, 3}, {1, 2}), [NOW_MS], parts=3))
    assert page["covered"] == {"ranges": 1, "of": 3}


async def test_so_many_are_answered_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scattering, "SEARCHES_AT_ONCE", 3)
    node = scatter(_Range(1, A))
    async with AsyncExitStack() as under_way:
        for _ in range(3):
            await under_way.enter_async_context(node.answering([(1, 7)]))
        with pytest.raises(WireError) as caught:
            await under_way.enter_async_context(node.answering([(1, 7)]))
        assert caught.value.kind is BUSY
    async with node.answering([(1, 7), (2, 7)]) as (searched, _):
        assert searched == [1], "they have ended, and range 2 is none of this node's"


def uses(index: SearchIndex, *, but: bytes = b"") -> list[str]:
    """Which tags are used now, but for the posts under one account's place."""
    store: Any = SimpleNamespace(holds=lambda *_: False)
    found = trending.sketch(
        index, store, frozenset, lambda each: not but or not each.startswith(but), NOW_MS, 3_600_000
    )
    return sorted(found)


def test_what_does_not_trend_is_left_out_at_once() -> None:
    """As soon as an account is hidden: before its posts have been looked through."""
    index = SearchIndex(MEMORY)
    posts = {"by-ann": key(), "by-ben": key(author=BEN), "to-come": key(NOW_MS + 1, author=BEN)}

    def write(writing: IndexWriting) -> None:
        for tag, each in posts.items():
            author = BEN if each[:40] == posts["by-ben"][:40] else ANN
            writing.put(each, document("tea", author)._replace(trending=(tag,)))

    index.write(write)
    ann = posts["by-ann"][:40]
    assert uses(index) == ["by-ann", "by-ben"]
    assert uses(index, but=ann) == ["by-ben"], "it is in another range"
    index.write(lambda writing: writing.hide(ann, hidden=True))
    assert uses(index) == ["by-ben"]
    index.write(lambda writing: writing.hide(ann, hidden=False))
    assert uses(index) == ["by-ann", "by-ben"]
    index.close()
