"""Custody records: what their lines say, what is left of torn ones, and what may be done when."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.custody import DAY_US, Custody, Entry, Found, What, check_words, is_due
from hypothesis import given
from hypothesis import strategies as st

from tests.node.people import Author

EXPERT = Author(1).account
FOUND = Found("worst", "worst-kind", bytes(32), 3, 1_234, "image/png")
SEALED = Entry("sealed", 10, found=FOUND)


def entry(what: What, at_us: int = 20, **more: Any) -> Entry:
    return Entry(what, at_us, EXPERT, EXPERT, "asked by the police", **more)


OPENED, HANDED, ERASED = entry("opened"), entry("handed_over", 30, case="A-7"), entry("erased", 40)

entries = st.builds(
    Entry,
    st.sampled_from(["sealed", "opened", "handed_over", "erased"]),
    st.integers(0, 2**62),
    st.none() | st.just(EXPERT),
    st.none() | st.just(EXPERT),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=bounds.SEALED_REASON_CODE_POINTS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=bounds.SEALED_CASE_CODE_POINTS),
    st.none() | st.just(FOUND),
)


@given(st.lists(entries, max_size=6))
def test_what_is_written_is_read(written: list[Entry]) -> None:
    data = b"".join(each.line() for each in written)
    assert Custody.decode(data) == Custody(tuple(written), 0)


@given(st.lists(entries, min_size=1, max_size=4), st.data())
def test_what_is_cut_off_or_changed_is_counted_and_the_rest_is_read(
    written: list[Entry], data: st.DataObject
) -> None:
    lines = [each.line() for each in written]
    which = data.draw(st.integers(0, len(lines) - 1))
    torn = lines[which][: data.draw(st.integers(1, len(lines[which]) - 2))]
    lines[which] = torn + b"\n"
    read = Custody.decode(b"".join(lines))
    assert read == Custody((*written[:which], *written[which + 1 :]), 1)


@given(st.binary(max_size=300))
def test_nonsense_is_no_entry(data: bytes) -> None:
    read = Custody.decode(data)
    assert read.entries == () and read.damaged == sum(bool(line) for line in data.split(b"\n"))


def test_the_longest_words_fit_a_line() -> None:
    for worst in ("\x00", "\U0001f986", '"'):
        reason = worst * bounds.SEALED_REASON_CODE_POINTS
        line = entry("handed_over", case=worst * bounds.SEALED_CASE_CODE_POINTS).line()
        assert len(line) <= bounds.SEALED_LINE_BYTES
        assert len(Entry("opened", 2**62, EXPERT, EXPERT, reason).line()) <= bounds.SEALED_LINE_BYTES


@pytest.mark.parametrize(
    ("record", "is_here", "state", "since_us"),
    [
        ((), True, "sealed", None),
        ((SEALED,), True, "sealed", 10),
        ((SEALED,), False, "lost", 10),
        ((SEALED, OPENED), True, "sealed", 10),
        ((SEALED, OPENED, HANDED), True, "handed_over", 30),
        ((SEALED, HANDED), False, "lost", 30),
        ((SEALED, HANDED, ERASED), False, "erased", 30),
        ((SEALED, HANDED, ERASED), True, "erased", 30),
        ((SEALED, HANDED, entry("handed_over", 35)), True, "handed_over", 35),
    ],
)
def test_what_became_of_it(
    record: tuple[Entry, ...], is_here: bool, state: str, since_us: int | None
) -> None:
    custody = Custody(record)
    assert (custody.state(is_here=is_here), custody.kept_since_us) == (state, since_us)


@pytest.mark.parametrize(
    ("record", "wish", "allowed"),
    [
        ((SEALED,), OPENED, True),
        ((SEALED,), HANDED, True),
        ((SEALED,), ERASED, False),  # nobody competent has it
        ((SEALED,), Entry("erased", 40), True),  # the node itself, after so long
        ((SEALED, HANDED), ERASED, True),
        ((SEALED, HANDED), OPENED, True),
        ((SEALED, HANDED), HANDED, True),  # another body
        ((SEALED, HANDED, ERASED), OPENED, False),
        ((SEALED, HANDED, ERASED), HANDED, False),
        ((SEALED, HANDED, ERASED), ERASED, False),
        ((SEALED, *[OPENED] * bounds.SEALED_OPENED), OPENED, False),
        ((SEALED, *[OPENED] * bounds.SEALED_OPENED), HANDED, True),
        ((SEALED, *[HANDED] * bounds.SEALED_HANDED_OVER), HANDED, False),
        ((SEALED, *[OPENED] * bounds.SEALED_OPENED, *[HANDED] * bounds.SEALED_HANDED_OVER), ERASED, True),
    ],
)
def test_what_may_be_done(record: tuple[Entry, ...], wish: Entry, allowed: bool) -> None:
    if allowed:
        Custody(record).check(wish)
    else:
        with pytest.raises(WireError) as told:
            Custody(record).check(wish)
        assert told.value.kind is CONFLICT


def test_a_record_of_torn_lines_still_takes_how_it_ends() -> None:
    custody = Custody((SEALED, HANDED), damaged=bounds.SEALED_LINES)
    with pytest.raises(WireError):
        custody.check(OPENED)
    custody.check(HANDED)
    custody.check(ERASED)


@pytest.mark.parametrize(
    ("since_us", "days", "now_us", "due"),
    [
        (0, 1.0, DAY_US - 1, False),
        (0, 1.0, DAY_US, True),
        (5, 0.5, DAY_US // 2 + 5, True),
        (0, 0.0, 2**62, False),  # for ever
        (None, 1.0, 2**62, False),  # nobody knows since when
    ],
)
def test_when_it_was_kept_for_long_enough(since_us: int | None, days: float, now_us: int, due: bool) -> None:
    assert is_due(since_us, days, now_us) is due


def test_words_are_asked_for() -> None:
    assert check_words("  because\n", "a reason") == "because"
    for nothing in ("", " \t\n"):
        with pytest.raises(WireError) as told:
            check_words(nothing, "a reason")
        assert told.value.kind is BAD_REQUEST and "a reason" in told.value.message
