"""What replicas say of what an account took back: statements as bytes, and what evidence comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.actions import Close, Create
from folkmoot.protocol.accounts.attestation import VERSION, Statement, marks_bytes, marks_of
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.evidence import MAGIC, Evidence, judge
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, TOO_LARGE, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import ITEM_AT, cell_key
from hypothesis import given
from hypothesis import strategies as st

from tests.accounts.archives import ADA
from tests.accounts.story import FIRST, Story
from tests.accounts.testimony import KEYS, TAKEN, asked, evidence, found, said, slices, whole

STRANGER = KeyPair(b"?" * 32)


def test_a_statement_is_read_as_it_was_signed() -> None:
    for statement in (said(0), *slices(1), said(2, proven=6, compacted=9)):
        read = Statement.from_wire(statement.to_wire())
        read.verify()
        assert read == statement and read.found == statement.found
        assert read.found.fingerprint.count == read.found.gone


def test_the_longest_statement_fits() -> None:
    most: dict[str, Any] = dict.fromkeys(
        ("boot", "change", "epoch", "left", "others", "pointers", "range"), limits.STAMP_MAX
    )
    most |= dict.fromkeys(("staying", "time", "compacted", "proven", "gone"), limits.STAMP_MAX)
    longest = KEYS[0][: ITEM_AT - 1] + b"\x40\x02"
    after, through = (longest + bytes([last]) * limits.ITEM_BYTES for last in (1, 2))
    assert len(through) == len(cell_key(ADA.account, "held", b"\x02" + bytes(limits.ITEM_BYTES)))
    statement = said(
        0, after=after, through=through, cluster="c" * limits.SLUG_CHARACTERS, marks=b"\xff" * 32, **most
    )
    assert len(statement.payload) <= limits.STATEMENT_BYTES


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": VERSION + 1},
        {"account": bytes(34)},
        {"service": ADA.account[:-1]},
        {"after": b"elsewhere"},
        {"after": KEYS[1], "through": KEYS[1]},
        {"proven": 7, "compacted": 9},
        {"proven": 1},
        {"gone": 0},
        {"left": -1},
        {"gone": True},
        {"node": b"short"},
        {"marks": b"short"},
        {"change": 2**63},
    ],
    ids=str,
)
def test_what_cannot_be_is_no_statement(wrong: dict[str, Any]) -> None:
    with pytest.raises(WireError) as refused:
        said(0, **wrong)
    assert refused.value.kind == BAD_REQUEST


def test_a_key_of_a_later_version_is_refused() -> None:
    """What a program does not understand of a statement, it must not judge by."""
    fields = codec.decode_canonical(said(0).payload) | {"unless": "it rains"}
    with pytest.raises(WireError):
        Statement(codec.encode_canonical(fields), bytes(64))


@given(position=st.integers(0), flip=st.integers(1, 255))
def test_a_changed_statement_is_refused(position: int, flip: int) -> None:
    statement = said(0)
    data = bytearray(statement.payload + statement.signature)
    data[position % len(data)] ^= flip
    with pytest.raises(WireError):
        Statement(bytes(data[:-64]), bytes(data[-64:])).verify()


@given(st.binary(max_size=200))
def test_no_bytes_are_a_statement_by_chance(data: bytes) -> None:
    for value in (data, [data, data], [data, bytes(64)], [data]):
        with pytest.raises(WireError):
            Statement.from_wire(value)


def test_slices_add_up_wherever_they_end() -> None:
    parts = [marks_of(TAKEN[:cut]).combine(marks_of(TAKEN[cut:])) for cut in range(len(TAKEN) + 1)]
    assert set(parts) == {marks_of(TAKEN)}
    assert marks_bytes(marks_of(TAKEN[:-1])) != marks_bytes(marks_of(TAKEN[1:]))


def test_whole_evidence_attests() -> None:
    judged = judge(whole())
    assert [each.asked.name for each in judged] == [f"node-{number}" for number in range(4)]
    assert all(each.stands and not each.complaints for each in judged)
    assert [each.gone for each in judged] == [6, 6, 6, 0]
    assert [each.proven for each in judged] == [False, False, True, True]


SPOILED: dict[str, tuple[Callable[[], Evidence], int, str]] = {
    "a replica that said nothing": (lambda: evidence(said(0), said(1)), 2, "no statement"),
    "one that says why": (
        lambda: evidence(
            *(said(0), said(1), said(3, ())),
            nodes=[asked(0), asked(1), asked(2, "this node's own copy is damaged"), asked(3)],
        ),
        2,
        "damaged",
    ),
    "something left": (lambda: evidence(said(0), said(1), said(2, left=1)), 2, "not taken back"),
    "something left where there is no slot": (
        lambda: evidence(said(0), said(1), said(2), said(3, (), left=4)),
        3,
        "not taken back",
    ),
    "a record less": (lambda: evidence(said(0), said(1), said(2, TAKEN[:-1])), 2, "is not what was signed"),
    "another record": (
        lambda: evidence(said(0), said(1), said(2, [*TAKEN[:-1], TAKEN[0]])),
        2,
        "is not what was signed",
    ),
    "a slice missing": (lambda: evidence(said(0), said(1), *slices(2)[1:]), 2, "not on all"),
    "the last slice missing": (lambda: evidence(said(0), said(1), *slices(2)[:-1]), 2, "not on all"),
    "a slice missing in the middle": (
        lambda: evidence(said(0), said(1), slices(2)[0], slices(2)[2]),
        2,
        "not on all",
    ),
    "a slice twice": (lambda: evidence(said(0), said(1), *slices(2)[:2], *slices(2)[1:]), 2, "not on all"),
    "all of it twice": (lambda: evidence(said(0), said(1), said(2), said(2)), 2, "not on all"),
    "another cluster": (lambda: evidence(said(0), said(1), said(2, cluster="city")), 2, "another cluster"),
    "another account": (
        lambda: evidence(said(0), said(1), said(2, account=STRANGER.account)),
        2,
        "another account",
    ),
    "another service account": (
        lambda: evidence(said(0), said(1), Statement.sign(STRANGER, found(2, service=STRANGER.account))),
        2,
        "another service account",
    ),
    "another epoch": (lambda: evidence(said(0), said(1), said(2, epoch=6)), 2, "moving"),
    "a node that does not know that it is a replica": (
        lambda: evidence(said(0), said(1), said(2, replica=False)),
        2,
        "moving",
    ),
    "a disk that went back": (
        lambda: evidence(said(0), said(1), *slices(2, change=800)[:2], slices(2)[2]),
        2,
        "went back",
    ),
}


@pytest.mark.parametrize(("made", "node", "complaint"), SPOILED.values(), ids=SPOILED.keys())
def test_what_is_wrong_is_said_of_the_node(made: Callable[[], Evidence], node: int, complaint: str) -> None:
    judged = judge(made())
    assert not judged[node].stands and any(complaint in each for each in judged[node].complaints)
    others = [each for number, each in enumerate(judged) if number != node]
    assert all(each.stands for each in others)


def test_without_what_the_account_signed_replicas_are_compared_with_each_other() -> None:
    assert all(each.stands for each in judge(evidence(said(0), *slices(1), said(2), marks=None)))
    judged = judge(evidence(said(0), said(1, TAKEN[1:]), marks=None))
    assert judged[0].stands and not judged[1].stands


def test_a_node_without_a_slot_that_cannot_be_asked_is_nothing_against_it() -> None:
    judged = judge(evidence(said(0), said(1), said(2)))
    assert judged[3].complaints and judged[3].stands


def test_evidence_is_read_as_it_was_written() -> None:
    for key in (ADA, None):
        read = Evidence.decode(whole().encode(key))
        assert read.signer == (None if key is None else ADA.account)
        assert judge(read) == judge(whole()) and list(read.statements) == list(whole().statements)


def test_evidence_that_somebody_else_signed_is_refused() -> None:
    with pytest.raises(WireError) as refused:
        Evidence.decode(whole().encode(STRANGER))
    assert refused.value.kind == BAD_SIGNATURE


def test_a_key_that_was_revoked_signs_no_evidence() -> None:
    story = Story((FIRST, Create()), (FIRST, Close()))
    chain = Chain(FIRST.account)
    for operation in story.operations:
        chain = chain.followed_by(operation, 1)
    signed = replace(whole(), account=FIRST.account, chain=chain, statements=(), nodes=())
    with pytest.raises(WireError, match="revoked"):
        Evidence.decode(signed.encode(FIRST))
    assert Evidence.decode(signed.encode(None)).chain.state.closed


@given(position=st.integers(0), flip=st.integers(1, 255))
def test_changed_evidence_is_refused(position: int, flip: int) -> None:
    data = bytearray(WHOLE)
    data[position % len(data)] ^= flip
    with pytest.raises(WireError):
        Evidence.decode(bytes(data))


@given(st.binary(max_size=100))
def test_no_bytes_are_evidence_by_chance(data: bytes) -> None:
    for made in (data, MAGIC + data, WHOLE[:-1], WHOLE + b"\0", MAGIC + codec.encode_canonical([data, data])):
        with pytest.raises(WireError):
            Evidence.decode(made)


def test_evidence_that_is_too_long_is_not_read() -> None:
    with pytest.raises(WireError) as refused:
        Evidence.decode(MAGIC + bytes(limits.EVIDENCE_BYTES))
    assert refused.value.kind == TOO_LARGE


def test_a_node_is_asked_once() -> None:
    twice = evidence(said(0), nodes=[asked(0), asked(0)])
    with pytest.raises(WireError, match="twice"):
        Evidence.decode(twice.encode(None))


WHOLE = whole().encode(ADA)
