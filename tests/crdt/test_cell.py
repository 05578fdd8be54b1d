"""Cells, case by case: what a person with several devices would see, and what a broken peer may send."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec
import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.crdt import flag, register
from folkmoot.protocol.crdt.cell import Cell, encode_single, join, summary, winner_frame
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.limits import CELL_BYTES, CELL_HISTORY, RECORD_BYTES
from folkmoot.protocol.record import Record
from hypothesis import given
from hypothesis import strategies as st

from tests.crdt.resigning import sign_again
from tests.crdt.world import ACCOUNT, DEVICES, ITEMS, World

PHONE, LAPTOP, TABLET = DEVICES[:3]
Seen = dict[bytes, int]


def record(kind: str, device: int, stamp: int, body: dict[str, object], seen: Seen | None = None) -> Record:
    return Record.sign(
        DEVICES[device],
        author=ACCOUNT,
        kind=kind,
        item=ITEMS[kind],
        body=body,
        stamp=stamp,
        seen=seen,
    )


def post(device: int, stamp: int, text: str, seen: Seen | None = None) -> Record:
    return record("post", device, stamp, {"text": text}, seen)


def deletion(device: int, stamp: int, seen: Seen | None = None) -> Record:
    return record("post", device, stamp, {"deleted": True}, seen)


def follow(device: int, stamp: int, on: bool, seen: Seen | None = None) -> Record:
    return record("follow", device, stamp, {"on": on}, seen)


def field(device: int, stamp: int, text: str, seen: Seen | None = None, *, erase: bool = False) -> Record:
    body: dict[str, object] = {"value": text}
    return record("profile", device, stamp, body | ({"erase": True} if erase else {}), seen)


def joined(*records: Record) -> Cell:
    """The cell of all these, the same for every order they could arrive in."""
    cells = set()
    for seed in range(6):
        order = Random(seed).sample(records, len(records))
        cell = Cell.of(order[0])
        for other in order[1:]:
            cell = join(cell, Cell.of(other))
        cells.add(cell)
    assert len(cells) == 1
    return cells.pop()


class TestRegister:
    def test_a_devices_newer_record_supersedes_its_older_one(self) -> None:
        cell = joined(post(0, 1, "first"), post(0, 2, "second"))
        assert register.shown(cell) == {"text": "second"}
        assert [old.body["text"] for old in cell.history] == ["first"]
        assert not cell.conflict

    def test_edits_that_did_not_know_of_each_other_stay_beside_each_other(self) -> None:
        cell = joined(post(0, 5, "on the phone"), post(1, 3, "on the laptop"))
        assert cell.conflict
        assert register.shown(cell) == {"text": "on the phone"}
        assert register.siblings(cell) == [{"text": "on the laptop"}]

    def test_an_edit_that_read_the_cell_resolves_the_conflict_whatever_its_clock_says(self) -> None:
        seen = {PHONE.account: 5, LAPTOP.account: 3}
        cell = joined(post(0, 5, "phone"), post(1, 3, "laptop"), post(2, 1, "both", seen))
        assert register.shown(cell) == {"text": "both"}
        assert not cell.conflict
        assert len(cell.history) == 2

    def test_of_equal_stamps_the_greater_id_is_shown(self) -> None:
        one, other = post(0, 5, "a"), post(1, 5, "b")
        assert joined(one, other).winner == max(one, other, key=lambda record: record.id)


class TestDeletion:
    def test_a_deletion_absorbs_what_it_had_not_seen(self) -> None:
        cell = joined(post(0, 1, "words"), deletion(1, 1), post(0, 9, "later words"))
        assert cell.deleted
        assert [survivor.device for survivor in cell.survivors] == [LAPTOP.account]
        assert cell.history == ()
        assert b"words" not in cell.encode()

    def test_nothing_takes_a_deletion_back(self) -> None:
        gone = joined(post(0, 1, "words"), deletion(0, 2))
        for replayed in (post(0, 1, "words"), post(0, 3, "again"), post(2, 99, "again", {PHONE.account: 2})):
            assert join(gone, Cell.of(replayed)).survivors == gone.survivors

    def test_no_clock_covers_a_deletion(self) -> None:
        gone = deletion(0, 2)
        ahead = joined(post(0, 9, "later"), post(1, 1, "other", {PHONE.account: 8}))
        assert not ahead.covers(gone)
        assert join(ahead, Cell.of(gone)).deleted

    def test_of_several_deletions_the_smaller_dot_stays(self) -> None:
        first, second = sorted((deletion(0, 7), deletion(1, 3)), key=lambda gone: gone.device)
        assert joined(first, second).survivors == (first,)
        assert joined(deletion(0, 7), deletion(0, 3)).survivors == (deletion(0, 3),)

    def test_a_deleted_cell_still_knows_what_it_covered(self) -> None:
        cell = joined(deletion(0, 2), post(1, 50, "elsewhere"))
        assert cell.covers(post(1, 50, "elsewhere"))
        assert Cell.decode(cell.encode()).clock == {PHONE.account: 2, LAPTOP.account: 50}


class TestFlag:
    def test_on_wins_over_an_off_that_had_not_seen_it(self) -> None:
        assert flag.is_on(joined(follow(0, 1, True), follow(1, 9, False)))

    def test_off_wins_over_what_it_had_seen(self) -> None:
        assert not flag.is_on(joined(follow(0, 1, True), follow(1, 9, False, {PHONE.account: 1})))

    def test_an_off_does_not_come_back_on_by_replay(self) -> None:
        on, off = follow(0, 1, True), follow(0, 2, False)
        assert not flag.is_on(joined(on, off, on))

    def test_on_again_after_off(self) -> None:
        assert flag.is_on(joined(follow(0, 1, True), follow(0, 2, False), follow(0, 3, True)))


class TestErasing:
    def test_what_it_replaces_leaves_no_history(self) -> None:
        seen = {PHONE.account: 1, LAPTOP.account: 2}
        cell = joined(field(0, 1, "old"), field(1, 2, "other"), field(2, 3, "", seen, erase=True))
        assert register.shown(cell) == {"value": "", "erase": True}
        assert cell.history == ()
        assert b"old" not in cell.encode() and b"other" not in cell.encode()

    def test_what_it_had_not_seen_stays_beside_it(self) -> None:
        cell = joined(field(0, 1, "old"), field(0, 2, "", erase=True), field(1, 1, "elsewhere"))
        assert register.siblings(cell) == [{"value": "elsewhere"}]

    def test_it_goes_on_erasing_once_it_is_superseded(self) -> None:
        cell = joined(field(0, 1, "old"), field(0, 2, "", erase=True), field(0, 3, "new"))
        assert [old.stamp for old in cell.history] == [2]

    def test_and_once_nobody_remembers_it(self) -> None:
        """What is older is cut off before it, whoever still has that."""
        later = [field(0, stamp, "new") for stamp in range(3, 5 + CELL_HISTORY)]
        cell = joined(field(0, 1, "old"), field(0, 2, "", erase=True), *later)
        assert len(cell.history) == CELL_HISTORY and not any(old.erases for old in cell.history)
        stale = join(Cell.of(field(0, 1, "old")), Cell.of(later[0]))
        assert join(cell, stale).encode() == cell.encode()

    def test_a_clone_does_not_undo_it(self) -> None:
        for text in "abcdefgh":
            twins = field(0, 2, text), field(0, 2, "", erase=True)
            assert joined(field(0, 1, "old"), *twins).winner.erases

    def test_it_is_the_newest_of_what_it_has_seen(self) -> None:
        with pytest.raises(WireError, match="greater stamp"):
            field(0, 5, "", {LAPTOP.account: 5}, erase=True)

    @pytest.mark.parametrize("erase", [False, 1, "yes"])
    def test_it_says_so_in_one_way_only(self, erase: object) -> None:
        with pytest.raises(WireError, match="erase is true"):
            record("follow", 0, 1, {"on": False, "erase": erase})

    def test_an_edit_of_a_post_erases_nothing(self) -> None:
        cell = joined(post(0, 1, "words"), record("post", 0, 2, {"text": "other words", "erase": True}))
        assert not cell.winner.erases and len(cell.history) == 1


class TestClones:
    def test_of_two_records_under_one_dot_the_smaller_id_stays_everywhere(self) -> None:
        one, twin = post(0, 4, "the phone"), post(0, 4, "its clone")
        assert joined(one, twin).survivors == (min(one, twin, key=lambda record: record.id),)

    def test_the_forgotten_twin_leaves_its_knowledge(self) -> None:
        """Or a record that only the twin had seen would live on some nodes and not on others."""
        older = post(1, 2, "seen by the twin")
        one, twin = post(0, 4, "the phone"), post(0, 4, "its clone", {LAPTOP.account: 2})
        assert joined(one, twin, older).survivors == (min(one, twin, key=lambda record: record.id),)

    def test_of_two_signatures_of_one_payload_the_smaller_stays(self) -> None:
        once = post(0, 4, "the phone")
        again = sign_again(PHONE, once)
        again.verify()
        assert again.id == once.id and again.signature != once.signature
        assert joined(once, again).winner.signature == min(once.signature, again.signature)

    def test_also_in_history(self) -> None:
        once = post(0, 4, "the phone")
        again = sign_again(PHONE, once)
        cell = joined(once, post(0, 5, "newer"), again)
        assert [old.signature for old in cell.history] == [min(once.signature, again.signature)]


class TestDuplicates:
    def test_a_covered_record_is_a_duplicate(self) -> None:
        cell = joined(post(0, 1, "first"), post(0, 2, "second"))
        assert cell.covers(post(0, 1, "first")) and cell.covers(post(0, 2, "second"))
        assert not cell.covers(post(0, 3, "third"))
        assert not cell.covers(post(1, 1, "another device"))

    def test_a_record_that_erases_is_none_before_it_has_erased(self) -> None:
        """It may come after what its device said next, and what it erases after it."""
        old, erasing, new = field(0, 1, "old"), field(0, 2, "", erase=True), field(0, 3, "new")
        for cell in (joined(old, new), joined(new)):
            assert not cell.covers(erasing)
            assert joined(*cell.records(), erasing).covers(erasing)
        assert joined(new, erasing, old).history == (erasing,)
        assert joined(old, new).covers(field(0, 2, "not erasing"))


class TestEncoding:
    def test_one_record_is_spelled_without_making_a_cell(self) -> None:
        for text in ("", "x" * 50, "x" * 300, "é" * 3000):
            single = post(0, 1, text)
            cell = Cell.of(single)
            assert encode_single(single.payload, single.signature) == cell.encode()
            assert Cell.decode(cell.encode()) == cell
            assert codec.unpack(winner_frame(cell.encode())) == single.to_wire()

    def test_the_winners_frame_can_be_cut_out_of_any_cell(self) -> None:
        world = World(Random(7), kind="profile", devices=16, nodes=4)
        world.run(300)
        for state in world.reached():
            assert codec.unpack(winner_frame(state.cell.encode())) == state.cell.winner.to_wire()

    def test_only_what_survivors_do_not_imply_is_added_to_the_clock(self) -> None:
        cell = joined(post(0, 1, "a"), post(1, 2, "b", {PHONE.account: 1}))
        survivors, extra, history = msgspec.msgpack.decode(cell.encode())
        assert (len(survivors), extra, len(history)) == (1, {}, 1)

    def test_the_summary_is_what_clients_are_told(self) -> None:
        old, new = post(0, 1, "a"), post(1, 2, "b", {PHONE.account: 1})
        cell = joined(old, new)
        clock = {PHONE.account.hex(): 1, LAPTOP.account.hex(): 2}
        shown = {"records": [new.to_wire()], "clock": clock, "deleted": False, "conflict": False}
        assert summary(cell) == shown
        assert summary(cell, history=True)["records"] == [new.to_wire(), old.to_wire()]

    def test_the_largest_cell_stays_within_its_limit(self) -> None:
        def largest(device: int, stamp: int, seen: Seen) -> Record:
            spare = RECORD_BYTES - len(record("profile", device, stamp, {"value": ""}, seen).payload)
            return record("profile", device, stamp, {"value": "x" * (spare - 2)}, seen)

        cell: Cell | None = None
        for stamp in range(2):
            for device in range(16):
                single = Cell.of(largest(device, stamp + 2**40, {}))
                cell = single if cell is None else join(cell, single)
        assert cell is not None
        assert len(cell.survivors) == 16 and len(cell.history) == CELL_HISTORY
        assert 32 * RECORD_BYTES < len(cell.encode()) <= CELL_BYTES
        assert Cell.decode(cell.encode()) == cell


def frames(*records: Record) -> list[list[bytes]]:
    return [record.to_wire() for record in records]


UNREACHABLE = {
    "no survivors": lambda: ([], {}, []),
    "a survivor another one had seen": lambda: (
        frames(post(1, 2, "b", {PHONE.account: 1}), post(0, 1, "a")),
        {},
        [],
    ),
    "two survivors of one device": lambda: (frames(post(0, 2, "b"), post(0, 1, "a")), {}, []),
    "survivors oldest first": lambda: (frames(post(0, 1, "a"), post(1, 2, "b")), {}, []),
    "one survivor twice": lambda: (frames(post(0, 1, "a"), post(0, 1, "a")), {}, []),
    "history oldest first": lambda: (
        frames(post(0, 3, "c")),
        {},
        frames(post(0, 1, "a"), post(0, 2, "b")),
    ),
    "history that nothing superseded": lambda: (frames(post(0, 3, "c")), {}, frames(post(1, 1, "a"))),
    "a survivor in the history": lambda: (frames(post(0, 3, "c")), {}, frames(post(0, 3, "c"))),
    "seventeen superseded": lambda: (
        frames(post(0, 50, "new")),
        {},
        frames(*(post(0, stamp, "old") for stamp in range(17, 0, -1))),
    ),
    "history beside a deletion": lambda: (frames(deletion(0, 2)), {}, frames(post(0, 1, "a"))),
    "a deletion in the history": lambda: (frames(post(0, 2, "a")), {}, frames(deletion(0, 1))),
    "history that was erased": lambda: (
        frames(field(0, 2, "", erase=True)),
        {},
        frames(field(0, 1, "old")),
    ),
    "a survivor beside a deletion": lambda: (frames(post(0, 2, "a"), deletion(1, 1)), {}, []),
    "an implied entry of the clock": lambda: (frames(post(0, 2, "a")), {PHONE.account: 2}, []),
    "an entry below what is implied": lambda: (frames(post(0, 2, "a")), {PHONE.account: 1}, []),
    "a device that is no key": lambda: (frames(post(0, 2, "a")), {b"phone": 9}, []),
    "a negative stamp": lambda: (frames(post(0, 2, "a")), {LAPTOP.account: -1}, []),
    "an endless stamp": lambda: (frames(post(0, 2, "a")), {LAPTOP.account: 2**63}, []),
    "records of two keys": lambda: (frames(post(0, 2, "a"), record("profile", 1, 1, {"value": 1})), {}, []),
}


@pytest.mark.parametrize("make", UNREACHABLE.values(), ids=UNREACHABLE.keys())
def test_a_cell_no_joins_could_reach_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(WireError):
        Cell.decode(msgspec.msgpack.encode(make()))


def test_a_clock_whose_devices_are_out_of_order_is_refused() -> None:
    devices = sorted((LAPTOP.account, TABLET.account))
    survivors = frames(post(0, 2, "a"))
    ascending = msgspec.msgpack.encode((survivors, dict.fromkeys(devices, 5), ()))
    assert Cell.decode(ascending).clock[LAPTOP.account] == 5
    with pytest.raises(WireError):
        Cell.decode(msgspec.msgpack.encode((survivors, dict.fromkeys(reversed(devices), 5), ())))


@given(
    seed=st.integers(0, 30), position=st.integers(0), replacement=st.binary(max_size=4), cut=st.integers(0, 4)
)
def test_damaged_bytes_are_refused_or_read_as_themselves(
    seed: int, position: int, replacement: bytes, cut: int
) -> None:
    world = World(Random(seed))
    world.write()
    world.run(20)
    data = world.reached()[-1].cell.encode()
    position %= len(data) + 1
    damaged = data[:position] + replacement + data[position + cut :]
    try:
        assert Cell.decode(damaged).encode() == damaged
    except WireError:
        assert damaged != data
