"""What projections need to know of a cell, and no more: no text, no signature, no history.

Nodes hand these to each other where they could hand whole cells, so that following every range of a cluster
costs a node some ten bytes a post where the posts themselves cost hundreds. Defaults at the end are left out,
so a like is two numbers.

Facts have an *edition*. Who has read a log for the facts of one edition has not read it for those of the
next. So a log has another name for each: under a new one nobody has read anything yet.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final

from folkmoot.protocol import limits
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on, on_since
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import HELD, KIND_AT, KIND_BYTE
from folkmoot.protocol.messages import Account
from msgspec import Meta, Struct

_PostItem = Annotated[bytes, Meta(min_length=limits.POST_ITEM_BYTES, max_length=limits.POST_ITEM_BYTES)]
Ref = tuple[Account, _PostItem]
"""A post: its author (34 bytes) and its item (16)."""

_Tag = Annotated[str, Meta(max_length=limits.POST_TAG_CODE_POINTS)]

PROJECTED_KINDS: Final = frozenset(
    {"post", "follow", "like", "repost", "bookmark", "label", "decision", HELD}
)
_EDITION: Final = b"folkmoot-facts-4\0"
PROJECTED_KIND_BYTES: Final = frozenset(KIND_BYTE[kind] for kind in PROJECTED_KINDS)


class Facts(Struct, frozen=True, array_like=True):
    """See the module.

    Args:
        on: whether a post stands, which is until it is deleted; whether a flag is on; whether a label holds;
            whether a decision is one that its subject's author is told of.
        stamp: of what is shown, microseconds since 1970.
        reply_to, root: what a post answers, and what its thread begins with.
        tags: of a post, as written.
        quote: the post that one shows.
        mentions: the accounts that a post names.
        since: since when a flag is on (see `flag.on_since`), when that is not its stamp; 0 otherwise.
    """

    on: bool
    stamp: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)] = 0
    reply_to: Ref | None = None
    root: Ref | None = None
    tags: Annotated[list[_Tag], Meta(max_length=limits.POST_TAGS)] = []
    quote: Ref | None = None
    mentions: Annotated[list[Account], Meta(max_length=limits.POST_MENTIONS)] = []
    since: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)] = 0

    @property
    def told_us(self) -> int:
        """By when a flag that is on stands among what others are told of, microseconds since 1970."""
        return self.since or self.stamp

    @property
    def weight(self) -> int:
        """About how many bytes it takes on the wire, at most."""
        return _FACTS_BYTES + 4 * sum(map(len, self.tags)) + 40 * len(self.mentions)

    def to_wire(self) -> list[Any]:
        """As nodes tell each other."""
        told = [
            self.on,
            self.stamp,
            self.reply_to,
            self.root,
            self.tags,
            self.quote,
            self.mentions,
            self.since,
        ]
        while len(told) > _ALWAYS_TOLD and not told[-1]:
            told.pop()
        return told


_ALWAYS_TOLD: Final = 2
_FACTS_BYTES: Final = 256


def facts_log(log_id: bytes) -> bytes:
    """The name of a log (16 bytes) of which the facts of this edition are read."""
    return hashlib.sha256(_EDITION + log_id).digest()[: len(log_id)]


def is_projected(key: bytes) -> bool:
    """Whether any projection looks at the cell at `key`."""
    return key[KIND_AT] in PROJECTED_KIND_BYTES


def facts_of(cell: Cell) -> Facts:
    """The facts of a cell of a projected kind."""
    shown = cell.winner
    if shown.kind == "label":
        return Facts(shown.body.get("negated") is not True, shown.stamp)
    if shown.kind == "decision":
        # That something waits for review, its author is told by what waits.
        return Facts(shown.body.get("action") != "hold" or shown.body.get("role") != "automatic", shown.stamp)
    if shown.kind != "post":
        stamps = [record.stamp for record in cell.survivors if record.body.get("on") is True]
        stamp, since = max(stamps, default=shown.stamp), on_since(cell)
        return Facts(is_on(cell), stamp, since=0 if since == stamp else since)
    if cell.deleted:
        return Facts(False, shown.stamp)
    body = shown.body
    reply_to = _post_ref(body.get("reply_to"))
    root = _post_ref(body.get("root")) or reply_to
    return Facts(
        True,
        shown.stamp,
        reply_to,
        root if reply_to else None,
        list(body.get("tags", ())),
        _post_ref(body.get("quote")),
        list(body.get("mentions", ())),
    )


def _post_ref(value: Any) -> Ref | None:
    """A ref that a post may answer; anything else that is written there is nothing to a projection."""
    if not isinstance(value, dict):
        return None
    author, item = value["author"], value["item"]
    if not is_account(author) or len(item) != limits.POST_ITEM_BYTES:
        return None
    return author, item
