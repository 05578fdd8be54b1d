"""Range-based set reconciliation: two replicas find out in which leaves they differ.

The initiator asks about ranges, with its fingerprint of each. The responder compares: an equal range is
done; one in which it has few leaves (or the initiator none) is answered with the leaves themselves; any
other is cut into 16 buckets with their fingerprints, of which the initiator asks again about those that
differ. So the ranges in question shrink 16-fold a round, and equal ones cost one comparison whatever they
hold. A frame is about some thousands of leaves, or about one range: that bounds the work it makes on either
side, and what a listing leaves in question is known without reading it, by taking away what was listed.

The responder keeps nothing between frames. The initiator keeps the ranges still in question, narrowest
first, which bounds them. Both read the current state anew each time, so the set may change underneath: what
is missed is found by the next reconciliation, and nothing fails. Several queries may be under way at once.

Source: A. Meyer, "Range-Based Set Reconciliation", arXiv:2212.13567 (2023). 16 buckets and lists under 32
as in negentropy; here only the initiator learns the difference, and frames go to and fro as one RPC each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.sync import frames
from folkmoot.protocol.sync.fingerprint import Fingerprint, Leaf
from folkmoot.protocol.sync.frames import Answer, Asked, Equal, Interval, Leaves, Print, Split
from folkmoot.protocol.sync.view import View


@dataclass(frozen=True, slots=True)
class _Part(Interval):
    """A range in question, with the initiator's fingerprint and how many cuts deep it lies."""

    own: Fingerprint
    depth: int

    def asked(self) -> Asked:
        return Asked(self.start, self.end, self.own.count, self.own.digest())


@dataclass(frozen=True, slots=True)
class Query:
    """One frame to send, and what it asks about; given back with its reply or with `retry`."""

    frame: bytes
    parts: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """What one reply brought to light.

    Args:
        needs: keys the responder has a different cell at, to be fetched and joined here.
        pushes: keys this side has a different cell at, to be sent; a key can be in both.
    """

    needs: list[bytes]
    pushes: list[bytes]


@dataclass(frozen=True, slots=True)
class ReconcileStatistics:
    """How far a reconciliation is.

    Args:
        frames: queries made.
        pending: ranges in question that no query is asking about.
        asking: ranges a query without a reply yet is asking about.
        needs, pushes: keys found so far.
    """

    frames: int
    pending: int
    asking: int
    needs: int
    pushes: int


class Initiator:
    """The side that asks, and learns in which keys the two differ.

    Args:
        view: this side's leaves.
        start: the first key to compare.
        end: exclusive; empty for the end of the key space.
    """

    def __init__(self, view: View, start: bytes, end: bytes) -> None:
        self._pending = [_Part(start, end, view.fingerprint(start, end), 0)]
        self._asking = 0
        self._frames = 0
        self._needs = 0
        self._pushes = 0

    @property
    def done(self) -> bool:
        """Whether the two have been compared whole."""
        return not self._pending and not self._asking

    def next_query(self) -> Query | None:
        """The next frame to send, or None while nothing more is in question (replies may change that).

        Raises:
            WireError: `bad_request`, after as many frames as a reconciliation may take; what was found so
                far stands, and the next one has that much less to find.
        """
        if not self._pending:
            return None
        if self._frames >= limits.SYNC_FRAMES:
            raise WireError(BAD_REQUEST, f"reconciliation did not end after {limits.SYNC_FRAMES} frames")
        # Each range asked about may come back as 16; deep ones go first, so that waiting ones stay few.
        room = limits.SYNC_PENDING_RANGES - len(self._pending) - limits.SYNC_BUCKETS * self._asking
        most = max(1, min(limits.SYNC_FRAME_RANGES, room // limits.SYNC_BUCKETS))
        taken: list[_Part] = []
        size = leaves = 0
        while self._pending and len(taken) < most:
            size += self._pending[-1].asked().size_bytes
            leaves += self._pending[-1].own.count
            if taken and (size > frames.FRAME_ROOM_BYTES or leaves > limits.SYNC_FRAME_LEAVES):
                break
            taken.append(self._pending.pop())
        taken.sort(key=lambda part: part.start)
        self._frames += 1
        self._asking += len(taken)
        return Query(frames.encode([part.asked() for part in taken]), tuple(taken))

    def receive(self, view: View, query: Query, reply: object) -> Differences:
        """Take the reply to a query.

        Args:
            view: this side's leaves, as they are now.
            query: what was asked.
            reply: the frame that came back.

        Raises:
            WireError: `bad_request` or `too_large`, when it is not a reply to the query; the query's ranges
                are in question again.
        """
        try:
            answers = frames.decode_reply(reply, query.parts)
            _check_depth(query.parts, answers)
        except WireError:
            self.retry(query)
            raise
        self._asking -= len(query.parts)
        found = Differences([], [])
        self._pending += query.parts[len(answers) :]
        for part, answer in zip(query.parts, answers, strict=False):
            if isinstance(answer, Split):
                self._narrow(view, part, answer, found)
            elif isinstance(answer, Leaves):
                self._compare(view, part, answer, found)
        self._needs += len(found.needs)
        self._pushes += len(found.pushes)
        return found

    def retry(self, query: Query) -> None:
        """Take back a query whose reply will not come."""
        self._asking -= len(query.parts)
        self._pending += query.parts

    def statistics(self) -> ReconcileStatistics:
        """How far it is."""
        return ReconcileStatistics(self._frames, len(self._pending), self._asking, self._needs, self._pushes)

    def _narrow(self, view: View, part: _Part, answer: Split, found: Differences) -> None:
        """Keep the buckets that differ in question."""
        for (start, end), theirs in zip(
            pairwise([part.start, *answer.bounds, part.end]), answer.prints, strict=True
        ):
            own = view.fingerprint(start, end)
            if Print.of(own) == theirs:
                continue
            bucket = _Part(start, end, own, part.depth + 1)
            if theirs.count == 0:
                self._compare(view, bucket, Leaves(end, []), found)
            else:
                self._pending.append(bucket)

    def _compare(self, view: View, part: _Part, answer: Leaves, found: Differences) -> None:
        """Compare leaf by leaf as far as both sides are known; the rest of the range stays in question."""
        room = limits.SYNC_PAGE_ITEMS - len(found.pushes)
        if room <= 0:
            self._pending.append(part)
            return
        mine = list(view.leaves(part.start, answer.through, room))
        through = answer.through if len(mine) < room else _after(mine[-1])
        theirs = [leaf for leaf in answer.leaves if through == b"" or leaf[0] < through]
        own_hashes, their_hashes = dict(mine), dict(theirs)
        found.needs.extend(key for key, leaf in theirs if own_hashes.get(key) != leaf)
        found.pushes.extend(key for key, leaf in mine if their_hashes.get(key) != leaf)
        if through != part.end:
            rest = _rest(view, part, mine, through)
            self._pending.append(_Part(through, part.end, rest, part.depth))


def respond(view: View, start: bytes, end: bytes, frame: object) -> bytes:
    """Answer one query.

    Args:
        view: this side's leaves, as they are now.
        start: the first key the initiator may ask about.
        end: exclusive; empty for the end of the key space.
        frame: the query.

    Raises:
        WireError: `bad_request` or `too_large`, when it is not a query about these keys.
    """
    answers: list[Answer] = []
    room = frames.FRAME_ROOM_BYTES
    leaves = 0
    for asked in frames.decode_query(frame, Interval(start, end)):
        answer, weight = _answer(view, asked)
        room -= answer.size_bytes
        leaves += weight
        if room < 0:
            break
        answers.append(answer)
        if leaves > limits.SYNC_FRAME_LEAVES:
            break
    return frames.encode(answers)


def _answer(view: View, asked: Asked) -> tuple[Answer, int]:
    """The answer about one range, and how many leaves it is about."""
    if not asked.count:
        # There is nothing to compare with, so that no fingerprint is needed.
        listed = _list(view, asked)
        return listed, len(listed.leaves)
    own = view.fingerprint(asked.start, asked.end)
    if asked.is_equal(own):
        return Equal(), own.count
    if own.count > limits.SYNC_LIST_ITEMS:
        bounds = view.split(asked.start, asked.end, limits.SYNC_BUCKETS)
        if bounds:
            buckets = pairwise([asked.start, *bounds, asked.end])
            prints = [Print.of(view.fingerprint(start, end)) for start, end in buckets]
            return Split(bounds, prints), own.count
    return _list(view, asked), own.count


def _list(view: View, asked: Asked) -> Leaves:
    """As many of the first leaves of a range as one frame holds."""
    room = frames.LEAVES_ROOM_BYTES
    fitting: list[Leaf] = []
    for leaf in view.leaves(asked.start, asked.end, limits.SYNC_PAGE_ITEMS):
        room -= frames.leaf_size_bytes(leaf)
        if room < 0:
            break
        fitting.append(leaf)
    else:
        if len(fitting) < limits.SYNC_PAGE_ITEMS:
            return Leaves(asked.end, fitting)
    return Leaves(_after(fitting[-1]), fitting)


def _rest(view: View, part: _Part, listed: Sequence[Leaf], through: bytes) -> Fingerprint:
    """This side's fingerprint of what a listing up to `through` left in question.

    Should the set have changed since the part was asked about, this is not quite it, which only costs
    another comparison.
    """
    if part.own.count < len(listed):
        return view.fingerprint(through, part.end)
    return part.own.without(Fingerprint.of(leaf for _, leaf in listed))


def _after(leaf: Leaf) -> bytes:
    """The bound just after a leaf."""
    return leaf[0] + b"\0"


def _check_depth(parts: Sequence[_Part], answers: Sequence[Answer]) -> None:
    """Refuse to be led down: an honest responder's cuts leave nothing to cut long before this depth."""
    for part, answer in zip(parts, answers, strict=False):
        if isinstance(answer, Split) and part.depth >= limits.SYNC_DEPTH:
            raise WireError(
                BAD_REQUEST, f"a reconciliation reply cuts a range more than {limits.SYNC_DEPTH} times"
            )
