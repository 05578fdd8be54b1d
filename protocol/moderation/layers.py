"""Layers of a policy: what a document may do to those it stands on, which is to tighten them.

A wider layer is a promise: what it holds or refuses, every narrower one holds or refuses as well. So a
narrower document may add lists, patterns, models and rules, give a list more words, and have a rule act in
more cases or more strictly; it may not take anything back, unless the rule in question is *overridable*.
Whether an expression was tightened cannot be told from looking at it; whoever wants it otherwise writes
another rule beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from folkmoot.protocol.moderation.policy import Degrade, PolicyDocument, Rule, WordList
from folkmoot.protocol.moderation.signals import COUNTS, HITS, family, named_in, signal_name
from folkmoot.protocol.moderation.thresholds import resolved
from folkmoot.protocol.moderation.verdict import Action

_TIGHTEN: Final = "a narrower layer may only tighten"

# With none of these a hit more never makes an expression false: comparisons are of numbers only.
_MAY_TURN: Final = re.compile(r"[!?]|==|\bin\b")

# Whether a count is so great, or greater, by itself: a hit more never makes that false.
_SO_MANY: Final = re.compile(r"(?:^|(?<=[(&|]))\s*counts\s*\.\s*[a-z][a-z0-9_]*\s*>=?\s*[\d.]+\s*(?=$|[)&|])")


def loosened_list(old: WordList, new: WordList, rules: Iterable[Rule]) -> Iterator[tuple[str, str]]:
    """How a list takes back something of the one of its name below, by key.

    Args:
        rules: those below.
    """
    if new.severity < old.severity:
        yield "severity", f"severity {new.severity}; below it is {old.severity}, and {_TIGHTEN}"
    if new.category != old.category:
        yield "category", f"category {new.category}; below it is {old.category}, and it stays that"
    if new.whole_words and not old.whole_words:
        yield "match", f"match is 'word' and below it is 'anywhere'; {_TIGHTEN}"
    names = {signal_name(HITS, old.id), signal_name(COUNTS, old.id)}
    for rule in rules:
        if rule.overridable or not isinstance(rule.when, str) or names.isdisjoint(named_in(rule.when)):
            continue
        if _MAY_TURN.search(rule.when) or _counted_otherwise(rule.when, signal_name(COUNTS, old.id)):
            yield "words", f"more words could make rule {rule.id} below apply less; {_TIGHTEN}"


def _counted_otherwise(when: str, name: str | None) -> bool:
    """Whether an expression asks for a count in any other way than whether it is so great, or greater."""
    others = _SO_MANY.sub("", when)
    return name is not None and name in named_in(others)


def loosened_rule(old: Rule, new: Rule) -> Iterator[tuple[str, str]]:
    """How a rule takes back something of the one of its name below, by key."""
    if new.then < old.then:
        yield "then", f"then is {new.then.word!r} and below it is {old.then.word!r}; {_TIGHTEN}"
    if isinstance(old.when, str) or isinstance(new.when, str):
        if new.when != old.when:
            yield "when", "this is not what the rule below says; leave it out, or write a rule of another id"
    elif not set(old.when) <= set(new.when):
        missing = ", ".join(name for name in old.when if name not in new.when)
        yield "when", f"when lacks {missing}, which below is enough; {_TIGHTEN}"
    if old.label is not None and new.label != old.label and new.then is not Action.REFUSE:
        yield "label", f"label is not {old.label!r}, which it is below"
    if (new.severity or 0) < (old.severity or 0):
        yield "severity", f"severity {new.severity}; below it is {old.severity}, and {_TIGHTEN}"
    if new.expires is not None and (old.expires is None or new.expires < old.expires):
        until = "it never does" if old.expires is None else old.expires.iso
        yield "expires", f"expires {new.expires.iso}, and below {until}; {_TIGHTEN}"
    if new.overridable:
        yield "overridable", "overridable, and below it is not"


def loosened_degrade(below: PolicyDocument, name: str, said: Degrade) -> Iterator[str]:
    """How what is said about an unknown signal takes something back.

    Args:
        name: of the signal, or of its family.
        said: about it.
    """
    if said is Degrade.REVIEW:
        return
    for rule in below.rules:
        if isinstance(rule.when, str) and not rule.overridable:
            named = named_in(resolved(rule.when)[0])
            signals = [signal for signal in named if name in (signal, family(signal))]
            if any(below.degraded(signal) is Degrade.REVIEW for signal in signals):
                yield f"rule {rule.id} below goes to review for want of {signals[0]}; {_TIGHTEN}"
