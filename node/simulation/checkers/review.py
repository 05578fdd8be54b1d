"""Review by people: what was released is readable, and what was rejected or removed is not, on every replica.

Judged is what replicas hold in the end, by what a page would make of it.
"""

from __future__ import annotations

from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Inquiry, Verdict
from folkmoot.node.simulation.history import Review
from folkmoot.protocol.moderation.decision import Action
from folkmoot.protocol.moderation.outcome import Visibility
from folkmoot.storage.pages import posts_at

_SHOWN = frozenset({Action.RELEASE.word, Action.RESTORE.word})


def check(evidence: Evidence) -> Verdict:
    """Hold every replica to every decision that was acknowledged last about a post."""
    inquiry = Inquiry("review")
    for key, review in sorted(evidence.history.reviews.items()):
        for held in evidence.replicas_of(key):
            if inquiry.fails(is_shown(held, review) is (review.action in _SHOWN)):
                inquiry.complain(f"{held.name} does not heed that {key.hex()} was to {review.action}")
    return inquiry.verdict({"reviews": len(evidence.history.reviews)})


def is_shown(held: HeldCells, review: Review) -> bool:
    """Whether pages of a replica show a post as it was judged."""
    with held.engine.begin() as transaction:
        [post] = posts_at(transaction, [review.post.key], frozenset, 0)
    if post is None or post.frame is None or post.record.id != review.post.id:
        return False
    return post.outcome.visibility(review.post.id) < Visibility.HELD
