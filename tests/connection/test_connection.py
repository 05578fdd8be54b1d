"""MessagePack-RPC over bytes: each case read whole, byte by byte, and with more behind it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import (
    Connection,
    Event,
    LocalProtocolError,
    Notification,
    Rejected,
    Request,
    Response,
    Violation,
)
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BUSY,
    TOO_LARGE,
    ErrorKind,
    WireError,
)
from hypothesis import given
from hypothesis import strategies as st

PING = Request(7, "ping", {})
PING_BYTES = codec.pack([0, 7, "ping", [{}]])
SMUGGLED = codec.pack([0, 8, "smuggled", [{}]])


def deep(containers: int) -> Any:
    """A request with exactly so many containers inside each other, its own array included."""
    value: Any = []
    for _ in range(containers - 4):
        value = [value]
    return [0, 7, "ping", [{"x": value}]]


def packed(request: Request) -> bytes:
    return codec.pack([0, request.msgid, request.method, [request.params]])


class Read(NamedTuple):
    """What some bytes are: the events they complete."""

    title: str
    data: bytes
    events: list[Event]


class Fatal(NamedTuple):
    """Bytes that end the conversation, and the row of the error table the goodbye names."""

    title: str
    data: bytes
    kind: ErrorKind


LARGEST = Request(7, "ping", {"x": b"x" * (limits.MESSAGE_BYTES - 17)})
WIDEST = Request(7, "ping", {"x": [0] * limits.MESSAGE_COLLECTION_ITEMS})
LONGEST_SPELLING = b"\xdd\0\0\0\4\xd3" + bytes(8) + b"\xce\0\0\0\7\xdb\0\0\0\4ping\xdc\0\1\xde\0\0"

READS = [
    Read("nothing", b"", []),
    Read("a request", PING_BYTES, [PING]),
    Read("a request in the longest spelling", LONGEST_SPELLING, [PING]),
    Read("two at once", PING_BYTES * 2, [PING, PING]),
    Read("the greatest msgid", codec.pack([0, 2**32 - 1, "ping", [{}]]), [Request(2**32 - 1, "ping", {})]),
    Read(
        "unknown keys and bytes",
        codec.pack([0, 7, "m", [{"a": b"\xff", "é": [None, 1.5]}]]),
        [Request(7, "m", {"a": b"\xff", "é": [None, 1.5]})],
    ),
    Read("a notification", codec.pack([2, "feed.event", [{"n": 1}]]), [Notification("feed.event", {"n": 1})]),
    Read("an answer to nothing asked", codec.pack([1, 99, None, {}]), []),
    Read("a message as large as allowed", packed(LARGEST), [LARGEST]),
    Read("as many items as allowed", packed(WIDEST), [WIDEST]),
    Read("as deep as allowed", codec.pack(deep(16)), [Request(7, "ping", deep(16)[3][0])]),
]

REJECTIONS = [
    ("no map", codec.pack([0, 7, "ping", []])),
    ("two maps", codec.pack([0, 7, "ping", [{}, {}]])),
    ("a list for the map", codec.pack([0, 7, "ping", [[]]])),
    ("nil for params", codec.pack([0, 7, "ping", None])),
    ("a map for params", codec.pack([0, 7, "ping", {}])),
    ("a number for the method", codec.pack([0, 7, 4, [{}]])),
    ("bytes for the method", codec.pack([0, 7, b"ping", [{}]])),
]

FATALS = [
    Fatal("text", b"GET / HTTP/1.1\r\n", BAD_REQUEST),
    Fatal("a number", codec.pack(5), BAD_REQUEST),
    Fatal("nil", codec.pack(None), BAD_REQUEST),
    Fatal("a map", codec.pack({}), BAD_REQUEST),
    Fatal("an empty array", codec.pack([]), BAD_REQUEST),
    Fatal("a fourth shape", codec.pack([3, 7, "ping", [{}]]), BAD_REQUEST),
    Fatal("a negative shape", codec.pack([-1, 7, "ping", [{}]]), BAD_REQUEST),
    Fatal("true for a shape", codec.pack([True, 7, "ping", [{}]]), BAD_REQUEST),
    Fatal("a short request", codec.pack([0, 7, "ping"]), BAD_REQUEST),
    Fatal("a long request", codec.pack([0, 7, "ping", [{}], None]), BAD_REQUEST),
    Fatal("a msgid of 33 bits", codec.pack([0, 2**32, "ping", [{}]]), BAD_REQUEST),
    Fatal("a negative msgid", codec.pack([0, -1, "ping", [{}]]), BAD_REQUEST),
    Fatal("a boolean msgid", codec.pack([0, True, "ping", [{}]]), BAD_REQUEST),
    Fatal("a text msgid", codec.pack([0, "7", "ping", [{}]]), BAD_REQUEST),
    Fatal("a notification of four", codec.pack([2, 7, "ping", [{}]]), BAD_REQUEST),
    Fatal("a notification without a map", codec.pack([2, "feed.event", []]), BAD_REQUEST),
    Fatal("a notification with a number for its method", codec.pack([2, 5, [{}]]), BAD_REQUEST),
    Fatal("both error and result", codec.pack([1, 7, {}, {}]), BAD_REQUEST),
    Fatal("an error that is no map", codec.pack([1, 7, "boom", None]), BAD_REQUEST),
    Fatal("a byte that means nothing", b"\x94\x00\x07\xc1", BAD_REQUEST),
    Fatal("invalid UTF-8", b"\x94\x00\x07\xa1\xff\x91\x80", BAD_REQUEST),
    Fatal("a lone surrogate", b"\x94\x00\x07\xa3\xed\xa0\x80\x91\x80", BAD_REQUEST),
    Fatal("a fixed extension", b"\x94\x00\x07\xa1m\x91\x81\xa1x\xd4\x05\x01", BAD_REQUEST),
    Fatal("an empty extension", b"\x94\x00\x07\xa1m\x91\x81\xa1x\xc7\x00\x05", BAD_REQUEST),
    Fatal("a timestamp", b"\x94\x00\x07\xa1m\x91\x81\xa1x\xd6\xff\x00\x00\x00\x01", BAD_REQUEST),
    Fatal("a number for a key", b"\x94\x00\x07\xa1m\x91\x81\x01\x02", BAD_REQUEST),
    Fatal("an array for a key", b"\x94\x00\x07\xa1m\x91\x81\x90\x02", BAD_REQUEST),
    Fatal("one level too deep", codec.pack(deep(17)), TOO_LARGE),
    Fatal("far too deep", b"\x91" * 5000, TOO_LARGE),
    Fatal("too deep and never closed", b"\x94\x00\x07\xa1m" + b"\x91" * 16, TOO_LARGE),
    Fatal("too deep through maps, never closed", b"\x94\x00\x07\xa1m" + b"\x81\xa1k" * 16, TOO_LARGE),
    Fatal("an array over the limit", b"\x94\x00\x07\xa1m\x91\x81\xa1x\xdc\x10\x01", TOO_LARGE),
    Fatal("an array of four billion", b"\xdd\xff\xff\xff\xff", TOO_LARGE),
    Fatal("a map over the limit", b"\x94\x00\x07\xa1m\x91\xdf\x00\x00\x10\x01", TOO_LARGE),
    Fatal(
        "a binary that announces too much", b"\x94\x00\x07\xa1m\x91\x81\xa1x\xc6\x00\x10\x00\x00", TOO_LARGE
    ),
    Fatal("a text of four gigabytes", b"\x94\x00\x07\xdb\xff\xff\xff\xff", TOO_LARGE),
    Fatal(
        "one byte too large",
        codec.pack([0, 7, "ping", [{"x": b"x" * (limits.MESSAGE_BYTES - 16)}]]),
        TOO_LARGE,
    ),
    Fatal("too large in small values", codec.pack([0, 7, "ping", [{"x": [[0] * 4096] * 300}]]), TOO_LARGE),
]


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def read(data: bytes, size: int, connection: Connection | None = None) -> list[Event]:
    connection = connection or Connection()
    return [event for piece in pieces(data, size) for event in connection.receive(piece)]


def sizes(data: bytes) -> list[int]:
    """Byte by byte where that is affordable, and always in odd pieces and whole."""
    return [*([1] if len(data) < 20_000 else []), 4093, 65_537, max(1, len(data))]


@pytest.mark.parametrize("case", READS, ids=lambda case: case.title)
def test_reads(case: Read) -> None:
    for size in sizes(case.data):
        connection = Connection()
        assert read(case.data, size, connection) == case.events
        assert not connection.mid_message
        assert read(PING_BYTES, size, connection) == [PING]
        assert read(case.data + PING_BYTES[:-1], size) == case.events


@pytest.mark.parametrize("data", [data for _, data in REJECTIONS], ids=[title for title, _ in REJECTIONS])
def test_wrong_contents_are_rejected_and_the_connection_lives_on(data: bytes) -> None:
    for size in sizes(data):
        rejected, then = read(data + PING_BYTES, size)
        assert isinstance(rejected, Rejected)
        assert (rejected.msgid, rejected.error.kind) == (7, BAD_REQUEST)
        assert then == PING


@pytest.mark.parametrize("case", FATALS, ids=lambda case: case.title)
def test_violations_end_the_conversation(case: Fatal) -> None:
    for size in sizes(case.data):
        connection = Connection()
        first, violation = read(PING_BYTES + case.data + SMUGGLED, size, connection)
        assert first == PING
        assert isinstance(violation, Violation)
        assert violation.error.kind == case.kind
        (goodbye,) = Connection().receive(violation.goodbye)
        assert isinstance(goodbye, Notification)
        assert goodbye.method == "goodbye"
        assert (goodbye.params["code"], goodbye.params["name"]) == case.kind[:2]
        assert set(goodbye.params) == {"code", "name", "message"}
        assert connection.receive(SMUGGLED) == []
        assert connection.statistics().buffered_bytes == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\x94\x00\x07\xa1m" + b"\x91" * 16,
        b"\x94\x00\x07\xc6\x7f\xff\xff\xff",
        b"\x93\x02\xa1m" + b"\x91" * 16,
    ],
)
def test_what_cannot_end_well_is_refused_before_it_ends(data: bytes) -> None:
    assert read(data[:-1], 1) == []
    assert isinstance(read(data, 1)[-1], Violation)


def test_two_connections_back_to_back() -> None:
    ask, answer = Connection(), Connection()
    first, first_bytes = ask.request("record.get", {"keys": []})
    second, second_bytes = ask.request("ping", {})
    requests = answer.receive(first_bytes + second_bytes)
    assert requests == [Request(first, "record.get", {"keys": []}), Request(second, "ping", {})]
    replies = answer.error(second, WireError(BUSY, "later", retry_after_ms=5)) + answer.response(first, [1])
    failure, success = ask.receive(replies + answer.notification("feed.event", {}))[:2]
    assert isinstance(failure, Response) and failure.error is not None
    assert WireError.from_wire(failure.error).retry_after_ms == 5
    assert success == Response(first, None, [1])
    assert ask.statistics().outstanding == 0
    assert ask.receive(answer.response(first, [1])) == []
    assert ask.statistics().stray_responses == 1


def test_a_connection_that_says_nothing_costs_little() -> None:
    """There may be a thousand, of people who have not said who they are."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        idle = [Connection() for _ in range(50)]
        for each in idle:
            each.receive(b"\x94\x00")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(idle) < 64 * limits.KIB


def test_packed_parts_are_the_same_bytes() -> None:
    page = {"items": [b"frame"] * 3}
    assert Connection().response(5, page) == Connection().response_packed(5, codec.pack(page))


def test_our_own_mistakes_are_raised() -> None:
    connection = Connection(outstanding_max=2)
    huge = {"x": bytes(limits.MESSAGE_BYTES)}
    for build in (
        lambda: connection.request("m", huge),
        lambda: connection.notification("m", huge),
        lambda: connection.response(1, huge),
    ):
        with pytest.raises(LocalProtocolError):
            build()
    connection.request("m", {})
    waiting, _ = connection.request("m", {})
    with pytest.raises(LocalProtocolError):
        connection.request("m", {})
    connection.forget(waiting)
    connection.request("m", {})


def test_msgids_wrap_around_what_is_still_unanswered() -> None:
    connection = Connection()
    old, _ = connection.request("m", {})
    connection._next_msgid = limits.MSGID_MAX
    assert connection.request("m", {})[0] == limits.MSGID_MAX
    assert connection.request("m", {})[0] == old + 1


messages = st.one_of(
    st.binary(max_size=64),
    st.sampled_from([case.data[:2000] for case in READS]),
    st.sampled_from([case.data[:2000] for case in FATALS]),
    st.sampled_from([data for _, data in REJECTIONS]),
)


@given(st.lists(messages, max_size=8), st.integers(1, 300), st.data())
def test_no_bytes_raise_and_the_bytes_cut_anyhow_mean_the_same(
    parts: list[bytes], size: int, data: st.DataObject
) -> None:
    stream = bytearray(b"".join(parts))
    for _ in range(data.draw(st.integers(0, 4))):
        if stream:
            stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    outcomes = []
    for step in (1, size, max(1, len(stream))):
        connection = Connection()
        events = []
        for piece in pieces(bytes(stream), step):
            events += connection.receive(piece)
            assert connection.statistics().buffered_bytes <= limits.MESSAGE_BYTES
        assert not any(isinstance(event, Violation) for event in events[:-1])
        outcomes.append([event for event in events if not isinstance(event, Violation | Rejected)])
    assert outcomes[0] == outcomes[1] == outcomes[2] or any("nan" in repr(outcome) for outcome in outcomes)


def vectors(suite: Path) -> Iterator[tuple[str, Any, bytes]]:
    """The msgpack conformance suite: each value with every spelling of it."""
    for group, cases in json.loads(suite.read_text()).items():
        for case in cases:
            for spelling in case["msgpack"]:
                yield group, case, bytes.fromhex(spelling.replace("-", ""))


def test_every_spelling_of_the_conformance_suite(shared_data: Callable[[str], Path]) -> None:
    for group, case, spelling in vectors(shared_data("conformance/msgpack/msgpack-test-suite.json")):
        data = b"\x94\x00\x07\xa4echo\x91\x81\xa1x" + spelling
        (event,) = read(data, 1)
        assert (event,) == tuple(read(data, len(data))) or isinstance(event, Violation), group
        integer_keys = "map" in case and any(not isinstance(key, str) for key in case["map"])
        if "ext" in case or "timestamp" in case or integer_keys:
            assert isinstance(event, Violation), group
            continue
        assert isinstance(event, Request), (group, spelling)
        value = event.params["x"]
        if "binary" in case:
            assert value == bytes.fromhex(case["binary"].replace("-", ""))
        elif "bignum" in case:
            assert value == int(case["bignum"])
        else:
            kind = next(key for key in case if key != "msgpack")
            assert value == case[kind], group
