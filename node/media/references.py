"""Which media this node's own cells refer to: all that can refer to one lies under its account's place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from folkmoot.protocol import limits
from folkmoot.protocol.key import kind_prefix, prefix_end
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.references import REFERRING_KINDS, hashes_in, may_refer
from folkmoot.storage.store import Store

_PAGE_BYTES: Final = 4 * limits.MIB


def references_of(store: Store, account: bytes) -> set[bytes]:
    """The hashes of all media that an account's cells here refer to; blocks, for as long as it has posts.

    Raises:
        StoreCorrupt: a cell is damaged, which may refer to anything.
    """
    found: set[bytes] = set()
    for kind in REFERRING_KINDS:
        start, stop = kind_prefix(account, kind), prefix_end(kind_prefix(account, kind))
        while page := store.cells_between(start, stop, limit=bounds.MEDIA_ROWS, bytes_max=_PAGE_BYTES):
            found |= _hashes_in(page)
            start = page[-1][0] + b"\0"
    return found


def _hashes_in(cells: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    return {digest for key, cell in cells if may_refer(key, cell) for digest in hashes_in(cell)}
