"""What one policy does that another did not: which of its rules send records back where none did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from folkmoot.protocol.moderation.policy import PolicyDocument, Regional, Rule
from folkmoot.protocol.moderation.verdict import Action

_Change = tuple[PolicyDocument | None, PolicyDocument]
"""What is in force in a region, and what is to be."""


def added_refusals(before: PolicyDocument, after: PolicyDocument) -> list[str]:
    """The ids of rules that refuse, and that `before` has not, or not with the same lists and patterns.

    A rule that only moved, or refuses what it refused before, is none of them. An expression may look at
    anything that its document has, so it says the same only where all of that is the same.
    """
    known = [_meaning(before, rule) for rule in before.rules if rule.then >= Action.REFUSE]
    return [
        rule.id for rule in after.rules if rule.then >= Action.REFUSE and _meaning(after, rule) not in known
    ]


def added_anywhere(before: Regional, after: Regional) -> list[str]:
    """The same in all regions together, those without a layer of their own among them; each id once."""
    pairs = [(before.everywhere, after.everywhere)]
    pairs += [(before.within(each), after.within(each)) for each in (*before.regions, *after.regions)]
    return list(dict.fromkeys(rule for old, new in pairs for rule in added_refusals(old, new)))


def changed_elsewhere(
    before: Regional | None, after: Regional, here: str, regions: Iterable[str]
) -> list[list[str]]:
    """The regions where something else changes than here, those together where the same changes.

    Args:
        before, after: the policy in force, None for each node's own file, and the one that is tried.
        here: one region.
        regions: all there are.
    """

    def change(region: str) -> _Change:
        return None if before is None else before.within(region), after.within(region)

    found: list[tuple[_Change, list[str]]] = []
    for region in sorted(regions):
        this = change(region)
        if _alike(this, change(here)) or _same(*this):
            continue
        alike = next((names for other, names in found if _alike(this, other)), None)
        if alike is None:
            found.append((this, [region]))
        else:
            alike.append(region)
    return [names for _, names in found]


def _alike(one: _Change, other: _Change) -> bool:
    return _same(one[0], other[0]) and _same(one[1], other[1])


def _same(one: PolicyDocument | None, other: PolicyDocument | None) -> bool:
    """Whether two policies say the same, whatever they are made of."""
    if one is None or other is None:
        return one is other
    return one is other or replace(one, hash=other.hash, layers=other.layers) == other


def changed_rules(before: PolicyDocument, after: PolicyDocument) -> frozenset[str]:
    """The ids of the rules of `after` that `before` has not, or has with another meaning or action."""
    known = {rule.id: (rule.then, _meaning(before, rule)) for rule in before.rules}
    return frozenset(
        rule.id for rule in after.rules if known.get(rule.id) != (rule.then, _meaning(after, rule))
    )


def _meaning(document: PolicyDocument, rule: Rule) -> tuple[object, ...]:
    """When a rule applies: its condition, with all that its condition names, and until when."""
    if isinstance(rule.when, str):
        return rule.when, rule.expires, document.finders, document.models
    named = tuple(finder for finder in document.finders if finder.id in rule.when)
    return rule.when, rule.expires, named
