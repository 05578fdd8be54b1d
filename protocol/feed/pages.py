"""Pages on the wire: the results of feeds, put together from bytes that are ready.

An item is `{record, labels, counts}`, or `{gap}` where a post is missing. Record and labels are
`[payload, signature]` frames exactly as they were signed and stored, so building a page is joining bytes:
nothing is decoded and nothing packed twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.telling import any_telling, is_telling
from msgspec import Struct

ITEM_HEAD: Final = b"\x83" + codec.pack("record")
_LABELS: Final = codec.pack("labels")
_COUNTS: Final = codec.pack("counts") + b"\x83" + codec.pack("likes")
_REPOSTS: Final = codec.pack("reposts")
_REPLIES: Final = codec.pack("replies")
_NONE: Final = codec.pack(0)
_NO_LABELS_NO_COUNTS: Final = b"".join((_LABELS, b"\x90", _COUNTS, _NONE, _REPOSTS, _NONE, _REPLIES, _NONE))
_BETWEEN_PLAIN_ITEMS: Final = _NO_LABELS_NO_COUNTS + ITEM_HEAD
_ITEMS: Final = b"\x83" + codec.pack("items")
_ITEMS_AND_LAG: Final = b"\x84" + codec.pack("items")
_LAG: Final = codec.pack("lag_ms")
_CURSOR: Final = codec.pack("cursor")
_TOKEN: Final = codec.pack("token")

Frame = tuple[bytes, bytes]
"""A record's payload and signature."""


@dataclass(frozen=True, slots=True)
class PackedPage:
    """A page as a replica hands it over.

    Args:
        count: how many items.
        items: their bytes, one after another (no list header).
        resume: the item after which the next page begins; None on the last page.
        telling: whether a post on it has to be read to know who may see it, or what is to be said first.
    """

    count: int
    items: bytes
    resume: bytes | None
    telling: bool = False

    def to_wire(self) -> dict[str, Any]:
        """The result of `replica.page`."""
        return {"count": self.count, "items": self.items, "resume": self.resume}


def pack_item(
    frame: bytes, labels: Sequence[bytes], likes: int, reposts: int, replies: int, *, head: bytes = ITEM_HEAD
) -> bytes:
    """One item.

    Args:
        frame: the record's `[payload, signature]` bytes.
        labels: the label records' frames.
        likes, reposts, replies: the counts now.
        head: what the item begins with; see `item_head`.
    """
    if not labels and not likes and not reposts and not replies:
        return head + frame + _NO_LABELS_NO_COUNTS
    return b"".join(
        (
            head,
            frame,
            _LABELS,
            array_header(len(labels)),
            *labels,
            _COUNTS,
            codec.pack(likes),
            _REPOSTS,
            codec.pack(reposts),
            _REPLIES,
            codec.pack(replies),
        )
    )


def item_head(more: Mapping[str, Any]) -> bytes:
    """What an item begins with that says more than record, labels and counts.

    Args:
        more: at most 12 further keys; see the contract.
    """
    pairs = b"".join(codec.pack(part) for pair in sorted(more.items()) for part in pair)
    return bytes((0x80 | (3 + len(more)),)) + pairs + codec.pack("record")


def pack_gap(author: bytes, item: bytes, reason: str) -> bytes:
    """The item that stands where a post should that is not shown.

    Args:
        author, item: the post's (34 and 16 bytes).
        reason: why; see the contract.
    """
    return codec.pack({"gap": {"author": author, "item": item, "reason": reason}})


def pack_missing(account: bytes, reason: str) -> bytes:
    """The item that says that posts of an account may be missing.

    Args:
        account: whose (34 bytes).
        reason: why; see the contract.
    """
    return codec.pack({"gap": {"author": account, "reason": reason}})


def pack_page(items: Iterable[bytes], resume: bytes | None, *, telling: bool = False) -> PackedPage:
    """Join packed items into a page."""
    packed = list(items)
    return PackedPage(len(packed), b"".join(packed), resume, telling)


def pack_plain_page(frames: Sequence[bytes], resume: bytes | None) -> PackedPage:
    """`pack_page` of posts that nobody has labelled or liked: one join."""
    if not frames:
        return PackedPage(0, b"", resume)
    parts = list(frames)
    parts[0] = ITEM_HEAD + parts[0]
    parts[-1] += _NO_LABELS_NO_COUNTS
    return PackedPage(len(frames), _BETWEEN_PLAIN_ITEMS.join(parts), resume, any_telling(frames))


class Item(Struct):
    """An item of an author's page."""

    record: Frame
    labels: list[Frame]
    counts: dict[str, int]
    decisions: list[Frame] = []
    labels_cut: bool = False

    @property
    def is_telling(self) -> bool:
        """As `PackedPage.telling`."""
        return bool(self.labels or self.labels_cut or self.decisions) or is_telling(self.record[0])


def read_items(page: PackedPage) -> list[Item]:
    """The items of an author's page.

    Raises:
        WireError: `bad_request`, when these are not so many items, or no items at all.
    """
    if not 0 <= page.count <= limits.PAGE_ITEMS:
        raise WireError(BAD_REQUEST, f"a page of {page.count} items")
    return codec.shaped(
        codec.unpack(array_header(page.count) + page.items), list[Item], "the items of a page"
    )


def pack_result(
    page: PackedPage,
    cursor: bytes | None,
    token: bytes,
    lag_ms: int | None = None,
    more: Mapping[str, Any] | None = None,
) -> bytes:
    """The whole result map of a feed, packed.

    Args:
        page, cursor, token: the result's.
        lag_ms: how far behind the page may be, for feeds that are projections; else None.
        more: at most 11 further keys, for feeds that are projections.
    """
    behind = b"" if lag_ms is None else _LAG + codec.pack(lag_ms)
    begin = _ITEMS if lag_ms is None else _ITEMS_AND_LAG
    if more:
        begin = bytes((begin[0] + len(more),)) + begin[1:]
        behind += b"".join(codec.pack(part) for pair in more.items() for part in pair)
    return b"".join(
        (
            begin,
            array_header(page.count),
            page.items,
            behind,
            _CURSOR,
            codec.pack(cursor),
            _TOKEN,
            codec.pack(token),
        )
    )


def pack_notices(
    page: PackedPage, cursor: bytes | None, unread: int | None, read_us: int, lag_ms: int
) -> bytes:
    """The whole result map of `notice.list`, packed.

    Args:
        page, cursor: the result's.
        unread: how many are unread; None when that was not counted.
        read_us: up to when they were seen, microseconds since 1970.
        lag_ms: how far behind the page may be.
    """
    said: dict[str, Any] = {"cursor": cursor, "lag_ms": lag_ms, "read_until": read_us}
    if unread is not None:
        said["unread"] = unread
    pairs = b"".join(codec.pack(part) for pair in said.items() for part in pair)
    return b"".join(
        (bytes((0x80 | (1 + len(said)),)), pairs, codec.pack("items"), array_header(page.count), page.items)
    )


def array_header(length: int) -> bytes:
    """The MessagePack header of a list of up to 65,535 entries."""
    return bytes((0x90 | length,)) if length < 16 else b"\xdc" + length.to_bytes(2, "big")
