"""Posts as pages show them: put together from their cell, their counts, their labels and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from folkmoot.protocol import codec
from folkmoot.protocol.feed.pages import item_head, pack_item
from folkmoot.protocol.feed.telling import is_telling
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE
from folkmoot.protocol.limits import POST_ITEM_BYTES
from folkmoot.protocol.moderation.decision import KIND as DECISION
from folkmoot.protocol.moderation.decision import SUBJECT_BYTES, parse_decision
from folkmoot.protocol.moderation.label import Label, parse_label
from folkmoot.protocol.moderation.outcome import Outcome, outcome_of
from folkmoot.protocol.record import Record
from folkmoot.storage.rows import NO_COUNTS, Counts

_POST_BYTES: Final = 1_000  # of a post, besides its item, its frame and its record
_POST: Final = bytes((KIND_BYTE["post"],))
_DECISION: Final = KIND_BYTE[DECISION]
_NO_MORE: Final[Mapping[str, Any]] = {}


class Post:
    """A post as a page shows it.

    Args:
        frame: the display winner's `[payload, signature]`, encoded as it was signed; None when it is deleted.
        labels: the labels' frames, as in `labelled.Labels`.
        counts: likes and reposts.
        replies: how many.
        decisions: the frames of the decisions that apply to it, as in `pages.AuthorPage`.
        labels_cut: whether there may be more labels.

    Attributes:
        telling: whether it has to be read to know who may see it, and what is to be said first.
        item: the item of a page that shows it, packed; empty when it is deleted.
    """

    __slots__ = (
        "_label_records",
        "_outcome",
        "_record",
        "_said",
        "counts",
        "decisions",
        "frame",
        "item",
        "labels",
        "labels_cut",
        "replies",
        "telling",
    )

    def __init__(
        self,
        frame: bytes | None,
        labels: Sequence[bytes],
        counts: Counts,
        replies: int,
        decisions: Sequence[bytes] = (),
        *,
        labels_cut: bool = False,
    ) -> None:
        self.frame = frame
        self.labels = labels
        self.labels_cut = labels_cut
        self.counts = counts
        self.replies = replies
        self.decisions = decisions
        self.telling = bool(labels or labels_cut or decisions) or (frame is not None and is_telling(frame))
        self.item = b"" if frame is None else self.item_with({})
        self._outcome: Outcome | None = None
        self._record: Record | None = None
        self._label_records: list[Record] | None = None
        self._said: list[Label] | None = None

    @property
    def record(self) -> Record:
        """The record of a post that stands; who reads it first decodes it for all."""
        if self._record is None:
            assert self.frame is not None, "nothing is left of a deleted post to be read"
            self._record = Record.from_wire(codec.unpack(self.frame))
        return self._record

    @property
    def label_records(self) -> list[Record]:
        """The records of its labels; the same."""
        if self._label_records is None:
            self._label_records = [Record.from_wire(codec.unpack(label)) for label in self.labels]
        return self._label_records

    @property
    def said(self) -> list[Label]:
        """What its labels say; the same."""
        if self._said is None:
            self._said = [parse_label(each.item, each.body) for each in self.label_records]
        return self._said

    @property
    def outcome(self) -> Outcome:
        """What follows from the decisions that apply to it; the same."""
        if self._outcome is None:
            records = (Record.from_wire(codec.unpack(each)) for each in self.decisions)
            self._outcome = outcome_of(parse_decision(each.item, each.body) for each in records)
        return self._outcome

    def item_with(self, more: dict[str, Any]) -> bytes:
        """The item of a page that says something more of it, packed; see `pages.item_head`."""
        assert self.frame is not None, "a deleted post stands on no page"
        counted = self.labels, *self.counts, self.replies
        return packed_post(self.frame, *counted, self.decisions, more, labels_cut=self.labels_cut)

    def weight(self) -> int:
        """About how many bytes it takes once it has been read."""
        return _POST_BYTES + 4 * len(self.item)


GONE: Final = Post(None, (), NO_COUNTS, 0)
"""A post that was deleted."""


def packed_post(
    frame: bytes,
    labels: Sequence[bytes],
    likes: int,
    reposts: int,
    replies: int,
    decisions: Sequence[bytes] = (),
    more: Mapping[str, Any] = _NO_MORE,
    *,
    labels_cut: bool = False,
) -> bytes:
    """The item of a page that shows a post: see `Post` and `pages.pack_item`."""
    if decisions:
        more = {**more, "decisions": [codec.unpack(each) for each in decisions]}
    if labels_cut:
        more = {**more, "labels_cut": True}
    if not more:
        return pack_item(frame, labels, likes, reposts, replies)
    return pack_item(frame, labels, likes, reposts, replies, head=item_head(more))


def post_key(key: bytes) -> bytes:
    """The key of the post that a cell is about: its own, or a label's, like's, repost's or decision's."""
    if key[KIND_AT] == _DECISION:
        return key[:KIND_AT] + key[ITEM_AT : ITEM_AT + SUBJECT_BYTES]
    return key[:KIND_AT] + _POST + key[ITEM_AT : ITEM_AT + POST_ITEM_BYTES]
