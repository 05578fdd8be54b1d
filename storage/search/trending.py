"""What people tag just now, read out of an index: who has used which tags, as far as they may trend.

A post that bears a label of the cluster's own nodes is left out, as its labels are when this is read; one
that waits for review is in no index, and one that warns of itself or labels itself is indexed without tags
that could trend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

from folkmoot.protocol import codec
from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE, PLACE_PREFIX_BYTES, prefix_end
from folkmoot.protocol.record import Record
from folkmoot.protocol.search.bounds import TREND_ROWS
from folkmoot.protocol.trends.sketch import WINDOW_MS, Sketch, Use, sketched
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.pages import TrustedLabellers
from folkmoot.storage.search.index import MOMENT_BITS, SearchIndex
from folkmoot.storage.store import Store

_LABEL: Final = bytes((KIND_BYTE["label"],))
_SELECT: Final = (
    "SELECT posts.key, tagged.form FROM tagged JOIN posts ON posts.id = tagged.post "
    "WHERE tagged.post >= ? AND tagged.post < ? "
    "AND NOT EXISTS (SELECT 1 FROM hidden WHERE place = substr(posts.key, 1, ?)) "
    "ORDER BY tagged.post DESC LIMIT ?"
)


def sketch(
    index: SearchIndex,
    store: Store,
    trusted: TrustedLabellers,
    keeps: Callable[[bytes], bool],
    now_ms: int,
    half_life_ms: int,
) -> dict[str, Sketch]:
    """The sketches of the tags of posts that this store has.

    Args:
        trusted: whose labels keep a post from counting.
        keeps: whether a key is in the ranges that are asked for.
        now_ms, half_life_ms: see `protocol.trends`.

    Raises:
        IndexDamaged: see there.
    """
    return sketched(_uses(index, store, trusted, keeps, now_ms), now_ms, half_life_ms)


def _uses(
    index: SearchIndex,
    store: Store,
    trusted: TrustedLabellers,
    keeps: Callable[[bytes], bool],
    now_ms: int,
) -> Iterator[Use]:
    first, last = max(0, now_ms - WINDOW_MS) << MOMENT_BITS, (now_ms + 1) << MOMENT_BITS
    asked = (first, last, PLACE_PREFIX_BYTES, TREND_ROWS)
    known: tuple[bytes, bool] = (b"", False)
    with index.reading() as connection, closing(connection.execute(_SELECT, asked)) as rows:
        for key, form in rows:
            if key != known[0]:
                known = key, keeps(key) and not _is_labelled(store, key, trusted)
            if known[1]:
                yield Use(form, key[:PLACE_PREFIX_BYTES], post_time_ms(key[ITEM_AT:]))


def _is_labelled(store: Store, key: bytes, trusted: TrustedLabellers) -> bool:
    """Whether a node of the cluster has put a label on a post and not taken it back."""
    labels = key[:KIND_AT] + _LABEL + key[ITEM_AT:]
    if not store.holds(labels, prefix_end(labels)):
        return False
    try:
        found = store.labels_of(key, trusted)
    except StoreCorrupt as error:  # what cannot be read is not recommended
        store.damage.note(error)
        return True
    return any(Record.from_wire(codec.unpack(frame)).author in trusted() for frame in found)
