"""Trends: what surprises, whoever adds up what in which order, and what never trends."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from folkmoot.node.actors.session import Asker
from folkmoot.node.search.trending import Terms, Trending
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import BUSY, LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.limits import POST_TAGS
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record
from folkmoot.protocol.search.bounds import TREND_HOUR_ROWS, TREND_TAGS
from folkmoot.protocol.search.documents import Document
from folkmoot.protocol.trends.sketch import (
    HASH_BITS,
    HASHES_MAX,
    ONE,
    WINDOW_MS,
    Sketch,
    Use,
    merged,
    most_used,
    sketched,
    trends,
)
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.search import trending
from folkmoot.storage.search.index import MEMORY, IndexWriting, SearchIndex
from folkmoot.storage.store import Owner, Store
from hypothesis import given
from hypothesis import strategies as st

from tests.node.harness import Client, founded
from tests.node.people import Author
from tests.projections.people import SEEN_S
from tests.projections.test_home import SHAPES, Shape
from tests.waiting import until

_numbers = itertools.count()
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HALF_MS = 2 * HOUR_MS
NOW_MS = 1_800_000_000_000


def person(number: int) -> bytes:
    return number.to_bytes(34, "big")


def uses(tag: str, count: int, ago_ms: int = 0, first: int = 0) -> list[Use]:
    """So many people use a tag, each once, at one time."""
    return [Use(tag, person(first + number), NOW_MS - ago_ms) for number in range(count)]


def tags(*posts: Use, authors_min: int = 1) -> list[str]:
    """What trends, the most surprising first."""
    found = trends(sketched(posts, NOW_MS, HALF_MS), authors_min=authors_min, count=50)
    return [trend.tag for trend in found]


def test_more_people_surprise_more() -> None:
    assert tags(*uses("tea", 5), *uses("cake", 9), *uses("one", 1)) == ["cake", "tea"]


def test_what_is_usual_does_not_surprise_however_many_use_it() -> None:
    every_day = [use for day in range(27) for use in uses("morning", 400, day * DAY_MS + HOUR_MS)]
    assert tags(*every_day, *uses("fire", 60, HOUR_MS, first=1000)) == ["fire"]
    steady = [use for slot in range(27 * 12) for use in uses("always", 20, slot * HALF_MS, first=20 * slot)]
    assert tags(*steady, *uses("fire", 40)) == ["fire"]


def test_one_person_is_no_trend_however_much_they_post() -> None:
    many = [Use("spam", person(1), NOW_MS - number) for number in range(1_000)]
    made = sketched(many, NOW_MS, HALF_MS)["spam"]
    assert (made.observed, made.authors) == (ONE, 1)
    assert tags(*many) == []
    assert tags(*many, *uses("tea", 3), authors_min=3) == ["tea"]
    assert tags(*uses("tea", 3), authors_min=4) == []


def test_one_person_takes_no_more_room_among_what_is_told_than_one_post() -> None:
    flood = [Use(f"flood {number}", person(1), NOW_MS - number) for number in range(2_000)]
    made = sketched([*flood, *uses("tea", 2, 3 * HALF_MS, first=9)], NOW_MS, HALF_MS)
    told = most_used(made, TREND_TAGS)
    assert "tea" in told
    assert [tag for tag in told if made[tag].observed and tag != "tea"] == [
        f"flood {number}" for number in range(POST_TAGS)
    ]
    assert all(made[each.tag].usual for each in flood)


class _Indexed:
    """An index of posts by whoever, and of nothing else."""

    def __init__(self, posts: Iterable[tuple[int, int, Sequence[str]]]) -> None:
        self.index = SearchIndex(MEMORY)
        self._store = Store(MemoryEngine(), owner=Owner(bytes(16), "town"), fresh_log_id=bytes(16))

        def put(writing: IndexWriting) -> None:
            for number, (who, ago_ms, tags) in enumerate(posts):
                key = cell_key(Author(who).account, "post", make_uuid7(NOW_MS - ago_ms, number))
                writing.put(key, Document("", "", "", "", tuple(sorted(tags))))

        self.index.write(put)

    def sketched(self) -> dict[str, Sketch]:
        return trending.sketch(self.index, self._store, frozenset, lambda key: True, NOW_MS, HALF_MS)


def flood(minutes: int) -> list[tuple[int, int, list[str]]]:
    """Posts with all different tags, one a second, by one account."""
    return [
        (1, 1_000 * second, [f"flood {second}, {number}" for number in range(POST_TAGS)])
        for second in range(60 * minutes)
    ]


def test_nobody_is_pushed_out_by_who_tags_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [(who, 40 * 60_000, ["tea"]) for who in range(2, 8)]
    monkeypatch.setattr(trending, "TREND_ROWS", 1_000)
    made = _Indexed([*flood(minutes=30), *others]).sketched()
    assert made["tea"].authors == len(others)
    assert 0 < sum(tag.startswith("flood") for tag in made) <= 2 * TREND_HOUR_ROWS, (
        "an hour may begin meanwhile"
    )
    assert {f"flood 0, {number}" for number in range(POST_TAGS)} <= made.keys(), "a whole post counts"


def test_what_many_people_tag_is_looked_at_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    posts = [(1 + who, who * HOUR_MS, ["tea", "cake"]) for who in range(20)]
    assert _Indexed(posts).sketched()["tea"].authors == 20
    monkeypatch.setattr(trending, "TREND_ROWS", 10)
    assert _Indexed(posts).sketched()["tea"].authors == 5


def test_a_trend_ends() -> None:
    [fresh] = sketched(uses("tea", 8), NOW_MS, HALF_MS).values()
    [later] = sketched(uses("tea", 8, HALF_MS), NOW_MS, HALF_MS).values()
    assert later.observed == fresh.observed // 2
    assert tags(*uses("tea", 8, 12 * HOUR_MS)) == []


@pytest.mark.parametrize("ago_ms", [-1, -10 * DAY_MS, WINDOW_MS, 100 * WINDOW_MS])
def test_what_is_in_the_future_or_long_past_counts_for_nothing(ago_ms: int) -> None:
    assert sketched(uses("tea", 50, ago_ms), NOW_MS, HALF_MS) == {}


def test_how_many_people_is_told_about_right_when_they_are_many() -> None:
    made = sketched(uses("tea", 5_000), NOW_MS, HALF_MS)["tea"]
    assert len(made.hashes) == HASHES_MAX
    assert 3_000 < made.authors < 8_000
    assert sketched(uses("tea", 40), NOW_MS, HALF_MS)["tea"].authors == 40


SKETCHES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.builds(
        Sketch,
        st.integers(0, 2**40),
        st.integers(0, 2**40),
        st.sets(st.integers(0, 2**HASH_BITS - 1), max_size=HASHES_MAX).map(
            lambda found: tuple(sorted(found))
        ),
    ),
    max_size=3,
)


@given(st.lists(SKETCHES, max_size=5), st.randoms(use_true_random=False))
def test_the_order_in_which_sketches_are_added_up_makes_no_difference(
    parts: list[dict[str, Sketch]], random: Any
) -> None:
    nothing: dict[str, Sketch] = {}

    def add(left: dict[str, Sketch], right: dict[str, Sketch]) -> dict[str, Sketch]:
        return merged([left, right])

    whole = merged(parts)
    shuffled = list(parts)
    random.shuffle(shuffled)
    assert merged(shuffled) == whole
    assert reduce(add, shuffled, nothing) == whole
    assert merged([merged(parts[:2]), merged(parts[2:])]) == whole


POSTS = st.lists(
    st.builds(
        Use,
        st.sampled_from(["tea", "cake"]),
        st.integers(1, 6).map(person),
        st.integers(NOW_MS - 9 * DAY_MS, NOW_MS + DAY_MS),
    ),
    max_size=40,
)


@given(POSTS, st.randoms(use_true_random=False))
def test_ranges_apart_come_to_what_they_come_to_together(posts: list[Use], random: Any) -> None:
    shuffled = list(posts)
    random.shuffle(shuffled)
    whole = sketched(posts, NOW_MS, HALF_MS)
    assert sketched(shuffled, NOW_MS, HALF_MS) == whole
    apart = [[use for use in posts if use.author[-1] % 3 == part] for part in range(3)]
    assert merged(sketched(part, NOW_MS, HALF_MS) for part in apart) == whole


def tagged(who: Author, *words: str, ago_ms: int = 0, **more: Any) -> Record:
    item = make_uuid7(time.time_ns() // 1_000_000 - 20_000 - ago_ms, next(_numbers))
    return who.record("post", item, {"text": "look", "tags": list(words), **more})


async def trend(client: Client, *expected: tuple[str, int]) -> None:
    """Wait until these tags trend and no others, by so many people."""
    told: list[tuple[str, int]] = []

    async def is_so() -> bool:
        try:
            answer = await client.call("feed.trends", limit=50)
        except WireError as error:
            assert error.kind in (BUSY, LEVEL_UNREACHABLE), error
            return False
        told[:] = sorted((each["tag"], each["authors"]) for each in answer["trends"])
        return answer["covered"]["ranges"] == answer["covered"]["of"] and told == sorted(expected)

    try:
        await until(is_so, what=f"{expected} to trend", within_s=2 * SEEN_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\nseen {told}") from None


class _Alone:
    """Stands for a scatter of one range, kept by one node, or by another that answers as it likes."""

    def __init__(self, answer: dict[str, Any] | None = None) -> None:
        self.node_id, self._answer = b"own", answer

    async def over_ranges(self, ask: Any, failed: set[bytes]) -> set[int]:
        return set(await ask(b"own" if self._answer is None else b"other", [(1, 1)]))

    async def call(self, node_id: bytes, method: str, params: Any) -> Any:
        return self._answer

    @asynccontextmanager
    async def answering(self, asked: Any) -> AsyncIterator[Any]:
        yield [1], lambda key: True


class _Sketching:
    """An index that lets others run meanwhile; how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def sketch(self, keeps: Any, now_ms: int, half_life_ms: int) -> dict[str, Sketch]:
        self.asked += 1
        await trio.lowlevel.checkpoint()
        return {"tea": Sketch(5 * ONE, 0, (1, 2, 3))}

    def lag_s(self) -> float:
        return 0.0


def trends_of(scatter: _Alone, index: _Sketching) -> Trending:
    alone: Any = scatter
    known: Any = SimpleNamespace(ranges=[1])
    return Trending(alone, lambda: known, index, Terms(HALF_MS, 3), lambda: NOW_MS * 1000, trio.current_time)


async def test_who_asks_at_once_has_one_sketch_made(autojump_clock: Any) -> None:
    index = _Sketching()
    asked, nobody = trends_of(_Alone(), index), Asker("::1", bytes(32))
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(asked.trends, nobody, {})
    [trend] = (await asked.trends(nobody, {}))["trends"]
    assert (trend["tag"], trend["authors"], index.asked) == ("tea", 3, 1)


async def test_one_person_told_of_three_times_is_one(autojump_clock: Any) -> None:
    answer = {"tags": [["tea", 9 * ONE, 0, [7, 7, 7]], ["cake", 9 * ONE, 0, [9, 3, 5]]], "ranges": [1]}
    asked = trends_of(_Alone({**answer, "lag_ms": 0}), _Sketching())
    assert [each["tag"] for each in (await asked.trends(Asker("::1", bytes(32)), {}))["trends"]] == ["cake"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_tags_trend_over_all_ranges_each_counted_once(tmp_path: Path, shape: Shape) -> None:
    people = [Author(number) for number in range(1, 12)]
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        posts = [tagged(each, "Tea") for each in people]
        posts += [tagged(each, "#CAKE", ago_ms=1) for each in people[:5]]
        posts += [tagged(people[0], "alone", ago_ms=2 + number) for number in range(20)]
        await client.put(*posts, level="all")
        for node in town.nodes:
            async with town.client(node) as asking:
                await trend(asking, ("tea", 11), ("cake", 5))


async def test_nothing_that_is_labelled_hidden_or_warned_of_trends(tmp_path: Path) -> None:
    people = [Author(number) for number in range(1, 6)]
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        good = [tagged(each, "good") for each in people]
        bad = [tagged(each, "bad", ago_ms=1) for each in people]
        warned = [tagged(each, "warned", ago_ms=2, warning="blood") for each in people]
        selfish = [tagged(each, "selfish", ago_ms=3, labels=["spam"]) for each in people]
        await client.put(*good, *bad, *warned, *selfish, level="all")
        await trend(client, ("bad", 5), ("good", 5))
        key = town[0].environment.secrets.service()
        for post in bad:
            label = Label(post.item, "spam", key.account, post.id, "it is")
            await town[0].plant(
                Record.sign(
                    key,
                    kind="label",
                    item=label.item,
                    body=label.body(),
                    place=post.author,
                    stamp=time.time_ns() // 1000,
                )
            )
        await client.put(people[0].record("profile", b"searchable", {"value": False}), level="all")
        await trend(client, ("good", 4))
