"""What goes to many inboxes is written in several transactions, and remembered once it is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Index
from folkmoot.protocol.record import Record
from folkmoot.storage.inboxes import Bounds
from folkmoot.storage.projecting import Changed
from folkmoot.storage.projections import ProjectionBook, members

from tests.node.harness import founded
from tests.projections.people import follow
from tests.projections.test_applying import BASE_US, PEOPLE, Town, record_of
from tests.projections.test_projector import PEOPLE as AUTHORS
from tests.projections.test_projector import equal_their_recomputation

AUTHOR, OTHER = 0, 1
FANS = [KeyPair(number.to_bytes(32, "big")) for number in range(100, 140)]
AT_ONCE = 8


class Followed(Town):
    """A town in which forty follow one author."""

    def __init__(self) -> None:
        super().__init__(None, Bounds(len(FANS), 5))
        followed = PEOPLE[AUTHOR].account
        for fan in FANS:
            record = Record.sign(fan, kind="follow", item=followed, body={"on": True}, stamp=BASE_US)
            self.apply([self.put(record)])
        self.backfill()

    def break_off(self, change: Changed) -> None:
        """Apply a change, and end after the first transaction."""
        assert self._begun([change], AT_ONCE)

    def reached(self) -> int:
        """How many followers have something in their home feeds."""
        with self.store.engine.begin() as transaction:
            groups = [place_prefix(fan.account) for fan in FANS]
            return sum(bool(members(transaction, Index.INBOX, 0, group)) for group in groups)


def test_no_transaction_writes_to_many_followers() -> None:
    town = Followed()
    change = town.put(record_of(("post", AUTHOR, 1, "", None), 1))
    written = []
    with town.store.write() as transaction:
        application = town.application(ProjectionBook(transaction))
        application.apply(change)
        left = application.write(AT_ONCE)
        written.append(application.cost)
        transaction.commit()
    while left:
        with town.store.write() as transaction:
            application = town.application(ProjectionBook(transaction))
            left = application.go_on(left, AT_ONCE)
            written.append(application.cost)
            transaction.commit()
    assert written[1:] == [AT_ONCE] * (len(FANS) // AT_ONCE - 1)
    assert town.reached() == len(FANS) and town.differences() == []


@pytest.mark.parametrize("is_repost", [False, True])
@pytest.mark.parametrize("is_taken_back", [False, True])
def test_what_broke_off_is_done_again_or_taken_back_wherever_it_came(
    is_repost: bool, is_taken_back: bool
) -> None:
    town = Followed()
    town.apply([town.put(record_of(("post", OTHER, 1, "", None), 1))])
    what = ("repost", AUTHOR, OTHER, 1, True) if is_repost else ("post", AUTHOR, 1, "", None)
    change = town.put(record_of(what, 2))
    town.break_off(change)
    assert 0 < town.reached() < len(FANS)
    gone = ("repost", AUTHOR, OTHER, 1, False) if is_repost else ("delete", AUTHOR, 1)
    if is_taken_back:
        change = town.put(record_of(gone, 3))
    town.apply([change])
    assert town.reached() == (0 if is_taken_back else len(FANS))
    assert town.differences() == []


def test_a_repost_made_again_leaves_nothing_where_it_was() -> None:
    town = Followed()
    on, off = (("repost", AUTHOR, OTHER, 1, on) for on in (True, False))
    for at, what in enumerate((("post", OTHER, 1, "", None), on, off, on)):
        change = town.put(record_of(what, at))
        if at == 3:  # elsewhere it was not known that it had been taken back
            town.break_off(change)
        elif what is not off:
            town.apply([change])
    town.apply([town.put(record_of(off, 4))])
    assert town.reached() == 0 and town.differences() == []


async def test_a_node_goes_on_until_all_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PROJECTION_WRITES_AMONG_OTHERS", 1)
    async with founded(tmp_path, nodes=1) as town:
        author, *fans = AUTHORS
        async with town.client(town[0]) as client:
            await client.put(*(follow(fan, author) for fan in fans), level="one")
            await equal_their_recomputation(town)
            await client.put(author.post("to all of them"), level="one")
            await equal_their_recomputation(town)
        await town[0].stop()
        await town.start(town[0])
        await equal_their_recomputation(town)
