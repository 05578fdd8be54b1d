"""Who ranks, how often, and what it may take; over candidates that come when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

import pytest
import trio
from folkmoot.node.projections.listings import Place
from folkmoot.node.projections.posts import UNREACHED, Ref
from folkmoot.node.ranking import ranker as rankers
from folkmoot.node.ranking.gathering import Gathered, Gathering
from folkmoot.node.ranking.ranker import AT_ONCE, WAITING, Asked, Kept, Ranker
from folkmoot.protocol import codec
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import BUSY, NOT_FOUND, TOO_LARGE, WireError
from folkmoot.protocol.feed.viewer import PUBLIC
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import MIB
from folkmoot.protocol.projections.entries import public_of
from folkmoot.protocol.record import Record
from folkmoot.storage.rows import Counts
from folkmoot.storage.shown_post import Post
from trio.testing import wait_all_tasks_blocked

from tests.ranking.posts import document

T = TypeVar("T")
ANN, BEN = KeyPair(b"\x01" * 32), KeyPair(b"\x02" * 32)
NOW_US = 1_700_000_100_000_000
BY_LIKES = document("likes")


class Inline:
    """An executor whose clock goes on when something says so."""

    def __init__(self) -> None:
        self.clock_s = 0.0

    async def run(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work()

    def spent_s(self) -> float:
        return self.clock_s


class Sources:
    """A gathering that gives the same few posts each time, once it is let go."""

    def __init__(self, posts: int = 3) -> None:
        self.gathered = 0
        self.may_go = trio.Event()
        self.fails: WireError | None = None
        self.posts = [Ref(BEN.account, make_uuid7(1_700_000_000_000, number)) for number in range(posts)]
        self.gone: set[Ref] = set()

    async def gather(self, *asked: Any) -> Gathered:
        self.gathered += 1
        await self.may_go.wait()
        if self.fails is not None:
            raise self.fails
        gathered = Gathered()
        places = [Place(ref.item + public_of(ref.author), ref) for ref in self.posts]
        gathered.add("following", places)
        return gathered

    async def read(self, refs: Iterable[Ref]) -> Mapping[Ref, Any]:
        return {ref: UNREACHED if ref in self.gone else _post(ref) for ref in refs}

    def followed(self, account: bytes, others: Iterable[bytes]) -> set[bytes]:
        return set()


def _post(ref: Ref) -> Post:
    record = Record.sign(BEN, kind="post", item=ref.item, body={"text": "hello"}, stamp=1)
    return Post(codec.pack(record.to_wire()), [], Counts(1, 0), 0)


def ranker_of(sources: Sources, executor: Inline | None = None) -> Ranker:
    gathering = cast(Gathering, sources)
    return Ranker(
        gathering, executor or Inline(), frozenset, lambda: 1_700_000_100_000_000, trio.current_time, MIB
    )


def asked_by(number: int = 0) -> Asked:
    return Asked(ANN.account, None, number.to_bytes(32, "big"))


async def ask(ranker: Ranker, told: list[Any], number: int = 0, as_of_ms: int | None = None) -> None:
    try:
        told.append(await ranker.ranking(asked_by(number), BY_LIKES, PUBLIC, as_of_ms))
    except WireError as error:
        told.append(error)


async def test_a_first_page_is_kept_for_two_seconds_and_later_ones_for_two_minutes() -> None:
    sources, clock = Sources(), [100.0]
    sources.may_go.set()
    ranker = Ranker(cast(Gathering, sources), Inline(), frozenset, lambda: NOW_US, lambda: clock[0], MIB)
    told: list[Kept] = []
    await ask(ranker, told)
    clock[0] += 1.9
    await ask(ranker, told)
    assert told[1] is told[0] and sources.gathered == 1
    clock[0] += 110.0
    await ask(ranker, told, as_of_ms=told[0].as_of_ms)
    assert told[2] is told[0] and sources.gathered == 1
    await ask(ranker, told)
    assert sources.gathered == 2, "who begins anew is told of what there is now"
    clock[0] += 121.0
    await ask(ranker, told, as_of_ms=told[0].as_of_ms)
    assert sources.gathered == 3 and told[4].as_of_ms == told[0].as_of_ms


@pytest.mark.parametrize("as_of_ms", [None, 1_700_000_000_001])
async def test_all_who_ask_for_the_same_meanwhile_get_one_ranking(as_of_ms: int | None) -> None:
    sources = Sources()
    ranker, told = ranker_of(sources), cast(list[Kept], [])
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask, ranker, told, 0, as_of_ms)
        await wait_all_tasks_blocked()
        sources.may_go.set()
    assert sources.gathered == 1 and len(told) == 50
    assert all(each is told[0] for each in told) and len(told[0].places) == 3


async def test_when_the_first_who_asked_is_gone_the_next_one_ranks() -> None:
    sources = Sources()
    ranker, told = ranker_of(sources), cast(list[Kept], [])
    async with trio.open_nursery() as nursery:
        first = trio.CancelScope()
        nursery.start_soon(_until, first, partial(ask, ranker, [], 0))
        await wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(ask, ranker, told)
        await wait_all_tasks_blocked()
        first.cancel()
        await wait_all_tasks_blocked()
        sources.may_go.set()
    assert sources.gathered == 2 and len(told) == 3 and all(len(each.places) == 3 for each in told)


async def _until(scope: trio.CancelScope, what: Callable[[], Any]) -> None:
    with scope:
        await what()


async def test_what_goes_wrong_is_told_to_all_who_waited_and_asked_for_anew_by_others() -> None:
    sources = Sources()
    sources.fails = WireError(NOT_FOUND, "this node has no such source")
    ranker, told = ranker_of(sources), cast(list[WireError], [])
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask, ranker, told)
        await wait_all_tasks_blocked()
        sources.may_go.set()
    assert sources.gathered == 1 and [each.kind for each in told] == [NOT_FOUND] * 5
    assert len({id(each) for each in told}) == 5 and {each.message for each in told} == {
        sources.fails.message
    }
    sources.fails = None
    again: list[Any] = []
    await ask(ranker, again)
    assert len(again[0].places) == 3


async def test_more_than_can_have_their_turn_are_turned_away_before_anything_is_looked_for() -> None:
    sources = Sources()
    ranker, told = ranker_of(sources), list[Any]()
    most = AT_ONCE + WAITING
    async with trio.open_nursery() as nursery:
        for number in range(most + 5):
            nursery.start_soon(ask, ranker, told, number)
        await wait_all_tasks_blocked()
        assert [each.kind for each in told] == [BUSY] * 5 and sources.gathered == most
        sources.may_go.set()
    assert len(told) == most + 5
    after: list[Any] = []
    await ask(ranker, after, most + 6)
    assert isinstance(after[0], Kept), "there is room again"


async def test_what_it_takes_to_read_posts_is_among_what_a_ranking_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its expressions cost nothing here, but each post a hundred milliseconds to put in a form."""
    executor, sources = Inline(), Sources(posts=500)
    made: list[int] = []

    def dear(*args: Any) -> Any:
        executor.clock_s += 0.1
        made.append(1)
        return {"age_s": 1.0, "likes": 1.0}

    monkeypatch.setattr(rankers, "signals_of", dear)
    sources.may_go.set()
    told: list[Any] = []
    await ask(ranker_of(sources, executor), told)
    assert told[0].kind is TOO_LARGE and len(made) == 3


async def test_posts_that_cannot_be_asked_for_are_said() -> None:
    sources = Sources()
    sources.may_go.set()
    sources.gone = {sources.posts[1]}
    told: list[Any] = []
    await ask(ranker_of(sources), told)
    assert len(told[0].places) == 2 and told[0].unreached == ["following"]
