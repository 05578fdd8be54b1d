"""Sections 1, 4 and 7: who answers, how a conversation opens, and who may be somebody in it."""

from __future__ import annotations

import os
import ssl
import time

import pytest
import trio

from tests.contract.speaker import MESSAGE_BYTES, Device, Place, Refused, dial, opened, tls_context, wire

pytestmark = pytest.mark.cluster


async def test_a_certificate_says_the_name_and_the_node(town: list[Place]) -> None:
    for place in town:
        async with wire(place) as connection:
            assert connection.stream.version() == "TLSv1.3"
            names = connection.stream.getpeercert()["subjectAltName"]
            assert ("DNS", "node.folkmoot") in names
            hello = await connection.hello()
            assert ("URI", f"folkmoot:{hello['cluster']}/{hello['node']['id']}") in names


async def test_another_name_or_another_ca_does_not_verify(node: Place) -> None:
    plain = await trio.open_tcp_stream(node.host, node.port)
    stranger = trio.SSLStream(plain, tls_context(node.ca), server_hostname="other.folkmoot")
    with pytest.raises(trio.BrokenResourceError) as broken:
        await stranger.do_handshake()
    assert isinstance(broken.value.__cause__, ssl.SSLCertVerificationError)
    await trio.aclose_forcefully(stranger)
    with pytest.raises(trio.BrokenResourceError):
        await dial(node, ssl.create_default_context())


async def test_older_tls_is_refused(node: Place) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(node.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(trio.BrokenResourceError):
        await dial(node, context)


async def test_bytes_that_are_not_tls_get_no_answer(node: Place) -> None:
    plain = await trio.open_tcp_stream(node.host, node.port)
    async with plain:
        await plain.send_all(b"GET / HTTP/1.1\r\nHost: node.folkmoot\r\n\r\n")
        with trio.fail_after(10):
            try:
                while await plain.receive_some(4096):  # an alert, perhaps
                    pass
            except trio.BrokenResourceError:
                pass


async def test_hello_tells_who_and_what(town: list[Place]) -> None:
    challenges = set()
    for place in town:
        async with wire(place) as connection:
            hello = await connection.hello(unknown_key={"ignored": True})
        assert hello["version"] == 1
        assert hello["node"]["id"] == place.node_id and hello["node"]["region"] == place.region
        assert type(hello["node"]["name"]) is str and hello["cluster"] == "contract"
        assert type(hello["features"]) is list
        limits = hello["limits"]
        assert limits["message_bytes"] == MESSAGE_BYTES and limits["record_bytes"] == 16384
        assert limits["inflight"] >= 1 and limits["page"] == 200
        assert type(hello["challenge"]) is bytes and len(hello["challenge"]) == 32
        assert abs(hello["time_ms"] - time.time_ns() // 1_000_000) < 60_000
        challenges.add(hello["challenge"])
    assert len(challenges) == len(town)


async def test_the_first_request_is_hello(node: Place) -> None:
    async with wire(node) as connection:
        assert await connection.refusal("ping") == "bad_request"
        assert await connection.refusal("record.put", {"records": []}) == "bad_request"
        assert (await connection.hello())["version"] == 1
        assert type((await connection.call("ping"))["time_ms"]) is int


@pytest.mark.parametrize("versions", [[1, 1], [1, 9], [0, 1], [0, 2**64 - 1]])
async def test_the_version_is_one_both_speak(node: Place, versions: list[int]) -> None:
    async with wire(node) as connection:
        assert (await connection.hello(versions=versions))["version"] in range(versions[0], versions[1] + 1)


@pytest.mark.parametrize("versions", [[0, 0], [2, 3], [2, 2**64 - 1]])
async def test_no_common_version_is_said_so(node: Place, versions: list[int]) -> None:
    async with wire(node) as connection:
        with pytest.raises(Refused) as refused:
            await connection.hello(versions=versions)
        assert refused.value.name == "unsupported_version"


@pytest.mark.parametrize("versions", [None, [1], [1, 1, 1], ["1", "1"], "1", [1.0, 1.0], [True, 1]])
async def test_a_hello_of_the_wrong_shape_is_a_bad_request(node: Place, versions: object) -> None:
    async with wire(node) as connection:
        with pytest.raises(Refused) as refused:
            await connection.hello(versions=versions)
        assert refused.value.name == "bad_request"
        assert (await connection.hello())["version"] == 1, "the connection lives on"


@pytest.mark.parametrize("versions", [[2, 1], [2**64 - 1, 0], [-1, 1], [-(2**63), 2**63], [-2, -1]])
async def test_versions_that_are_no_range_are_a_bad_request(node: Place, versions: list[int]) -> None:
    async with wire(node) as connection:
        with pytest.raises(Refused) as refused:
            await connection.hello(versions=versions)
        assert refused.value.name == "bad_request"


async def test_auth_proves_an_account(node: Place, ann: Device) -> None:
    async with wire(node) as connection:
        challenge = (await connection.hello())["challenge"]
        proven = await connection.authenticate(ann, challenge, node.node_id)
        assert proven["account"] == ann.account and proven["roles"] == []
        assert proven["expires_ms"] > time.time_ns() // 1_000_000


async def test_auth_fits_this_connection_this_node_and_this_key(
    town: list[Place], ann: Device, bob: Device
) -> None:
    node, other = town[:2]
    async with wire(node) as connection:
        challenge = (await connection.hello())["challenge"]
        async with wire(node) as second:
            elsewhere = (await second.hello())["challenge"]
        for message in (
            b"folkmoot-auth-v1\0" + elsewhere + node.node_id.encode(),
            b"folkmoot-auth-v1\0" + challenge + other.node_id.encode(),
            b"folkmoot-auth-v1\0" + challenge,
            challenge + node.node_id.encode(),
        ):
            params = {"account": ann.account, "signature": ann.sign(message)}
            assert await connection.refusal("auth", params) == "bad_signature"
        right = b"folkmoot-auth-v1\0" + challenge + node.node_id.encode()
        wrong_key = {"account": ann.account, "signature": bob.sign(right)}
        assert await connection.refusal("auth", wrong_key) == "bad_signature"
        unlisted = {"account": ann.account, "signer": bob.account, "signature": bob.sign(right)}
        assert await connection.refusal("auth", unlisted) == "revoked_key"
        for account in (ann.account[2:], b"\x00" * 34, "text"):
            nobody: dict[str, object] = {"account": account, "signature": ann.sign(right)}
            assert await connection.refusal("auth", nobody) == "bad_request"
        assert (await connection.authenticate(ann, challenge, node.node_id))["account"] == ann.account


BETWEEN_NODES = ("peer.put", "replica.put", "feed.page", "projection.changes")


@pytest.mark.parametrize("method", [*BETWEEN_NODES, "", "Ping", "record", "x" * 1000])
async def test_unknown_methods_are_said_so(node: Place, method: str) -> None:
    async with opened(node) as connection:
        assert await connection.refusal(method) == "unknown_method"
        await connection.call("ping")


async def test_nothing_of_a_stranger_is_believed(node: Place) -> None:
    """Operators' methods exist on clusters made to be broken; a stranger may not use them."""
    async with opened(node) as connection:
        assert await connection.refusal("fault.list") == "unauthenticated"
        stranger = Device(os.urandom(32))
        async with wire(node) as proven:
            challenge = (await proven.hello())["challenge"]
            await proven.authenticate(stranger, challenge, node.node_id)
            assert await proven.refusal("fault.list") == "forbidden"
