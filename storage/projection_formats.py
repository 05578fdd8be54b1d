"""The formats of what is derived: rows that another edition of the program made are not read as ours.

What is derived is worked out anew for the asking, so nothing is converted: a projection whose rows are of
another format than this program's begins at a generation of its own, and all logs are read once more. A node
that does so answers for nothing before that is done, like one that is new; other replicas do.
"""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.projections.entries import FORMATS, Projection
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.projections import (
    Generation,
    ProjectionBook,
    covered,
    generation_of,
    value_at,
    wanted,
)
from folkmoot.storage.rows import seal
from folkmoot.storage.transaction import WriteTransaction

_FORMAT: Final = b"f"
UNKNOWN: Final = 0


def format_of(transaction: Transaction, projection: Projection) -> int:
    """By which format the rows of a projection were made; `UNKNOWN` when that is not said."""
    value = value_at(transaction, Table.CURSORS, _key(projection))
    return UNKNOWN if value is None else int.from_bytes(value, "big")


def of_other_formats(transaction: Transaction) -> list[Projection]:
    """The projections whose rows, if there are any, were not made by this program's format."""
    return [each for each in Projection if format_of(transaction, each) != FORMATS[each]]


def begin_formats(transaction: WriteTransaction) -> list[Projection]:
    """Have every projection be of this program's format.

    Returns:
        Those that begin anew, since there was something of another format; then all logs are to be read from
        their beginnings, for the blocks that were kept or read for.

    Raises:
        DiskFull: nothing was changed.
    """
    others = of_other_formats(transaction.rows)
    is_new = not any(transaction.rows.scan(Table.CURSORS))
    blocks = wanted(transaction.rows) or covered(transaction.rows)
    for projection in others:
        set_format(transaction, projection, FORMATS[projection])
    if is_new:
        return []
    book = ProjectionBook(transaction)
    for projection in others:
        book.set_generation(projection, Generation(generation_of(transaction.rows, projection).next))
        book.forget_cursors(projection)
    if others:
        book.begin_anew(blocks)
    return others


def set_format(transaction: WriteTransaction, projection: Projection, number: int) -> None:
    """Note by which format the rows of a projection are made.

    Raises:
        DiskFull: nothing was changed.
    """
    key = _key(projection)
    row = seal(key, number.to_bytes(2, "big"))
    transaction.make_room(len(key) + len(row))
    transaction.rows.put(Table.CURSORS, key, row)


def _key(projection: Projection) -> bytes:
    return _FORMAT + bytes((projection,))
