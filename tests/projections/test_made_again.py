"""What is taken back and made again is no news, however often."""

from __future__ import annotations

import pytest
from folkmoot.node.projections.notices import Notice
from folkmoot.protocol import limits
from folkmoot.protocol.projections.notices import Sort
from folkmoot.protocol.record import Record

from tests.projections.test_applying import BASE_US, PEOPLE, Town, item_of
from tests.projections.test_notices import listed

DAY_US = 24 * 3600 * 1_000_000


def switched(kind: str, at_us: int, *, on: bool, erase: bool = False) -> Record:
    """What somebody says who likes, or follows, and does not any more, and does again."""
    item, place = (item_of(0, 1) + PEOPLE[1].account, PEOPLE[0].account)
    if kind == "follow":
        item, place = PEOPLE[0].account, PEOPLE[1].account
    body = {"on": on, "erase": True} if erase else {"on": on}
    return Record.sign(PEOPLE[1], kind=kind, item=item, body=body, stamp=BASE_US + at_us, place=place)


@pytest.mark.parametrize(("kind", "sort"), [("like", Sort.LIKE), ("follow", Sort.FOLLOW)])
@pytest.mark.parametrize("erase", [False, True])
def test_who_takes_back_and_does_again_is_news_once_a_day_at_most(kind: str, sort: Sort, erase: bool) -> None:
    town, step_us, stood = Town(None), 40 * 60_000_000, []
    for at in range(100):
        town.apply([town.put(switched(kind, at * step_us, on=True))])
        [listing] = listed(town, 0, sort)
        notice = Notice.of_entry(sort, *listing)
        assert notice is not None and notice.time_us <= BASE_US + at * step_us
        stood.append(notice.time_us)
        off = switched(kind, at * step_us + step_us // 2, on=False, erase=erase)
        town.apply([town.put(off)])
        assert [each for each in listed(town, 0, sort) if kind == "follow"] == []
    assert town.differences() == []
    assert stood[0] == BASE_US
    if not erase:
        assert set(stood[: limits.CELL_HISTORY // 2]) == {BASE_US}, "it is no news at all"
    days = [time_us // DAY_US for time_us in stood]
    assert len(set(stood[limits.CELL_HISTORY :])) <= len(set(days)) <= 4
    assert all(later <= max(BASE_US, day * DAY_US) for later, day in zip(stood, days, strict=True))
