"""The witness sees every commit of every node, and holds each to what a cell may become.

On one node, from one commit to the next, a cell only grows: its clock never goes back, a deletion never goes
away, and what it shows is what its clock says is newest; it goes only from a node that has no slot for it any
more. That is the sharpest place to look for something that returns, because no later repair can hide it. The
distinct cells seen are kept, for the laws of join.

It also overhears what nodes answer to each other, for those who hold that against the disks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import trio
from folkmoot.node.simulation.claim_watch import ABOUT_RANGES, TELLING, ClaimWatch
from folkmoot.node.simulation.epoch_watch import EpochWatch
from folkmoot.node.simulation.key_watch import KeyWatch
from folkmoot.node.simulation.media_watch import OVERHEARD, MediaWatch
from folkmoot.node.simulation.promise_watch import COUNTING, PromiseWatch
from folkmoot.node.simulation.wiretap import Question
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.record import Record
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import Change, MemoryEngine
from folkmoot.storage.rows import row_cell

STATES_PER_KEY = 24


class Witness:
    """See the module.

    Args:
        now: virtual seconds.

    Attributes:
        states: key → distinct cells ever committed there, by their encoding; the first 24.
        transitions: how many commits of a cell were judged.
        complaints: what went wrong, a sentence each.
        epochs: which quorums could be formed.
        claims: under which epochs nodes acted.
        promises: what nodes acknowledged to each other.
        keys: what each store knew of accounts, and when.
        media: which media were on disks, and what cells there referred to.
    """

    def __init__(self, now: Callable[[], float] = trio.current_time) -> None:
        self.epochs = EpochWatch()
        self.claims = ClaimWatch(self.epochs.ranges_on)
        self.promises = PromiseWatch(self.epochs.owns, self._read, now)
        self.keys = KeyWatch(now)
        self.media = MediaWatch(self.epochs.owns, now)
        self.states: dict[bytes, dict[bytes, Cell]] = {}
        self.transitions = 0
        self.complaints: list[str] = []
        self._held: dict[tuple[str, bytes], Cell] = {}

    def booted(self, node: str, node_id: bytes, engine: MemoryEngine) -> None:
        """A process begins on a disk.

        Args:
            node: the name of the disk: that of the node, or of a copy.
            node_id: whose it is.
            engine: what is on it.
        """
        self.claims.booted(node)
        self.promises.booted(node, node_id, engine)
        self.keys.booted(node, engine)

    def committed(
        self, node: str, node_id: bytes, changes: Sequence[Change], owns: Callable[[bytes], bool]
    ) -> None:
        """A node's commit is durable.

        Args:
            node: the name of its disk.
            node_id: its own.
            changes: the rows it wrote.
            owns: whether it has a slot of the range of a cell's key; what others own it may erase.
        """
        self.claims.committed(node, changes)
        self.epochs.committed(node, node_id, changes)
        self.keys.committed(node, changes)
        of_cells = [change for change in changes if change.table is Table.CELLS]
        last = {change.key: change.value for change in of_cells}
        for change in of_cells:
            if change.value is None:
                if last[change.key] is not None:
                    continue  # a damaged row, taken out to put a whole one in its place
                self._held.pop((node, change.key), None)
                self.promises.removed(node, change.key)
                self.media.removed(node, change.key)
                if owns(change.key):
                    self.complaints.append(f"{node} removed the cell at {change.key.hex()}")
                continue
            cell = self._cell(change.key, row_cell(change.key, change.value))
            before = self._held.get((node, change.key))
            if before is not None and before is not cell:
                self._judge(node, change.key, before, cell)
            self.transitions += 1
            self._held[node, change.key] = cell
            self.promises.wrote(node, change.key, change.value, cell)
            self.media.wrote(node, change.key, cell)

    def forget(self, node: str) -> None:
        """A node's disk is another one from now on."""
        self.epochs.forget(node)
        self.promises.exchanged(node)
        self.keys.exchanged(node)
        self.media.exchanged(node)
        self._held = {at: cell for at, cell in self._held.items() if at[0] != node}

    def forget_cell(self, node: str, key: bytes) -> None:
        """A cell on a node's disk is damaged: what comes in its place is what others have."""
        self._held.pop((node, key), None)
        self.promises.damaged(node, key)
        self.media.removed(node, key)

    # What nodes are asked by each other, and answer.

    def is_of_interest(self, method: str) -> bool:
        """See `wiretap.Overhearing`; whoever counts is asked about ranges, and replicas about media."""
        return method in ABOUT_RANGES or method in OVERHEARD

    def asked(self, question: Question) -> None:
        """See `wiretap.Overhearing`."""
        if question.method in OVERHEARD:
            self.media.heard(question)
        else:
            question.notes = self.claims.asked(question)

    def answered(self, question: Question, result: Callable[[], Any]) -> None:
        """See `wiretap.Overhearing`."""
        if question.method in OVERHEARD:
            self.media.answered(question, result())
            return
        told = result() if question.method in TELLING else None
        self.claims.answered(question, question.notes, told)
        if question.method in COUNTING:
            self.promises.answered(question, told)

    def _read(self, key: bytes, data: bytes) -> Cell:
        """A cell that was sent; most were committed by who sent them, and decoded then."""
        return self.states.get(key, {}).get(data) or Cell.decode(data)

    def _cell(self, key: bytes, data: bytes) -> Cell:
        """The decoded cell; most states are committed by several nodes and decoded once."""
        states = self.states.setdefault(key, {})
        cell = states.get(data)
        if cell is None:
            cell = Cell.decode(data)
            if len(states) < STATES_PER_KEY:
                states[data] = cell
        return cell

    def _judge(self, node: str, key: bytes, before: Cell, after: Cell) -> None:
        if not clocks.dominates(after.clock, before.clock):
            self.complaints.append(f"the clock of {key.hex()} went back on {node}")
        if before.deleted and not after.deleted:
            self.complaints.append(f"the deleted cell {key.hex()} returned on {node}")
        if any(outlived(after, record) for record in before.records()):
            self.complaints.append(f"what was erased at {key.hex()} returned on {node}")
        if not after.deleted and shown_stamps(after) != newest_stamps(after):
            self.complaints.append(f"the cell {key.hex()} on {node} shows less than its clock covers")


def outlived(cell: Cell, eraser: Record) -> list[Record]:
    """The superseded records in a cell that are older than one that erases: there must be none.

    What the record says is looked at, not what the program makes of it.
    """
    if eraser.body.get("erase") is not True or cell.deleted:
        return []
    return [old for old in cell.history if (old.stamp, old.device) < (eraser.stamp, eraser.device)]


def shown_stamps(cell: Cell) -> dict[bytes, int]:
    """The newest record shown of each device that has one among the survivors."""
    return {record.device: record.stamp for record in cell.survivors}


def newest_stamps(cell: Cell) -> dict[bytes, int]:
    """The stamps that the clock has for those devices."""
    return {record.device: cell.clock[record.device] for record in cell.survivors}
