"""The rules by which a disk is found to be old: what a statement is worth, and how many must be heard."""

from __future__ import annotations

import pytest
from folkmoot.node.standing.lives import Life, Lives
from folkmoot.node.standing.records import Own, opened
from folkmoot.protocol.standing import (
    NO_MARK,
    Finding,
    Mark,
    State,
    Statement,
    Watermark,
    Watermarks,
    heard_enough,
    judge,
    majority_of_left,
    majority_of_others,
    rebuilt_from_enough,
)

WHOLE, UNPROVEN, AMNESIAC = State
FITS, OLD, SUPERSEDED = Finding
NEVER = float("-inf")
A, B, C, D = (letter * 16 for letter in (b"a", b"b", b"c", b"d"))


def said(state: State, boot: int, claim: tuple[int, int], commit: int = 50) -> Statement:
    return Statement("one", bytes(8), boot, state, claim, commit)


@pytest.mark.parametrize(
    ("known", "statement", "finding"),
    [
        (NO_MARK, said(UNPROVEN, 1, (0, 0)), FITS),
        (Mark(5, 9), said(UNPROVEN, 6, (5, 9)), FITS),
        (Mark(5, 9), said(UNPROVEN, 6, (5, 8)), OLD),
        (Mark(5, 9), said(UNPROVEN, 6, (4, 999)), OLD),
        (Mark(5, 9), said(UNPROVEN, 4, (3, 9)), OLD),  # its clock was set back, too
        (Mark(5, 9), said(UNPROVEN, 5, (4, 0)), FITS),  # said before that boot was accepted
        (Mark(5, 9), said(WHOLE, 5, (4, 0)), FITS),
        (Mark(5, 9), said(WHOLE, 6, (5, 9)), FITS),
        (Mark(5, 9), said(WHOLE, 6, (5, 8)), OLD),  # proven where less was remembered
        (Mark(5, 9), said(WHOLE, 4, (5, 9)), SUPERSEDED),
        (Mark(5, 9), said(AMNESIAC, 5, (4, 0)), OLD),
    ],
)
def test_what_a_statement_is_worth(known: Mark, statement: Statement, finding: Finding) -> None:
    assert judge(known, statement) is finding


@pytest.mark.parametrize(("others", "needed"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_majorities_of_the_others_meet_quorums(others: int, needed: int) -> None:
    assert majority_of_others(others) == needed
    slots = others + 1
    of_a_quorum = slots // 2 + 1 - 1  # without the node whose disk is lost
    assert others == 0 or needed + of_a_quorum > others, "whatever a quorum acknowledged is met"
    assert others == 0 or 2 * needed > others, "and whoever has heard of the latest boot"


def test_every_range_needs_its_own_majority() -> None:
    assert heard_enough([], set())
    assert heard_enough([frozenset()], set()), "a node alone"
    assert not heard_enough([{A, B}, {C}], {A, B})
    assert heard_enough([{A, B}, {C}], {A, B, C})
    assert not heard_enough([{A, B}], {A})


@pytest.mark.parametrize("others", range(1, 7))
def test_who_is_left_meets_whoever_heard_earlier(others: int) -> None:
    """Nobody given up is a majority of all; of those that are left, two sets that are enough always meet."""
    assert majority_of_left(others, others) == majority_of_others(others)
    for left in range(1, others):
        needed = majority_of_left(others, left)
        heard_earlier = majority_of_others(others) - (others - left)
        assert 1 <= needed <= left, "nobody waits for those that never come"
        assert 2 * needed > left
        assert needed + heard_earlier > left or heard_earlier <= 0
    assert majority_of_left(others, 0) == 0


def test_nobody_waits_for_who_was_given_up() -> None:
    assert not heard_enough([{A, B}], {A})
    assert heard_enough([{A, B}], {A}, given_up={B})
    assert not heard_enough([{A, B}], {B}, given_up={B}), "what it said before is not asked for any more"
    assert not heard_enough([{A, B, C}], {A}, given_up={B})
    assert heard_enough([{A, B, C}], {A, C}, given_up={B, D})


def test_old_disks_rebuild_nobody_unless_there_are_no_others() -> None:
    assert rebuilt_from_enough([A, B], {A, B}, [])
    assert not rebuilt_from_enough([A, B], {A}, [])
    assert not rebuilt_from_enough([A, B, C, D], {A, B, C}, [C]), (
        "three of the four are sound, and two passed"
    )
    assert rebuilt_from_enough([A, B, C, D], {A, B, D}, [C])
    assert not rebuilt_from_enough([A, B], {B}, [A])
    assert rebuilt_from_enough([A, B], {A, B}, [A]), "the most there can be"


def test_watermarks_rise_with_the_accepted_life_only() -> None:
    marks = Watermarks({A: Watermark(Mark(5, 9), WHOLE)})
    assert marks.raise_to(A, Mark(5, 12)) and marks.of(A).mark == Mark(5, 12)
    assert marks.raise_to(A, Mark(5, 3)) and marks.of(A).mark == Mark(5, 12)
    assert not marks.raise_to(A, Mark(6, 1)) and marks.of(A).mark == Mark(5, 12)
    assert marks.hear(A, said(UNPROVEN, 6, (5, 12))) is FITS
    assert marks.of(A) == Watermark(Mark(5, 12), UNPROVEN), "not accepted yet"
    assert marks.hear(A, said(WHOLE, 6, (5, 12))) is FITS and marks.of(A).mark == Mark(6, 50)
    assert marks.hear(A, said(UNPROVEN, 6, (5, 12))) is FITS
    assert marks.of(A) == Watermark(Mark(6, 50), WHOLE), "it was said before, and came late"
    assert marks.hear(A, said(UNPROVEN, 7, (5, 12))) is OLD
    assert marks.of(A) == Watermark(Mark(6, 50), AMNESIAC)
    assert marks.hear(A, said(WHOLE, 8, (6, 50))) is FITS, "rebuilt"
    marks.retain({B})
    assert marks.of(A).mark == NO_MARK


def test_a_claim_stays_until_a_boot_is_proven() -> None:
    first = opened(None, 3, 10)
    assert first == Own(UNPROVEN, 10, Mark(0, 3))
    again = opened(first, 77, 11)
    assert again == Own(UNPROVEN, 11, Mark(0, 3)), "what it wrote meanwhile proves nothing"
    proven = Own(WHOLE, 11, Mark(0, 3))
    assert opened(proven, 99, 9) == Own(UNPROVEN, 12, Mark(11, 99)), "boots rise whatever the clock"
    old = Own(AMNESIAC, 12, Mark(11, 99))
    assert opened(old, 200, 13) == Own(AMNESIAC, 13, Mark(11, 99))


def test_of_two_lives_the_earlier_or_accepted_one_stays() -> None:
    lives = Lives()
    early, late = Life(b"early...", 5), Life(b"late....", 6)
    assert not lives.hear(A, early, 1.0, 0.9)
    assert lives.hear(A, late, 2.0, NEVER), "a new one, and not the first"
    assert lives.rival_of(A, late, 0) is None, "the early one has not spoken since: it may be gone"
    lives.hear(A, early, 3.0, 2.5)
    assert lives.rival_of(A, late, 0) == early
    assert lives.rival_of(A, early, 0) is None, "the later one is told, not this"
    lives.hear(A, late, 4.0, 3.5)
    assert lives.rival_of(A, early, 6) == late, "unless the later one was accepted"
    for number in range(10):
        lives.hear(B, Life(bytes([number]) * 8, number), float(number), NEVER)
    assert lives.rival_of(B, Life(bytes(8), 0), 0) is None, "only a few are kept"


def test_what_a_dead_process_had_sent_is_no_sign_of_life() -> None:
    """Held up by a partition, it may arrive when the next process speaks already."""
    lives = Lives()
    early, late = Life(b"early...", 5), Life(b"late....", 6)
    lives.hear(A, early, 1.0, NEVER)
    lives.hear(A, late, 2.0, NEVER)
    for echo in (NEVER, 0.5, 1.0):
        lives.hear(A, early, 3.0, echo)
        assert lives.rival_of(A, late, 0) is None
        assert lives.is_doubtful(A, early), "it is asked once more"
    lives.hear(A, early, 4.0, 3.0)
    assert lives.rival_of(A, late, 0) == early
    assert not lives.is_doubtful(A, early)
