"""The audit: whether moderation treats groups alike, in what it flags, how often wrongly, and how fast.

Each group is compared with everybody who is not in it, under each rule and under all together, by four
measures. Ratios have intervals of 95 % (see `statistics`), and all that is compared in one audit is corrected
together for how many comparisons there are, by Benjamini and Hochberg. The *alarm* is up where a ratio is
over 1.25 with its whole interval, and differs from 1 at a false discovery rate of 5 %.

More flags are no proof of unfairness: a group may write more of what rules forbid. Wrong flags are, as far as
the blind sample says what is wrong; so the false positives among what is fine are the measure that counts,
and the others tell where to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import Final

from folkmoot.protocol.moderation.bounds import AUDIT_GROUPS
from folkmoot.protocol.moderation.fairness.tally import ANY_RULE, EVERYBODY, OTHERS, Tally
from folkmoot.protocol.moderation.statistics.durations import median, ratio_of_medians, wait_p
from folkmoot.protocol.moderation.statistics.proportions import (
    Interval,
    Share,
    benjamini_hochberg,
    difference_p,
    newcombe,
    ratio,
    wilson,
)
from folkmoot.protocol.moderation.statistics.weighted import effective

RATIO_ALARM: Final = 1.25
"""How much more often than others' a group's posts may be treated in some way before the alarm is up."""

FALSE_SHARE: Final = 0.05
"""The share of alarms that may be false (Benjamini and Hochberg)."""

GROUP_MIN: Final = 20
"""Of fewer, in a group or beside it, nothing is said."""


class Measure(StrEnum):
    """What is compared; more of it is worse."""

    FLAG_RATE = "flag rate"
    FALSE_POSITIVES = "false positives"
    OVERTURNED = "overturned"
    WAIT = "time to decision"


@dataclass(frozen=True, slots=True)
class Compared:
    """One group by one measure, against the rest.

    Args:
        measure: which.
        rule: under which rule; `ANY_RULE` for all together.
        group: which.
        of: how many are in the group by this measure.
        value: the group's: a share, or seconds.
        interval: of it.
        rest: what it is for the rest.
        ratio_interval: of that.
        difference: the interval of the one less the other, of shares; None for times.
        p: how likely a difference so great is where there is none.
        q: the same, corrected for how many comparisons there are.
    """

    measure: Measure
    rule: str
    group: str
    of: int
    value: float
    interval: Interval
    rest: float
    ratio_interval: Interval
    difference: Interval | None
    p: float
    q: float = 1.0

    @property
    def ratio(self) -> float:
        """The group's value over the rest's; 1 where both are 0."""
        if self.value == self.rest:
            return 1.0
        return self.value / self.rest if self.rest else inf

    @property
    def alarm(self) -> bool:
        """See the module."""
        return self.ratio_interval.low > RATIO_ALARM and self.q <= FALSE_SHARE


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Args:
        compared: everything of which enough was counted; by measure, rule and group.
        too_few: the groups of which, or beside which, too little was counted by every measure.
        left_out: the groups that are not compared although enough was counted, since as many larger ones are
            as an audit compares.
        blurred: whether something was counted of groups that were not told apart, so that any group may lack
            some of what is its own.
    """

    compared: Sequence[Compared]
    too_few: Sequence[str]
    left_out: Sequence[str] = ()
    blurred: bool = False

    @property
    def says_all(self) -> bool:
        """Whether no group was kept from comparison but those of which there is too little."""
        return not self.left_out and not self.blurred

    @property
    def alarms(self) -> list[Compared]:
        """Those whose alarm is up, the worst first."""
        return sorted(
            (each for each in self.compared if each.alarm), key=lambda each: -each.ratio_interval.low
        )


def audit(tally: Tally, measures: Sequence[Measure] = tuple(Measure)) -> Audit:
    """Compare every group with the rest; of more than 192 the largest.

    Authors choose some of what they are grouped by, as languages; so how many comparisons the others are
    corrected for is bounded, and who does not come to be compared is named.

    Args:
        measures: by which.
    """
    groups = [group for group in tally.groups if group != OTHERS]
    few = [group for group in groups if not any(_enough(tally, measure, group) for measure in measures)]
    by_size = sorted({*groups} - {*few}, key=lambda group: (-tally.size(group), group))
    kept, left_out = sorted(by_size[:AUDIT_GROUPS]), sorted(by_size[AUDIT_GROUPS:])
    # Where there is one rule only, it and all together are the same.
    rules = tally.rules if len(tally.rules) > 2 else [ANY_RULE]
    found = [
        each
        for measure in measures
        for rule in rules
        for group in kept
        if (each := _compared(tally, measure, rule, group)) is not None
    ]
    corrected = benjamini_hochberg([each.p for each in found])
    compared = [replace(each, q=q) for each, q in zip(found, corrected, strict=True)]
    return Audit(compared, few, left_out, OTHERS in tally.groups)


def _enough(tally: Tally, measure: Measure, group: str) -> bool:
    """Whether anything can be said of a group by a measure."""
    if measure is Measure.WAIT:
        return min(tally.of(group).waits.count, tally.rest(group).waits.count) >= GROUP_MIN
    return all(_counted(tally, measure, ANY_RULE, group, rest=rest) is not None for rest in (False, True))


def _compared(tally: Tally, measure: Measure, rule: str, group: str) -> Compared | None:
    """None where too little was counted, or nothing happened to anybody."""
    if measure is Measure.WAIT:
        return _waits(tally, rule, group)
    one, other = (_counted(tally, measure, rule, group, rest=rest) for rest in (False, True))
    if one is None or other is None or not one[1].hits + other[1].hits:
        return None
    (count, share), (_, rest) = one, other
    return Compared(
        measure,
        rule,
        group,
        count,
        share.value,
        wilson(share),
        rest.value,
        ratio(share, rest),
        newcombe(share, rest),
        difference_p(share, rest),
    )


def _counted(
    tally: Tally, measure: Measure, rule: str, group: str, *, rest: bool
) -> tuple[int, Share] | None:
    """How many were looked at, and the share; None when there are too few."""
    find = tally.rest if rest else tally.of
    under, whole = find(group, rule), find(group, ANY_RULE)
    match measure:
        case Measure.OVERTURNED:
            count, share = under.decided, Share(under.overturned, under.decided)
        case Measure.FALSE_POSITIVES:
            count, share = whole.fine.members, effective(under.fine_flagged, whole.fine)
        case _ if tally.of(EVERYBODY).posts:
            count, share = whole.posts, Share(under.flagged, whole.posts)
        case _:
            count, share = whole.sampled.members, effective(under.sampled_flagged, whole.sampled)
    return (count, share) if count >= GROUP_MIN else None


def _waits(tally: Tally, rule: str, group: str) -> Compared | None:
    one, other = tally.of(group, rule).waits, tally.rest(group, rule).waits
    if min(one.count, other.count) < GROUP_MIN or not (one.ended or other.ended):
        return None
    mine, theirs = median(one), median(other)
    return Compared(
        Measure.WAIT,
        rule,
        group,
        one.count,
        mine.value,
        mine.interval,
        theirs.value,
        ratio_of_medians(mine, theirs),
        None,
        wait_p(one, other),
    )
