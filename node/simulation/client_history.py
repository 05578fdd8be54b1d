"""What clients did, session by session: the history that session guarantees are judged on.

A session is one client that does one thing at a time and carries its token from answer to answer, to whatever
node it asks next. Nothing here is particular to the simulation: clients of real clusters write the same down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from folkmoot.protocol.crdt.clock import Clock
from folkmoot.protocol.record import Record


@dataclass(frozen=True, slots=True)
class Wrote:
    """One record that was sent.

    Args:
        key: of its cell.
        device, stamp: its dot.
        seen: what it names of other devices.
        gone: whether it deletes the post.
        answers: whether it is a post that answers another.
        kept: whether it was acknowledged as `stored` or `duplicate`.
    """

    key: bytes
    device: bytes
    stamp: int
    seen: Clock = field(default_factory=dict)
    gone: bool = False
    answers: bool = False
    kept: bool = True

    @classmethod
    def of(cls, record: Record, *, kept: bool) -> Wrote:
        """What a history says of a record that was sent."""
        answers = "reply_to" in record.body
        return cls(record.key, record.device, record.stamp, record.seen, record.deleted, answers, kept)


@dataclass(frozen=True, slots=True)
class Saw:
    """One cell that was read.

    Args:
        key: of the cell.
        clock: as it was told; empty when there was nothing.
        shown: the dots of the records told.
        deleted: whether the post is deleted.
    """

    key: bytes
    clock: Clock
    shown: tuple[tuple[bytes, int], ...] = ()
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Paged:
    """The newest posts of an author.

    Args:
        account: whose.
        shown: post item → the stamp of the record shown.
        complete: whether the page says that there are no more.
    """

    account: bytes
    shown: Mapping[bytes, int]
    complete: bool

    def reaches(self, item: bytes) -> bool:
        """Whether a post with this item would have to be on the page."""
        return self.complete or (bool(self.shown) and item > min(self.shown))


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of a session and its answer.

    Args:
        session: whose; exchanges of a session stand in the order in which it did them.
        node: the node that was asked.
        carried: the token that went with the request; None for none.
        given: the token that came with the answer; None when there was none, or it was not taken.
        sent_s, at_s: when it was sent and answered, in seconds of the clock of whoever writes the history.
        level: the level achieved, by the answer; empty when nobody knows.
        wrote, saw, paged: what it was about.
    """

    session: int | str
    node: str
    carried: bytes | None
    given: bytes | None
    sent_s: float
    at_s: float
    level: str = ""
    wrote: tuple[Wrote, ...] = ()
    saw: tuple[Saw, ...] = ()
    paged: Paged | None = None
