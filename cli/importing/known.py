"""Which entries have been seen, and which post each stands for: compact, because a source may be long.

An entry costs a dictionary slot with an 8-byte digest of its id, and 24 bytes in arrays. Digests that
collide would join two conversations; among ten million ids that has a chance of about 1 in 370,000.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import NamedTuple

from folkmoot.protocol.limits import ACCOUNT_BYTES, POST_ITEM_BYTES


class Post(NamedTuple):
    """A post that an entry stands for.

    Args:
        author: 34 bytes.
        item: 16 bytes.
        root: the first post of its thread, as another `Post` without a root; None for a first post.
    """

    author: bytes
    item: bytes
    root: Post | None = None

    def ref(self) -> dict[str, bytes]:
        """As a record's body names it."""
        return {"author": self.author, "item": self.item}


class KnownPosts:
    """The posts of a source, by the ids of their entries."""

    def __init__(self) -> None:
        self._row_of: dict[int, int] = {}
        self._items = bytearray()
        self._authors = array("I")
        self._roots = array("I")
        self._accounts = bytearray()
        self._account_rows: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, entry_id: str) -> bool:
        return _digest(entry_id) in self._row_of

    def add(self, entry_id: str, author: bytes, item: bytes, answers: str | None) -> None:
        """Remember a post.

        Args:
            entry_id: of its entry.
            author: 34 bytes.
            item: 16 bytes.
            answers: the entry id of the post it answers, which is known; None for a first post.
        """
        row = len(self._authors)
        self._items += item
        self._authors.append(self._account_row(author))
        self._roots.append(row if answers is None else self._roots[self._row_of[_digest(answers)]])
        self._row_of[_digest(entry_id)] = row

    def alias(self, entry_id: str, stands_for: str) -> None:
        """Remember an entry without a post of its own: whoever answers a repost answers its subject."""
        self._row_of[_digest(entry_id)] = self._row_of[_digest(stands_for)]

    def get(self, entry_id: str) -> Post | None:
        """The post that an entry stands for, if it has been seen."""
        row = self._row_of.get(_digest(entry_id))
        if row is None:
            return None
        root = self._roots[row]
        return self._post(row, None if root == row else self._post(root, None))

    def _post(self, row: int, root: Post | None) -> Post:
        account = self._authors[row] * ACCOUNT_BYTES
        item = row * POST_ITEM_BYTES
        return Post(
            bytes(self._accounts[account : account + ACCOUNT_BYTES]),
            bytes(self._items[item : item + POST_ITEM_BYTES]),
            root,
        )

    def _account_row(self, author: bytes) -> int:
        row = self._account_rows.get(author)
        if row is None:
            row = self._account_rows[author] = len(self._account_rows)
            self._accounts += author
        return row


def _digest(entry_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(entry_id.encode(), digest_size=8).digest(), "big")
