"""What a hostile or broken peer sends: a typed error and bounded work, whichever side it plays."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.sync.fingerprint import EMPTY
from folkmoot.protocol.sync.reconcile import Initiator, Query, respond
from hypothesis import given
from hypothesis import strategies as st

from tests.sync.replicas import Replica, differing

HERE = Replica({b"\x40" + bytes([number]): b"" for number in range(100)})
START, END = b"\x40", b"\x50"
DIGEST = bytes(16)
LEAF = bytes(32)


def query(*ranges: Any, version: Any = 1) -> bytes:
    """A query made by hand."""
    return codec.pack([version, list(ranges)])


def asked(start: bytes = START, end: bytes = END, count: Any = 1, digest: Any = DIGEST) -> list[Any]:
    """One range of a query."""
    return [start, end, count, digest]


NOT_FRAMES: list[Any] = [
    None,
    "text",
    b"",
    b"\xc1",
    b"\x00",
    query(asked())[:-1],
    query(asked()) + b"\x00",
    codec.pack({}),
    codec.pack([]),
    codec.pack([1]),
    codec.pack([1, {}]),
    codec.pack([1, [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]),
    codec.pack([1, []]),
    codec.pack([1, [None]]),
    query(asked(), version=2),
    query(asked(), version="1"),
]


@pytest.mark.parametrize(
    "frame",
    [
        *NOT_FRAMES,
        query([START, END]),
        query(asked(count=-1)),
        query(asked(count=2**64 - 1)),
        query(asked(count=True)),
        query(asked(digest=b"")),
        query(asked(digest=bytes(17))),
        query(asked(start=b"\x3f")),
        query(asked(end=b"\x51")),
        query(asked(end=b"")),
        query(asked(end=START)),
        query(asked(start=b"\x42", end=b"\x41")),
        query(asked(start=b"\x40" + bytes(limits.STORE_KEY_BYTES))),
        query(asked(end=b"\x41"), asked()),
        query(asked(end=b"\x44"), asked(start=b"\x43")),
        query(asked(start=b"\x44"), asked(end=b"\x44")),
        query(*([asked()] * 2)),
        query(*(asked(bytes([64, at]), bytes([64, at + 1])) for at in range(255)), *([asked(b"\x41")] * 2)),
    ],
)
def test_a_responder_refuses_what_is_no_query(frame: Any) -> None:
    with pytest.raises(WireError) as caught:
        respond(HERE.blocked(), START, END, frame)
    assert caught.value.kind is BAD_REQUEST


def test_huge_frames_are_not_even_decoded() -> None:
    frame = b"\xc1" * (limits.SYNC_FRAME_BYTES + 1)
    with pytest.raises(WireError) as caught:
        respond(HERE.blocked(), START, END, frame)
    assert caught.value.kind is TOO_LARGE
    initiator, sent = begun()
    with pytest.raises(WireError) as refused:
        initiator.receive(HERE.blocked(), sent, frame)
    assert refused.value.kind is TOO_LARGE


@given(st.binary(max_size=100))
def test_random_bytes_are_refused_by_both_sides(frame: bytes) -> None:
    with pytest.raises(WireError):
        respond(HERE.blocked(), START, END, frame)
    initiator, sent = begun()
    with pytest.raises(WireError):
        initiator.receive(HERE.blocked(), sent, frame)


@pytest.mark.parametrize("count", [0, 1, 50, 2**63 - 1])
def test_a_query_full_of_lies_costs_one_bounded_reply(count: int) -> None:
    ranges = [
        asked(bytes([64, at]), bytes([64, at + 1]), count) for at in range(limits.SYNC_FRAME_RANGES - 1)
    ]
    HERE.leaves_scanned = 0
    reply = respond(HERE.blocked(), START, END, query(*ranges))
    assert len(reply) <= limits.SYNC_FRAME_BYTES
    assert HERE.leaves_scanned <= 3 * len(HERE.cells)


def begun() -> tuple[Initiator, Query]:
    """An initiator that waits for its first reply."""
    initiator = Initiator(HERE.blocked(), START, END)
    sent = initiator.next_query()
    assert sent is not None
    return initiator, sent


def reply(*answers: Any, version: Any = 1) -> bytes:
    """A reply made by hand."""
    return codec.pack([version, list(answers)])


BUCKET = [1, DIGEST]


@pytest.mark.parametrize(
    "frame",
    [
        *NOT_FRAMES,
        reply([3]),
        reply([]),
        reply(["0"]),
        reply([0], [0]),
        reply([1, [], [BUCKET]]),
        reply([1, [b"\x41"], [BUCKET]]),
        reply([1, [b"\x41"], [BUCKET] * 3]),
        reply([1, [START], [BUCKET] * 2]),
        reply([1, [END], [BUCKET] * 2]),
        reply([1, [b""], [BUCKET] * 2]),
        reply([1, [b"\x3f"], [BUCKET] * 2]),
        reply([1, [b"\x42", b"\x41"], [BUCKET] * 3]),
        reply([1, [b"\x41", b"\x41"], [BUCKET] * 3]),
        reply([1, [bytes([64, at]) for at in range(1, 17)], [BUCKET] * 17]),
        reply([1, [b"\x41"], [[-1, DIGEST], BUCKET]]),
        reply([1, [b"\x41"], [[1, b""], BUCKET]]),
        reply([2, START, []]),
        reply([2, b"\x3f", []]),
        reply([2, b"", []]),
        reply([2, b"\x51", []]),
        reply([2, END, [[b"\x3f", LEAF]]]),
        reply([2, END, [[END, LEAF]]]),
        reply([2, b"\x41", [[b"\x41", LEAF]]]),
        reply([2, END, [[b"\x42", LEAF], [b"\x41", LEAF]]]),
        reply([2, END, [[b"\x41", LEAF], [b"\x41", LEAF]]]),
        reply([2, END, [[b"\x41", bytes(31)]]]),
        reply([2, END, [[b"\x41" + bytes(510), LEAF]]]),
        reply([2, END, [[bytes([64, at // 256, at % 256]), LEAF] for at in range(1_025)]]),
    ],
)
def test_an_initiator_refuses_what_is_no_reply_and_can_go_on(frame: Any) -> None:
    initiator, sent = begun()
    with pytest.raises(WireError) as caught:
        initiator.receive(HERE.blocked(), sent, frame)
    assert caught.value.kind is BAD_REQUEST
    assert not initiator.done
    again = initiator.next_query()
    assert again == sent
    initiator.receive(HERE.blocked(), again, respond(HERE.blocked(), START, END, again.frame))
    assert initiator.done


def test_a_responder_that_always_cuts_is_led_no_deeper_than_the_limit() -> None:
    initiator = Initiator(HERE.blocked(), b"", b"")
    with pytest.raises(WireError, match="more than 32 times") as caught:
        while (sent := initiator.next_query()) is not None:
            buckets = [[0, EMPTY.digest()], [9, DIGEST]]
            answers = [[1, [part.start + b"\x00"], buckets] for part in sent.parts]
            initiator.receive(HERE.blocked(), sent, reply(*answers))
            assert initiator.statistics().pending <= limits.SYNC_PENDING_RANGES + limits.SYNC_BUCKETS
    assert caught.value.kind is BAD_REQUEST


def test_a_responder_that_never_ends_its_list_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SYNC_FRAMES", 50)
    initiator = Initiator(HERE.blocked(), b"", b"")
    with pytest.raises(WireError, match="did not end after 50 frames") as caught:
        while (sent := initiator.next_query()) is not None:
            (part,) = sent.parts
            initiator.receive(HERE.blocked(), sent, reply([2, part.start + b"\x00", []]))
    assert caught.value.kind is BAD_REQUEST
    assert initiator.statistics().frames == 50


def test_a_responder_that_says_equal_is_believed_and_nothing_is_found() -> None:
    initiator, sent = begun()
    found = initiator.receive(HERE.blocked(), sent, reply([0]))
    assert (found.needs, found.pushes) == ([], [])
    assert initiator.done


def test_unanswered_ranges_are_asked_again() -> None:
    one, other = HERE, Replica(dict.fromkeys(HERE.cells, b"x"))
    initiator = Initiator(one.blocked(), b"", b"")
    needs: set[bytes] = set()
    while (sent := initiator.next_query()) is not None:
        version, answers = codec.unpack(respond(other.blocked(), b"", b"", sent.frame))
        needs |= set(initiator.receive(one.blocked(), sent, reply(answers[0], version=version)).needs)
    assert initiator.done
    assert needs == differing(one, other)[0]
