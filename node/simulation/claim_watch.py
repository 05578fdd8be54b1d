"""Under which epochs nodes act on what other nodes ask, held against the epochs on their disks.

Every request about ranges claims an epoch of each (see `protocol.ring.epochs`). It may have an effect at some
moment between its arrival and its answer, and only if the range was at that epoch then, by what stood on the
disk: a fence is a newer epoch on the disk, and no restart takes it down. So the range must not have been at a
newer epoch when the request arrived, nor still be at an older one when the answer leaves. Of cells that were
joined the commit is known, which is sharper: no newer epoch may have stood on the disk before it.

Two answers say more. Who says that its fence is up has the epoch on its disk. And who was asked for another
copying session of a range since does not carry on the one before it.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from folkmoot.node.simulation.wiretap import Question
from folkmoot.protocol import limits
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import Change

FENCE: Final = "range.fence"
COPY: Final = "range.copy"
JOIN: Final = "replica.join"
ABOUT_RANGES: Final = frozenset(
    {FENCE, COPY, "range.damage", "sync.step", "sync.fetch", JOIN, "replica.put"}
    | {"replica.read", "replica.page", "replica.labels", "replica.profile"}
)
TELLING: Final = frozenset({FENCE, COPY, JOIN})
"""Of the answers to these more is to be known than that there was one."""
COMMITS_KEPT: Final = 256

RangesOn = Callable[[str], RangeMap | None]
"""The ranges that stand on the disk of this name; None as long as that is not known."""


class _Commit(NamedTuple):
    """What a commit wrote, and what stood on the disk before it."""

    changes: Sequence[Change]
    before: RangeMap | None

    def wrote(self, keys: Collection[bytes]) -> bool:
        """Whether it wrote one of these cells."""
        return any(change.key in keys for change in self.changes if change.table is Table.CELLS)


class _Then(NamedTuple):
    """What was the case when a request arrived: the number of that event, the ranges on the disk, and how
    many commits there had been."""

    event: int
    ranges: RangeMap | None
    commits: int


class ClaimWatch:
    """See the module.

    Args:
        ranges_on: see `RangesOn`.

    Attributes:
        compared: how many claims were held against a disk, and sessions against the one after them.
        commits: how many of these against what stood on it before the commit.
        fences: how many answers said that a fence was up.
        replaced: how many sessions made room for another.
        complaints: what went wrong, a sentence each.
    """

    def __init__(self, ranges_on: RangesOn) -> None:
        self.compared = self.commits = self.fences = self.replaced = 0
        self.complaints: list[str] = []
        self._ranges_on = ranges_on
        self._events = 0
        self._made: Counter[str] = Counter()
        self._newest: dict[str, deque[_Commit]] = defaultdict(lambda: deque(maxlen=COMMITS_KEPT))
        # (disk, range, epoch) → (session, donor) → the event by which another took its place, or None; in the
        # order in which they were begun since the last boot.
        self._sessions: dict[tuple[str, int, int], dict[tuple[bytes, bytes], int | None]] = {}

    def booted(self, disk: str) -> None:
        """A process begins on a disk, and knows nothing of sessions."""
        for at in [at for at in self._sessions if at[0] == disk]:
            del self._sessions[at]

    def committed(self, disk: str, changes: Sequence[Change]) -> None:
        """A commit is durable; `ranges_on` still tells what stood on the disk before it."""
        self._made[disk] += 1
        self._newest[disk].append(_Commit(changes, self._ranges_on(disk)))

    def asked(self, question: Question) -> _Then:
        """A request of `ABOUT_RANGES` has arrived; what to bring back with its answer."""
        self._events += 1
        return _Then(self._events, self._ranges_on(question.disk), self._made[question.disk])

    def answered(self, question: Question, then: _Then, result: Any) -> None:
        """Its answer leaves, and is no error; of one of `TELLING`, what it says."""
        self._events += 1
        if question.method == FENCE:
            self._judge_fence(question.disk, result["ranges"])
            return
        claims = _claims_of(question)
        for range_id, epoch in claims:
            self._judge_claim(question, range_id, epoch, then)
        if question.method == JOIN and result["changed"]:
            self._judge_commits(question, claims, then)
        if question.method == COPY:
            self._judge_session(question, then, result["state"])

    def _judge_fence(self, disk: str, fenced: Iterable[tuple[int, int]]) -> None:
        """A fence that is up is on the disk."""
        now = self._ranges_on(disk)
        for range_id, epoch in fenced if now is not None else ():
            self.compared += 1
            self.fences += 1
            if _epoch(now, range_id) < epoch:
                self.complaints.append(
                    f"{disk} said that range {range_id} is fenced below epoch {epoch}, and has epoch "
                    f"{_epoch(now, range_id)} on its disk"
                )

    def _judge_claim(self, question: Question, range_id: int, epoch: int, then: _Then) -> None:
        """The range was at this epoch at some moment between the request and its answer."""
        disk, now = question.disk, self._ranges_on(question.disk)
        if then.ranges is None or now is None:
            return
        self.compared += 1
        before, after = _epoch(then.ranges, range_id), _epoch(now, range_id)
        if epoch < before:
            self.complaints.append(
                f"{disk} did a {question.method} under epoch {epoch} of range {range_id}, which was at epoch "
                f"{before} on its disk when that was asked"
            )
        elif epoch > after:
            self.complaints.append(
                f"{disk} did a {question.method} under epoch {epoch} of range {range_id}, which is at epoch "
                f"{after} on its disk"
            )

    def _judge_commits(self, question: Question, claims: Collection[tuple[int, int]], then: _Then) -> None:
        """Of the commits that may be the one that joined the cells, one found no newer epoch on the disk."""
        disk, made = question.disk, self._made[question.disk] - then.commits
        if made > COMMITS_KEPT:
            return
        keys = {key for key, _ in question.params["cells"]}
        newest = list(self._newest[disk])[-made:] if made else []
        maybe = [commit.before for commit in newest if commit.wrote(keys)]
        if not maybe:
            self.compared += 1
            self.complaints.append(f"{disk} said that it joined cells, and no commit wrote any of them")
            return
        if any(ranges is None for ranges in maybe):
            return
        self.compared += 1
        self.commits += 1
        if not any(all(_epoch(ranges, each) <= epoch for each, epoch in claims) for ranges in maybe):
            self.complaints.append(
                f"{disk} committed a {JOIN} under epochs {claims} after newer ones stood on its disk"
            )

    def _judge_session(self, question: Question, then: _Then, state: str) -> None:
        """A pass that made room for another is not under way any more."""
        params = question.params
        sessions = self._sessions.setdefault((question.disk, params["range"], params["epoch"]), {})
        asked = params["session"], params["donor"]
        if asked not in sessions:
            for earlier in [each for each, replaced_at in sessions.items() if replaced_at is None]:
                sessions[earlier] = self._events
                self.replaced += 1
            sessions[asked] = None
            for forgotten in list(sessions)[: -limits.COPY_SESSIONS_KEPT]:
                del sessions[forgotten]
            return
        replaced_at = sessions[asked]
        if replaced_at is None or replaced_at >= then.event:
            return
        self.compared += 1
        if state == "running":
            self.complaints.append(
                f"{question.disk} goes on copying range {params['range']} in a session that another replaced"
            )


def _claims_of(question: Question) -> list[tuple[int, int]]:
    """(range, epoch) of all that a request claims."""
    params = question.params
    if "ranges" in params:
        return [(range_id, epoch) for range_id, epoch in params["ranges"]]
    return [(params["range"], params["epoch"])]


def _epoch(ranges: RangeMap | None, range_id: int) -> int:
    """The epoch of a range; 0 where there is none."""
    owner = None if ranges is None else ranges.get(range_id)
    return 0 if owner is None else owner.epoch
