"""Lapses: for how long accounts did not have a role that they had before, and which decisions that voids.

A node that has not heard of a dismissal goes on taking in what the dismissed account decides. So once it is
known, decisions in that role are *passed over*, wherever they were let in, if they are dated from a little
before the dismissal on until the role was given again. They are dated by whoever signs them; but no node lets
in one that is dated more than `DECISION_BEHIND_MS` before its own clock. So what was let in after the
dismissal is dated no earlier than that, give or take what the clocks of nodes differ by. What was decided
rightly in those minutes goes with it, and is to be decided again.

What follows is the same on every node that knows of the same lapses, whatever came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from folkmoot.protocol import codec
from folkmoot.protocol.community import bounds
from folkmoot.protocol.community.value import Lapse, Role
from folkmoot.protocol.moderation.bounds import DECISION_BEHIND_MS, DECISION_CLOCKS_MS
from folkmoot.protocol.moderation.decision import Decision

VOID_BEFORE_MS: Final = DECISION_BEHIND_MS + DECISION_CLOCKS_MS
"""For how long before a dismissal decisions are passed over as well."""

_US_PER_MS: Final = 1_000


class Lapses:
    """See the module; what is asked of some lapses.

    Args:
        lapses: those that are known.
    """

    __slots__ = ("_of",)

    def __init__(self, lapses: Iterable[Lapse] = ()) -> None:
        self._of: dict[tuple[bytes, str], list[Lapse]] = {}
        for each in lapses:
            self._of.setdefault((each.account, each.role), []).append(each)

    def __bool__(self) -> bool:
        return bool(self._of)

    def pass_over(self, decision: Decision) -> bool:
        """Whether a decision is one that its decider had no right to, or may be."""
        at_ms = decision.number // _US_PER_MS
        return any(
            each.from_ms - VOID_BEFORE_MS <= at_ms and (each.until_ms is None or at_ms < each.until_ms)
            for each in self._of.get((decision.decider, decision.role.word), ())
        )

    def counted(self, decisions: Iterable[Decision]) -> Iterable[Decision]:
        """Those that are not passed over."""
        return [each for each in decisions if not self.pass_over(each)] if self._of else decisions


NONE: Final = Lapses()


def lost(present: Sequence[Lapse], account: bytes, role: Role, now_ms: int) -> tuple[Lapse, ...]:
    """With a lapse more; of more than there is room for, those of the same role go first that ended or began
    longest ago."""
    alike = [each for each in present if each.role == role]
    spare = len(alike) + 1 - bounds.COMMUNITY_LAPSES
    ordered = sorted(alike, key=lambda each: (each.until_ms is None, each.until_ms or each.from_ms))
    gone = ordered[: max(0, spare)]
    return (*(each for each in present if each not in gone), Lapse(account, role, now_ms))


def regained(present: Sequence[Lapse], account: bytes, role: Role, now_ms: int) -> tuple[Lapse, ...]:
    """With the lapse of an account's role ended, where there is one."""
    return tuple(
        msgspec.structs.replace(each, until_ms=max(now_ms, each.from_ms))
        if (each.account, each.role, each.until_ms) == (account, role, None)
        else each
        for each in present
    )


def encode(lapses: Sequence[Lapse]) -> bytes:
    """Lapses as a store keeps them."""
    return codec.pack(msgspec.to_builtins(lapses, builtin_types=(bytes,)))


def decode(data: bytes) -> Lapses:
    """The inverse of `encode`.

    Raises:
        WireError: `bad_request`.
    """
    return Lapses(codec.shaped(codec.unpack(data), tuple[Lapse, ...], "what is known of lost roles"))
