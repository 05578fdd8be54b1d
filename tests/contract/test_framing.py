"""Section 1: what a receiver must bound and refuse, and what a conversation must survive."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
import trio

from tests.contract.speaker import CODES, MESSAGE_BYTES, Place, Wire, opened

pytestmark = pytest.mark.cluster

PING = msgpack.packb([0, 7, "ping", [{}]])


def nested(levels: int) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def ping_with(value: object) -> bytes:
    """A ping that carries `value` under a key nobody knows: it is three levels down."""
    return bytes(msgpack.packb([0, 1, "ping", [{"unknown": value}]]))


def padded(size: int) -> bytes:
    """A ping of exactly so many bytes."""
    empty = len(ping_with(bytes(70_000))) - 70_000
    return ping_with(bytes(size - empty))


FATAL = {
    "not MessagePack": b"\xc1",
    "an integer": b"\x05",
    "nil": b"\xc0",
    "a map": msgpack.packb({"method": "ping"}),
    "an empty array": b"\x90",
    "a number alone": msgpack.packb([0]),
    "two elements": msgpack.packb([0, 1]),
    "five elements": msgpack.packb([0, 1, "ping", [{}], 1]),
    "a fourth shape": msgpack.packb([3, 1, "ping", [{}]]),
    "a shape that is text": msgpack.packb(["0", 1, "ping", [{}]]),
    "a notification of four": msgpack.packb([2, 1, "ping", [{}]]),
    "a request of three": msgpack.packb([0, "ping", [{}]]),
    "a negative msgid": msgpack.packb([0, -1, "ping", [{}]]),
    "a msgid of 33 bits": msgpack.packb([0, 1 << 32, "ping", [{}]]),
    "a msgid that is text": msgpack.packb([0, "1", "ping", [{}]]),
    "an extension": ping_with(msgpack.ExtType(5, b"x")),
    "an empty extension": b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xc7\x00\x05",
    "a timestamp": ping_with(msgpack.Timestamp(1, 1)),
    "an extension in a key's place": b"\x94\x00\x01\xa4ping\x91\x81\xd4\x05\x00\x01",
    "invalid UTF-8 in the method": b"\x94\x00\x01\xa4p\xffng\x91\x80",
    "invalid UTF-8 in a value": b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xa2\xc3\x28",
    "invalid UTF-8 in a key": b"\x94\x00\x01\xa4ping\x91\x81\xa1\xff\x01",
    "a surrogate": b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xa3\xed\xa0\x80",
    "a list of 4,097": ping_with(list(range(4097))),
    "a map of 4,097": ping_with({str(number): 1 for number in range(4097)}),
    "17 levels": ping_with(nested(14)),
    "1 MiB and a byte": padded(MESSAGE_BYTES + 1),
}
# What must be refused on sight, because its rest never comes.
UNFINISHED = {
    "a list announced too long": b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xdd\x7f\xff\xff\xff",
    "a map announced too long": b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xdf\x7f\xff\xff\xff",
    "binary announced too long": b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xc6\x00\x20\x00\x00",
    "text announced too long": b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xdb\xff\xff\xff\xff",
    "levels without end": b"\x91" * 100_000,
    "maps without end": b"\x81\xa1x" * 30_000,
    "an endless message": b"\x94\x00\x01\xa4ping\x91\xdc\x0f\xff" + (b"\xc5\xff\xff" + bytes(65535)) * 17,
}


async def last_words(connection: Wire) -> dict[str, Any]:
    """The goodbye that comes next, after which nothing comes."""
    message = await connection.receive()
    assert message is not None, "the node hung up without a goodbye"
    assert message[:2] == [2, "goodbye"], message
    [said] = message[2]
    assert said.keys() == {"code", "name", "message"} and CODES[said["name"]] == said["code"]
    assert await connection.receive() is None, "something came after the goodbye"
    return dict(said)


@pytest.mark.parametrize("cases", [FATAL, UNFINISHED], ids=["malformed", "unfinished"])
async def test_what_breaks_the_bounds_ends_the_conversation(node: Place, cases: dict[str, bytes]) -> None:
    """All at once, since a node lets each goodbye be read for a while before it closes."""
    said: dict[str, str] = {}

    async def send(name: str, data: bytes) -> None:
        async with opened(node) as connection, trio.open_nursery() as nursery:
            nursery.start_soon(_send_until_closed, connection, data + PING)
            said[name] = (await last_words(connection))["name"]
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for name, data in cases.items():
            nursery.start_soon(send, name, data)
    assert said.keys() == cases.keys()
    assert set(said.values()) <= {"bad_request", "too_large"}, said


async def _send_until_closed(connection: Wire, data: bytes) -> None:
    try:
        await connection.stream.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


async def test_what_came_before_the_bad_bytes_is_answered(node: Place) -> None:
    async with opened(node) as connection:
        await connection.stream.send_all(PING + b"\xc1" + PING)
        message = await connection.receive()
        answers = []
        while message is not None and message[0] == 1:
            answers.append(message[1])
            message = await connection.receive()
        assert message is not None and message[1] == "goodbye"
        assert answers in ([], [7]), "nothing after the bad bytes is read"


WRONG_CONTENTS = {
    "params is a map": [0, 9, "ping", {}],
    "params is nil": [0, 9, "ping", None],
    "no map": [0, 9, "ping", []],
    "two maps": [0, 9, "ping", [{}, {}]],
    "a list for a map": [0, 9, "ping", [[]]],
    "a number for a map": [0, 9, "ping", [1]],
    "no list of records": [0, 9, "record.put", [{}]],
    "records that are a map": [0, 9, "record.put", [{"records": {}}]],
    "keys that are numbers": [0, 9, "record.get", [{"keys": [1, 2]}]],
    "an account that is text": [0, 9, "feed.author", [{"account": "ann"}]],
    "an account too short": [0, 9, "account.get", [{"account": b"\xed\x01"}]],
    "no account": [0, 9, "cluster.where", [{}]],
    "a level there is none of": [
        0,
        9,
        "record.get",
        [{"keys": [[b"\xed\x01" + bytes(32), "post", b"x"]], "level": "most"}],
    ],
}


@pytest.mark.parametrize("message", WRONG_CONTENTS.values(), ids=WRONG_CONTENTS)
async def test_a_well_formed_request_with_wrong_contents_gets_an_error(
    node: Place, message: list[Any]
) -> None:
    async with opened(node) as connection:
        await connection.send(message)
        _, msgid, error, result = await connection.answer(9)
        assert (msgid, error["code"], error["name"], result) == (9, 100, "bad_request", None)
        assert error["retryable"] is False
        await connection.call("ping")


WITHIN_BOUNDS = {
    "1 MiB": padded(MESSAGE_BYTES),
    "16 levels": ping_with(nested(13)),
    "a list of 4,096": ping_with(list(range(4096))),
    "a map of 4,096": ping_with({str(number): 1 for number in range(4096)}),
    "floats and nil": ping_with([1.5, None, -1, 2**64 - 1]),
    "long headers": b"\xdc\x00\x04\xcc\x00\xce\x00\x00\x00\x01\xd9\x04ping\xdd\x00\x00\x00\x01\xde\x00\x00",
}


@pytest.mark.parametrize("bytes_sent", WITHIN_BOUNDS.values(), ids=WITHIN_BOUNDS)
async def test_what_is_within_the_bounds_is_taken(node: Place, bytes_sent: bytes) -> None:
    async with opened(node) as connection:
        await connection.stream.send_all(bytes_sent)
        _, _, error, result = await connection.answer(1)
        assert error is None and type(result["time_ms"]) is int


async def test_any_msgid_comes_back(node: Place) -> None:
    async with opened(node) as connection:
        numbers = [0, 1, 255, 65536, 2**31, 2**32 - 1]
        await connection.send(*([0, number, "ping", [{}]] for number in numbers))
        for number in reversed(numbers):
            assert (await connection.answer(number))[2] is None


async def test_messages_may_come_byte_by_byte_or_all_at_once(node: Place) -> None:
    async with opened(node) as connection:
        for byte in PING:
            await connection.stream.send_all(bytes([byte]))
        assert (await connection.answer(7))[2] is None
        await connection.stream.send_all(
            b"".join(msgpack.packb([0, n, "ping", [{}]]) for n in range(100, 300))
        )
        for number in range(100, 300):
            assert (await connection.answer(number))[2] is None


async def test_notifications_and_stray_responses_are_no_reason_to_part(node: Place) -> None:
    async with opened(node) as connection:
        await connection.send(
            [2, "whatever", [{"x": 1}]], [1, 77, None, {"stray": True}], [1, 78, {"code": 1}, None]
        )
        assert type((await connection.call("ping", {"unknown": [1, 2]}))["time_ms"]) is int


async def test_more_in_flight_than_announced_is_refused_or_served(node: Place) -> None:
    """Every request gets exactly one answer, however many come at once."""
    async with opened(node) as connection:
        numbers = range(1000, 2000)
        await connection.send(*([0, number, "cluster.status", [{}]] for number in numbers))
        names = [(await connection.answer(number))[2] for number in numbers]
        assert {error["name"] for error in names if error is not None} <= {"busy"}
        assert any(error is None for error in names)
        await connection.call("ping")
