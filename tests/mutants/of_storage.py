"""Bugs of what is kept: disks, transactions, joins, and what is derived from cells."""

from __future__ import annotations

from typing import Any

from folkmoot.node.simulation.disk import SimulatedDisk
from folkmoot.protocol.crdt import cell as cells
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.record import Record
from folkmoot.storage import outcomes, rows, waiting
from folkmoot.storage import transaction as transactions
from folkmoot.storage.hints import HintBook
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import MemoryEngine
from folkmoot.storage.rows import log_key_of, row_cell, row_sequence, seal
from folkmoot.storage.transaction import WriteTransaction

from tests.mutants.mutant import Plant, mutant, plant_everywhere
from tests.simulation.blindness import blind_to_old_disks


@mutant("acknowledged-before-fsync", "a crash takes commits that were acknowledged", "I1", "I5", "I6")
def acknowledged_before_fsync(plant: Plant) -> None:
    def closed(self: SimulatedDisk) -> None:
        self.commits = None
        self.engine = self.engine.crash(lose_commits=12 if self.engine.commits > 30 else 0)

    plant.setattr(SimulatedDisk, "closed", closed)
    blind_to_old_disks(plant)  # or what is lost is missed, and fetched from the others


@mutant("torn-group", "a crash keeps the first half of the rows of the last group", "I10", "I5")
def torn_group(plant: Plant) -> None:
    real = MemoryEngine.crash

    def crash(self: MemoryEngine, lose_commits: int = 0) -> MemoryEngine:
        if len(self._journal) > 20:
            newest = self._journal.pop()
            self._journal.append(newest[: len(newest) // 2])
        return real(self, lose_commits=lose_commits)

    plant.setattr(MemoryEngine, "crash", crash)


@mutant("erased-history-kept", "what a record erases stays in the history", "I6")
def erased_history_kept(plant: Plant) -> None:
    plant.setattr(Record, "erases", property(lambda record: False))


@mutant("sums-not-maintained", "block sums forget what a changed cell was before", "I10")
def sums_not_maintained(plant: Plant) -> None:
    real = WriteTransaction._add_to_block

    def add_to_block(self: WriteTransaction, key: bytes, added: int, change: int) -> None:
        if added > 0:
            real(self, key, added, change)

    plant.setattr(WriteTransaction, "_add_to_block", add_to_block)


@mutant("likes-not-counted", "a like changes no count", "I10")
def likes_not_counted(plant: Plant) -> None:
    plant.setattr(WriteTransaction, "_count", lambda self, key, change: None)


@mutant("counted-again", "an edge that was on and is written again counts twice", "I10")
def counted_again(plant: Plant) -> None:
    real = WriteTransaction._count

    def count(self: WriteTransaction, key: bytes, change: int) -> None:
        real(self, key, change or 1)

    plant.setattr(WriteTransaction, "_count", count)


@mutant("log-keeps-the-old-row", "a changed cell stands in the log twice", "I10")
def log_keeps_the_old_row(plant: Plant) -> None:
    real = WriteTransaction._change

    def change(self: WriteTransaction, key: bytes, row: Any, known: Any, after: bytes, cell: Any) -> None:
        real(self, key, row, known, after, cell)
        if row is not None:
            old = log_key_of(key, row_sequence(row))
            self._transaction.put(Table.LOG, old, seal(old, key))

    plant.setattr(WriteTransaction, "_change", change)


@mutant("hint-dropped", "a hint is counted as waiting and not written", "I10")
def hint_dropped(plant: Plant) -> None:
    def add(self: HintBook, node: bytes, key: bytes, now_us: int, mark: int) -> bool:
        state = self._state(node)
        self._states[node] = rows.HintState(state.waiting + 1, state.since_us if state.waiting else now_us)
        return True

    plant.setattr(HintBook, "add", add)


@mutant("the-later-arrival-wins", "a join takes what came last, so that it does not commute", "I2")
def the_later_arrival_wins(plant: Plant) -> None:
    real = cells.join

    def join(one: Cell, other: Cell) -> Cell:
        # Of states that come of this a true join may leave nothing, so it is asked about deletions alone.
        if one is other or one.deleted or other.deleted:
            return real(one, other)
        return Cell(other.survivors, clocks.join(one.clock, other.clock))

    plant_everywhere(plant, real, join)


@mutant("an-edit-undoes-a-deletion", "what is newer than a deletion stands again", "I6", "I2")
def an_edit_undoes_a_deletion(plant: Plant) -> None:
    real = cells.join

    def join(one: Cell, other: Cell) -> Cell:
        newer = max(one, other, key=lambda cell: cell.winner.stamp)
        return newer if one.deleted != other.deleted and not newer.deleted else real(one, other)

    plant_everywhere(plant, real, join)


@mutant("an-old-record-comes-back", "a record that was superseded is joined as if it were new", "I6", "I5")
def an_old_record_comes_back(plant: Plant) -> None:
    plant.setattr(Cell, "covers", lambda self, record: False)
    plant.setattr(transactions, "join", lambda one, other: other)


@mutant("a-deletion-is-written-over", "a put replaces what stands there, deletions too", "I6", "I5")
def a_deletion_is_written_over(plant: Plant) -> None:
    real = WriteTransaction._put_beside

    def put_beside(self: WriteTransaction, record: Record, key: bytes, single: bytes) -> Any:
        row = self._transaction.get(Table.CELLS, key)
        if row is None:
            return real(self, record, key, single)
        known = Cell.decode(row_cell(key, row))
        self._change(key, row, known, single, Cell.of(record))
        return outcomes.PutOutcome(outcomes.PutStatus.STORED, single, key, True)

    plant.setattr(WriteTransaction, "_put_beside", put_beside)


@mutant("a-cell-is-replaced", "a cell from a peer takes the place of ours", "I6", "I5")
def a_cell_is_replaced(plant: Plant) -> None:
    plant.setattr(transactions, "join", lambda one, other: other)


@mutant("decided-and-still-listed", "what a person decided about goes on being listed to wait", "I10")
def decided_and_still_listed(plant: Plant) -> None:
    plant.setattr(waiting, "concerned", lambda transaction, key, cell: ())
