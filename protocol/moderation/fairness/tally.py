"""What is counted of posts to see whether moderation treats groups alike; it adds up, wherever it was
counted.

A group is whatever posts can be told apart by: the language they say they are in, the region of the node that
judged them, a declared set of words. A post may be in several groups or in none. So what a group is compared
with, *the rest*, is everybody less the group, which all that is counted here allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from folkmoot.protocol.moderation.statistics.durations import Waits
from folkmoot.protocol.moderation.statistics.weighted import NONE, Weights

EVERYBODY: Final = ""
"""The group that everything is in."""

ANY_RULE: Final = ""
"""Whatever rule it was; and what has nothing to do with rules, as how many posts there are."""

OTHERS: Final = "*"
"""What groups are counted as for which a message has no room; any group may lack these, and none is called
so."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is counted of one group under one rule.

    Args:
        posts: how many there are, flagged or not; under `ANY_RULE` alone.
        flagged: how many of them a gate labelled or held back.
        decided: of these, how many a person has decided about, undisputed.
        overturned: of these, how many the person let go or restored.
        waits: how long what was held back waited for a person.
        sampled: posts drawn for a blind review and answered; under `ANY_RULE` alone.
        sampled_flagged: those that a gate had labelled or held back.
        fine: those with which nothing is wrong; under `ANY_RULE` alone.
        fine_flagged: those that a gate had labelled or held back although nothing is wrong with them.
    """

    posts: int = 0
    flagged: int = 0
    decided: int = 0
    overturned: int = 0
    waits: Waits = field(default_factory=Waits)
    sampled: Weights = NONE
    sampled_flagged: Weights = NONE
    fine: Weights = NONE
    fine_flagged: Weights = NONE

    def plus(self, other: Numbers) -> Numbers:
        """Both together."""
        counts = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        return Numbers(**counts, **{name: getattr(self, name).plus(getattr(other, name)) for name in _SUMS})

    def minus(self, part: Numbers) -> Numbers:
        """What is not in a part of it; whatever the part says, never more of something than there can be."""
        counts = {name: max(0, getattr(self, name) - getattr(part, name)) for name in _COUNTS}
        if self.posts:  # which are counted neither under a rule nor by region
            counts["flagged"] = min(counts["flagged"], counts["posts"])
        counts["overturned"] = min(counts["overturned"], counts["decided"])
        return Numbers(**counts, **{name: getattr(self, name).minus(getattr(part, name)) for name in _SUMS})

    def to_wire(self) -> dict[str, Any]:
        """As messages carry it; what is nought is left out."""
        told = {name: getattr(self, name) for name in _COUNTS}
        told |= {name: list(getattr(self, name)) for name in _WEIGHTS if getattr(self, name).members}
        told |= {"ended": _pairs(self.waits.ended), "lasting": _pairs(self.waits.lasting)}
        return {name: value for name, value in told.items() if value}

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Numbers:
        """Read back what `to_wire` gives; what has another form is the caller's to refuse."""
        numbers: dict[str, Any] = {name: told[name] for name in _COUNTS if name in told}
        numbers |= {name: Weights(*told[name]) for name in _WEIGHTS if name in told}
        waits = Waits(dict(told.get("ended", ())), dict(told.get("lasting", ())))
        return cls(waits=waits, **numbers)


_COUNTS: Final = ("posts", "flagged", "decided", "overturned")
_WEIGHTS: Final = ("sampled", "sampled_flagged", "fine", "fine_flagged")
_SUMS: Final = ("waits", *_WEIGHTS)
_NOTHING: Final = Numbers()


class Tally:
    """Numbers by group and rule."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], Numbers] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def groups(self) -> list[str]:
        """All but everybody, in order."""
        return sorted({group for group, _ in self._numbers} - {EVERYBODY})

    @property
    def rules(self) -> list[str]:
        """All, that of no rule first."""
        return sorted({rule for _, rule in self._numbers})

    def of(self, group: str, rule: str = ANY_RULE) -> Numbers:
        """What was counted of a group under a rule."""
        return self._numbers.get((group, rule), _NOTHING)

    def rest(self, group: str, rule: str = ANY_RULE) -> Numbers:
        """What was counted of everybody that is not in a group."""
        return self.of(EVERYBODY, rule).minus(self.of(group, rule))

    def count(self, groups: Iterable[str], rules: Iterable[str], numbers: Numbers) -> None:
        """Count something of everybody, and of the groups that it is in.

        Args:
            rules: under which; `ANY_RULE` has to be among them if it counts there.
        """
        rules = list(rules)
        for group in {EVERYBODY, *groups}:
            for rule in rules:
                self._add(group, rule, numbers)

    def add(self, other: Tally) -> None:
        """Add what was counted elsewhere."""
        for (group, rule), numbers in other._numbers.items():
            self._add(group, rule, numbers)

    def size(self, group: str) -> int:
        """How much was counted of a group: posts, and answers to the blind sample."""
        numbers = self.of(group)
        return numbers.posts + numbers.sampled.members

    def fitted(self, most: int) -> Tally:
        """The same in at most so many numbers: where there are more, the smallest groups are counted as one.

        Those of everybody stay, however many there are.
        """
        if len(self) <= most:
            return self
        rules = Counter(group for group, _ in self._numbers)
        room, kept = most - 2 * rules[EVERYBODY], {EVERYBODY}  # what is counted as one has no more rules
        for group in sorted({*self.groups} - {OTHERS}, key=lambda group: (-self.size(group), group)):
            room -= rules[group]
            if room < 0:
                break
            kept.add(group)
        fitted = Tally()
        for (group, rule), numbers in self._numbers.items():
            fitted._add(group if group in kept else OTHERS, rule, numbers)
        return fitted

    def to_wire(self) -> list[list[Any]]:
        """As messages carry it: `[group, rule, numbers]` each."""
        return [
            [group, rule, each.to_wire()] for (group, rule), each in sorted(self._numbers.items(), key=_name)
        ]

    @classmethod
    def from_wire(cls, rows: Iterable[Sequence[Any]]) -> Tally:
        """Read back what `to_wire` gives."""
        tally = cls()
        for group, rule, numbers in rows:
            tally._add(group, rule, Numbers.from_wire(numbers))
        return tally

    def _add(self, group: str, rule: str, numbers: Numbers) -> None:
        known = self._numbers.get((group, rule))
        self._numbers[group, rule] = numbers if known is None else known.plus(numbers)


def _name(entry: tuple[tuple[str, str], Numbers]) -> tuple[str, str]:
    return entry[0]


def _pairs(steps: Mapping[int, int]) -> list[tuple[int, int]]:
    return sorted(steps.items())
