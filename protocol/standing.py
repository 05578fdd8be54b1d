"""Standing: does a node still have all it acknowledged? Its own word, and what its peers remember of it.

A store numbers its changes, and every process that opens it has a boot number greater than any before. The
pair is a *mark*; marks only rise while nothing is lost. A node tells its mark with what it acknowledges, and
each peer keeps the greatest it heard: the node's *watermark*. When the node starts, its *claim* is the mark
its disk ends with. A claim below somebody's watermark proves that the disk went back (an old copy, an empty
directory, a disk that lost what it had confirmed): the node is *amnesiac*, and may have lost what it
acknowledged.

Why it is found out: a boot counts in quorums only after a majority of the other replicas of each of its
ranges have durably heard of it, and the next boot asks such a majority first. Two majorities share a node,
and that one remembers. The same count brings back what was lost: a write that reached a quorum of N slots is
on at least N/2, rounded down, of the other replicas, and a majority of those meets them.

A life is one boot that was accepted. Of two processes that speak as one node the one with the lower boot is
superseded once the other has been accepted.

Source of the idea that a replica that lost its disk must not vote: M. Castro, B. Liskov, "Practical Byzantine
Fault Tolerance and Proactive Recovery" (2002); B. Liskov, J. Cowling, "Viewstamped Replication Revisited"
(2012), section 4.3.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct

INSTANCE_BYTES: Final = 8


class Mark(NamedTuple):
    """How far a node's disk had come: in which boot, and the number of its latest change."""

    boot: int
    commit: int


NO_MARK: Final = Mark(0, 0)


class State(enum.Enum):
    """What a node says of itself: it has all it acknowledged; it does not know yet; it has not."""

    WHOLE = "whole"
    UNPROVEN = "unproven"
    AMNESIAC = "amnesiac"


class Statement(Struct, frozen=True):
    """A node's word on itself.

    Args:
        name: as in its configuration.
        instance: 8 random bytes of this process.
        boot: the number of this boot, or of what followed a rebuild in it.
        state: see `State`.
        claim: the mark its disk ended with when it was opened, or that was regained by rebuilding.
        commit: the number of its latest change now.
    """

    name: str
    instance: bytes
    boot: int
    state: State
    claim: tuple[int, int]
    commit: int

    def to_wire(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "instance": self.instance,
            "boot": self.boot,
            "state": self.state.value,
            "claim": list(self.claim),
            "commit": self.commit,
        }


class Finding(enum.Enum):
    """What a peer makes of a statement: it fits; the disk is old; a later boot was accepted."""

    FITS = "fits"
    OLD = "old"
    SUPERSEDED = "superseded"


def judge(known: Mark, statement: Statement) -> Finding:
    """Hold a node's word against the watermark that is kept of it.

    What a life said before it was accepted may arrive after that, and says nothing against it.
    """
    if statement.boot == known.boot and statement.state is not State.AMNESIAC:
        return Finding.FITS
    if statement.boot < known.boot and statement.state is State.WHOLE:
        return Finding.SUPERSEDED
    return Finding.FITS if Mark(*statement.claim) >= known else Finding.OLD


def _was_before(known: Mark, statement: Statement) -> bool:
    """Whether a life said this before it was accepted: afterwards it is unproven under no such number."""
    return statement.boot == known.boot and statement.state is State.UNPROVEN


def majority_of_others(others: int) -> int:
    """How many of the `others` of a range must be heard; none where there are none."""
    return others // 2 + 1 if others else 0


def majority_of_left(others: int, left: int) -> int:
    """How many of those that are left of the `others` of a range must be heard when some were given up.

    So many that they meet each other, and that they meet whoever of them has heard of an earlier boot: a
    majority of all the others had, and at most those that were given up are missing from it now. Where that
    leaves nobody for sure, all that are left is the most there can be.
    """
    surely = max(0, majority_of_others(others) - (others - left))
    return min(left, max(majority_of_others(left), left - surely + 1))


def heard_enough(
    others_by_range: Iterable[Collection[bytes]],
    heard: Collection[bytes],
    given_up: Collection[bytes] = frozenset(),
) -> bool:
    """Whether enough of the other replicas of every range are among those heard.

    Args:
        others_by_range: of each range, the other replicas (node ids).
        heard: who was heard.
        given_up: who never comes back, by an operator's word: nobody waits for those.
    """
    for others in others_by_range:
        left = [node for node in others if node not in given_up]
        if sum(node in heard for node in left) < majority_of_left(len(others), len(left)):
            return False
    return True


def rebuilt_from_enough(others: Collection[bytes], passed: Collection[bytes], old: Collection[bytes]) -> bool:
    """Whether a range is rebuilt.

    A majority of the others does, of those whose own disks are not old. Where there are not so many, nothing
    less than all of them is the most there can be.

    Args:
        others: the other replicas of the range.
        passed: those with which all cells were exchanged.
        old: those that are amnesiac themselves.
    """
    needed = majority_of_others(len(others))
    sound = [node for node in others if node not in old]
    if len(sound) < needed:
        return all(node in passed for node in others)
    return sum(node in passed for node in sound) >= needed


class Watermark(NamedTuple):
    """What is remembered of one node: the greatest mark of the life that was accepted, and its state."""

    mark: Mark
    state: State


class Watermarks:
    """What one node remembers of the others.

    Args:
        kept: by node id, as kept earlier.

    Attributes:
        changed: whether there is more to be kept than is.
    """

    def __init__(self, kept: Mapping[bytes, Watermark]) -> None:
        self._rows = dict(kept)
        self.changed = False

    def of(self, node_id: bytes) -> Watermark:
        """What is remembered of a node; of one never heard of, nothing that speaks against it."""
        return self._rows.get(node_id, Watermark(NO_MARK, State.WHOLE))

    def rows(self) -> Mapping[bytes, Watermark]:
        return self._rows

    def hear(self, node_id: bytes, statement: Statement) -> Finding:
        """Take in a node's word on itself, and say what to make of it."""
        known = self.of(node_id)
        finding = judge(known.mark, statement)
        if finding is Finding.SUPERSEDED or _was_before(known.mark, statement):
            return finding
        mark, state = known.mark, statement.state
        if finding is Finding.OLD:
            state = State.AMNESIAC
        elif state is State.WHOLE:
            mark = max(mark, Mark(statement.boot, statement.commit))
        self._set(node_id, Watermark(mark, state))
        return finding

    def raise_to(self, node_id: bytes, mark: Mark) -> bool:
        """Hear a mark with a message of a node; whether it is of the life that was accepted."""
        known = self._rows.get(node_id)
        if known is None:
            return True
        if mark.boot != known.mark.boot:
            return False
        if mark.commit > known.mark.commit:
            self._set(node_id, known._replace(mark=mark))
        return True

    def retain(self, roster: Collection[bytes]) -> None:
        """Forget who is no member any more."""
        for node_id in [node for node in self._rows if node not in roster]:
            del self._rows[node_id]
            self.changed = True

    def _set(self, node_id: bytes, row: Watermark) -> None:
        if self._rows.get(node_id) != row:
            self._rows[node_id] = row
            self.changed = True
