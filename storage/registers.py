"""Registers: what this node's seat promised and accepted, one sealed row a register.

A promise must outlive the process that made it, so these rows are written in the urgent lane, and to the last
of the disk. There are few of them; past a bound a new register is refused, as a full disk would.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from folkmoot.protocol.limits import REGISTERS
from folkmoot.storage.errors import DiskFull, StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import seal, unseal


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
    """

    __slots__ = ("_room", "_transaction")

    def __init__(self, transaction: Transaction, room: Callable[[int], None]) -> None:
        self._transaction = transaction
        self._room = room

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

    def drop(self, name: str) -> None:
        """Forget one of them, whether or not it can be read."""
        self._transaction.delete(Table.REGISTERS, name.encode())

    def drop_damaged(self) -> list[str]:
        """Forget those that cannot be read; their names."""
        names = damaged(self._transaction)
        for name in names:
            self.drop(name)
        return names

    def clear(self) -> None:
        """Forget all of them: what was promised is no longer kept, so the seat is another from now on."""
        for key in [key for key, _ in self._transaction.scan(Table.REGISTERS)]:
            self._transaction.delete(Table.REGISTERS, key)
