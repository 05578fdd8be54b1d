"""Registers: what this node's seat promised and accepted, one sealed row a register.

A promise must outlive the process that made it, so these rows are written in the urgent lane, and to the last
of the disk. There are few of them; past a bound a new register is refused, as a full disk would.

Those of accounts are followed by every node, so for them there is a log: at which change of this store each
was kept last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Final

from folkmoot.protocol.limits import REGISTERS
from folkmoot.storage.errors import DiskFull, StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import CRC_BYTES, SEQUENCE_BYTES, seal, unseal

FOLLOWED: Final = "account/"
_BY_CHANGE: Final = b"c"
_BY_NAME: Final = b"n"

Listed = set[tuple[bytes, bytes]]


def read(transaction: Transaction, name: str) -> bytes | None:
    """What is kept of a register.

    Raises:
        StoreCorrupt: it is damaged.
    """
    key = name.encode()
    row = transaction.get(Table.REGISTERS, key)
    return None if row is None else unseal(Table.REGISTERS, key, row)


def names(transaction: Transaction, after: str, limit: int) -> list[str]:
    """The names of the first registers after `after`, in order."""
    start = after.encode() + b"\0" if after else b""
    return [key.decode() for key, _ in islice(transaction.scan(Table.REGISTERS, start), limit)]


def changed_since(transaction: Transaction, sequence: int, limit: int) -> list[tuple[int, str]]:
    """The next followed registers that were kept after a change of this store: at which one, and their names.

    Raises:
        StoreCorrupt: a row is damaged, and what it said is not to be had from the others.
    """
    start, stop = _BY_CHANGE + _number(sequence + 1), _BY_NAME
    rows = list(islice(transaction.scan(Table.REGISTER_LOG, start, stop), limit))
    listed: list[tuple[int, str]] = []
    by_name: dict[bytes, bytes] | None = None
    for at, row in rows:
        number = at[len(_BY_CHANGE) :]
        try:
            name = unseal(Table.REGISTER_LOG, at, row)
        except StoreCorrupt:
            by_name = _whole_by_name(transaction) if by_name is None else by_name
            if number not in by_name:
                raise
            name = by_name[number]
        listed.append((int.from_bytes(number, "big"), name.decode()))
    return listed


def _whole_by_name(transaction: Transaction) -> dict[bytes, bytes]:
    """At which change each followed register was kept, as the rows by name say that are not damaged."""
    found: dict[bytes, bytes] = {}
    for key, row in transaction.scan(Table.REGISTER_LOG, _BY_NAME):
        with suppress(StoreCorrupt):
            found[unseal(Table.REGISTER_LOG, key, row)] = key[len(_BY_NAME) :]
    return found


def damaged(transaction: Transaction) -> list[str]:
    """The names of those that cannot be read, in order."""
    found = []
    for key, row in transaction.scan(Table.REGISTERS):
        try:
            unseal(Table.REGISTERS, key, row)
        except StoreCorrupt:
            found.append(key.decode())
    return found


class RegisterBook:
    """The registers in one write transaction.

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

    def get(self, name: str) -> bytes | None:
        """See `read`."""
        return read(self._transaction, name)

    def put(self, name: str, data: bytes) -> None:
        """Keep this of a register.

        Raises:
            DiskFull: there is no room, or there are too many registers; nothing was changed.
        """
        key = name.encode()
        row = seal(key, data)
        before = self._transaction.get(Table.REGISTERS, key)
        if before is None and self._transaction.count(Table.REGISTERS) >= REGISTERS:
            raise DiskFull(f"this node keeps {REGISTERS} registers, and {name!r} is one more")
        self._room(len(row) - len(before or b""))
        self._transaction.put(Table.REGISTERS, key, row)
        if name.startswith(FOLLOWED):
            self._log(key)

    def drop(self, name: str) -> None:
        """Forget one of them, whether or not it can be read."""
        self._transaction.delete(Table.REGISTERS, name.encode())
        self._unlog(name.encode())

    def drop_damaged(self) -> list[str]:
        """Forget those that cannot be read; their names."""
        names = damaged(self._transaction)
        for name in names:
            self.drop(name)
        return names

    def clear(self) -> None:
        """Forget all of them: what was promised is no longer kept, so the seat is another from now on."""
        for table in (Table.REGISTERS, Table.REGISTER_LOG):
            for key in [key for key, _ in self._transaction.scan(table)]:
                self._transaction.delete(table, key)

    def _log(self, key: bytes) -> None:
        """Have a register be the one that was kept last."""
        self._unlog(key)
        number = _number(self._advance())
        for at, value in ((_BY_CHANGE + number, key), (_BY_NAME + key, number)):
            self._transaction.put(Table.REGISTER_LOG, at, seal(at, value))

    def _unlog(self, key: bytes) -> None:
        """Take a register out of the log; where its row there is damaged, whatever points to it."""
        by_name = _BY_NAME + key
        row = self._transaction.get(Table.REGISTER_LOG, by_name)
        if row is None:
            return
        try:
            stale = [_BY_CHANGE + unseal(Table.REGISTER_LOG, by_name, row)]
        except StoreCorrupt:
            listed = self._transaction.scan(Table.REGISTER_LOG, _BY_CHANGE, _BY_NAME)
            stale = [at for at, value in listed if value[:-CRC_BYTES] == key]
        for at in (*stale, by_name):
            self._transaction.delete(Table.REGISTER_LOG, at)


def both_ways(rows: Iterable[tuple[bytes, bytes]]) -> tuple[Listed, Listed]:
    """The log by change and by name, as (change, name) each: the same, unless the log is damaged.

    Args:
        rows: keys and values of `Table.REGISTER_LOG`.
    """
    by_change, by_name = set(), set()
    for at, value in rows:
        if at.startswith(_BY_CHANGE):
            by_change.add((at[1:], value))
        else:
            by_name.add((value, at[1:]))
    return by_change, by_name


def _number(sequence: int) -> bytes:
    return sequence.to_bytes(SEQUENCE_BYTES, "big")
