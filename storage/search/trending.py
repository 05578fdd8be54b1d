"""What people tag just now, read out of an index: who has used which tags, as far as they may trend.

A post that bears a label of the cluster's own nodes is left out, as its labels are when this is read; one
that waits for review is in no index, and one that warns of itself or labels itself is indexed without tags
that could trend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from sqlite3 import Connection
from typing import Final

from folkmoot.protocol import codec
from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE, PLACE_PREFIX_BYTES, prefix_end
from folkmoot.protocol.record import Record
from folkmoot.protocol.search.bounds import TREND_HOUR_ROWS, TREND_ROWS
from folkmoot.protocol.trends.sketch import WINDOW_MS, Sketch, Use, sketched
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.labelled import TrustedLabellers
from folkmoot.storage.search.index import HOUR_MS, SearchIndex
from folkmoot.storage.store import Store

_LABEL: Final = bytes((KIND_BYTE["label"],))
_SELECT: Final = (
    "SELECT hour, key, form FROM tagged WHERE hour >= ? AND (hour, key) < (?, ?) "
    "AND NOT EXISTS (SELECT 1 FROM hidden WHERE place = substr(key, 1, ?)) "
    "ORDER BY hour DESC, key DESC"
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
    known: tuple[bytes, bool] = (b"", False)
    with index.reading() as connection:
        for key, form in _newest(connection, now_ms):
            if key != known[0]:
                known = key, keeps(key) and not _is_labelled(store, key, trusted)
            if known[1]:
                yield Use(form, key[:PLACE_PREFIX_BYTES], post_time_ms(key[ITEM_AT:]))


def _newest(connection: Connection, now_ms: int) -> Iterator[tuple[bytes, str]]:
    """Posts and their tags, hour by hour the latest first, and in each hour account by account.

    Who uses more tags in an hour than are looked at has the rest of that hour passed by unread: it takes no
    room, and no time, from others.
    """
    first, left = max(0, now_ms - WINDOW_MS) // HOUR_MS, TREND_ROWS
    stop = now_ms // HOUR_MS + 1, b""
    while left > 0:
        whose, taken = stop, 0
        with closing(connection.execute(_SELECT, (first, *stop, PLACE_PREFIX_BYTES))) as rows:
            for hour, key, form in islice(rows, left):
                left -= 1
                if (account := (hour, key[:PLACE_PREFIX_BYTES])) != whose:
                    whose, taken = account, 0
                if taken == TREND_HOUR_ROWS:
                    stop = account
                    break
                taken += 1
                yield key, form
            else:
                return


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
