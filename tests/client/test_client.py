"""The client against nodes that refuse, die, lie and come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from folkmoot.protocol import limits
from folkmoot.protocol.client import (
    ClientError,
    ClientSettings,
    LinkBroken,
    Unreachable,
    UntrustedNode,
    connect,
)
from folkmoot.protocol.client.dialing import Endpoint
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import NoAnswer
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import (
    BUSY,
    FORBIDDEN,
    LEVEL_UNREACHABLE,
    SHUTTING_DOWN,
    UNKNOWN_METHOD,
    UNSUPPORTED_VERSION,
    ErrorKind,
    WireError,
)
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.token import Token

from tests.client.stub import StubNode, stub_nodes
from tests.waiting import until

ALICE = KeyPair(b"a" * 32)
FRAMES = [(bytes([n % 256]) * 200, bytes(64)) for n in range(600)]


def failing_once(error: WireError, then: Any) -> Callable[[StubNode, Link, Params], Any]:
    """An answer that is an error the first time."""
    left = [error]

    async def answer(node: StubNode, link: Link, params: Params) -> Any:
        if left:
            raise left.pop()
        return then

    return answer


async def stored(node: StubNode, link: Link, params: Params) -> Any:
    results = [{"id": payload[:32], "status": "stored"} for payload, _ in params["records"]]
    return {"results": results, "token": Token().encode()}


async def hang(node: StubNode, link: Link, params: Params) -> Any:
    await trio.sleep_forever()


async def test_hello_over_tls_proves_the_node(tmp_path: Path) -> None:
    node = StubNode(1, tmp_path)
    async with (
        stub_nodes(node),
        connect(f"localhost:{node.address.port}", ca=tmp_path / "ca.crt") as client,
    ):
        welcome = await client.ready()
        assert (welcome.node.id, welcome.cluster) == (node.id.hex(), "town")
        assert welcome.limits["record_bytes"] == limits.RECORD_BYTES
        assert await client.call("ping") == {"time_ms": 0}
        (opened,) = node.answered("hello")
        assert opened["versions"] == [1, 1]


async def test_a_node_that_is_not_who_its_certificate_says(tmp_path: Path) -> None:
    node = StubNode(1, tmp_path)
    node.said_id = bytes(16).hex()
    async with stub_nodes(node):
        with pytest.raises(UntrustedNode, match="but its certificate says"):
            async with connect(str(node.address), ca=tmp_path / "ca.crt"):
                pass


async def test_a_node_of_another_ca(tmp_path: Path) -> None:
    node, other = StubNode(1, tmp_path / "a"), StubNode(2, tmp_path / "b")
    async with stub_nodes(node, other):
        with pytest.raises(UntrustedNode, match="no node of this cluster"):
            async with connect(str(node.address), ca=tmp_path / "b/ca.crt"):
                pass
        # An address that can be trusted is found behind one that cannot.
        addresses = [str(node.address), str(other.address)]
        async with connect(addresses, ca=tmp_path / "b/ca.crt") as client:
            assert (await client.ready()).node.id == other.id.hex()


async def test_tls_and_plain_do_not_mix(tmp_path: Path) -> None:
    plain, secure = StubNode(1), StubNode(2, tmp_path)
    async with stub_nodes(plain, secure):
        with pytest.raises(Unreachable, match="does not speak TLS"):
            async with connect(str(plain.address), ca=tmp_path / "ca.crt"):
                pass
        with pytest.raises(Unreachable):
            async with connect(str(secure.address), tls=False):
                pass


@pytest.mark.parametrize(
    "address", ["here", "here:", ":1", "here:one", "here:65536", "::1:7400", "a:\u0661", "a..b:1"]
)
async def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ClientError, match="is no address"):
        async with connect(address, tls=False):
            pass


def test_what_is_an_address() -> None:
    assert Endpoint.parse("[::1]:7400") == Endpoint("::1", 7400)
    assert str(Endpoint("::1", 7400)) == "[::1]:7400"


async def test_mistakes_in_the_options_are_said(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="give the cluster's CA file"):
        async with connect("127.0.0.1:1"):
            pass
    with pytest.raises(ClientError, match="no address"):
        async with connect([], tls=False):
            pass
    with pytest.raises(ClientError, match=r"absent\.crt cannot be used"):
        async with connect("127.0.0.1:1", ca=tmp_path / "absent.crt"):
            pass


async def test_nobody_there_is_said_of_every_address() -> None:
    node = StubNode()
    async with stub_nodes(node):
        node.die()
    with pytest.raises(Unreachable) as caught:
        async with connect([str(node.address), "127.0.0.1:1"], tls=False):
            pass
    assert str(node.address) in str(caught.value)
    assert "127.0.0.1:1: connection refused" in str(caught.value)


async def test_a_version_nobody_shares() -> None:
    node = StubNode()
    node.answers["hello"] = failing_once(WireError(UNSUPPORTED_VERSION, "too old"), None)
    async with stub_nodes(node):
        with pytest.raises(WireError, match="unsupported_version"):
            async with connect(str(node.address), tls=False):
                pass


async def test_what_the_body_raises_is_raised_as_itself() -> None:
    node = StubNode()
    async with stub_nodes(node):
        with pytest.raises(ZeroDivisionError):
            async with connect(str(node.address), tls=False):
                raise ZeroDivisionError


@pytest.mark.parametrize(("kind", "retried"), [(BUSY, True), (LEVEL_UNREACHABLE, True), (FORBIDDEN, False)])
async def test_errors_are_retried_when_that_can_help(kind: ErrorKind, retried: bool) -> None:
    node = StubNode()
    node.answers["cluster.status"] = failing_once(WireError(kind, "no", retry_after_ms=1), {"nodes": []})
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        if retried:
            assert await client.status() == {"nodes": []}
        else:
            with pytest.raises(WireError) as caught:
                await client.status()
            assert caught.value.kind == kind
        assert len(node.answered("cluster.status")) == 1 + retried


async def test_attempts_and_deadlines_end() -> None:
    pauses_ms = iter([1, 1, 1, 1, 60_000])

    async def busy(node: StubNode, link: Link, params: Params) -> Any:
        raise WireError(BUSY, "always", retry_after_ms=next(pauses_ms))

    node = StubNode()
    node.answers["ping"] = busy
    async with (
        stub_nodes(node),
        connect(str(node.address), tls=False, settings=ClientSettings(attempts=4)) as client,
    ):
        for asked in (4, 5):  # the second call would have to wait beyond its deadline
            with pytest.raises(WireError, match="busy"):
                await client.call("ping", deadline_s=30.0)
            assert len(node.answered("ping")) == asked


async def test_a_deadline_that_has_passed_is_no_answer_and_costs_no_connection() -> None:
    node = StubNode()
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        session = await client.session()
        with pytest.raises(NoAnswer, match="no answer to ping"):
            await client.call("ping", deadline_s=0.0)
        assert node.answered("ping") == []
        assert await client.session() is session


@pytest.mark.parametrize("asked_ms", [-60_000, "soon", 1.5])
async def test_pauses_that_make_no_sense_are_not_kept(asked_ms: Any) -> None:
    node = StubNode()
    refusal = WireError(BUSY, "not now", retry_after_ms=asked_ms)
    node.answers["ping"] = failing_once(refusal, {"time_ms": 7})
    refused = {"id": b"", "status": "refused", "error": refusal.to_wire()}
    results = iter((refused, {"id": b"", "status": "stored"}))

    async def put(node: StubNode, link: Link, params: Params) -> Any:
        return {"results": [next(results)], "token": Token().encode()}

    node.answers["record.put"] = put
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        assert await client.call("ping") == {"time_ms": 7}
        assert [result.status for result in await client.put_records(FRAMES[:1])] == ["stored"]


async def test_calls_survive_the_death_of_a_node() -> None:
    first, second = StubNode(1), StubNode(2)
    first.answers["cluster.status"] = hang
    second.answers["cluster.status"] = failing_once(WireError(BUSY, "no"), {"nodes": [2]})
    async with (
        stub_nodes(first, second),
        connect([str(first.address), str(second.address)], tls=False) as client,
    ):
        assert (await client.ready()).node.id == first.id.hex()
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                assert await client.status() == {"nodes": [2]}

            for _ in range(20):
                nursery.start_soon(ask)
            await until(lambda: len(first.answered("cluster.status")) == 20, what="twenty calls under way")
            first.die()
        assert (await client.ready()).node.id == second.id.hex()
        assert len(second.answered("hello")) == 1


async def test_a_node_that_returns_is_used_again() -> None:
    node = StubNode()
    async with stub_nodes(node) as nursery, connect(str(node.address), tls=False) as client:
        await client.auth(ALICE)
        node.die()
        session = await client.session()
        await until(lambda: not session.alive, what="the end of the session")
        async with trio.open_nursery() as asking:
            asking.start_soon(client.call, "ping")
            await nursery.start(node.serve)
        assert len(node.answered("auth")) == 2


async def test_methods_that_may_not_be_repeated_are_not() -> None:
    async def break_off(node: StubNode, link: Link, params: Params) -> Any:
        link.close()

    node = StubNode()
    node.answers["case.decide"] = break_off
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        with pytest.raises(LinkBroken):
            await client.call("case.decide")
        assert len(node.answered("case.decide")) == 1
        node.answers["case.decide"] = failing_once(WireError(SHUTTING_DOWN, "not begun"), {"done": True})
        assert await client.call("case.decide") == {"done": True}
        assert len(node.answered("hello")) == 3


async def test_a_node_that_does_not_answer_is_left() -> None:
    silent, other = StubNode(1), StubNode(2)
    silent.answers["ping"] = hang
    async with (
        stub_nodes(silent, other),
        connect(
            [str(silent.address), str(other.address)], tls=False, settings=ClientSettings(attempt_s=0.05)
        ) as client,
    ):
        assert await client.call("ping") == {"time_ms": 0}
        assert (await client.ready()).node.id == other.id.hex()


async def test_records_go_in_batches_and_come_back_in_order() -> None:
    node = StubNode()
    node.answers["record.put"] = stored
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        results = await client.put_records(FRAMES, "one")
        assert [result.id for result in results] == [payload[:32] for payload, _ in FRAMES]
        sizes = [len(params["records"]) for params in node.answered("record.put")]
        assert sorted(sizes) == [88, 256, 256]
        large = [(bytes(16_000), bytes(64))] * 256
        assert len(await client.put_records(large, "one")) == 256
        assert await client.put_records([]) == []


async def test_only_what_is_not_done_is_sent_again() -> None:
    passing = WireError(LEVEL_UNREACHABLE, "later", retry_after_ms=1).to_wire()
    lasting = WireError(FORBIDDEN, "never").to_wire()

    async def put(node: StubNode, link: Link, params: Params) -> Any:
        first = len(node.answered("record.put")) == 1
        outcomes: list[dict[str, Any]] = [
            {"status": "uncertain", "error": passing},
            {"status": "refused", "error": lasting},
            {"status": "stored"},
        ]
        if not first:
            outcomes = [{"status": "duplicate"}]
        return {"results": [{"id": b"", **outcome} for outcome in outcomes], "token": b""}

    node = StubNode()
    node.answers["record.put"] = put
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        results = await client.put_records(FRAMES[:3])
        assert [result.status for result in results] == ["duplicate", "refused", "stored"]
        assert node.answered("record.put")[1]["records"] == [list(FRAMES[0])]


async def test_a_refused_request_of_records_is_raised() -> None:
    node = StubNode()
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        with pytest.raises(WireError) as caught:
            await client.put_records(FRAMES)
        assert caught.value.kind == UNKNOWN_METHOD


async def test_pages_follow_the_cursor_to_the_end() -> None:
    async def page(node: StubNode, link: Link, params: Params) -> Any:
        start = int(params.get("cursor", b"0"))
        end = start + params["limit"]
        return {
            "items": [{"record": n} for n in range(start, min(end, 5))],
            "cursor": b"%d" % end if end < 5 else None,
            "token": None,
        }

    node = StubNode()
    node.answers["feed.author"] = page
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        pages = [page async for page in client.author_feed(ALICE.account, limit=2)]
        assert [[item["record"] for item in page.items] for page in pages] == [[0, 1], [2, 3], [4]]


async def test_the_token_is_carried() -> None:
    async def put(node: StubNode, link: Link, params: Params) -> Any:
        return {"results": [{"id": b"", "status": "stored"}], "token": params.get("token", b"") + b"x"}

    async def get(node: StubNode, link: Link, params: Params) -> Any:
        return {"cells": [None], "achieved": "one", "token": params.get("token")}

    node = StubNode()
    node.answers |= {"record.put": put, "record.get": get}
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        await client.put_records(FRAMES[:1])
        await client.put_records(FRAMES[:1])
        assert await client.get([(ALICE.account, "post", bytes(16))], history=True) == [None]
        (asked,) = node.answered("record.get")
        assert (asked["token"], asked["history"]) == (b"xx", True)
        assert client.token == b"xx"


async def test_tokens_of_calls_under_way_together_are_joined() -> None:
    keys = [cell_key(ALICE.account, "post", bytes([n]) * 16) for n in range(8)]
    both = trio.Event()

    async def put(node: StubNode, link: Link, params: Params) -> Any:
        n = len(node.answered("record.put")) - 1
        if n == len(keys) - 1:
            both.set()
        await both.wait()
        return {
            "results": [{"id": b"", "status": "stored"}],
            "token": Token.of([(keys[n], {ALICE.account: 1})]).encode(),
        }

    node = StubNode()
    node.answers["record.put"] = put
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        async with trio.open_nursery() as nursery:
            for _ in keys:
                nursery.start_soon(client.put_records, FRAMES[:1])
        assert Token.decode(client.token).cells.keys() == set(keys)


async def test_authentication_is_signed_for_this_node_and_account() -> None:
    node = StubNode()
    device = KeyPair(b"d" * 32)
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        assert (await client.auth(ALICE))["account"] == ALICE.account
        await client.auth(device, ALICE.account)
        first, second = node.answered("auth")
        assert "signer" not in first and second["signer"] == device.account
        node.answers["auth"] = failing_once(WireError(FORBIDDEN, "revoked"), None)
        with pytest.raises(WireError, match="revoked"):
            await client.auth(ALICE)
