"""What became of a write to one cell."""

from __future__ import annotations

import enum
from typing import NamedTuple


class PutStatus(enum.Enum):
    """What became of a record: kept; already covered, or deleted again; swallowed by a deletion; or kept
    aside, because a person holds back what it replaces."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    ABSORBED = "absorbed"
    HELD = "held"


class PutOutcome(NamedTuple):
    """The result of `put_record`.

    Attributes:
        status: see `PutStatus`.
        cell: the encoded cell as it is now.
        key: where.
        changed: whether the cell is another than before.
    """

    status: PutStatus
    cell: bytes
    key: bytes
    changed: bool


class JoinOutcome(NamedTuple):
    """The result of `join_cell`: whether the cell is another than before, and its bytes as they are now."""

    changed: bool
    cell: bytes
