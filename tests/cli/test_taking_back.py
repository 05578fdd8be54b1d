"""What takes back what: whatever devices have written in a cell, one record ends it, and says so once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from folkmoot.cli.users.taking_back import Taker, cells_of, is_left
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

ADA, PHONE, TABLET, FRIEND = (KeyPair(bytes([number]) * 32) for number in range(1, 5))
POST = make_uuid7(1_700_000_000_000, 1)
NOW = 1_000
BODIES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "post": (POST, {"text": "secret"}),
    "profile": (b"name", {"value": "secret"}),
    "follow": (FRIEND.account, {"on": True}),
    "mute": (FRIEND.account, {"on": True}),
    "block": (FRIEND.account, {"on": True}),
    "bookmark": (FRIEND.account + POST, {"on": True}),
    "like": (POST + ADA.account, {"on": True}),
    "repost": (POST + ADA.account, {"on": True}),
    "preference": (b"notifications.read", {"until": 1}),
}


def written(kind: str, device: KeyPair = ADA, stamp: int = 1, **more: Any) -> Record:
    item, body = BODIES[kind]
    return Record.sign(device, author=ADA.account, kind=kind, item=item, body=body, stamp=stamp, **more)


def cell_with(records: Sequence[Record]) -> Cell:
    cell = Cell.of(records[0])
    for record in records[1:]:
        cell = join(cell, Cell.of(record))
    return cell


@pytest.mark.parametrize("kind", BODIES)
def test_one_record_takes_back_what_three_devices_wrote(kind: str) -> None:
    cell = [
        written(kind),
        written(kind, PHONE, stamp=9_000, seen={ADA.account: 1}),
        written(kind, TABLET, stamp=NOW),
    ]
    assert is_left(cell)
    last = Taker(PHONE).sign(cell, NOW)
    assert last.author == ADA.account and last.device == PHONE.account and last.stamp > 9_000
    for order in permutations([*cell, last]):
        whole = cell_with(order)
        assert whole.taken_back and whole.records() == (last,)
    assert not is_left([last])


@pytest.mark.parametrize("kind", BODIES)
def test_also_where_somebody_elses_place_it_is(kind: str) -> None:
    if kind in ("like", "repost"):
        theirs = written(kind, place=FRIEND.account)
        assert Taker(ADA).sign([theirs], NOW).key == theirs.key


def test_what_cannot_be_taken_back_is_not_left() -> None:
    report = Record.sign(ADA, kind="report", item=POST + ADA.account, body={"why": "spam"}, stamp=1)
    assert not is_left([report])


def test_a_flag_that_is_off_has_been_on() -> None:
    off = Record.sign(ADA, kind="follow", item=FRIEND.account, body={"on": False}, stamp=1)
    assert is_left([off])


def test_what_an_erasing_record_has_not_erased_is_left() -> None:
    erased = Taker(ADA).sign([written("profile")], NOW)
    assert is_left([erased, written("profile", PHONE, stamp=NOW + 5)])


def test_stamps_rise_while_the_clock_stands_still() -> None:
    taker = Taker(ADA)
    stamps = [taker.sign([written("post")], NOW).stamp for _ in range(3)]
    assert stamps == [NOW, NOW + 1, NOW + 2]


def test_listed_records_are_told_apart_by_cell() -> None:
    listed = [written("profile"), written("profile", stamp=2), written("follow")]
    assert [[record.kind for record in cell] for cell in cells_of(listed)] == [["profile"] * 2, ["follow"]]
