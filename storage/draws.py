"""The draws that a node has kept for a blind review and that nobody has answered yet: one sealed row each.

Each has a number of 64 bits drawn by chance, which its key begins with, and they are given out in the order
of these numbers. There is a bound to how many are kept; where there is one too many, the one with the
greatest number goes. So those that are left are at any time as good as drawn from all that came, whatever
they are about and however fast they came ("bottom-k" sampling: Cohen and Kaplan 2007, "Summarizing Data Using
Bottom-k Sketches"). A row holds no text. What it says counts for nothing once the post is gone, so one that
is damaged is let go.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import parse_key
from folkmoot.protocol.moderation.bounds import DRAWS_KEPT
from folkmoot.protocol.moderation.sampling import Draw, parse_sampling, sample_item
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.rows import seal, unseal
from folkmoot.storage.transaction import WriteTransaction

NUMBER_BYTES: Final = 8


class Drawn(NamedTuple):
    """A draw that is kept.

    Args:
        at: the key of its row: its number, and the key of the post's cell.
        draw: what it says.
    """

    at: bytes
    draw: Draw

    @property
    def key(self) -> bytes:
        """The key of the post's cell."""
        return self.at[NUMBER_BYTES:]

    @property
    def author(self) -> bytes:
        """The post's (34 bytes)."""
        return parse_key(self.key).place


def keys(engine: Engine, after: bytes, most: int) -> list[bytes]:
    """The keys of the rows that stand after a key, at most so many, in the order in which they are given
    out; nothing is read of what they say."""
    return [at for at, _ in _rows(engine, after, most)]


def kept(engine: Engine, after: bytes = b"", most: int = DRAWS_KEPT) -> list[tuple[bytes, Drawn | None]]:
    """The draws whose rows stand after a key, at most so many, in the order in which they are given out, each
    with the key of its row; None in place of one that is damaged."""
    return [(at, _read(at, row)) for at, row in _rows(engine, after, most)]


def find(engine: Engine, at: bytes) -> Drawn | None:
    """The draw whose row stands at a key; None where there is none."""
    with engine.begin() as transaction:
        row = transaction.get(Table.DRAWS, at)
    return None if row is None else _read(at, row)


def keep(transaction: WriteTransaction, draws: Iterable[Drawn]) -> None:
    """Keep draws, and have those with the greatest numbers make room.

    Raises:
        DiskFull: there is no room; nothing was changed.
    """
    rows = transaction.rows
    for drawn in draws:
        draw = drawn.draw
        row = seal(drawn.at, codec.pack([draw.drawn_us, draw.node, draw.body()]))
        transaction.make_room(len(row))
        rows.put(Table.DRAWS, drawn.at, row)
        while rows.count(Table.DRAWS) > DRAWS_KEPT:
            last = next(rows.scan(Table.DRAWS, reverse=True))
            rows.delete(Table.DRAWS, last[0])


def forget(transaction: WriteTransaction, ats: Iterable[bytes]) -> None:
    """Let draws go, by the keys of their rows."""
    for at in ats:
        transaction.rows.delete(Table.DRAWS, at)


def _rows(engine: Engine, after: bytes, most: int) -> list[tuple[bytes, bytes]]:
    with engine.begin() as transaction:
        return list(islice(transaction.scan(Table.DRAWS, after and after + b"\0"), most))


def _read(at: bytes, row: bytes) -> Drawn | None:
    with suppress(StoreCorrupt, WireError, ValueError):
        drawn_us, node, body = codec.unpack(unseal(Table.DRAWS, at, row))
        post_item = parse_key(at[NUMBER_BYTES:]).item
        said = parse_sampling(sample_item(post_item, drawn_us, node), body)
        return Drawn(at, said) if isinstance(said, Draw) else None
    return None
