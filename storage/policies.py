"""The policy documents that a node keeps: one sealed row each, named by its hash.

There are few of them, each small enough for one message. When there is one too many, those that were kept
first give way, but for the ones that are in use. A document is what its hash says or it is not there: one
that is damaged can be fetched again from whoever has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection

from folkmoot.protocol.community.bounds import DOCUMENTS_KEPT
from folkmoot.storage.errors import DiskFull, StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import SEQUENCE_BYTES, seal, unseal


def read(transaction: Transaction, name: bytes) -> bytes | None:
    """The document with this hash (32 bytes); None where it is not kept.

    Raises:
        StoreCorrupt: it is damaged.
    """
    row = transaction.get(Table.POLICIES, name)
    return None if row is None else unseal(Table.POLICIES, name, row)[SEQUENCE_BYTES:]


class PolicyBook:
    """The policy documents in one write transaction.

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

    def put(self, document: bytes, in_use: Collection[bytes]) -> bytes:
        """Keep a document, and have others make room for it; its hash.

        Args:
            document: any bytes.
            in_use: hashes of those that must stay.

        Raises:
            DiskFull: there is no room, or all that are kept are in use; nothing was changed.
        """
        name = hashlib.sha256(document).digest()
        before = self._transaction.get(Table.POLICIES, name)
        kept_at = self._advance().to_bytes(SEQUENCE_BYTES, "big")
        row = seal(name, kept_at + document)
        self._room(len(row) - len(before or b""))
        if before is None:
            self._make_way(in_use)
        self._transaction.put(Table.POLICIES, name, row)
        return name

    def _make_way(self, in_use: Collection[bytes]) -> None:
        """Let the document go that was kept first, if there are as many as may be; a damaged one before."""
        kept = list(self._transaction.scan(Table.POLICIES))
        if len(kept) < DOCUMENTS_KEPT:
            return
        free = [(_kept_at(name, row), name) for name, row in kept if name not in in_use]
        if not free:
            raise DiskFull(f"{len(kept)} policy documents are kept, and all of them are in use")
        self._transaction.delete(Table.POLICIES, min(free)[1])


def _kept_at(name: bytes, row: bytes) -> bytes:
    try:
        return unseal(Table.POLICIES, name, row)[:SEQUENCE_BYTES]
    except StoreCorrupt:
        return b""
