"""What is told of each sort of notice, once all that it is about was looked up.

The record that is told is the one that caused the notice: the post that answers, the newest like, the follow,
the label. So nobody has to believe the node, and who follows a stream knows again what it was told before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import partial
from typing import Any, Final, NamedTuple

from folkmoot.node.projections.notices import Notice
from folkmoot.node.projections.posts import UNREACHED, Ref
from folkmoot.node.projections.selecting import Found, Selected
from folkmoot.node.projections.strangers import Acquaintance
from folkmoot.protocol import codec
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import says_on, switched_on
from folkmoot.protocol.feed.audience import Hide
from folkmoot.protocol.feed.controls import Edge
from folkmoot.protocol.feed.notifying import Tab, is_silenced, is_thread_muted, tab_of
from folkmoot.protocol.feed.pages import item_head, pack_gap, pack_item
from folkmoot.protocol.feed.preferences import Policy
from folkmoot.protocol.feed.viewer import Viewer
from folkmoot.protocol.key import cell_key, held_key
from folkmoot.protocol.moderation.decision import KIND as DECISION
from folkmoot.protocol.moderation.decision import SUBJECT_BYTES
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.entries import account_of
from folkmoot.protocol.projections.notices import CROWDS, SORT_BYTES, Crowd, Sort
from folkmoot.protocol.record import Record
from folkmoot.storage.shown_post import Post

OF_POSTS: Final = frozenset({Sort.REPLY, Sort.MENTION, Sort.QUOTE, Sort.THREAD})
_NAMING: Final = {Sort.REPLY: "reply_to", Sort.QUOTE: "quote", Sort.THREAD: "root"}
KIND_OF: Final = {sort: kind for kind, sort in CROWDS.items()}


class Look(NamedTuple):
    """The account whose notices are looked at, and what it wants to know.

    Args:
        account: 34 bytes.
        viewer: what it mutes and blocks.
        policy: of whose doings it wants to be told.
        read_us: up to when it has seen its notices, microseconds since 1970.
        now_us: microseconds since 1970.
        known: how others stand to it.
        trusted: whose labels are outcomes of moderation.
        tabs: what was found out of where things belong; nobody is asked about twice.
    """

    account: bytes
    viewer: Viewer
    policy: Policy
    read_us: int
    now_us: int
    known: Acquaintance
    trusted: Set[bytes]
    tabs: dict[tuple[Sort, bytes], Tab | None]

    def tab(self, sort: Sort, actor: bytes) -> Tab | None:
        """Where something that somebody did belongs."""
        if (sort, actor) not in self.tabs:
            standing = self.known.standing(actor)
            self.tabs[sort, actor] = tab_of(self.policy, sort.word, standing, self.now_us)
        return self.tabs[sort, actor]

    def heard(self, sort: Sort, crowd: Crowd) -> list[bytes]:
        """Those in a crowd who may be named: first those of the better tab, of each tab the newest first."""
        actors = [account_of(each.public) for each in crowd.newest]
        tabs = {
            each: self.tab(sort, each) for each in actors if not is_silenced(self.viewer, each, self.now_us)
        }
        return [each for tab in Tab for each in actors if tabs.get(each) is tab]


class Cause(NamedTuple):
    """What a notice is about, before it was looked up.

    Args:
        actors: who did it, the newest first (34 bytes each).
        keys: of the cells that say so; of posts none.
        post: the post that did it, or that it was done to.
        has_more: whether there are others to look at when these turn out to be none.
    """

    actors: Sequence[bytes] = ()
    keys: Sequence[bytes] = ()
    post: Ref | None = None
    has_more: bool = False


class Known(NamedTuple):
    """What was looked up for some notices.

    Args:
        posts: as far as they could be asked for; of the account's own, those that others name, too.
        selected: what the account sees of those that others wrote.
        cells: as they are kept, by their keys.
        blocking: the blocks that are on.
        decided: the keys of posts about whose held version somebody has decided.
    """

    posts: dict[Ref, Found]
    selected: dict[Ref, Selected]
    cells: dict[bytes, bytes]
    blocking: frozenset[Edge]
    decided: frozenset[bytes]


class Shown(NamedTuple):
    """What is told of a notice.

    Args:
        tab: where.
        item: packs it; of those that are only counted none is.
        unread: whether the account has not seen it.
    """

    tab: Tab
    item: Callable[[], bytes]
    unread: bool = False


def named_by(sort: Sort, post: Found, account: bytes) -> Ref | None:
    """Which of an account's posts a post answers, quotes or is in the thread of; None when it names none."""
    if sort not in _NAMING or not isinstance(post, Post) or post.frame is None:
        return None
    body = post.record.body
    ref = body.get(_NAMING[sort]) or body.get("reply_to")
    return Ref(account, ref["item"]) if ref is not None and ref["author"] == account else None


def cause_of(look: Look, notice: Notice, skipped: int = 0, named: int = bounds.NOTICES_BY) -> Cause:
    """What has to be looked up for a notice.

    Args:
        look, notice: see there.
        skipped: so many of those who may be named were looked at before.
        named: so many are looked at next.
    """
    account, sort = look.account, notice.sort
    head, rest = notice.member[:SORT_BYTES], notice.member[SORT_BYTES:]
    if sort in OF_POSTS:
        return Cause([account_of(rest)], (), Ref(account_of(rest), head))
    if sort in KIND_OF:
        heard = look.heard(sort, Crowd.decode(notice.value))[skipped:]
        actors = heard[:named]
        keys = [cell_key(account, KIND_OF[sort], head + actor) for actor in actors]
        own = cell_key(account, KIND_OF[sort], head + account)
        return Cause(actors, [*keys, own], Ref(account, head), has_more=len(heard) > len(actors))
    if sort is Sort.FOLLOW:
        return Cause([account_of(rest)], [cell_key(account_of(rest), "follow", account)])
    if sort is Sort.LABEL:
        post = Ref(account, notice.value[:SORT_BYTES])
        return Cause([account_of(rest)], [cell_key(account, "label", notice.value)], post)
    if sort is Sort.DECISION:
        post = Ref(account, notice.value[1:SUBJECT_BYTES])
        return Cause(
            [account_of(rest)], [cell_key(account, DECISION, notice.value), held_key(post.key)], post
        )
    post = Ref(account, head)
    return Cause((), [held_key(post.key), post.key], post)


def shown_of(look: Look, notice: Notice, cause: Cause, known: Known) -> Shown | None:
    """What is told of a notice; None when it is none, or none that is wanted."""
    if notice.sort in OF_POSTS:
        return _post(look, notice, cause, known)
    if notice.sort in KIND_OF:
        return _crowd(look, notice, cause, known)
    if notice.sort is Sort.FOLLOW:
        return _follow(look, notice, cause, known)
    if notice.sort is Sort.LABEL:
        return _label(look, notice, cause, known)
    if notice.sort is Sort.DECISION:
        return _decision(look, notice, cause, known)
    return _held(look, notice, cause, known)


def _post(look: Look, notice: Notice, cause: Cause, known: Known) -> Shown | None:
    assert cause.post is not None, "it is about a post"
    [author], post = cause.actors, known.posts[cause.post]
    tab = look.tab(notice.sort, author)
    if tab is None:
        return None
    if post is UNREACHED:
        return Shown(tab, partial(pack_gap, *cause.post, "unreachable"))
    selected = known.selected[cause.post]
    if not isinstance(post, Post) or post.frame is None or isinstance(selected.decision, Hide):
        return None
    named = named_by(notice.sort, post, look.account)
    if notice.sort is Sort.THREAD and selected.strays:
        return None
    if notice.sort in _NAMING and (named is None or known.posts.get(named) is None):
        return None  # who has never posted is not to be reached by answers to what there is not
    told = _told(look, notice.sort, notice.time_us, [author])
    return Shown(tab, partial(post.item_with, {**selected.more, "notice": told}), told["unread"])


def _crowd(look: Look, notice: Notice, cause: Cause, known: Known) -> Shown | None:
    assert cause.post is not None, "it is about a post"
    post = known.posts[cause.post]
    on = [
        (actor, switched)
        for actor, key in zip(cause.actors, cause.keys, strict=False)
        if Edge("block", actor, look.account) not in known.blocking
        and (switched := switched_on(known.cells.get(key))) is not None
    ]
    if not on or not isinstance(post, Post) or post.frame is None:
        return None
    subject, (actor, newest) = post.record, on[0]
    if is_thread_muted(look.viewer, subject, look.now_us):
        return None
    tab = look.tab(notice.sort, actor)
    if tab is None:
        return None
    by = [each for each, _ in on if look.tab(notice.sort, each) is tab]
    own = says_on(known.cells.get(cause.keys[-1]))
    count = (post.counts.likes if notice.sort is Sort.LIKE else post.counts.reposts) - own
    time_us = 1000 * (newest.since_us // 1000)
    more = {"count": max(count, len(by)), "post": cause.post._asdict()}
    return _plain(tab, newest.frame, _told(look, notice.sort, time_us, by, **more), subject)


def _follow(look: Look, notice: Notice, cause: Cause, known: Known) -> Shown | None:
    [actor], [key] = cause.actors, cause.keys
    on, tab = switched_on(known.cells.get(key)), look.tab(notice.sort, actor)
    blocks = Edge("block", actor, look.account) in known.blocking
    if on is None or tab is None or blocks or is_silenced(look.viewer, actor, look.now_us):
        return None
    return _plain(tab, on.frame, _told(look, notice.sort, notice.time_us, [actor]))


def _label(look: Look, notice: Notice, cause: Cause, known: Known) -> Shown | None:
    """A label that one of the cluster's nodes has put on a post: what moderation did, and why."""
    assert cause.post is not None, "it is about a post"
    [labeller], [key], post = cause.actors, cause.keys, known.posts[cause.post]
    data = known.cells.get(key)
    if data is None or labeller not in look.trusted or not isinstance(post, Post) or post.frame is None:
        return None
    label = Cell.decode(data).winner
    if label.body.get("negated") is True:
        return None
    told = _told(look, notice.sort, notice.time_us, [labeller], post=cause.post._asdict())
    return _plain(Tab.NOTIFICATIONS, codec.pack(label.to_wire()), told, post.record)


def _decision(look: Look, notice: Notice, cause: Cause, known: Known) -> Shown | None:
    """What somebody decided about a post, and why; of one that still waits, it is the post that waits."""
    assert cause.post is not None, "it is about a post"
    key, held = cause.keys
    post = known.posts[cause.post]
    data, waiting = known.cells.get(key), known.cells.get(held)
    if data is None or (isinstance(post, Post) and post.frame is None):
        return None
    subject = post.record if isinstance(post, Post) else None
    if subject is None and waiting is not None:
        subject = Cell.decode(waiting).winner
    decision = Cell.decode(data).winner
    told = _told(look, notice.sort, notice.time_us, cause.actors, post=cause.post._asdict())
    return _plain(Tab.NOTIFICATIONS, codec.pack(decision.to_wire()), told, subject)


def _held(look: Look, notice: Notice, cause: Cause, known: Known) -> Shown | None:
    """A post that waits for review, until it is deleted, its own cell has it, or somebody has decided."""
    assert cause.post is not None, "it is about a post"
    waiting, released = (
        None if (data := known.cells.get(key)) is None else Cell.decode(data) for key in cause.keys
    )
    if waiting is None or waiting.deleted or cause.post.key in known.decided:
        return None
    record = waiting.winner
    if released is not None and (released.deleted or released.clock.get(record.device, 0) >= record.stamp):
        return None
    told = _told(look, notice.sort, notice.time_us, [], post=cause.post._asdict())
    return _plain(Tab.NOTIFICATIONS, codec.pack(record.to_wire()), told)


def _told(look: Look, sort: Sort, time_us: int, by: Sequence[bytes], **more: Any) -> dict[str, Any]:
    """What an item says of its notice. What its author dates ahead is told as of now: whoever marks as read
    what they were shown would otherwise mark what comes until then."""
    unread = time_us > look.read_us
    return {"sort": sort.word, "time": min(time_us, look.now_us), "by": list(by), "unread": unread, **more}


def _plain(tab: Tab, frame: bytes, told: dict[str, Any], subject: Record | None = None) -> Shown:
    """An item whose record is no post that was read, or one that nobody has reacted to."""

    def item() -> bytes:
        more: dict[str, Any] = {"notice": told}
        if subject is not None:
            more["subject"] = subject.to_wire()
        return pack_item(frame, [], 0, 0, 0, head=item_head(more))

    return Shown(tab, item, told["unread"])
