"""Following with a client: streams that break, repeat, fall silent, lie and end, and what comes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client import AsyncioClient, BlockingClient, Client, Event, Unreachable, connect
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.seen import Seen
from folkmoot.protocol.client.settings import ClientSettings
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, UNKNOWN_METHOD, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import FOLLOW_HEARTBEAT_S
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.client.stub import Answer, StubNode, stub_nodes
from tests.client.stub import hello as stub_hello
from tests.client.test_other_loops import within_asyncio
from tests.waiting import until

ANN = KeyPair(b"a" * 32)
PHONE = KeyPair(b"p" * 32)
NOW_US = 1_790_000_000_000_000
WHAT = {"author": ANN.account}
QUICK = ClientSettings(deadline_s=5.0)


def post(number: int, text: str = "hello", *, stamp: int = 1, device: KeyPair = ANN, **more: Any) -> Record:
    return Record.sign(
        device,
        kind="post",
        item=make_uuid7(1_790_000_000_000, number),
        body={"text": text},
        stamp=NOW_US + stamp,
        author=ANN.account,
        **more,
    )


def deletion(number: int, *, stamp: int = 9) -> Record:
    item = make_uuid7(1_790_000_000_000, number)
    return Record.sign(ANN, kind="post", item=item, body={"deleted": True}, stamp=NOW_US + stamp)


def wire(*records: Record) -> list[dict[str, Any]]:
    return [
        {"record": record.to_wire(), "labels": [], "counts": {"likes": 0, "reposts": 0}} for record in records
    ]


class Streams:
    """The live streams of a stub: each `feed.follow` is answered by the next of some scripts.

    Args:
        scripts: called with a function that tells an event, and the link; in turn, the last one for ever.
    """

    def __init__(self, node: StubNode, *scripts: Callable[[Callable[..., None], Link], None]) -> None:
        self.node = node
        self._scripts = list(scripts)
        self.links: list[Link] = []
        node.answers |= {"feed.follow": self._follow, "feed.credit": _nothing, "feed.unfollow": _nothing}

    @property
    def asked(self) -> list[Params]:
        return self.node.answered("feed.follow")

    @property
    def tell(self) -> Callable[..., None]:
        """Tells an event in the stream that was opened last."""
        number, link = len(self.links), self.links[-1]
        return lambda **event: link.notify("feed.event", {"subscription": number, **event})

    async def _follow(self, node: StubNode, link: Link, params: Params) -> Any:
        self.links.append(link)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        node_tell = self.tell
        if script is not None:
            # The answer and what is told leave together, so that both come in one read.
            trio.lowlevel.spawn_system_task(_after_answer, script, node_tell, link)
        return {"subscription": len(self.links), "cursor": b"begun"}


async def _after_answer(script: Any, tell: Any, link: Link) -> None:
    script(tell, link)


async def _nothing(node: StubNode, link: Link, params: Params) -> Any:
    return {}


def told(cursor: bytes, *records: Record) -> Callable[[Callable[..., None], Link], None]:
    return lambda tell, link: tell(cursor=cursor, items=wire(*records))


def greeting(**other: Any) -> Answer:
    """Says hello as a stub does, but for some keys."""

    async def hello(node: StubNode, link: Link, params: Params) -> Any:
        return {**await stub_hello(node, link, params), **other}

    return hello


def silent(tell: Callable[..., None], link: Link) -> None:
    """Says nothing."""


def records(event: Event) -> list[bytes]:
    return [Record.from_wire(item["record"]).id for item in event.items]


@asynccontextmanager
async def client_of(*nodes: StubNode, settings: ClientSettings = QUICK) -> AsyncIterator[Client]:
    addresses = [str(node.address) for node in nodes]
    async with connect(addresses, tls=False, settings=settings, random=Random(1)) as client:
        yield client


async def test_events_come_in_order_with_their_cursors() -> None:
    node = StubNode()
    streams = Streams(node, told(b"one", post(1), post(2)))
    async with stub_nodes(node), client_of(node) as client:
        stream = client.follow(WHAT, credit=10)
        first = await anext(stream)
        assert (first.cursor, records(first), first.gap) == (b"one", [post(1).id, post(2).id], None)
        assert streams.asked == [{"what": WHAT, "credit": 10}]
        streams.tell(cursor=b"gone", gap={"from": 1, "to": 2, "reason": "not_proven"})
        lost = await anext(stream)
        assert lost.gap is not None and (lost.gap.begin_ms, lost.gap.end_ms, lost.gap.reason) == (
            1,
            2,
            "not_proven",
        )
        assert (lost.items, stream.cursor) == ([], b"gone")


async def test_a_stream_goes_on_at_another_node_without_what_is_told_again() -> None:
    one, other = StubNode(1), StubNode(2)
    Streams(one, told(b"one", post(1), post(2)))
    there = Streams(other, told(b"two", post(2), post(3)))
    async with stub_nodes(one, other), client_of(one, other) as client:
        stream = client.follow(WHAT)
        assert records(await anext(stream)) == [post(1).id, post(2).id]
        one.die()
        assert records(await anext(stream)) == [post(3).id]
        assert [asked.get("cursor") for asked in there.asked] == [b"one"]


def dated(time_ms: int, number: int) -> Record:
    item = make_uuid7(time_ms, number)
    return Record.sign(ANN, kind="post", item=item, body={"text": "hello"}, stamp=NOW_US)


BEGAN_MS = 1_790_000_000_000
AGO = dated(BEGAN_MS - 600_000, 1)
REPOSTS = [
    {**item, "reposter": PHONE.account, "reposted_ms": BEGAN_MS + offset_ms}
    for offset_ms, item in ((-60_000, wire(dated(7, 2))[0]), (60_000, wire(dated(7, 3))[0]))
]


@pytest.mark.parametrize(
    ("what", "since_ms", "before"),
    [
        ({"home": ANN.account}, None, False),
        ({"tag": "tea"}, None, False),
        ({"home": ANN.account}, BEGAN_MS - 10_000, False),
        ({"home": ANN.account}, BEGAN_MS - 900_000, True),
        (WHAT, None, True),
    ],
)
async def test_what_stood_in_a_feed_before_its_stream_began_is_not_told_by_the_next_node(
    what: dict[str, Any], since_ms: int | None, before: bool
) -> None:
    one, other = StubNode(1), StubNode(2)
    late, new = dated(BEGAN_MS - 700_000, 4), dated(BEGAN_MS + 1_000, 5)
    for node in (one, other):
        node.answers["hello"] = greeting(time_ms=BEGAN_MS)
    Streams(one, told(b"one", late))
    old = [dated(BEGAN_MS - 300_000, number) for number in range(10, 14)]
    Streams(other, lambda tell, link: tell(cursor=b"two", items=[*wire(AGO, *old), *REPOSTS, *wire(new)]))
    async with stub_nodes(one, other), client_of(one, other) as client:
        stream = client.follow(what, since_ms=since_ms, credit=16)
        assert records(await anext(stream)) == [late.id], "it came late, and has not been told"
        one.die()
        shown = records(await anext(stream))
        reposted = [Record.from_wire(item["record"]).id for item in REPOSTS]
        everything = [AGO.id, *(each.id for each in old), *reposted, new.id]
        assert shown == (everything if before else [reposted[1], new.id])
        await until(lambda: other.answered("feed.credit"), what="what is left out to be paid for, too")


async def test_what_was_heard_before_a_break_is_given_out_and_not_asked_for_again() -> None:
    node = StubNode()
    streams = Streams(node, told(b"one", post(1)), told(b"three", post(3)))
    async with stub_nodes(node), client_of(node) as client:
        stream = client.follow(WHAT)
        await anext(stream)
        streams.tell(cursor=b"two", items=wire(post(2)))
        await until(lambda: stream._queue, what="the event to arrive")
        streams.links[-1].close()
        session = await client.session()
        await until(lambda: not session.alive, what="the link to break")
        assert records(await anext(stream)) == [post(2).id]
        assert records(await anext(stream)) == [post(3).id]
        assert [asked.get("cursor") for asked in streams.asked] == [None, b"two"]


async def test_an_idle_streams_cursor_moves_on_and_its_link_is_kept_alive() -> None:
    node = StubNode()
    streams = Streams(node, silent)
    async with stub_nodes(node), client_of(node) as client, trio.open_nursery() as nursery:
        stream = client.follow(WHAT)
        nursery.start_soon(anext, stream)
        await until(lambda: streams.links, what="the stream to begin")
        streams.tell(cursor=b"later", heartbeat=True)
        await until(lambda: stream.cursor == b"later", what="the heartbeat to be heard")
        await until(lambda: node.answered("ping"), what="the client to say something, too")
        nursery.cancel_scope.cancel()


async def test_a_silent_connection_is_dropped_and_dialled_anew() -> None:
    one, other = StubNode(1), StubNode(2)
    Streams(one, silent)
    Streams(other, told(b"two", post(2)))
    async with stub_nodes(one, other), client_of(one, other) as client:
        stream = client.follow(WHAT, silence_s=0.2)
        assert records(await anext(stream)) == [post(2).id]


@pytest.mark.parametrize("said_ms", [int(FOLLOW_HEARTBEAT_S * 1000), 0, -1])
async def test_silence_is_measured_by_the_nodes_heartbeats(said_ms: int) -> None:
    node = StubNode()
    Streams(node, silent)

    node.answers["hello"] = greeting(limits={"follow_heartbeat_ms": said_ms})
    async with stub_nodes(node), client_of(node) as client:
        stream = client.follow(WHAT)
        assert stream._patience_s(await client.session()) == 3 * FOLLOW_HEARTBEAT_S


async def test_credit_is_given_back_as_items_are_given_out() -> None:
    node = StubNode()
    streams = Streams(node, told(b"one", *(post(number) for number in range(4))))
    async with stub_nodes(node), client_of(node) as client:
        stream = client.follow(WHAT, credit=10)
        await anext(stream)
        streams.tell(cursor=b"two", items=wire(post(4)))
        await anext(stream)
        await until(lambda: node.answered("feed.credit"), what="credit to be given")
        assert node.answered("feed.credit") == [{"subscription": 1, "credit": 5}]


@pytest.mark.parametrize("error", [WireError(BUSY, "not now"), WireError(UNKNOWN_METHOD, "what?")])
async def test_what_passes_is_tried_again_and_what_does_not_is_raised(error: WireError) -> None:
    one, other = StubNode(1), StubNode(2)
    Streams(one, silent)
    Streams(other, told(b"two", post(2)))

    async def refuse(node: StubNode, link: Link, params: Params) -> Any:
        raise error

    one.answers["feed.follow"] = refuse
    async with stub_nodes(one, other), client_of(one, other) as client:
        stream = client.follow(WHAT)
        if error.kind is BUSY:
            assert records(await anext(stream)) == [post(2).id]
        else:
            with pytest.raises(WireError, match="what"):
                await anext(stream)


async def test_streams_that_end_at_once_time_and_again_are_given_up() -> None:
    node = StubNode()
    streams = Streams(node, lambda tell, link: tell(error=WireError(BUSY, "not now").to_wire()))
    async with stub_nodes(node), client_of(node, settings=ClientSettings(deadline_s=0.5)) as client:
        with pytest.raises(WireError, match="not now"):
            await anext(client.follow(WHAT))
        assert len(streams.asked) > 1


async def test_a_stream_that_found_nobody_goes_on_when_it_is_asked_again() -> None:
    node = StubNode()
    streams = Streams(node, told(b"one", post(1)), told(b"two", post(2)))
    settings = ClientSettings(deadline_s=0.5)
    async with stub_nodes(node) as nursery, client_of(node, settings=settings) as client:
        stream = client.follow(WHAT)
        await anext(stream)
        node.die()
        with pytest.raises(Unreachable):
            await anext(stream)
        await nursery.start(node.serve)
        assert records(await anext(stream)) == [post(2).id]
        assert streams.asked[-1]["cursor"] == b"one"


@pytest.mark.parametrize(
    "event",
    [{"items": []}, {"cursor": b"one", "items": [{"record": 7}]}, {"cursor": b"one", "gap": {"reason": 7}}],
)
async def test_nonsense_is_not_believed(event: dict[str, Any]) -> None:
    node = StubNode()
    Streams(node, lambda tell, link: tell(**event))
    async with stub_nodes(node), client_of(node) as client:
        with pytest.raises(WireError) as caught:
            await anext(client.follow(WHAT))
        assert caught.value.kind is BAD_REQUEST


async def test_events_of_no_stream_go_to_whoever_wants_notifications() -> None:
    node = StubNode()
    streams = Streams(node, told(b"one", post(1)))
    heard: list[str] = []
    async with (
        stub_nodes(node),
        connect(
            str(node.address), tls=False, on_notification=lambda link, told: heard.append(told.method)
        ) as client,
    ):
        stream = client.follow(WHAT)
        await anext(stream)
        await stream.aclose()
        await until(lambda: node.answered("feed.unfollow"), what="the stream to be ended")
        streams.tell(cursor=b"two", items=wire(post(2)))
        streams.links[-1].notify("news", {})
        await until(lambda: len(heard) == 2, what="both to be heard")
        assert heard == ["feed.event", "news"]


async def test_the_blocking_client_follows_too() -> None:
    node = StubNode()
    Streams(node, told(b"one", post(1)))

    def read() -> list[bytes]:
        with BlockingClient(str(node.address), tls=False) as client:
            stream = client.follow(WHAT)
            first = records(next(stream))
            stream.close()
            return first

    async with stub_nodes(node):
        assert await trio.to_thread.run_sync(read) == [post(1).id]
        await until(lambda: node.answered("feed.unfollow"), what="the stream to be ended")


async def test_the_asyncio_client_follows_too() -> None:
    node = StubNode()
    Streams(node, told(b"one", post(1)))
    read: list[bytes] = []

    async def use() -> None:
        async with AsyncioClient(str(node.address), tls=False) as client:
            stream = client.follow(WHAT)
            read.extend(records(await anext(stream)))
            await stream.aclose()

    async with stub_nodes(node):
        await within_asyncio(use)
        assert read == [post(1).id]
        await until(lambda: node.answered("feed.unfollow"), what="the stream to be ended")


def test_nothing_older_is_shown_after_something_newer() -> None:
    seen = Seen()
    first, edit, gone = post(1), post(1, "edit", stamp=2), deletion(1)
    beside = post(1, "beside", stamp=1, device=PHONE)
    over = post(1, "over", stamp=3, device=PHONE, seen={ANN.account: NOW_US + 2})
    told = [(edit, True), (first, False), (edit, False), (beside, True), (over, True), (edit, False)]
    told += [(gone, True), (gone, False), (over, False), (post(1, "again", stamp=99), False)]
    assert [(each, seen.is_news(each)) for each, _ in told] == told


def test_what_an_unknown_edit_superseded_is_not_shown() -> None:
    seen = Seen()
    over = post(1, "over", stamp=3, device=PHONE, seen={ANN.account: NOW_US + 2})
    assert seen.is_news(over)
    assert not seen.is_news(post(1, "older", stamp=2))


@given(order=st.lists(st.integers(0, 9), max_size=60), most=st.integers(1, 10))
def test_what_is_remembered_is_bounded_and_never_hides_news(order: list[int], most: int) -> None:
    seen = Seen(most)
    shown: set[int] = set()
    for number in order:
        if number not in shown:
            assert seen.is_news(post(number))
            shown.add(number)
        else:
            seen.is_news(post(number))
        assert len(seen._cells) <= most
