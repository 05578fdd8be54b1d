"""What a viewer sees of a page: every candidate is shown, shown with a caution, or hidden for a reason.

Nothing is decided before a page is built and nothing is kept of what was decided, so unmuting, unblocking,
an edit of a control or the end of a mute needs no rewriting. What is decided depends on the arguments alone.

The rules, the first that applies being the reason; one's own posts are hidden by none but the first:

| reason          | hidden is                                                       | page       | for    |
|-----------------|-----------------------------------------------------------------|------------|--------|
| `deleted`       | what its author deleted                                         | all        | all    |
| `clock`         | what was made, or reposted, more than 5 minutes from now        | not author | all    |
| `removed`       | what moderation has removed                                     | all        | all    |
| `held`          | what moderation has taken out of view until it is decided on    | all        | all    |
| `limited`       | what moderation shows only to who looks for its author          | tag        | all    |
| `block`         | what somebody made or reposted who blocks the viewer, or is     | all        | viewer |
|                 | blocked by them                                                 |            |        |
| `reply_control` | an answer that the answered post, or a first post of its thread,| all        | all    |
|                 | does not allow                                                  |            |        |
| `muted_account` | what a muted account made                                       | not author | viewer |
| `muted_reposts` | what an account reposted that is muted, wholly or in this       | all        | viewer |
| `muted_thread`  | what belongs to a muted thread                                  | not thread | viewer |
| `muted_word`    | what shows a muted word                                         | all        | viewer |
| `label`         | what bears a label that hides it                                | all        | viewer |

What moderation does is done to nobody who *reviews*, which moderators do: they see everything, with what was
decided said first, and so does the author of their own. Posts that are `limited` are on no page of a tag or a
search.

Who opens a muted thread, or the page of a muted author, wants to see it. A post whose quoted post is hidden
by one of these rules, or whose quoted post does not allow it (`quote_control`), is shown without it.

A gate refuses what is more than 5 minutes ahead, yet a node joins what other nodes acknowledged without
judging it. Without the rule `clock` one node with a wrong clock could put a post above all others for years.
On its author's page it stands above that author's alone, and what was acknowledged is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from folkmoot.protocol.feed.cautions import EVERYBODY, Caution, Heeding
from folkmoot.protocol.feed.controls import QUOTE_FROM, REPLY_FROM, Edge, allows, edges_asked
from folkmoot.protocol.feed.threads import thread_named
from folkmoot.protocol.feed.viewer import Viewer
from folkmoot.protocol.limits import POST_ITEM_BYTES, STAMP_AHEAD_US
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.outcome import NOTHING, Outcome, Visibility
from folkmoot.protocol.record import Record


class Reason(StrEnum):
    """Why something is not shown; see the module."""

    DELETED = "deleted"
    CLOCK = "clock"
    REMOVED = "removed"
    HELD = "held"
    LIMITED = "limited"
    BLOCK = "block"
    REPLY_CONTROL = "reply_control"
    QUOTE_CONTROL = "quote_control"
    MUTED_ACCOUNT = "muted_account"
    MUTED_REPOSTS = "muted_reposts"
    MUTED_THREAD = "muted_thread"
    MUTED_WORD = "muted_word"
    LABEL = "label"


class PageKind(StrEnum):
    """What sort of page is built."""

    HOME = "home"
    THREAD = "thread"
    TAG = "tag"
    LIST = "list"
    AUTHOR = "author"
    NOTIFICATIONS = "notifications"


class Candidate(NamedTuple):
    """A post that may come on a page, with the others that decide about it as far as they are known.

    Args:
        record: the post as it is shown now (the display winner).
        parent: the post it answers.
        firsts: those of `threads` that are known.
        quoted: the post it quotes.
        quote_deleted: whether that one was deleted; nothing of it is known then.
        labels: those of the post's labels that the viewer heeds, and that hold.
        reposter: who reposted it, if that is why it is here (34 bytes).
        reposted_us: and when, in microseconds since 1970 by their clock.
        outcome: what moderation has decided about the post.
        quoted_outcome: and about the one it quotes.
        quoted_labels: as `labels`, of that one.
        threads: author and item of each post that its thread may begin with (50 bytes): the one it names, and
            those that what it answers leads to. An answer that names another one gets round no control and
            no mute by that. When it is empty, what the post itself names.
    """

    record: Record
    parent: Record | None = None
    firsts: Sequence[Record] = ()
    quoted: Record | None = None
    labels: Sequence[Label] = ()
    reposter: bytes | None = None
    reposted_us: int = 0
    outcome: Outcome = NOTHING
    quoted_outcome: Outcome = NOTHING
    quoted_labels: Sequence[Label] = ()
    threads: Collection[bytes] = ()
    quote_deleted: bool = False

    @property
    def judges(self) -> Sequence[Record]:
        """The posts whose authors say who may write it."""
        parent = self.parent
        return (
            self.firsts if parent is None else [parent, *(each for each in self.firsts if each is not parent)]
        )


@dataclass(frozen=True, slots=True)
class Show:
    """Show it.

    Args:
        without_quote: why the quoted post is left out; None when it may be shown.
    """

    without_quote: Reason | None = None


@dataclass(frozen=True, slots=True)
class Warn:
    """Show it behind a caution.

    Args:
        cautions: what to say first; the author's before those of others.
        without_quote: as in `Show`.
    """

    cautions: tuple[Caution, ...]
    without_quote: Reason | None = None


@dataclass(frozen=True, slots=True)
class Hide:
    """Leave it out; a thread says that something is missing there, and why."""

    reason: Reason


Decision = Show | Warn | Hide

_NEVER_MS: Final = 2**48 - 1
_SHOW: Final = Show()
_HIDE: Final = {reason: Hide(reason) for reason in Reason}
_MODERATED: Final = {Visibility.REMOVED: Reason.REMOVED, Visibility.HELD: Reason.HELD}
_LIMITED: Final = {Visibility.LIMITED: Reason.LIMITED}
_NO_EDGES: Final[frozenset[Edge]] = frozenset()


class Audience:
    """Decides about the candidates of one page.

    Args:
        viewer: whom the page is for.
        page: what sort of page it is.
        now_us: microseconds since 1970.
        reviews: whether the viewer may decide about what is shown, and so sees what others do not.
        heeding: how the viewer heeds the labels that are on the page.
    """

    def __init__(
        self,
        viewer: Viewer,
        page: PageKind,
        now_us: int,
        *,
        reviews: bool = False,
        heeding: Heeding = EVERYBODY,
    ) -> None:
        self._viewer = viewer
        self._heeding = heeding
        self._reviews = reviews
        self._moderated = _MODERATED | ({} if page is not PageKind.TAG else _LIMITED)
        self._me = viewer.account
        self._now_us = now_us
        # Greater than every item of a post that is not too far ahead: a UUIDv7 begins with its time.
        latest_ms = _NEVER_MS if page is PageKind.AUTHOR else (now_us + STAMP_AHEAD_US) // 1000
        self._latest = latest_ms.to_bytes(6, "big") + b"\xff" * (POST_ITEM_BYTES - 6)
        self._threads = {} if page is PageKind.THREAD else viewer.threads
        self._authors = {} if page is PageKind.AUTHOR else viewer.accounts

    def edges_asked(self, candidates: Iterable[Candidate]) -> set[Edge]:
        """Which flags of other accounts decide about these: look them up, and pass on those that are on."""
        asked: set[Edge] = set()
        for candidate in candidates:
            record, quoted, reposter = candidate.record, candidate.quoted, candidate.reposter
            author = record.author
            for post in candidate.judges:
                asked.update(edges_asked(REPLY_FROM, post.body, post.author, author))
            if quoted is not None:
                asked.update(edges_asked(QUOTE_FROM, quoted.body, quoted.author, author))
            if self._me is not None:
                concerned = {author, reposter, _quoted_author(record.body)} - {None, self._me}
                asked.update(Edge("block", other, self._me) for other in concerned if other)
        return asked

    def decide(self, candidate: Candidate, edges: Set[Edge] = _NO_EDGES) -> Decision:
        """What becomes of one candidate.

        Args:
            candidate: see there.
            edges: those of `edges_asked` that are on.
        """
        record = candidate.record
        body = record.body
        reason = self._against(candidate, record, body, edges)
        if reason is not None:
            return _HIDE[reason]
        without_quote = None
        if "quote" in body:
            without_quote = self._against_quote(candidate, edges)
        outcome = candidate.outcome
        if candidate.labels or outcome is not NOTHING or "warning" in body or "labels" in body:
            said = self._heeding.cautions(record, candidate.labels, outcome)
            if said:
                return Warn(said, without_quote)
        return _SHOW if without_quote is None else Show(without_quote)

    def _against(
        self, candidate: Candidate, record: Record, body: dict[str, Any], edges: Set[Edge]
    ) -> Reason | None:
        author, reposter = record.author, candidate.reposter
        if "deleted" in body:
            return Reason.DELETED
        foreign = author != self._me
        if foreign and record.item > self._latest:
            return Reason.CLOCK
        if foreign and (reason := self._against_moderated(record, candidate.outcome)) is not None:
            return reason
        if reposter is not None:
            reason = self._against_repost(reposter, candidate.reposted_us, edges)
            if reason is not None:
                return reason
        if not foreign:
            return None
        viewer = self._viewer
        if self._me is not None and self._blocked(author, edges):
            return Reason.BLOCK
        for post in candidate.judges:
            if not allows(REPLY_FROM, post.body, post.author, author, edges):
                return Reason.REPLY_CONTROL
        if self._authors and self._muted(author):
            return Reason.MUTED_ACCOUNT
        if self._threads and self._is_muted_thread(candidate):
            return Reason.MUTED_THREAD
        if viewer.words and viewer.words.found_in(body, self._now_us):
            return Reason.MUTED_WORD
        return self._against_labels(record, candidate.labels, candidate.outcome)

    def _against_labels(self, record: Record, labels: Sequence[Label], outcome: Outcome) -> Reason | None:
        if not labels and outcome is NOTHING and "labels" not in record.body:
            return None
        return Reason.LABEL if self._heeding.hides(record, labels, outcome) else None

    def _against_moderated(self, record: Record, outcome: Outcome) -> Reason | None:
        if outcome is NOTHING or self._reviews:
            return None
        return self._moderated.get(outcome.visibility(record.id))

    def _against_repost(self, reposter: bytes, reposted_us: int, edges: Set[Edge]) -> Reason | None:
        if reposter == self._me:
            return None
        if reposted_us > self._now_us + STAMP_AHEAD_US:
            return Reason.CLOCK
        if self._me is not None and self._blocked(reposter, edges):
            return Reason.BLOCK
        muted = self._viewer.accounts.get(reposter)
        return Reason.MUTED_REPOSTS if muted is not None and muted[1] > self._now_us else None

    def _against_quote(self, candidate: Candidate, edges: Set[Edge]) -> Reason | None:
        """Why the quoted post is not shown; of one that is not known, whose it is said to be."""
        record, quoted = candidate.record, candidate.quoted
        if candidate.quote_deleted:
            return Reason.DELETED
        owner = _quoted_author(record.body) if quoted is None else quoted.author
        if owner is None or owner == self._me:
            return None
        if quoted is not None:
            reason = self._against_moderated(quoted, candidate.quoted_outcome)
            if reason is not None:
                return reason
        if self._me is not None and self._blocked(owner, edges):
            return Reason.BLOCK
        if quoted is not None and not allows(QUOTE_FROM, quoted.body, owner, record.author, edges):
            return Reason.QUOTE_CONTROL
        if self._muted(owner):
            return Reason.MUTED_ACCOUNT
        if quoted is None:
            return None
        if self._viewer.words.found_in(quoted.body, self._now_us):
            return Reason.MUTED_WORD
        return self._against_labels(quoted, candidate.quoted_labels, candidate.quoted_outcome)

    def _blocked(self, other: bytes, edges: Set[Edge]) -> bool:
        """Whether one of the two, the viewer and `other`, blocks the other one."""
        viewer = self._viewer
        return (
            other in viewer.blocks
            or other in viewer.blocked_by
            or bool(edges and ("block", other, self._me) in edges)
        )

    def _is_muted_thread(self, candidate: Candidate) -> bool:
        threads = candidate.threads or [thread_named(candidate.record)]
        return any(self._threads.get(each, 0) > self._now_us for each in threads)

    def _muted(self, account: bytes) -> bool:
        muted = self._viewer.accounts.get(account)
        return muted is not None and muted[0] > self._now_us


def _quoted_author(body: dict[str, Any]) -> bytes | None:
    quote = body.get("quote")
    return None if quote is None else quote["author"]
