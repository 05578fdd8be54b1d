"""The parameters of every method of version 1, as shapes that are checked before anything else looks.

Unknown keys are ignored. What a shape cannot say (that a level exists, that a key belongs to the asker) is
the method's own to check.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from folkmoot.protocol import limits
from folkmoot.protocol.moderation.bounds import (
    DIALECTS_BYTES,
    QUEUE_ITEMS,
    SAMPLE_TICKET_BYTES,
    TEXTS_ASKED,
)
from folkmoot.protocol.search import bounds
from msgspec import Meta, Struct

VERSIONS: Final = (1, 1)
"""Of the contract on the wire, the lowest and the highest that a node of this program speaks."""

Account = Annotated[bytes, Meta(min_length=limits.ACCOUNT_BYTES, max_length=limits.ACCOUNT_BYTES)]
TokenBytes = Annotated[bytes, Meta(max_length=limits.TOKEN_BYTES)]
CursorBytes = Annotated[bytes, Meta(max_length=limits.CURSOR_BYTES)]
RecordId = Annotated[bytes, Meta(min_length=limits.RECORD_ID_BYTES, max_length=limits.RECORD_ID_BYTES)]
TicketBytes = Annotated[bytes, Meta(max_length=SAMPLE_TICKET_BYTES)]
Level = Annotated[str, Meta(max_length=16)]
Version = Annotated[int, Meta(ge=0)]


class Hello(Struct):
    """`hello`: which versions the client speaks, who it is, which features it knows."""

    versions: tuple[Version, Version]
    client: Annotated[str, Meta(max_length=128)] = ""
    features: Annotated[list[str], Meta(max_length=64)] = []


class Auth(Struct):
    """`auth`: the account's signature over this connection's challenge and the node's id."""

    account: Account
    signature: Annotated[bytes, Meta(min_length=limits.SIGNATURE_BYTES, max_length=limits.SIGNATURE_BYTES)]
    signer: Account | None = None


class RecordPut(Struct):
    """`record.put`: at most 256 `[payload, signature]`."""

    records: Annotated[list[Any], Meta(min_length=1, max_length=limits.RECORDS_PER_PUT)]
    level: Level = "quorum"
    token: TokenBytes | None = None


class RecordGet(Struct):
    """`record.get`: at most 256 `[place, kind, item]`."""

    keys: Annotated[
        list[tuple[Account, str, Annotated[bytes, Meta(min_length=1, max_length=limits.ITEM_BYTES)]]],
        Meta(min_length=1, max_length=limits.KEYS_PER_GET),
    ]
    level: Level = "one"
    token: TokenBytes | None = None
    history: bool = False


class FeedAuthor(Struct):
    """`feed.author`: a page of an account's posts, newest first."""

    account: Account
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_ITEMS)] = limits.PAGE_ITEMS_DEFAULT
    cursor: CursorBytes | None = None
    token: TokenBytes | None = None
    level: Level = "one"


class FeedHome(FeedAuthor):
    """`feed.home`: a page of what those whom an account follows posted and reposted, newest first."""


class FeedBookmarks(FeedAuthor):
    """`feed.bookmarks`: a page of the posts an account has bookmarked, the latest first; its own alone."""


class OwnedAlgorithm(Struct):
    """A feed algorithm of an account, by its name."""

    account: Account
    name: Annotated[str, Meta(min_length=1, max_length=limits.ALGORITHM_NAME_BYTES)]


class FeedRanked(FeedAuthor, kw_only=True):
    """`feed.ranked`: a page of an account's feed in the order of an algorithm, the best first."""

    algorithm: Annotated[str, Meta(max_length=limits.ALGORITHM_NAME_BYTES)] | OwnedAlgorithm = "latest"
    explain: bool = False


class FeedThread(Struct):
    """`feed.thread`: a page of the thread a post is in, in the order of its posts' making."""

    author: Account
    item: Annotated[bytes, Meta(min_length=limits.POST_ITEM_BYTES, max_length=limits.POST_ITEM_BYTES)]
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_ITEMS)] = limits.PAGE_ITEMS
    cursor: CursorBytes | None = None
    token: TokenBytes | None = None
    level: Level = "one"


class FeedList(FeedAuthor, kw_only=True):
    """`feed.list`: a page of what the members of an account's list posted, newest first."""

    item: Annotated[bytes, Meta(min_length=limits.LIST_ITEM_BYTES, max_length=limits.LIST_ITEM_BYTES)]


class FeedTag(Struct):
    """`feed.tag`: a page of the posts with a tag, newest first."""

    tag: Annotated[str, Meta(min_length=1, max_length=limits.POST_TAG_CODE_POINTS + 1)]
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_ITEMS)] = limits.PAGE_ITEMS_DEFAULT
    cursor: CursorBytes | None = None
    token: TokenBytes | None = None
    level: Level = "one"


QueryText = Annotated[str, Meta(max_length=bounds.SEARCH_CODE_POINTS)]


class SearchPosts(Struct):
    """`search.posts`: a page of the posts that meet a query, newest first or the best ones first."""

    query: QueryText
    best: bool = False
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_ITEMS)] = limits.PAGE_ITEMS_DEFAULT
    cursor: CursorBytes | None = None
    token: TokenBytes | None = None


class FeedTrends(Struct):
    """`feed.trends`: the tags that surprise most."""

    limit: Annotated[int, Meta(ge=1, le=bounds.TRENDS)] = 10


class What(Struct):
    """What a subscription is to: one of these."""

    author: Account | None = None
    home: Account | None = None
    tag: Annotated[str, Meta(max_length=limits.POST_TAG_CODE_POINTS)] | None = None
    range: Annotated[int, Meta(ge=0, le=limits.EPOCH_MAX)] | None = None
    notifications: Account | None = None


class NoticeList(Struct):
    """`notice.list`: a page of an account's notifications, or of what strangers did; its own alone."""

    account: Account
    tab: Literal["notifications", "requests"] = "notifications"
    limit: Annotated[int, Meta(ge=1, le=limits.PAGE_ITEMS)] = limits.PAGE_ITEMS_DEFAULT
    cursor: CursorBytes | None = None


class FeedFollow(Struct):
    """`feed.follow`: be told what happens, after a cursor, since a time, or from now on."""

    what: What
    credit: Annotated[int, Meta(ge=0, le=limits.FOLLOW_CREDIT)]
    cursor: CursorBytes | None = None
    since_ms: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX // 1000)] | None = None


class FeedCredit(Struct):
    """`feed.credit`: so many items more may be told."""

    subscription: Annotated[int, Meta(ge=0)]
    credit: Annotated[int, Meta(ge=0, le=limits.FOLLOW_CREDIT)]


class FeedUnfollow(Struct):
    """`feed.unfollow`: nothing more is to be told."""

    subscription: Annotated[int, Meta(ge=0)]


class AccountGet(Struct):
    """`account.get` and `cluster.where`: an account; with `current`, as its register holds it now."""

    account: Account
    current: bool = False


class AccountChange(Struct):
    """`account.change`: one operation, as `[payload, signature]`."""

    operation: Any


class AccountHistory(Struct):
    """`account.history`: the operations on an account after one; with `current`, as the register has them."""

    account: Account
    after: Annotated[int, Meta(ge=0, le=limits.ACCOUNT_OPERATIONS)] = 0
    current: bool = False


class AccountRecords(Struct):
    """`account.records`: a page of what an account wrote under its own name, after a key."""

    account: Account
    after: Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)] | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.KEYS_PER_GET)] = limits.KEYS_PER_GET
    level: Level = "quorum"


class AccountReactions(Struct):
    """`account.reactions`: a page of the account's likes and reposts of others' posts, from a key on."""

    account: Account
    start: Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)] = b""
    level: Level = "quorum"


_Item = Annotated[bytes, Meta(min_length=1, max_length=limits.ITEM_BYTES)]


class ModerationHeld(Struct):
    """`moderation.held`: some of what waits for review."""

    limit: Annotated[int, Meta(ge=1, le=QUEUE_ITEMS)] = QUEUE_ITEMS
    cursor: CursorBytes | None = None
    level: Level = "quorum"
    author: Account | None = None


class ModerationShow(Struct):
    """`moderation.show`: what was decided about something, and why it waits if it does."""

    author: Account
    item: _Item
    kind: Annotated[str, Meta(max_length=32)] = "post"
    level: Level = "quorum"


class ModerationDecide(Struct):
    """`moderation.decide`: the decision's `[payload, signature]`."""

    record: Any
    level: Level = "quorum"
    token: TokenBytes | None = None


class ModerationStatements(Struct):
    """`moderation.statements`: some of what was said since a time, microseconds since 1970."""

    of: Literal["decisions", "labels", "holds", "refusals"] = "decisions"
    since: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)] = 0
    cursor: CursorBytes | None = None
    level: Level = "quorum"


class ModerationSample(Struct):
    """`moderation.sample`: a post to look at that was drawn; `passing` names one that is not to be it."""

    passing: TicketBytes | None = None
    level: Level = "quorum"


class ModerationJudge(Struct):
    """`moderation.judge`: the answer's `[payload, signature]`, and the ticket that came with the post."""

    record: Any
    ticket: TicketBytes
    level: Level = "quorum"
    token: TokenBytes | None = None


class ModerationSamples(Struct):
    """`moderation.samples`: some of what was drawn since a time, microseconds since 1970, and answered."""

    since: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)] = 0
    cursor: CursorBytes | None = None
    level: Level = "quorum"


class ModerationTexts(Struct):
    """`moderation.texts`: versions of posts, each by its author, the post's item and the record's id."""

    posts: Annotated[list[tuple[Account, _Item, RecordId]], Meta(max_length=TEXTS_ASKED)]
    level: Level = "quorum"


class ModerationAudit(Struct):
    """`moderation.audit`: what moderation did to the posts made since a time, by groups."""

    by: Literal["language", "region", "dialect"] = "language"
    since: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)] = 0
    dialects: Annotated[bytes, Meta(max_length=DIALECTS_BYTES)] = b""
    cursor: CursorBytes | None = None


class AccountAttest(Struct):
    """`account.attest`: what a node says of a slice of an account, after a key."""

    account: Account
    node: Annotated[bytes, Meta(min_length=limits.NODE_ID_BYTES, max_length=limits.NODE_ID_BYTES)]
    after: Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)] | None = None


class HandleGet(Struct):
    """`handle.get`: a handle, in any spelling of it."""

    handle: Annotated[str, Meta(max_length=limits.HANDLE_TEXT_CHARACTERS)]
