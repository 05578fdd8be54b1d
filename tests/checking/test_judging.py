"""What a check says of one key: a promise kept, lost, resurrected, diverged or duplicated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import pytest
from folkmoot.cli.checking.judging import Fate, Judge, Judgement, Violation, fate_of
from folkmoot.cli.journal import Acknowledged
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import held_key
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

ADA, BEN, SECOND = (KeyPair(bytes([number]) * 32) for number in (1, 2, 3))
ITEM = make_uuid7(1_700_000_000_000, 7)
OTHER_ITEM = make_uuid7(1_700_000_000_000, 8)


def post(
    stamp: int, text: str = "words", item: bytes = ITEM, *, device: KeyPair = ADA, **more: object
) -> Record:
    return Record.sign(
        device,
        kind="post",
        item=item,
        body={"text": text},
        stamp=stamp,
        author=ADA.account,
        **more,  # type: ignore[arg-type]  # only `seen`
    )


def deletion(stamp: int) -> Record:
    return Record.sign(ADA, kind="post", item=ITEM, body={"deleted": True}, stamp=stamp)


def like(stamp: int, on: bool, device: KeyPair = BEN) -> Record:
    return Record.sign(
        device,
        kind="like",
        item=ITEM + BEN.account,
        body={"on": on},
        stamp=stamp,
        place=ADA.account,
        author=BEN.account,
    )


def cell(*records: Record) -> Cell:
    return reduce(join, map(Cell.of, records))


def promise(record: Record, *, held: bool = False) -> Acknowledged:
    return Acknowledged.of(record, held=held, level="quorum", time_us=1)


FATES = [
    ("it is there", post(5), [post(5)], Fate.KEPT),
    ("edited since", post(5), [post(5), post(6)], Fate.KEPT),
    ("edited since, the first never seen here", post(5), [post(6)], Fate.KEPT),
    (
        "edited by another device that had seen it",
        post(5),
        [post(9, device=SECOND, seen={ADA.account: 5})],
        Fate.KEPT,
    ),
    ("a sibling that had not seen it", post(5), [post(9, device=SECOND)], Fate.ABSENT),
    ("only an older edit", post(5), [post(4)], Fate.ABSENT),
    ("deleted since", post(5), [post(5), deletion(6)], Fate.KEPT),
    ("deleted by an earlier stamp", post(5), [deletion(4)], Fate.KEPT),
    ("the deletion is there", deletion(5), [post(4), deletion(5)], Fate.KEPT),
    ("another deletion is there", deletion(5), [deletion(6)], Fate.KEPT),
    ("the deleted post is shown", deletion(5), [post(4)], Fate.RESURRECTED),
    ("the deleted post is shown, edited", deletion(5), [post(4), post(6)], Fate.RESURRECTED),
    ("switched off", like(5, False), [like(4, True), like(5, False)], Fate.KEPT),
    ("switched on again later", like(5, False), [like(5, False), like(6, True)], Fate.KEPT),
    ("on, though it was switched off", like(5, False), [like(4, True)], Fate.RESURRECTED),
    ("an older off", like(5, False), [like(4, False)], Fate.ABSENT),
    ("switched on, off since", like(5, True), [like(6, False)], Fate.KEPT),
    ("another record under its dot", post(5), [post(5, "other words")], Fate.REPLACED),
    ("another one under its dot, superseded", post(5), [post(5, "other words"), post(6)], Fate.REPLACED),
]


@pytest.mark.parametrize(
    ("record", "known", "fate"), [row[1:] for row in FATES], ids=[row[0] for row in FATES]
)
def test_fates(record: Record, known: Sequence[Record], fate: Fate) -> None:
    assert fate_of(promise(record), cell(*known)) is fate
    assert fate_of(promise(record), None) is Fate.ABSENT


def judged(
    promises: Sequence[Acknowledged], *cells: Mapping[str, Cell | None], key: bytes | None = None
) -> tuple[Judge, Judgement]:
    """Judge the keys of some cells, each given for every replica."""
    by_key: dict[bytes, list[Acknowledged]] = {}
    for each in promises:
        for at in each.keys:
            by_key.setdefault(at, []).append(each)
    judge = Judge(by_key, {each.device for each in promises})
    judgement = Judgement()
    for replicas in cells:
        found = next((one for one in replicas.values() if one is not None), None)
        at = key or (promises[0].key if found is None else found.key)
        judge.judge(
            at, {name: None if one is None else one.encode() for name, one in replicas.items()}, judgement
        )
    return judge, judgement


def violations(judgement: Judgement) -> list[Violation]:
    return [finding.violation for finding in judgement.findings]


def test_equal_replicas_that_hold_a_promise_are_fine() -> None:
    _, judgement = judged([promise(post(5))], {"a": cell(post(5)), "b": cell(post(5))})
    assert judgement.findings == [] and judgement.compared == 1


def test_a_promise_that_no_replica_knows_is_lost_once() -> None:
    _, judgement = judged([promise(post(5)), promise(post(6))], {"a": None, "b": None})
    assert violations(judgement) == [Violation.LOST, Violation.LOST]
    assert "acknowledged at quorum" in judgement.findings[0].sentence


def test_a_promise_that_one_replica_lacks_has_diverged_and_is_not_lost() -> None:
    _, judgement = judged([promise(post(5))], {"a": cell(post(5)), "b": None})
    assert violations(judgement) == [Violation.DIVERGED]
    assert "b: nothing" in judgement.findings[0].sentence and judgement.diverged


def test_a_resurrection_on_one_replica_is_one_and_a_divergence() -> None:
    _, judgement = judged([promise(deletion(5))], {"a": cell(deletion(5)), "b": cell(post(4))})
    assert sorted(found.value for found in violations(judgement)) == ["diverged", "resurrected"]


def test_cells_nobody_promised_are_compared_all_the_same() -> None:
    _, judgement = judged([], {"a": cell(post(5)), "b": cell(post(5), post(6))})
    assert violations(judgement) == [Violation.DIVERGED] and judgement.compared == 0


def test_bytes_that_are_no_cell_are_said_and_not_compared() -> None:
    judge, judgement = judged([promise(post(5))])
    judge.judge(post(5).key, {"a": b"\x93", "b": cell(post(5)).encode()}, judgement)
    assert judgement.unreadable == 1 and Violation.DIVERGED in violations(judgement)


def test_one_dot_at_two_keys_is_a_duplicate_if_its_device_is_one_of_ours() -> None:
    one, other = cell(post(5)), cell(post(5, item=OTHER_ITEM))
    _, judgement = judged([promise(post(5))], {"a": one}, {"a": other})
    assert violations(judgement) == [Violation.DUPLICATED]
    _, foreign = judged([promise(like(1, True))], {"a": one}, {"a": other})
    assert foreign.findings == []


def test_reading_a_part_again_finds_nothing_new() -> None:
    judge, _ = judged([promise(post(5))], {"a": cell(post(5))})
    again = Judgement()
    judge.judge(post(5).key, {"a": cell(post(5)).encode()}, again)
    assert again.findings == [] and again.compared == 1


@pytest.mark.parametrize("released", [False, True])
def test_a_held_record_waits_or_is_released(released: bool) -> None:
    entry = promise(post(5), held=True)
    judge, judgement = judged([entry])
    data = cell(post(5)).encode()
    judge.judge(held_key(entry.key), {"a": None if released else data}, judgement)
    judge.judge(entry.key, {"a": data if released else None}, judgement)
    judge.judge_held(judgement)
    assert judgement.findings == [] and judgement.compared == 1


def test_a_held_record_that_waits_nowhere_is_lost() -> None:
    entry = promise(post(5), held=True)
    judge, judgement = judged([entry])
    for key in entry.keys:
        judge.judge(key, {"a": None}, judgement)
    judge.judge_held(judgement)
    assert violations(judgement) == [Violation.LOST]


def test_a_feed_has_every_promised_post_that_is_shown_and_each_once() -> None:
    judge, _ = judged(
        [promise(post(5)), promise(post(6, item=OTHER_ITEM))],
        {"a": cell(post(5))},
        {"a": cell(post(6, item=OTHER_ITEM))},
    )
    fine, twice, short = Judgement(), Judgement(), Judgement()
    judge.judge_feed(ADA.account, [OTHER_ITEM, ITEM, make_uuid7(1, 1)], fine)
    judge.judge_feed(ADA.account, [OTHER_ITEM, ITEM, ITEM], twice)
    judge.judge_feed(ADA.account, [OTHER_ITEM], short)
    assert fine.findings == []
    assert violations(twice) == [Violation.DUPLICATED] and violations(short) == [Violation.LOST]


def test_a_feed_need_not_have_what_is_deleted() -> None:
    judge, _ = judged([promise(post(5))], {"a": cell(post(5), deletion(6))})
    judgement = Judgement()
    judge.judge_feed(ADA.account, [], judgement)
    assert judgement.findings == []


HISTORIES = st.lists(
    st.one_of(
        st.integers(1, 8).map(post),
        st.integers(1, 8).map(deletion),
        st.integers(1, 8).map(lambda stamp: post(stamp, device=SECOND, seen={ADA.account: stamp})),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda record: (record.device, record.stamp),
)


@given(HISTORIES)
def test_whoever_knows_everything_keeps_every_promise(records: list[Record]) -> None:
    whole = cell(*records)
    assert {fate_of(promise(record), whole) for record in records} == {Fate.KEPT}


@given(HISTORIES)
def test_what_nobody_ever_joined_is_never_called_kept_for_nothing(records: list[Record]) -> None:
    """The newest record of all, unknown to a cell, is missed unless the cell is deleted."""
    newest = post(99)
    known = cell(*records)
    assert (fate_of(promise(newest), known) is Fate.KEPT) == known.deleted
