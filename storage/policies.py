"""The policy documents that a node keeps: one sealed row each, named by its hash.

There are few of them, each small enough for one message. When there is one too many, another gives way that
is not in use: the one that was kept first, or what whoever keeps one chooses. A document is what its hash
says or it is not there: one that is damaged can be fetched again from whoever has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence

from folkmoot.protocol.community.bounds import DOCUMENTS_KEPT
from folkmoot.storage.errors import DiskFull, StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import SEQUENCE_BYTES, seal, unseal

Choose = Callable[[Sequence[bytes], bool], bytes | None]
"""Which of those that are not in use gives way, the first kept first; told whether there is no room."""


def read(transaction: Transaction, name: bytes) -> bytes | None:
    """The document with this hash (32 bytes); None where it is not kept.

    Raises:
        StoreCorrupt: it is damaged.
    """
    row = transaction.get(Table.POLICIES, name)
    return None if row is None else unseal(Table.POLICIES, name, row)[SEQUENCE_BYTES:]


def first_kept(free: Sequence[bytes], full: bool) -> bytes | None:
    """What was kept first gives way when there is no room."""
    return next(iter(free), None) if full else None


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

    def put(self, document: bytes, in_use: Collection[bytes], choose: Choose = first_kept) -> bytes:
        """Keep a document, and have others make room for it; its hash.

        Args:
            document: any bytes.
            in_use: hashes of those that must stay.
            choose: which of the others gives way.

        Raises:
            DiskFull: there is no room, or none that is kept may give way; nothing was changed.
        """
        name = hashlib.sha256(document).digest()
        before = self._transaction.get(Table.POLICIES, name)
        kept_at = self._advance().to_bytes(SEQUENCE_BYTES, "big")
        row = seal(name, kept_at + document)
        self._room(len(row) - len(before or b""))
        if before is None:
            self._make_way(in_use, choose)
        self._transaction.put(Table.POLICIES, name, row)
        return name

    def _make_way(self, in_use: Collection[bytes], choose: Choose) -> None:
        """Let the document go that gives way, if one does; a damaged one counts as the first kept."""
        kept = list(self._transaction.scan(Table.POLICIES))
        full = len(kept) >= DOCUMENTS_KEPT
        free = sorted((_kept_at(name, row), name) for name, row in kept if name not in in_use)
        goes = choose([name for _, name in free], full)
        if goes is not None:
            self._transaction.delete(Table.POLICIES, goes)
        elif full:
            raise DiskFull(f"{len(kept)} policy documents are kept, and all of them are in use or to be used")


def _kept_at(name: bytes, row: bytes) -> bytes:
    try:
        return unseal(Table.POLICIES, name, row)[:SEQUENCE_BYTES]
    except StoreCorrupt:
        return b""
