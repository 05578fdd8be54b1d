"""The outcome: what follows from all decisions about one subject, the same in whatever order they came.

Decisions are taken from the newest to the oldest, by their marks, and each is first *reversed* or *in force*:

- A decision that is in force reverses those that it names, if its role is at least theirs. It names what its
  decider had seen and meant to replace, as the signed clock of an edit names what its author had seen; so
  who decides at the same time as somebody else reverses nothing by accident.
- Of one decider, the newest decision about a thing takes the place of all earlier ones about it, and does so
  even once it is reversed itself: what somebody changed their mind about does not come back.

Of those in force the one of the greatest role prevails; of equals the strictest, and of equally strict ones
the newest. So no policy overrules a person, no moderator an expert, and when two moderators disagree without
knowing of each other the stricter one stands, *disputed*, until either reverses the other.

Two things are decided separately: what becomes of a post, whatever is written into it (restored, labelled,
behind a warning, limited, removed), and what becomes of one version (released, held, rejected).

A decision is *settled* when a person made it, it prevails, and nobody disputes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from folkmoot.protocol.moderation.decision import Action, Decision, Role


class Visibility(IntEnum):
    """How far a post is to be seen; of two a greater one is stricter."""

    SHOWN = 0
    WARNED = 1
    LIMITED = 2
    HELD = 3
    REMOVED = 4

    @property
    def word(self) -> str:
        """How the wire spells it."""
        return self.name.lower()


_OF_POST: Final = {
    Action.WARN: Visibility.WARNED,
    Action.LIMIT: Visibility.LIMITED,
    Action.REMOVE: Visibility.REMOVED,
}
_OF_VERSION: Final = {Action.HOLD: Visibility.HELD, Action.REJECT: Visibility.REMOVED}

_Thing = bytes | None  # a version; None for the post, whatever is written into it


@dataclass(frozen=True, slots=True)
class Outcome:
    """See the module.

    Args:
        post: what prevails for the post; None when nothing was decided.
        versions: what prevails for single versions, by their record ids.
        in_force: what is not reversed, the newest first.
        disputed: the marks of what prevails although somebody of the same role decided otherwise.
    """

    post: Decision | None
    versions: Mapping[bytes, Decision]
    in_force: Sequence[Decision]
    disputed: frozenset[bytes]

    def visibility(self, version: bytes) -> Visibility:
        """How far the post is to be seen while this version (a record id) is the one that is shown.

        That a policy holds a version back hides no version that another node's policy had let in: anybody may
        bring any record to any node.
        """
        of_post = Visibility.SHOWN if self.post is None else _OF_POST.get(self.post.action, Visibility.SHOWN)
        found = self.versions.get(version)
        if found is None or found.is_automatic:
            return of_post
        return max(of_post, _OF_VERSION.get(found.action, Visibility.SHOWN))

    def hides(self, version: bytes) -> bool:
        """Whether a version (a record id) is shown to nobody but its author and those who may decide."""
        return self.visibility(version) >= Visibility.HELD

    def awaits(self, version: bytes) -> bool:
        """Whether a version that is held back (a record id) still waits for a person to decide about it."""
        removed = self.post is not None and self.post.action is Action.REMOVE
        found = self.versions.get(version)
        let_go = found is not None and found.action is Action.RELEASE
        undecided = found is None or found.is_automatic or found.action is Action.HOLD
        return undecided and not removed and not let_go

    def released(self, version: bytes) -> bool:
        """Whether a version (a record id) was let go."""
        found = self.versions.get(version)
        return found is not None and found.action is Action.RELEASE

    def keeps_back(self, version: bytes) -> bool:
        """Whether a person holds back, or has rejected, a version (a record id)."""
        found = self.versions.get(version)
        return found is not None and not found.is_automatic and found.action in _OF_VERSION

    def applied(self, version: bytes) -> list[Decision]:
        """The decisions that a page applies while this version (a record id) is shown. They have the same
        visibility by themselves."""
        applied = [] if self.post is None or self.post.action is Action.RESTORE else [self.post]
        if self.keeps_back(version):
            applied.append(self.versions[version])
        return applied

    def settled(self) -> list[Decision]:
        """The decisions that are settled, the newest first."""
        prevailing = {each.mark for each in (self.post, *self.versions.values()) if each is not None}
        return [
            each
            for each in self.in_force
            if not each.is_automatic and each.mark in prevailing and each.mark not in self.disputed
        ]


NOTHING: Final = Outcome(None, {}, (), frozenset())
"""Of what nobody decided about."""


def outcome_of(decisions: Iterable[Decision]) -> Outcome:
    """What follows from decisions about one subject.

    Args:
        decisions: all that are known, each once, in any order.
    """
    in_force = _in_force(decisions)
    if not in_force:
        return NOTHING
    things: dict[_Thing, list[Decision]] = {}
    for each in in_force:
        things.setdefault(each.thing, []).append(each)
    prevailing = {thing: max(some, key=_weight) for thing, some in things.items()}
    disputed = frozenset(
        decision.mark
        for thing, decision in prevailing.items()
        if any(each.role == decision.role and _differs(each, decision) for each in things[thing])
    )
    versions = {thing: each for thing, each in prevailing.items() if thing is not None}
    return Outcome(prevailing.get(None), versions, in_force, disputed)


def _in_force(decisions: Iterable[Decision]) -> list[Decision]:
    undone: dict[bytes, Role] = {}  # by mark, the greatest role in which it was reversed
    spoken: set[tuple[bytes, _Thing]] = set()  # deciders who said something newer about a thing
    in_force: list[Decision] = []
    for each in sorted(decisions, key=lambda decision: (decision.mark, decision.role), reverse=True):
        before = (each.decider, each.thing)
        if before in spoken:
            continue
        spoken.add(before)
        if undone.get(each.mark, -1) >= each.role:
            continue
        in_force.append(each)
        for mark in each.reverses:
            undone[mark] = max(each.role, undone.get(mark, each.role))
    return in_force


def _weight(decision: Decision) -> tuple[Role, Action, bytes]:
    return decision.role, decision.action, decision.mark


def _differs(one: Decision, other: Decision) -> bool:
    return (one.action, set(one.labels)) != (other.action, set(other.labels))
