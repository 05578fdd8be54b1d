"""What a store knows of lost roles, so that decisions are passed over where they are read.

It is told by the node, which hears it from the community's register, and kept among the named values: so it
is read in the very transaction in which decisions are (see `relapsing` for how it gets there). A row that
cannot be read says nothing; the node writes it anew when it starts.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Final

from folkmoot.protocol.community.lapses import NONE, Lapses, decode
from folkmoot.protocol.errors import WireError
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.rows import unseal

KNOWN: Final = "lapses"
"""The name of the value that has them."""

_KNOWN: Final = KNOWN.encode()


def known(transaction: Transaction) -> Lapses:
    """The lapses that a store knows of."""
    row = transaction.get(Table.META, _KNOWN)
    if row is None:
        return NONE
    with suppress(StoreCorrupt, WireError):
        return _decoded(unseal(Table.META, _KNOWN, row))
    return NONE


@lru_cache(maxsize=2)
def _decoded(data: bytes) -> Lapses:
    return decode(data)
