"""What projections need to know of a cell, and no more: no text, no signature, no history.

Nodes hand these to each other where they could hand whole cells, so that following every range of a cluster
costs a node some ten bytes a post where the posts themselves cost hundreds.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import KIND_AT, KIND_BYTE
from folkmoot.protocol.messages import Account
from msgspec import Meta, Struct

_PostItem = Annotated[bytes, Meta(min_length=limits.POST_ITEM_BYTES, max_length=limits.POST_ITEM_BYTES)]
Ref = tuple[Account, _PostItem]
"""A post: its author (34 bytes) and its item (16)."""

_Tag = Annotated[str, Meta(max_length=limits.POST_TAG_CODE_POINTS)]

PROJECTED_KINDS: Final = frozenset({"post", "follow", "repost", "bookmark"})
PROJECTED_KIND_BYTES: Final = frozenset(KIND_BYTE[kind] for kind in PROJECTED_KINDS)


class Facts(Struct, frozen=True, array_like=True):
    """See the module.

    Args:
        on: whether a post stands, which is until it is deleted; or whether a flag is on.
        stamp: of what is shown, microseconds since 1970.
        reply_to, root: what a post answers, and what its thread begins with.
        tags: of a post, as written.
    """

    on: bool
    stamp: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)] = 0
    reply_to: Ref | None = None
    root: Ref | None = None
    tags: Annotated[list[_Tag], Meta(max_length=limits.POST_TAGS)] = []

    def to_wire(self) -> list[Any]:
        """As nodes tell each other."""
        return [self.on, self.stamp, self.reply_to, self.root, self.tags]


def is_projected(key: bytes) -> bool:
    """Whether any projection looks at the cell at `key`."""
    return key[KIND_AT] in PROJECTED_KIND_BYTES


def facts_of(cell: Cell) -> Facts:
    """The facts of a cell of a projected kind."""
    shown = cell.winner
    if shown.kind != "post":
        stamps = [record.stamp for record in cell.survivors if record.body.get("on") is True]
        return Facts(is_on(cell), max(stamps, default=shown.stamp))
    if cell.deleted:
        return Facts(False, shown.stamp)
    body = shown.body
    reply_to = _post_ref(body.get("reply_to"))
    root = _post_ref(body.get("root")) or reply_to
    return Facts(True, shown.stamp, reply_to, root if reply_to else None, list(body.get("tags", ())))


def _post_ref(value: Any) -> Ref | None:
    """A ref that a post may answer; anything else that is written there is nothing to a projection."""
    if not isinstance(value, dict):
        return None
    author, item = value["author"], value["item"]
    if not is_account(author) or len(item) != limits.POST_ITEM_BYTES:
        return None
    return author, item
