"""What this store knows of an author by the author's cells: how long they have been here, and what people
have decided about them. Both read a bounded number of rows, and block for as long as that takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from folkmoot.protocol.crdt.cell import winner_frame
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import KIND_BYTE, place_prefix, prefix_end
from folkmoot.protocol.moderation.bounds import AUTHOR_CELLS, AUTHOR_DECISIONS
from folkmoot.protocol.moderation.decision import Action, Decision, Subject
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.storage.decided import DECISION, decision_in
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.lapses import known
from folkmoot.storage.rows import SEQUENCE_BYTES, row_cell

_NOT_THEIRS: Final = bytes((KIND_BYTE["like"],))
"""Of the kinds before this one an account's cells are its own; what follows may be others'."""

_IN_FAVOUR: Final = frozenset({Action.RELEASE, Action.RESTORE})


class Standing(NamedTuple):
    """What is known of an author.

    Args:
        sequence: the smallest number that a change of the author's cells has; None when there is none.
        favoured: decisions of people that settled something in the author's favour.
        settled: decisions of people that settled anything.
    """

    sequence: int | None
    favoured: int
    settled: int


def standing(engine: Engine, account: bytes) -> Standing:
    """What is known of an account (34 bytes): of its first cells, and of the latest decisions about them."""
    place = place_prefix(account)
    with engine.begin() as transaction:
        cells = islice(transaction.scan(Table.CELLS, place, place + _NOT_THEIRS), AUTHOR_CELLS)
        sequence = min(_sequences(cells), default=None)
        subjects: dict[Subject, list[Decision]] = {}
        for decision in known(transaction).counted(_decisions(transaction, place)):
            subjects.setdefault(decision.subject, []).append(decision)
    settled = [each for some in subjects.values() for each in outcome_of(some).settled()]
    favoured = sum(each.action in _IN_FAVOUR for each in settled)
    return Standing(sequence, favoured, len(settled))


def _sequences(cells: Iterator[tuple[bytes, bytes]]) -> Iterator[int]:
    for key, row in cells:
        with suppress(StoreCorrupt):
            row_cell(key, row)
            yield int.from_bytes(row[:SEQUENCE_BYTES], "big")


def _decisions(transaction: Transaction, place: bytes) -> Iterator[Decision]:
    start = place + bytes((DECISION,))
    for key, row in transaction.last(Table.CELLS, start, prefix_end(start), AUTHOR_DECISIONS):
        with suppress(StoreCorrupt, WireError):
            yield decision_in(winner_frame(row_cell(key, row)))
