"""What two policies say of the same posts, counted: what a new one would change, before it changes it.

Each post is judged by the policy in force (*before*) and by another (*after*). A rule *gains* a post that it
applies to and did not, and *loses* one that it applied to and does not. Precision is the share of the posts
that a rule applies to which people have since decided against, among those that they have decided about; its
interval is Clopper and Pearson's, since it must not promise too much. How evenly languages are treated is the
share of posts that something happens to, in one language over that in all others, with the interval of Donner
and Zou (see `statistics.proportions`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any, Final, NamedTuple

from folkmoot.protocol.moderation.bounds import PREVIEW_LANGUAGES, PREVIEW_RULES, PREVIEW_SAMPLES
from folkmoot.protocol.moderation.decision import Action as Decided
from folkmoot.protocol.moderation.outcome import Outcome
from folkmoot.protocol.moderation.policy import PolicyDocument
from folkmoot.protocol.moderation.statistics.proportions import Interval, Share, clopper_pearson, ratio
from folkmoot.protocol.moderation.verdict import Action, Finding

Sample = Mapping[str, Any]
"""A post that is shown to whoever asked."""

COMPARED_POSTS: Final = 30
"""In how many posts of one language, and of all others, shares are compared."""

_OTHER: Final = "other"
_DAY_US: Final = 86_400_000_000
_AGAINST: Final = frozenset((Decided.LABEL, Decided.WARN, Decided.LIMIT, Decided.REMOVE, Decided.REJECT))
_FOR: Final = frozenset((Decided.RESTORE, Decided.RELEASE))


class Seen(NamedTuple):
    """One post under both policies.

    Args:
        before, after: what their rules say.
        language: that it says it is in; empty where it says none.
        judged_us: when it was judged first, microseconds since 1970.
        upheld: whether people decided against it; None where none has, or it is not settled.
        sample: the post, for whoever asks; called where it is among the first of its sort.
    """

    before: Sequence[Finding]
    after: Sequence[Finding]
    language: str
    judged_us: int
    upheld: bool | None
    sample: Callable[[], Sample]


@dataclass(slots=True)
class RuleCount:
    """What became of one rule.

    Args:
        before, after: to how many posts it applies.
        gained, lost: to how many it newly applies, and no longer does.
        upheld, decided: of those it applies to after, against how many people decided, and about how many.
        outdone: to how many it applies after, while a stricter rule does as well.
        samples: the first that were gained and lost.
    """

    before: int = 0
    after: int = 0
    gained: int = 0
    lost: int = 0
    upheld: int = 0
    decided: int = 0
    outdone: int = 0
    samples: dict[str, list[Sample]] = field(default_factory=lambda: {"gained": [], "lost": []})


@dataclass(slots=True)
class LanguageCount:
    """Of how many posts in one language something happens to how many."""

    posts: int = 0
    before: int = 0
    after: int = 0


_COUNTED: Final = tuple(each.name for each in fields(RuleCount) if each.name != "samples")


class Comparison:
    """See the module.

    Args:
        before, after: the policies.

    Attributes:
        posts: how many were compared.
        gone: how many more were judged and are not there any more.
        left: how many were not compared, because it took too long.
        rules: by id, those that applied to something.
        actions: how many posts what happens to before and after, by both.
        languages: by tag.
        first_us, last_us: when the first and the last of the posts were judged.
        spent_s: the processor time that judging by each took, seconds.
    """

    def __init__(self, before: PolicyDocument, after: PolicyDocument) -> None:
        self.before = before
        self.after = after
        self.posts = 0
        self.gone = self.left = 0
        self.rules: dict[str, RuleCount] = {}
        self.actions: Counter[tuple[Action, Action]] = Counter()
        self.languages: dict[str, LanguageCount] = {}
        self.first_us = self.last_us = 0
        self.spent_s = {"before": 0.0, "after": 0.0}

    def add(self, seen: Seen) -> None:
        """Count one post more."""
        self.first_us = min(self.first_us, seen.judged_us) if self.posts else seen.judged_us
        self.last_us = max(self.last_us, seen.judged_us)
        self.posts += 1
        was, will = strictest(seen.before), strictest(seen.after)
        self.actions[was, will] += 1
        known = seen.language in self.languages or len(self.languages) < PREVIEW_LANGUAGES
        language = self.languages.setdefault(seen.language if known else _OTHER, LanguageCount())
        language.posts += 1
        language.before += was >= Action.LABEL
        language.after += will >= Action.LABEL
        if not seen.before and not seen.after:
            return
        old = {each.rule for each in seen.before}
        new = {each.rule: each.action for each in seen.after}
        for rule in old | new.keys():
            self._count(rule, rule in old, new.get(rule), will, seen)

    def _count(self, rule: str, was: bool, action: Action | None, strict: Action, seen: Seen) -> None:
        count, will = self.rules.setdefault(rule, RuleCount()), action is not None
        count.before += was
        count.after += will
        count.gained += will and not was
        count.lost += was and not will
        if action is not None:
            count.outdone += action < strict
            count.decided += seen.upheld is not None
            count.upheld += bool(seen.upheld)
        if was != will:
            samples = count.samples["gained" if will else "lost"]
            if len(samples) < PREVIEW_SAMPLES:
                samples.append(seen.sample())

    def happens(self, action: Action) -> tuple[int, int]:
        """To how many posts this happens, before and after."""
        pairs = self.actions.items()
        return (
            sum(count for (was, _), count in pairs if was is action),
            sum(count for (_, will), count in pairs if will is action),
        )

    def counts(self) -> list[Any]:
        """All that was counted, as plain values in a fixed order."""
        actions = sorted([was.word, will.word, count] for (was, will), count in self.actions.items())
        rules = sorted(
            [id, each.before, each.after, each.gained, each.lost] for id, each in self.rules.items()
        )
        return [self.posts, self.gone, actions, rules]

    def to_kept(self) -> dict[str, Any]:
        """What was counted, without the samples, as plain values that `from_kept` reads."""
        return {
            "posts": self.posts,
            "span": [self.first_us, self.last_us],
            "actions": [[was, will, count] for (was, will), count in sorted(self.actions.items())],
            "rules": {id: [getattr(count, name) for name in _COUNTED] for id, count in self.rules.items()},
            "languages": {tag: [each.posts, each.before, each.after] for tag, each in self.languages.items()},
            "spent_s": self.spent_s,
        }

    @classmethod
    def from_kept(cls, before: PolicyDocument, after: PolicyDocument, kept: Mapping[str, Any]) -> Comparison:
        """What was counted before, to count on."""
        comparison = cls(before, after)
        comparison.posts = kept["posts"]
        comparison.first_us, comparison.last_us = kept["span"]
        comparison.actions.update(
            {(Action(was), Action(will)): count for was, will, count in kept["actions"]}
        )
        comparison.rules = {id: RuleCount(*counts) for id, counts in kept["rules"].items()}
        comparison.languages = {tag: LanguageCount(*counts) for tag, counts in kept["languages"].items()}
        comparison.spent_s = dict(kept["spent_s"])
        return comparison

    def report(self) -> dict[str, Any]:
        """What was counted, for people."""
        days = (self.last_us - self.first_us) / _DAY_US
        held = self.happens(Action.HOLD)
        return {
            "posts": self.posts,
            "gone": self.gone,
            "left": self.left,
            "from_us": self.first_us,
            "to_us": self.last_us,
            "actions": [
                {"before": was.word, "after": will.word, "posts": count}
                for (was, will), count in sorted(self.actions.items())
            ],
            "queue": {
                "before": held[0],
                "after": held[1],
                # Less than an hour says nothing about a day.
                "before_per_day": held[0] / days if days >= 1 / 24 else None,
                "after_per_day": held[1] / days if days >= 1 / 24 else None,
            },
            "rules": self._rules(),
            "languages": self.disparities(),
            "spent_us_per_post": {
                name: round(1e6 * spent / max(1, self.posts), 1) for name, spent in self.spent_s.items()
            },
        }

    def _rules(self) -> list[dict[str, Any]]:
        """Those that differ most first; those that applied to nothing are among them."""
        actions = {
            rule.id: rule.then.word for document in (self.before, self.after) for rule in document.rules
        }
        told: list[dict[str, Any]] = []
        for id in dict.fromkeys((*actions, *self.rules)):
            count = self.rules.get(id) or RuleCount()
            share = Share(count.upheld, count.decided)
            told.append(
                {
                    "rule": id,
                    "action": actions.get(id, Action.HOLD.word),
                    "before": count.before,
                    "after": count.after,
                    "gained": count.gained,
                    "lost": count.lost,
                    "decided": count.decided,
                    "upheld": count.upheld,
                    "precision": _plain(clopper_pearson(share)) if count.decided else None,
                    "samples": count.samples,
                }
            )
        told.sort(key=lambda each: -(each["gained"] + each["lost"]))
        return told[:PREVIEW_RULES]

    def disparities(self) -> list[dict[str, Any]]:
        """How much more happens to posts in each language than to all others, where both are enough."""
        told = []
        for language, own in sorted(self.languages.items(), key=lambda each: (-each[1].posts, each[0])):
            others = self.posts - own.posts
            if min(own.posts, others) < COMPARED_POSTS:
                continue
            line: dict[str, Any] = {"language": language, "posts": own.posts}
            for name, flagged in (("before", own.before), ("after", own.after)):
                rest = sum(getattr(each, name) for each in self.languages.values()) - flagged
                share, other = Share(flagged, own.posts), Share(rest, others)
                line[name] = {
                    "flagged": flagged,
                    "ratio": share.value / other.value if other.hits else None,
                    "interval": _plain(ratio(share, other)),
                }
            told.append(line)
        return told


def strictest(findings: Sequence[Finding]) -> Action:
    """What happens to a record of which rules say this."""
    return max((each.action for each in findings), default=Action.ACCEPT)


def upheld(outcome: Outcome, version: bytes) -> bool | None:
    """Whether people decided against a version (a record id) of a post, or against the post.

    Returns:
        None when none of them has, or what they decided is not settled.
    """
    about = {None if not each.action.is_of_version else each.version: each for each in outcome.settled()}
    decided = about.get(version) or about.get(None)
    if decided is None or decided.action not in _AGAINST | _FOR:
        return None
    return decided.action in _AGAINST


def _plain(interval: Interval) -> list[float | None]:
    return [round(bound, 4) if isfinite(bound) else None for bound in interval]
