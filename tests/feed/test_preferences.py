"""Preferences of an account: what they may say, and a read mark that converges and never goes back."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.preferences import (
    DAYS_MAX,
    POLICY,
    READ,
    SORTS,
    Policy,
    Whom,
    next_mark,
    policy_of,
    read_until_us,
)
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

OWNER = KeyPair(b"\x01" * 32)
DEVICES = [OWNER, *(KeyPair(bytes((n,)) * 32) for n in (2, 3))]
STAMP = 1_700_000_000_000_000


def preference(item: bytes, body: dict[str, Any], stamp: int = STAMP) -> Record:
    return Record.sign(OWNER, kind="preference", item=item, body=body, stamp=stamp)


@pytest.mark.parametrize(
    ("item", "body", "taken"),
    [
        (POLICY, {}, True),
        (POLICY, {"mention": "nobody", "like": "known", "min_age_days": 30, "later": 1}, True),
        (POLICY, {"erase": True}, True),
        (POLICY, {"erase": False}, False),
        (POLICY, {"mention": "friends"}, False),
        (POLICY, {"mention": True}, False),
        (POLICY, {"min_age_days": -1}, False),
        (POLICY, {"min_age_days": DAYS_MAX + 1}, False),
        (POLICY, {"min_age_days": True}, False),
        (READ, {"until": 0}, True),
        (READ, {"until": STAMP}, True),
        (READ, {"until": STAMP + 1}, False),
        (READ, {"until": -1}, False),
        (READ, {"until": "now"}, False),
        (READ, {}, False),
        (READ, {"erase": True}, True),
        (b"theme", {"dark": [True]}, True),
        (b"\xff", {}, False),
        (b"x" * limits.PREFERENCE_NAME_BYTES, {}, True),
        (b"x" * (limits.PREFERENCE_NAME_BYTES + 1), {}, False),
    ],
)
def test_what_a_preference_may_say(item: bytes, body: dict[str, Any], taken: bool) -> None:
    if taken:
        assert preference(item, body).body == body
        return
    with pytest.raises(WireError) as refused:
        preference(item, body)
    assert refused.value.kind.name == "bad_request"


def test_a_policy_is_what_was_said_and_defaults() -> None:
    assert {sort: Policy().of(sort) for sort in SORTS} == {
        sort: Whom.KNOWN if sort == "mention" else Whom.EVERYONE for sort in SORTS
    }
    said = policy_of({"mention": "everyone", "like": "nobody", "min_age_days": 3})
    assert (said.of("mention"), said.of("like"), said.min_age_days) == (Whom.EVERYONE, Whom.NOBODY, 3)
    assert said.of("label") is Whom.EVERYONE and policy_of({}) == Policy()


device = st.integers(0, len(DEVICES) - 1)
step = st.one_of(
    st.tuples(st.just("sees"), device, st.integers(0, 100), st.integers(-50, 100)),
    st.tuples(st.just("syncs"), device, device),
)


@given(st.lists(step, max_size=40))
def test_the_read_mark_converges_and_never_goes_back(steps: list[Any]) -> None:
    """Devices with clocks of their own read, write without asking, and hear from each other now and then."""
    cells: list[Cell | None] = [None] * len(DEVICES)
    greatest = 0

    def mark(cell: Cell | None) -> int:
        return 0 if cell is None else read_until_us(cell.survivors)

    for what in steps:
        match what:
            case ("sees", who, seen, clock_us):
                known = cells[who]
                survivors = () if known is None else known.survivors
                clock = {} if known is None else known.clock
                moved = next_mark(survivors, clock, STAMP + seen, STAMP + clock_us)
                record = Record.sign(
                    DEVICES[who],
                    author=OWNER.account,
                    kind="preference",
                    item=READ,
                    body={"until": moved.until_us},
                    stamp=moved.stamp,
                    seen=clock,
                )
                cells[who] = Cell.of(record) if known is None else join(known, Cell.of(record))
                greatest = max(greatest, STAMP + seen)
                assert mark(cells[who]) >= max(mark(known), STAMP + seen)
            case (_, one, other):
                mine, theirs = cells[one], cells[other]
                both = mine or theirs if mine is None or theirs is None else join(mine, theirs)
                assert mark(both) == max(mark(mine), mark(theirs))
                cells[one] = cells[other] = both
    written = [cell for cell in cells if cell is not None]
    assert mark(reduce(join, written) if written else None) == greatest
