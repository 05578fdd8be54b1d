"""Which boots have written a store's log, and from which change on: what tells one moment of it from another.

The number of a change says which change it is only as long as the disk never goes back. One that was set back
counts on from where it was, and the numbers after that mean other changes, in the log of the same id. But
who writes is a node in one of its boots; a node that goes on from an older disk does so in a new one; and no
two of its boots have the same number, unless its clock goes back with its disk. So a *moment* is a boot and
a change, and it belongs to what a store is now if that boot is among the store's own, and had come as far as
the change before the next one began.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.storage.heads import last_sequence
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import unseal
from folkmoot.storage.transaction import WriteTransaction

BOOTS_KEPT: Final = 256

_BOOTS: Final = "boots"


class Moment(NamedTuple):
    """A state that a store was in.

    Attributes:
        boot: the number of the boot that wrote last; 0 before the first.
        sequence: of the latest change.
    """

    boot: int
    sequence: int


def begin_boot(transaction: WriteTransaction, boot: int) -> None:
    """Note that what is written from now on is written by another boot; to be done before anything is.

    The newest `BOOTS_KEPT` are kept. Of moments of earlier ones it is not known any more whether they belong
    to the store, so they do not.

    Args:
        transaction: commits it.
        boot: its number, greater than those before.
    """
    known = _boots(transaction.rows)
    boots = [*known, (boot, transaction.sequence)][-BOOTS_KEPT:]
    transaction.meta_put(_BOOTS, codec.pack([list(each) for each in boots]))


def present_moment(transaction: Transaction) -> Moment:
    """The state that a transaction sees.

    Raises:
        StoreCorrupt: a row is damaged.
    """
    return Moment(_boots(transaction)[-1][0], last_sequence(transaction))


def begun(transaction: Transaction) -> list[Moment]:
    """The boots that are known, each with the change after which it began; the oldest first.

    Raises:
        StoreCorrupt: the row is damaged.
    """
    return [Moment(*each) for each in _boots(transaction)]


def went_through(transaction: Transaction, moment: Moment) -> bool:
    """Whether the state that a transaction sees came of the one at that moment, which is one of this log's.

    Raises:
        StoreCorrupt: a row is damaged.
    """
    boots = _boots(transaction)
    ends = [*(begun for _, begun in boots[1:]), last_sequence(transaction)]
    return any(
        boot == moment.boot and moment.sequence <= end for (boot, _), end in zip(boots, ends, strict=True)
    )


def _boots(transaction: Transaction) -> list[tuple[int, int]]:
    """The number of each boot that is known, and after which change it began; the oldest first."""
    row = transaction.get(Table.META, _BOOTS.encode())
    if row is None:
        return [(0, 0)]
    return [(boot, begun) for boot, begun in codec.unpack(unseal(Table.META, _BOOTS.encode(), row))]
