"""Which thread a post belongs to, by what it and those above it name.

A post names what it answers (`reply_to`), and it may name the first post of its thread (`root`). The latter
is a shortcut, written by whoever answers, so it counts only where it leads to where the answers do:

- from a post one gets to the post that it names as `root`, or else to what it answers: its *line* goes on
  like this until nothing more is named, nothing is known, or `STEPS` are done;
- a post is in the thread that the line of the answered post ends in. Where that post is deleted or not known,
  it is in the thread that it names itself;
- a post *strays* when it names a `root` that the line of the answered post does not come to. It stands in no
  thread of that root.

What a post names still binds it: see `audience.Candidate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from folkmoot.protocol.identity import is_account
from folkmoot.protocol.limits import POST_ITEM_BYTES
from folkmoot.protocol.record import Record

STEPS: Final = 8
"""How many posts are looked at above one, at most: each may have to be asked for elsewhere."""

Ref = tuple[bytes, bytes]
"""A post: its author (34 bytes) and its item (16)."""


def ref_of(value: Mapping[str, Any] | None) -> Ref | None:
    """The post that a body names in a `ref`; None when it can be none."""
    if value is None or not is_account(value["author"]) or len(value["item"]) != POST_ITEM_BYTES:
        return None
    return value["author"], value["item"]


def answered_by(post: Record) -> Ref | None:
    """What a post answers; nothing answers itself."""
    ref = ref_of(post.body.get("reply_to"))
    return None if ref == (post.author, post.item) else ref


def claimed_by(post: Record) -> Ref | None:
    """What a post names as the first of its thread; what answers nothing names nothing."""
    return None if answered_by(post) is None else ref_of(post.body.get("root"))


def above(post: Record) -> Ref | None:
    """Where a line goes on from a post."""
    return claimed_by(post) or answered_by(post)


def thread_named(post: Record) -> bytes:
    """Author and item of the first post of a thread (50 bytes), as far as a post alone says it."""
    author, item = above(post) or (post.author, post.item)
    return author + item


def line(start: Ref, known: Callable[[Ref], Record | None]) -> list[Ref]:
    """The line from a post on, that one included; the last may not be known.

    Args:
        start: the post.
        known: a post that stands, as far as it was looked up.
    """
    found = [start]
    while len(found) <= STEPS:
        post = known(found[-1])
        further = None if post is None else above(post)
        if further is None or further in found:
            break
        found.append(further)
    return found


def heads(post: Record, known: Callable[[Ref], Record | None]) -> list[Ref]:
    """The posts that a post's thread may begin with: by what it names, and by what it answers."""
    starts = [ref for ref in (claimed_by(post), answered_by(post)) if ref is not None]
    ends = [line(start, known)[-1] for start in starts]
    return list(dict.fromkeys([*starts[:-1], *ends]))


def strays(post: Record, known: Callable[[Ref], Record | None]) -> bool:
    """Whether a post names a first post that what it answers does not lead to."""
    claimed, answered = claimed_by(post), answered_by(post)
    if claimed is None or answered is None or known(answered) is None:
        return False
    return claimed not in line(answered, known)


def first_of(post: Record, known: Callable[[Ref], Record | None]) -> Ref:
    """What the thread of a post begins with."""
    answered = answered_by(post)
    if answered is None:
        return post.author, post.item
    if known(answered) is None:
        return line(claimed_by(post) or answered, known)[-1]
    return line(answered, known)[-1]


def unknown_above(posts: Iterable[Record], known: Callable[[Ref], Record | None]) -> list[Ref]:
    """What lines lead to and was not looked up; ask anew with what was found, at most `STEPS` times."""
    starts = {ref for post in posts for ref in (claimed_by(post), answered_by(post)) if ref is not None}
    ends = dict.fromkeys(line(start, known)[-1] for start in starts)
    return [end for end in ends if known(end) is None]
