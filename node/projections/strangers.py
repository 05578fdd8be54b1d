"""How others stand to an account that this node keeps: who follows whom, and since when they are known."""

from __future__ import annotations

from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.crdt.flag import says_on
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.notifying import Standing
from folkmoot.protocol.key import cell_key, place_prefix
from folkmoot.protocol.projections.entries import Index, Projection, public_of
from folkmoot.storage import accounts, projections
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import row_cell
from folkmoot.storage.store import Store


class Acquaintance:
    """See the module; made for one look, since nothing is asked twice.

    Args:
        store: this node's.
        account: whose acquaintance (34 bytes).
        ages: whether it matters since when somebody is known.
    """

    def __init__(self, store: Store, account: bytes, *, ages: bool) -> None:
        self._store = store
        self._account = account
        self._ages = ages
        self._known: dict[bytes, Standing] = {}

    def standing(self, other: bytes) -> Standing:
        """How somebody (34 bytes) stands to the account; what is damaged counts as not so."""
        if other not in self._known:
            with self._store.engine.begin() as transaction:
                self._known[other] = Standing(
                    self._is_followed(transaction, other),
                    self._follows(transaction, other),
                    _known_us(transaction, other) if self._ages else None,
                )
        return self._known[other]

    def _is_followed(self, transaction: Transaction, other: bytes) -> bool:
        key = cell_key(self._account, "follow", other)
        row = transaction.get(Table.CELLS, key)
        try:
            return row is not None and says_on(row_cell(key, row))
        except (StoreCorrupt, WireError):
            return False

    def _follows(self, transaction: Transaction, other: bytes) -> bool:
        generation = self._store.live[Projection.FOLLOWERS]
        group = place_prefix(self._account)
        return projections.has(transaction, Index.FOLLOWERS, generation, group, public_of(other))


def _known_us(transaction: Transaction, account: bytes) -> int | None:
    """When the first operation on an account was decided, by the clock of the node that had it decided."""
    try:
        chain = accounts.read(transaction, account)
        entries = () if chain is None else Chain.decode(account, chain).entries
    except (StoreCorrupt, WireError):
        return None
    return entries[0].decided_us if entries else None
