"""Comparisons of views over links: what a peer may send there and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.joining.seeds import Joining
from folkmoot.node.push_pulls import PUSH_PULL, PushPulls
from folkmoot.node.system import SystemWallClock
from folkmoot.node.transport.interface import Address
from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.gossip import push_pull
from folkmoot.protocol.gossip.members import State
from folkmoot.protocol.gossip.profile import LOOPBACK
from folkmoot.protocol.gossip.push_pull import Compare, Equal, Exchange, Request, Whole

from tests.gossip.actors import cluster
from tests.gossip.world import node_id
from tests.waiting import until

A, B = node_id("a"), node_id("b")
AT_B = Address("127.0.0.1", 1)
COMPARE = push_pull.encode(Compare(A, b"d" * 16))
EQUAL = push_pull.encode(Equal(B))

NONSENSE: list[Any] = [
    None,
    5,
    [],
    "text",
    {},
    {"payload": None},
    {"payload": 5},
    {"payload": "text"},
    {"payload": b""},
    {"payload": b"\xc1"},
    {"payload": codec.pack([4, B, [[]]])},
    {"payload": codec.pack([4, B, [[B, 0, True, True, b""]]])},
    {"payload": COMPARE},
    {"payload": EQUAL + b"\x00"},
    {"payload": EQUAL, "time_us": "now"},
    {"payload": EQUAL, "time_us": -1},
    {"payload": EQUAL, "time_us": 2**63},
]


class Links:
    """Node b, which answers whatever it is told to."""

    def __init__(self, result: object, *, there: bytes = B) -> None:
        self.result = result
        self.there = there
        self.asked: list[tuple[object, Mapping[str, Any]]] = []

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        assert method == PUSH_PULL
        self.asked.append((node_id, params))
        return self.result

    async def call_address(
        self, address: Address, method: str, params: Mapping[str, Any], timeout_s: float
    ) -> tuple[bytes, Any]:
        self.asked.append((address, params))
        return self.there, self.result


class Alone:
    """A membership that knows where b is and has nothing new to tell."""

    def address_of(self, node_id: bytes) -> Address | None:
        return AT_B if node_id == B else None

    async def handle_push_pull(self, request: Request) -> bytes:
        return push_pull.encode(Equal(A))


def calls(links: Links) -> PushPulls:
    made = PushPulls(links, Joining([]), SystemWallClock())
    made.follow(Alone())
    return made


async def test_a_known_member_is_asked_by_its_link_and_others_at_their_address() -> None:
    links = Links({"payload": EQUAL})
    assert await calls(links).ask(AT_B, B, COMPARE) == Equal(B)
    assert await calls(links).ask(AT_B, None, COMPARE) == Equal(B)
    assert await calls(links).ask(Address("127.0.0.1", 9), B, COMPARE) == Equal(B)
    assert links.asked == [
        (B, {"payload": COMPARE}),
        (AT_B, {"payload": COMPARE}),
        (Address("127.0.0.1", 9), {"payload": COMPARE}),
    ]


@pytest.mark.parametrize("result", NONSENSE)
@pytest.mark.parametrize("to", [B, None])
async def test_a_malformed_answer_is_a_typed_error(result: object, to: bytes | None) -> None:
    with pytest.raises(WireError) as caught:
        await calls(Links(result)).ask(AT_B, to, COMPARE)
    assert caught.value.kind.code < 200, "the fault is the peer's"


@pytest.mark.parametrize("params", NONSENSE[:-5])
async def test_a_malformed_request_is_a_typed_error(params: object) -> None:
    with pytest.raises(WireError) as caught:
        await calls(Links(None)).answer(B, params)
    assert caught.value.kind.code < 200, "the fault is the peer's"


async def test_random_bytes_are_typed_errors() -> None:
    random = Random(1)
    for size in range(60):
        payload = b"\x93" + random.randbytes(size)
        with pytest.raises(WireError):
            await calls(Links(None)).answer(B, {"payload": payload})
        with pytest.raises(WireError):
            await calls(Links({"payload": payload})).ask(AT_B, B, COMPARE)


async def test_nobody_speaks_for_another_node() -> None:
    """What the link proves and what the message says are the same node, or the message is none."""
    other = node_id("c")
    for forged in (Equal(other), Whole(other, ())):
        links = Links({"payload": push_pull.encode(forged)})
        for to in (B, None):
            with pytest.raises(WireError, match=f"as if it were {other.hex()}"):
                await calls(links).ask(AT_B, to, COMPARE)
    for said in (Compare(other, b"d" * 16), Exchange(other, ())):
        with pytest.raises(WireError, match=f"as if it were {other.hex()}"):
            await calls(Links(None)).answer(B, {"payload": push_pull.encode(said)})
    assert await calls(Links(None)).answer(B, {"payload": push_pull.encode(Exchange(B, ()))})


async def test_a_peer_that_answers_nonsense_for_ever_ends_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The actors go on comparing, and find what rumours missed once the answers make sense again."""
    async with cluster("ab") as actors:
        links = Links(None)
        spoilt = PushPulls(links, Joining([]), SystemWallClock())
        spoilt.follow(actors.running["a"])
        actors.running["a"]._ask_peer = spoilt.ask
        for result in NONSENSE:
            links.result = result
            asked = len(links.asked)
            await until(
                lambda before=asked: len(links.asked) > before,  # type: ignore[misc]
                what="views to be compared",
                within_s=3 * LOOPBACK.push_pull_interval_s,
            )
        await trio.testing.wait_all_tasks_blocked()
        assert actors.state("a", "b") is actors.state("b", "a") is State.ALIVE
