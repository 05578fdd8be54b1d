"""The session guarantees, on histories written by hand: each broken alone, and told by its checker alone."""

from __future__ import annotations

import hashlib

import pytest
from folkmoot.node.simulation.checkers.sessions import Guarantee, judge
from folkmoot.node.simulation.client_history import Exchange, Paged, Saw, Wrote
from folkmoot.protocol.key import cell_key, lane_of
from folkmoot.protocol.token import Token

RYW, MR = Guarantee.READ_YOUR_WRITES, Guarantee.MONOTONIC_READS
MW, WFR = Guarantee.MONOTONIC_WRITES, Guarantee.WRITES_FOLLOW_READS

PHONE, DESK = (b"\xed\x01" + hashlib.sha256(name).digest() for name in (b"phone", b"desk"))
ITEM = bytes(16)
KEY = cell_key(PHONE, "post", ITEM)
FIRST = Token.of([(KEY, {PHONE: 1})]).encode()
NONE = Token().encode()


def did(session: str, **what: object) -> Exchange:
    """An exchange of a session that carries the token it was given last, at `n1`."""
    plain = {"node": "n1", "carried": NONE, "given": NONE, "sent_s": 1.0, "at_s": 2.0, "level": "one"}
    return Exchange(session, **{**plain, **what})  # type: ignore[arg-type]


def wrote(stamp: int, **more: object) -> tuple[Wrote, ...]:
    return (Wrote(KEY, PHONE, stamp, **more),)  # type: ignore[arg-type]


def saw(stamp: int, *shown: int) -> tuple[Saw, ...]:
    return (Saw(KEY, {PHONE: stamp}, tuple((PHONE, each) for each in shown or (stamp,))),)


def begins(session: str, **what: object) -> Exchange:
    return did(session, carried=None, **what)


def broken(*history: Exchange) -> set[Guarantee]:
    """The guarantees that this history breaks."""
    return {guarantee for guarantee, inquiry in judge(history).items() if inquiry.complaints}


def test_a_history_that_keeps_all_four() -> None:
    history = (
        begins("a", wrote=wrote(1)),
        did("a", saw=saw(1)),
        did("a", wrote=wrote(2)),
        did("a", node="n2", saw=saw(2)),
        begins("b", saw=saw(2)),
    )
    inquiries = judge(history)
    assert not broken(*history)
    assert all(inquiry.compared for inquiry in inquiries.values())


def test_a_session_that_does_not_see_what_it_wrote() -> None:
    assert broken(begins("a", wrote=wrote(2)), did("a", node="n2", saw=saw(1))) == {RYW}


def test_a_session_that_is_shown_less_than_before() -> None:
    assert broken(begins("a", saw=saw(2)), did("a", node="n2", saw=saw(1))) == {MR}
    assert broken(begins("a", saw=saw(2)), did("a", node="n2", saw=(Saw(KEY, {}),))) == {MR}


def test_an_earlier_write_of_a_session_that_stands_beside_its_later_one() -> None:
    written = begins("a", wrote=wrote(1)), did("a", wrote=wrote(2))
    assert broken(*written, begins("b", saw=saw(2, 2, 1))) == {MW}
    assert broken(*written, begins("b", saw=saw(2, 1))) == {MW}
    assert not broken(*written, begins("b", saw=saw(1))), "who is not shown the later one may see the earlier"


def test_what_a_session_had_read_that_stands_beside_what_it_then_wrote() -> None:
    read = begins("a", saw=(Saw(KEY, {DESK: 5}, ((DESK, 5),)),))
    then = did("a", wrote=wrote(9, seen={DESK: 5}))
    assert broken(read, then, begins("b", saw=(Saw(KEY, {PHONE: 9, DESK: 5}, ((PHONE, 9), (DESK, 5))),))) == {
        WFR
    }
    assert broken(read, then, begins("b", saw=(Saw(KEY, {PHONE: 9}, ((PHONE, 9),)),))) == {WFR}
    assert not broken(read, then, begins("b", saw=(Saw(KEY, {PHONE: 9, DESK: 5}, ((PHONE, 9),)),)))


def test_a_record_that_does_not_name_what_was_read_promises_nothing() -> None:
    read = begins("a", saw=(Saw(KEY, {DESK: 5}, ((DESK, 5),)),))
    siblings = begins("b", saw=(Saw(KEY, {PHONE: 9, DESK: 5}, ((PHONE, 9), (DESK, 5))),))
    assert not broken(read, did("a", wrote=wrote(9)), siblings)


def test_without_a_token_a_session_begins_anew() -> None:
    assert not broken(begins("a", wrote=wrote(2)), begins("a", saw=saw(1)))


@pytest.mark.parametrize("kept, given", [(False, NONE), (True, None)])
def test_what_was_not_acknowledged_is_not_promised(kept: bool, given: bytes | None) -> None:
    assert not broken(
        begins("a", given=NONE), did("a", given=given, wrote=wrote(2, kept=kept)), did("a", saw=saw(1))
    )


def test_a_token_that_was_not_given_last_cannot_be_judged() -> None:
    assert broken(begins("a", wrote=wrote(1)), did("a", carried=FIRST, saw=saw(1))) == {RYW}


@pytest.mark.parametrize("level, promised", [("one", False), ("quorum", True)])
def test_where_a_token_has_overflowed_only_what_was_at_quorum_is_promised(level: str, promised: bool) -> None:
    full = Token(lanes=frozenset({lane_of(KEY)})).encode()
    history = begins("a", given=full, level=level, wrote=wrote(2)), did("a", carried=full, saw=saw(1))
    assert broken(*history) == ({RYW} if promised else set())


@pytest.mark.parametrize("written_at, read_at", [("all", "one"), ("all", "quorum"), ("quorum", "one")])
def test_where_a_node_ran_twice_one_of_the_two_lacks_what_is_at_all(written_at: str, read_at: str) -> None:
    history = begins("a", level=written_at, wrote=wrote(2)), did("a", level=read_at, saw=saw(1))
    excused = (written_at, read_at) == ("all", "one")
    assert broken(*history) == {RYW}
    for guarantee, inquiry in judge(history, ran_twice=True).items():
        assert bool(inquiry.complaints) == (guarantee is RYW and not excused)


def test_a_page_shows_what_its_session_wrote_as_far_as_it_reaches() -> None:
    written = begins("a", wrote=wrote(2))

    def paged(shown: dict[bytes, int], *, complete: bool) -> Exchange:
        return did("a", node="n3", given=None, paged=Paged(PHONE, shown, complete))

    assert broken(written, paged({}, complete=True)) == {RYW}
    assert broken(written, paged({ITEM: 1}, complete=True)) == {RYW}
    assert not broken(written, paged({ITEM: 2}, complete=True))
    assert not broken(written, paged({b"\x01" * 16: 7}, complete=False))
    gone = begins("b", wrote=wrote(3, gone=True))
    assert not broken(written, paged({}, complete=True), gone), "somebody deleted it, perhaps before"


def test_a_page_need_not_show_answers_of_whom_somebody_blocks() -> None:
    answered = begins("a", wrote=wrote(2, answers=True))
    page = did("a", node="n3", given=None, paged=Paged(PHONE, {}, complete=True))
    other = begins("b", wrote=(Wrote(cell_key(PHONE, "block", DESK), PHONE, 1),))
    blocks = begins("c", wrote=(Wrote(cell_key(DESK, "block", PHONE), DESK, 1),))
    assert broken(answered, page) == {RYW}
    assert broken(answered, page, other) == {RYW}, "whom they block themselves does not matter"
    assert not broken(answered, page, blocks)
    assert broken(begins("a", wrote=wrote(2)), page, blocks) == {RYW}, "it answers nobody"
