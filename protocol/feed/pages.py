"""Pages on the wire: the result of `feed.author`, put together from bytes that are ready.

An item is `{record, labels, counts}`. Record and labels are `[payload, signature]` frames exactly as they
were signed and stored, so building a page is joining bytes: nothing is decoded and nothing packed twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from folkmoot.protocol import codec

_ITEM_HEAD: Final = b"\x83" + codec.pack("record")
_LABELS: Final = codec.pack("labels")
_COUNTS: Final = codec.pack("counts") + b"\x82" + codec.pack("likes")
_REPOSTS: Final = codec.pack("reposts")
_NO_LABELS_NO_COUNTS: Final = _LABELS + b"\x90" + _COUNTS + b"\x00" + _REPOSTS + b"\x00"
_BETWEEN_PLAIN_ITEMS: Final = _NO_LABELS_NO_COUNTS + _ITEM_HEAD
_ITEMS: Final = b"\x83" + codec.pack("items")
_CURSOR: Final = codec.pack("cursor")
_TOKEN: Final = codec.pack("token")


@dataclass(frozen=True, slots=True)
class PackedPage:
    """A page as a replica hands it over.

    Args:
        count: how many items.
        items: their bytes, one after another (no list header).
        resume: the item after which the next page begins; None on the last page.
    """

    count: int
    items: bytes
    resume: bytes | None

    def to_wire(self) -> dict[str, Any]:
        """The result of `replica.page`."""
        return {"count": self.count, "items": self.items, "resume": self.resume}


def pack_item(frame: bytes, labels: Sequence[bytes], likes: int, reposts: int) -> bytes:
    """One item.

    Args:
        frame: the record's `[payload, signature]` bytes.
        labels: the label records' frames.
        likes, reposts: the counts now.
    """
    if not labels and not likes and not reposts:
        return _ITEM_HEAD + frame + _NO_LABELS_NO_COUNTS
    return b"".join(
        (
            _ITEM_HEAD,
            frame,
            _LABELS,
            array_header(len(labels)),
            *labels,
            _COUNTS,
            codec.pack(likes),
            _REPOSTS,
            codec.pack(reposts),
        )
    )


def pack_page(items: Iterable[bytes], resume: bytes | None) -> PackedPage:
    """Join packed items into a page."""
    packed = list(items)
    return PackedPage(len(packed), b"".join(packed), resume)


def pack_plain_page(frames: Sequence[bytes], resume: bytes | None) -> PackedPage:
    """`pack_page` of posts that nobody has labelled or liked: one join."""
    if not frames:
        return PackedPage(0, b"", resume)
    parts = list(frames)
    parts[0] = _ITEM_HEAD + parts[0]
    parts[-1] += _NO_LABELS_NO_COUNTS
    return PackedPage(len(frames), _BETWEEN_PLAIN_ITEMS.join(parts), resume)


def pack_result(page: PackedPage, cursor: bytes | None, token: bytes) -> bytes:
    """The whole result map of `feed.author`, packed."""
    return b"".join(
        (
            _ITEMS,
            array_header(page.count),
            page.items,
            _CURSOR,
            codec.pack(cursor),
            _TOKEN,
            codec.pack(token),
        )
    )


def array_header(length: int) -> bytes:
    """The MessagePack header of a list of up to 65,535 entries."""
    return bytes((0x90 | length,)) if length < 16 else b"\xdc" + length.to_bytes(2, "big")
