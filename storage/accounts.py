"""Accounts whose keys are not the ones they began with, as this node knows them.

Each has one sealed row, its chain, and there is an index by handle. Accounts that nothing was ever done to
have no row. What is kept here is a copy: the accounts' registers decide.

Beside them stand the *unconfirmed* records: what this node took while it could not find out whether the keys
were still good, to be looked at once it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.protocol.errors import WireError
from folkmoot.storage.errors import DiskFull, StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import SEQUENCE_BYTES, seal, unseal


class Unconfirmed(NamedTuple):
    """A post that was taken while its key could not be confirmed.

    Args:
        author, signer: whose it is, and the key that signed it (34 bytes each).
        item, id: the post's item (16 bytes) and the record's id (32 bytes).
        stamp: the record's.
        taken_us: when it was taken, microseconds since 1970 by this node's clock.
    """

    author: bytes
    signer: bytes
    item: bytes
    id: bytes
    stamp: int
    taken_us: int


def read(transaction: Transaction, account: bytes) -> bytes | None:
    """The chain of an account (34 bytes), encoded; None when nothing is known to have been done to it.

    Raises:
        StoreCorrupt: it is damaged.
    """
    row = transaction.get(Table.ACCOUNTS, account)
    return None if row is None else unseal(Table.ACCOUNTS, account, row)


def holders(transaction: Transaction, register: str) -> list[bytes]:
    """The accounts whose handles are in a register, as far as is known: one, but while it changes hands.

    Raises:
        StoreCorrupt: a row is damaged.
    """
    key = register.encode()
    start = key + b"\0" * limits.ACCOUNT_BYTES
    stop = key + b"\xff" * (limits.ACCOUNT_BYTES + 1)
    found = list(transaction.scan(Table.HANDLES, start, stop))
    for at, row in found:
        unseal(Table.HANDLES, at, row)
    return [at[len(key) :] for at, _ in found]


def unconfirmed(transaction: Transaction, limit: int) -> list[tuple[bytes, Unconfirmed | None]]:
    """The first unconfirmed records, each with the key of its row; None in place of one that is damaged."""
    return [(at, _noted(at, row)) for at, row in islice(transaction.scan(Table.UNCONFIRMED), limit)]


def _noted(at: bytes, row: bytes) -> Unconfirmed | None:
    try:
        return codec.shaped(codec.unpack(unseal(Table.UNCONFIRMED, at, row)), Unconfirmed, "a row")
    except StoreCorrupt:
        return None


class AccountBook:
    """The accounts in one write transaction.

    Args:
        transaction: the engine's.
        room: raises `DiskFull` when there is none for so many bytes more.
        advance: the number of the next change of the store.
    """

    __slots__ = ("_advance", "_room", "_transaction")

    def __init__(
        self, transaction: Transaction, room: Callable[[int], None], advance: Callable[[], int]
    ) -> None:
        self._transaction = transaction
        self._room = room
        self._advance = advance

    def chain(self, account: bytes) -> Chain:
        """What is known of an account; nothing, when it is damaged."""
        try:
            kept = read(self._transaction, account)
            return Chain(account) if kept is None else Chain.decode(account, kept)
        except (StoreCorrupt, WireError):
            return Chain(account)

    def put(self, chain: Chain) -> None:
        """Keep this chain of an account in place of what was known of it.

        Raises:
            DiskFull: there is no room; nothing was changed.
        """
        account, before = chain.account, self._transaction.get(Table.ACCOUNTS, chain.account)
        row = seal(account, chain.encode())
        self._room(len(row) - len(before or b""))
        if before is not None:
            self._unname(account, before)
        self._advance()
        self._transaction.put(Table.ACCOUNTS, account, row)
        if chain.state.handle is not None:
            key = register_name(chain.state.handle).encode() + account
            self._transaction.put(Table.HANDLES, key, seal(key, b""))

    def _unname(self, account: bytes, row: bytes) -> None:
        """Take an account that has this row out of the index of handles; if damaged, by looking for it."""
        try:
            handle = Chain.decode(account, unseal(Table.ACCOUNTS, account, row)).state.handle
        except (StoreCorrupt, WireError):
            keys = [key for key, _ in self._transaction.scan(Table.HANDLES) if key.endswith(account)]
        else:
            keys = [] if handle is None else [register_name(handle).encode() + account]
        for key in keys:
            self._transaction.delete(Table.HANDLES, key)

    def note(self, records: Iterable[Unconfirmed]) -> None:
        """Keep what was taken without its keys being confirmed.

        Raises:
            DiskFull: there is no room, or there are too many; nothing was changed.
        """
        for record in records:
            if self._transaction.count(Table.UNCONFIRMED) >= limits.UNCONFIRMED_RECORDS:
                raise DiskFull(
                    f"{limits.UNCONFIRMED_RECORDS} records wait for their keys to be confirmed; "
                    "no more are taken until a majority of the seats can be reached"
                )
            at = self._advance().to_bytes(SEQUENCE_BYTES, "big")
            row = seal(at, codec.pack(record))
            self._room(len(row))
            self._transaction.put(Table.UNCONFIRMED, at, row)

    def settle(self, rows: Iterable[bytes]) -> None:
        """Forget unconfirmed records, by the keys of their rows."""
        for at in rows:
            self._transaction.delete(Table.UNCONFIRMED, at)
