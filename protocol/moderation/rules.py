"""Which rules of a policy apply to a record, once it is known what was found in it.

A rule's expression is true, false or *unknown*, for want of a signal (Kleene's logic, see `expressions`), and
what is unknown is never taken for false. That logic is monotone: an expression that is false while something
is unknown stays false whatever that turns out to be. Two things follow from it, and make a hundred rules
cost little more than one:

- A rule that is false when none of its hits is there, nothing is counted, and *all else is unknown* need not
  be looked at until one of its hits is there.
- Of the others, which stand at every record, dozens are one expression, joined by "or": when it is false,
  each of them is. Otherwise they are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from folkmoot.protocol.expressions import Activation, Expression, Language, Value
from folkmoot.protocol.moderation.bounds import RULES_JOINED
from folkmoot.protocol.moderation.policy import Degrade, PolicyDocument
from folkmoot.protocol.moderation.signals import COUNTS, HITS, SCORES, family, named_in, signal_name
from folkmoot.protocol.moderation.thresholds import resolved


class Outcome(NamedTuple):
    """A rule that applies, or of which that cannot be known.

    Args:
        rule: its number in the document.
        applies: whether it applies; None when that is unknown.
        found: what set it off: the numbers of lists and patterns, in the document's order.
        read: the signals it names, hits aside.
        missing: where it is unknown, those of them that are.
    """

    rule: int
    applies: bool | None
    found: tuple[int, ...] = ()
    read: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


_Named = tuple[str, int | None]
"""A signal by its name, and the number of the list or pattern if it is a hit."""


class _Compiled(NamedTuple):
    """The expression of a rule.

    Args:
        rule: the rule's number.
        hits: the hits it names: name and number of the list or pattern.
        counts: likewise what it has counted.
        signals: what else it names, counts among it.
    """

    rule: int
    expression: Expression
    hits: tuple[tuple[str, int], ...]
    counts: tuple[tuple[str, int], ...]
    signals: tuple[str, ...]


class _Standing(NamedTuple):
    """Expressions that are looked at for every record, as one."""

    joined: Expression
    rules: tuple[_Compiled, ...]


class Rules:
    """The rules of one policy, ready to apply.

    Args:
        document: a valid policy.

    Attributes:
        signals: all that expressions name but for hits.
        counted: of these, what is to be counted, each with the number of the list or pattern.
    """

    def __init__(self, document: PolicyDocument) -> None:
        self._document = document
        self._sorts = document.signals
        self._language = Language(self._sorts, "policies", divides=False)
        self._named: dict[int, tuple[int, ...]] = {}
        self._named_by: dict[int, list[int]] = {}
        self._awaiting: dict[int, list[_Compiled]] = {}
        numbers = {finder.id: number for number, finder in enumerate(document.finders)}
        found = {signal_name(each, id): number for id, number in numbers.items() for each in (HITS, COUNTS)}
        standing: list[_Compiled] = []
        for number, rule in enumerate(document.rules):
            if not isinstance(rule.when, str):
                self._named[number] = tuple(sorted({numbers[id] for id in rule.when}))
                for finder in self._named[number]:
                    self._named_by.setdefault(finder, []).append(number)
                continue
            compiled = self._compile(number, rule.when, found)
            if self._waits(compiled):
                for finder in dict.fromkeys(finder for _, finder in (*compiled.hits, *compiled.counts)):
                    self._awaiting.setdefault(finder, []).append(compiled)
            else:
                standing.append(compiled)
        self._standing = self._join(standing)
        self._always_named = _all_named(standing)
        self._always_read = frozenset(name for rule in standing for name in rule.signals)
        waiting = {name for rules in self._awaiting.values() for rule in rules for name in rule.signals}
        self.signals = self._always_read | waiting
        self.counted = {name: found[name] for name in self.signals if family(name) == COUNTS}

    def wanted(self, hits: Collection[int]) -> frozenset[str]:
        """The signals that `apply` will look at, given what was found; perhaps a few more.

        Args:
            hits: the numbers of the lists and patterns that were found.
        """
        awoken = {name for hit in hits for rule in self._awaiting.get(hit, ()) for name in rule.signals}
        return self._always_read | awoken if awoken else self._always_read

    def apply(self, hits: Collection[int], signals: Mapping[str, Value]) -> list[Outcome]:
        """The rules that apply and those that may, in the document's order.

        Args:
            hits: the numbers of the lists and patterns that were found.
            signals: of those `wanted`, those that are known.
        """
        named = {rule for hit in hits for rule in self._named_by.get(hit, ())}
        outcomes = [
            Outcome(rule, True, tuple(hit for hit in self._named[rule] if hit in hits)) for rule in named
        ]
        awoken = {rule.rule: rule for hit in hits for rule in self._awaiting.get(hit, ())}
        if awoken:
            bound = self._bind(_all_named(awoken.values()), hits, signals)
            outcomes += self._singly(awoken.values(), bound, hits, signals)
        if self._standing:
            bound = self._bind(self._always_named, hits, signals)
            for standing in self._standing:
                if standing.joined.truth(bound) is not False:
                    outcomes += self._singly(standing.rules, bound, hits, signals)
        return sorted(outcomes)

    def _compile(self, number: int, source: str, found: Mapping[str | None, int]) -> _Compiled:
        source, _asked = resolved(source)
        named = [name for name in named_in(source) if name in self._sorts]
        return _Compiled(
            number,
            self._language.compile(source),
            tuple((name, found[name]) for name in named if family(name) == HITS),
            tuple((name, found[name]) for name in named if family(name) == COUNTS),
            tuple(name for name in named if family(name) != HITS),
        )

    def _waits(self, compiled: _Compiled) -> bool:
        """Whether it is false as long as none of its hits is there, and nothing counted."""
        none: dict[str, Value] = {name: False for name, _ in compiled.hits}
        none |= {name: 0.0 for name, _ in compiled.counts}
        return bool(none) and compiled.expression.truth(self._language.bind(none)) is False

    def _join(self, standing: Sequence[_Compiled]) -> tuple[_Standing, ...]:
        """Those that ask a model stand apart, so that an unknown score has only them looked at singly."""
        asking = [rule for rule in standing if any(family(name) == SCORES for name in rule.signals)]
        others = [rule for rule in standing if rule not in asking]
        joined = []
        for rules in (others, asking):
            for start in range(0, len(rules), RULES_JOINED):
                some = tuple(rules[start : start + RULES_JOINED])
                sources = [resolved(str(self._document.rules[each.rule].when))[0] for each in some]
                joined.append(_Standing(self._language.any_of(sources), some))
        return tuple(joined)

    def _bind(
        self, named: Iterable[_Named], hits: Collection[int], signals: Mapping[str, Value]
    ) -> Activation:
        """What is named, as far as it is known; binding more than that takes longer than the rules do."""
        values: dict[str, Value] = {}
        for name, finder in named:
            if finder is not None:
                values[name] = finder in hits
            elif name in signals:
                values[name] = signals[name]
        return self._language.bind(values)

    def _singly(
        self,
        rules: Iterable[_Compiled],
        bound: Activation,
        hits: Collection[int],
        signals: Mapping[str, Value],
    ) -> Iterator[Outcome]:
        for rule in rules:
            applies = rule.expression.truth(bound)
            if applies is False:
                continue
            missing = tuple(name for name in rule.signals if name not in signals) if applies is None else ()
            degraded = {self._document.degraded(name) for name in missing}
            if degraded == {Degrade.IGNORE}:
                continue
            found = {finder for _name, finder in (*rule.hits, *rule.counts) if finder in hits}
            yield Outcome(rule.rule, applies, tuple(sorted(found)), rule.signals, missing)


def _all_named(rules: Collection[_Compiled]) -> tuple[_Named, ...]:
    """Everything that rules name, each once, in their order."""
    hits = (hit for rule in rules for hit in rule.hits)
    signals = ((name, None) for rule in rules for name in rule.signals)
    return tuple(dict.fromkeys((*hits, *signals)))
