"""One live subscription: credit, gaps, heartbeats and places, whatever is read and whenever it is asked."""

from __future__ import annotations

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.feed.following import (
    NOT_PROVEN,
    SPLIT,
    Batch,
    Following,
    Gap,
    Heartbeat,
    Items,
    Lost,
    Told,
    pack_end,
    pack_event,
)
from folkmoot.protocol.feed.pages import pack_item
from folkmoot.protocol.limits import FOLLOW_CREDIT, FOLLOW_EVENT_ITEMS
from hypothesis import given
from hypothesis import strategies as st

HEARTBEAT_S = 10.0
GAP = Gap(1, 2, NOT_PROVEN)


def following(credit: int = 10, place: bytes = b"0") -> Following:
    return Following(place, credit, 0.0, HEARTBEAT_S)


def test_items_are_told_with_the_place_after_them() -> None:
    core = following()
    assert core.take(Batch([b"a", b"b"], b"1", False), 1.0) == [Items(b"1", [b"a", b"b"])]
    assert (core.place, core.credit) == (b"1", 8)


def test_a_gap_is_told_before_the_items_and_again_to_who_goes_on_from_before_them() -> None:
    core = following()
    assert core.take(Batch([b"a"], b"1", False, GAP), 1.0) == [Lost(b"0", GAP), Items(b"1", [b"a"])]
    assert core.take(Batch([], b"2", False, GAP), 1.0) == [Lost(b"2", GAP)]
    assert core.place == b"2"


def test_an_idle_stream_tells_where_it_is_and_one_that_tells_is_not_idle() -> None:
    core = following()
    assert core.tick(9.9) == []
    core.take(Batch([], b"1", False), 9.0)
    assert core.tick(10.0) == [Heartbeat(b"1")]
    assert core.tick(19.9) == []
    core.take(Batch([b"a"], b"2", False), 19.9)
    assert core.heartbeat_at == 29.9
    assert core.tick(29.9) == [Heartbeat(b"2")]


def test_credit_is_bounded() -> None:
    core = following(FOLLOW_CREDIT)
    assert core.wanted == FOLLOW_EVENT_ITEMS
    for more in (1, -1):
        with pytest.raises(WireError) as caught:
            core.grant(more)
        assert caught.value.kind is BAD_REQUEST
    core.take(Batch([b"a"], b"1", False), 0.0)
    core.grant(1)
    assert core.credit == FOLLOW_CREDIT


def test_more_than_there_is_credit_for_is_a_bug_of_who_reads() -> None:
    with pytest.raises(AssertionError):
        following(1).take(Batch([b"a", b"b"], b"1", False), 0.0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.integers(0, 200)),
        st.tuples(st.just("read"), st.integers(0, 100)),
        st.tuples(st.just("wait"), st.integers(0, 25)),
    ),
    max_size=50,
)


@given(STEPS, st.integers(0, 100))
def test_whatever_happens_credit_is_never_exceeded_nothing_is_skipped_and_silence_is_bounded(
    steps: list[tuple[str, int]], credit: int
) -> None:
    """Against a log of numbers, of which each read takes the next ones."""
    core = following(credit, place=(0).to_bytes(8, "big"))
    granted, now, told, spoke = credit, 0.0, 0, 0.0
    said: list[Told] = []
    for what, amount in steps:
        if what == "grant":
            core.grant(amount)
            granted += amount
            continue
        if what == "wait":
            now += amount
            said = core.tick(now)
            assert bool(said) == (now - spoke >= HEARTBEAT_S)
        else:
            at = int.from_bytes(core.place, "big")
            count = min(amount, core.wanted)
            items = [(at + number).to_bytes(8, "big") for number in range(1, count + 1)]
            said = core.take(Batch(items, (at + count).to_bytes(8, "big"), amount > count), now)
        for each in said:
            spoke = now
            assert each.place == core.place
            if isinstance(each, Items):
                assert [int.from_bytes(item, "big") for item in each.items] == [
                    *range(told + 1, told + 1 + len(each.items))
                ]
                told += len(each.items)
        assert told <= granted and core.credit == granted - told
        assert core.wanted <= core.credit


def test_events_are_what_the_contract_says() -> None:
    item = pack_item(codec.pack([b"payload", b"signature"]), [], 1, 2, 3)
    counts = {"likes": 1, "reposts": 2, "replies": 3}
    assert codec.unpack(pack_event(7, b"cursor", Items(b"", [item, item]))) == {
        "subscription": 7,
        "cursor": b"cursor",
        "items": [{"record": [b"payload", b"signature"], "labels": [], "counts": counts}] * 2,
    }
    assert codec.unpack(pack_event(7, b"cursor", Heartbeat(b""))) == {
        "subscription": 7,
        "cursor": b"cursor",
        "heartbeat": True,
    }
    assert codec.unpack(pack_event(7, b"cursor", Lost(b"", GAP))) == {
        "subscription": 7,
        "cursor": b"cursor",
        "gap": {"from": 1, "to": 2, "reason": "not_proven"},
    }
    split = codec.unpack(pack_event(7, b"cursor", Lost(b"", Gap(1, 2, SPLIT, 65))))
    assert split["gap"] == {"from": 1, "to": 2, "reason": "split", "range": 65}
    error = WireError(BUSY, "not now")
    assert codec.unpack(pack_end(7, error)) == {"subscription": 7, "error": error.to_wire()}
