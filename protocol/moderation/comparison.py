"""What one policy does that another did not: which of its rules send records back where none did."""

from __future__ import annotations

from folkmoot.protocol.moderation.policy import PolicyDocument, Rule
from folkmoot.protocol.moderation.verdict import Action


def added_refusals(before: PolicyDocument, after: PolicyDocument) -> list[str]:
    """The ids of rules that refuse, and that `before` has not, or not with the same lists and patterns.

    A rule that only moved, or refuses what it refused before, is none of them. An expression may look at
    anything that its document has, so it says the same only where all of that is the same.
    """
    known = [_meaning(before, rule) for rule in before.rules if rule.then >= Action.REFUSE]
    return [
        rule.id for rule in after.rules if rule.then >= Action.REFUSE and _meaning(after, rule) not in known
    ]


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
