"""Which version of the tables a store has, and how one of an earlier version is brought up to this one.

1. The first.
2. What waits for review has an index (see `waiting`), which versions before would not keep up.

A version is reached in one transaction, together with the number that says so.
"""

from __future__ import annotations

from typing import Final

from folkmoot.storage import rows, waiting
from folkmoot.storage.errors import SchemaTooNew, StoreCorrupt
from folkmoot.storage.interface import Engine, Table, Transaction

SCHEMA: Final = 2
INDEXES_WAITING: Final = 2
"""The version from which on what waits for review has an index."""

_NAME: Final = b"schema"
_BYTES: Final = 4


def read_schema(transaction: Transaction) -> int:
    """Which version a store has.

    Raises:
        SchemaTooNew: a later one than this.
        StoreCorrupt: it does not say.
    """
    row = transaction.get(Table.META, _NAME)
    if row is None:
        raise StoreCorrupt("the value 'schema'", "it is missing")
    schema = int.from_bytes(rows.unseal(Table.META, _NAME, row), "big")
    if schema > SCHEMA:
        raise SchemaTooNew(schema, SCHEMA)
    return schema


def write_schema(transaction: Transaction) -> None:
    """Have a store say that it has this version."""
    transaction.put(Table.META, _NAME, rows.seal(_NAME, SCHEMA.to_bytes(_BYTES, "big")))


def upgrade(engine: Engine) -> None:
    """Bring a store that may be written up to this version.

    Of a store of version 1 all that is held is looked for once, a look or two at every account.

    Raises:
        StoreCorrupt: see `read_schema`.
        DiskFull, CommitFailed: nothing was changed.
    """
    with engine.begin() as transaction:
        if read_schema(transaction) == SCHEMA:
            return
    with engine.begin(write=True) as transaction:
        waiting.build(transaction)
        write_schema(transaction)
        transaction.commit()
