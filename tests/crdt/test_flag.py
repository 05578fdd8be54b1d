"""Flags by their encoded cells: what is read out of bytes is what decoding them comes to."""

from __future__ import annotations

from functools import reduce

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.crdt.flag import is_on, on_since, says_on, switched_on
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from hypothesis import given, settings
from hypothesis import strategies as st

ANN, PHONE, BEN = (KeyPair(bytes([number]) * 32) for number in (1, 2, 3))
DAY_US = 86_400_000_000
BASE_US = 20_000 * DAY_US

said = st.builds(
    lambda stamp, on, erase, phone: (stamp, {"on": on, **({"erase": True} if erase else {})}, phone),
    st.integers(1, 4 * DAY_US),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


def flag(stamp: int, body: dict[str, bool], *, phone: bool = False, kind: str = "follow") -> Record:
    """What Ann says, with one of two devices, that know nothing of each other."""
    device, stamp = (PHONE if phone else ANN), BASE_US + stamp
    if kind == "follow":
        return Record.sign(device, kind=kind, item=BEN.account, body=body, stamp=stamp, author=ANN.account)
    item = make_uuid7(BASE_US // 1000, 1) + ANN.account
    place = BEN.account
    return Record.sign(device, kind=kind, item=item, body=body, stamp=stamp, author=ANN.account, place=place)


@settings(max_examples=60, deadline=None)
@given(st.lists(said, min_size=1, max_size=20), st.sampled_from(["follow", "like"]))
def test_bytes_say_what_the_cell_says(records: list[tuple[int, dict[str, bool], bool]], kind: str) -> None:
    made = [flag(stamp, body, phone=phone, kind=kind) for stamp, body, phone in records]
    cell = reduce(join, map(Cell.of, made))
    data = cell.encode()
    assert says_on(data) is is_on(cell)
    told = switched_on(data)
    assert (told is not None) is is_on(cell)
    if told is not None:
        newest = max((each for each in cell.survivors if each.body["on"]), key=lambda each: each.stamp)
        assert Record.from_wire(codec.unpack(told.frame)).stamp == newest.stamp
        assert told.since_us == on_since(cell)


def test_where_there_is_no_cell_nothing_is_on() -> None:
    assert says_on(None) is False and switched_on(None) is None


def test_a_flag_is_on_since_the_oldest_that_is_known_to_say_so() -> None:
    cell = Cell.of(flag(5, {"on": True}))
    assert on_since(cell) == BASE_US + 5
    for stamp in range(6, 20):
        cell = join(cell, Cell.of(flag(stamp, {"on": stamp % 2 == 0})))
        assert on_since(cell) == (BASE_US + 5 if stamp % 2 == 0 else 0)


@pytest.mark.parametrize("times", [17, 100])
def test_where_that_was_cut_off_it_is_the_beginning_of_a_day(times: int) -> None:
    cell = reduce(join, (Cell.of(flag(DAY_US + stamp, {"on": True})) for stamp in range(times)))
    assert on_since(cell) == BASE_US + DAY_US
    erased = join(Cell.of(flag(7, {"on": False, "erase": True})), Cell.of(flag(9, {"on": True})))
    assert on_since(erased) == BASE_US
