"""What a preview finds against a policy, and whether that keeps it from being activated.

An objection that *blocks* is activated over only with a reason, given for its name. Further checks are
further functions in `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Final

from folkmoot.protocol.limits import LABEL_VALUE_BYTES
from folkmoot.protocol.moderation.bounds import PREVIEW_FINDING_CODE_POINTS, PREVIEW_FINDINGS, PREVIEW_S
from folkmoot.protocol.moderation.comparison import changed_rules
from folkmoot.protocol.moderation.fairness.findings import UNFAIR, worsened
from folkmoot.protocol.moderation.policy import Rule
from folkmoot.protocol.moderation.replay import Comparison, RuleCount
from folkmoot.protocol.moderation.statistics.proportions import Share, wilson
from folkmoot.protocol.moderation.verdict import Action
from msgspec import Meta, Struct

MATCHES_EVERYTHING: Final = "matches_everything"
NEVER_MATCHES: Final = "never_matches"
CONTRADICTS: Final = "contradicts"
COSTS_TOO_MUCH: Final = "costs_too_much"
FAILS: Final = "fails"
UNPROVEN: Final = "unproven"
NO_POSTS: Final = "no_posts"
UNSEEN_REGION: Final = "unseen_region"
NO_SUCH_REGION: Final = "no_such_region"

EVERYTHING: Final = 0.95
"""The share of posts from which on a rule is said to match everything."""
ENOUGH_POSTS: Final = 20
"""Of how many posts something is said about all."""
MANY_POSTS: Final = 1_000
"""Of so many it says something that a rule matched none: at most 3 of 1,000 do, with 95 % confidence."""
COST_S: Final = 0.001
"""Of processor time that a post may take at a gate that is to judge 1,000 a second."""

_UNJUDGED: Final = "unjudged"


class Objection(Struct, frozen=True):
    """Something that a preview found.

    Args:
        name: of its sort, by which it is acknowledged.
        what: a sentence for people.
        blocks: whether the policy is not activated without a reason.
        rule: the id of the rule that it is about, if it is about one.
    """

    name: Annotated[str, Meta(max_length=64)]
    what: Annotated[str, Meta(max_length=PREVIEW_FINDING_CODE_POINTS)]
    blocks: bool = False
    rule: Annotated[str, Meta(max_length=LABEL_VALUE_BYTES)] | None = None


Check = Callable[[Comparison], Iterable[Objection]]


def objections(comparison: Comparison) -> tuple[Objection, ...]:
    """All that is found; what blocks first, and no more than there is room for."""
    return together(each for check in CHECKS for each in check(comparison))


def together(found: Iterable[Objection]) -> tuple[Objection, ...]:
    """Several, in the order in which there is room for them: one of each name that blocks comes first."""
    seen: set[str] = set()

    def rank(each: Objection) -> int:
        first = each.name not in seen
        seen.update({each.name} if each.blocks else ())
        return 2 - each.blocks - (each.blocks and first)

    ranked = [(rank(each), each) for each in found]
    ranked.sort(key=lambda each: each[0])
    return tuple(each for _, each in ranked[:PREVIEW_FINDINGS])


def in_region(region: str, found: Iterable[Objection]) -> Iterator[Objection]:
    """What was found where a policy is another one."""
    for each in found:
        what = f"in region {region}: {each.what}"[:PREVIEW_FINDING_CODE_POINTS]
        yield Objection(each.name, what, each.blocks, each.rule)


def unseen(region: str) -> Objection:
    """That nobody has replayed anything in a region where something else changes."""
    what = f"other rules change in region {region}, and no node there could say what they do"
    return Objection(UNSEEN_REGION, what, True)


def no_such(region: str) -> Objection:
    """That a layer judges nobody."""
    return Objection(NO_SUCH_REGION, f"no node stands in region {region}, which has a layer", True)


def _no_posts(comparison: Comparison) -> Iterator[Objection]:
    if not comparison.posts:
        yield Objection(
            NO_POSTS, "this node has judged no posts yet that it still keeps: nothing was replayed"
        )


def _everything(comparison: Comparison) -> Iterator[Objection]:
    posts = comparison.posts
    for rule in comparison.after.rules:
        count = comparison.rules.get(rule.id) or RuleCount()
        if posts < ENOUGH_POSTS or count.after < EVERYTHING * posts:
            continue
        news = count.before < EVERYTHING * posts
        what = f"{rule.id} applies to {count.after} of {posts} posts"
        yield Objection(MATCHES_EVERYTHING, what, news and rule.then > Action.ACCEPT, rule.id)


def _nothing(comparison: Comparison) -> Iterator[Objection]:
    changed, posts = changed_rules(comparison.before, comparison.after), comparison.posts
    if posts < ENOUGH_POSTS:
        return
    for rule in comparison.after.rules:
        if (comparison.rules.get(rule.id) or RuleCount()).after:
            continue
        high = wilson(Share(0, posts)).high
        what = f"{rule.id} applies to none of {posts} posts, so to less than {100 * high:.2g} % of all"
        yield Objection(NEVER_MATCHES, what, posts >= MANY_POSTS and rule.id in changed, rule.id)


def _contradictions(comparison: Comparison) -> Iterator[Objection]:
    changed, rules = changed_rules(comparison.before, comparison.after), comparison.after.rules
    for rule in rules:
        if rule.then is Action.LABEL:
            continue  # its label is put on whatever decides
        stricter = next((each for each in rules if _covers(each, rule)), None)
        count = comparison.rules.get(rule.id)
        if stricter is not None:
            what = f"{rule.id} can never decide: {stricter.id} applies whenever it does, and is stricter"
            yield Objection(CONTRADICTS, what, rule.id in changed or stricter.id in changed, rule.id)
        elif count is not None and count.after >= ENOUGH_POSTS and count.outdone == count.after:
            what = f"{rule.id} decided none of the {count.after} posts it applies to: stricter rules did"
            yield Objection(CONTRADICTS, what, False, rule.id)


def _covers(strict: Rule, rule: Rule) -> bool:
    """Whether one rule applies whenever another does, and is stricter; of expressions that is not known."""
    if strict.then <= rule.then or (strict.expires is not None and strict.expires != rule.expires):
        return False
    if isinstance(strict.when, str) or isinstance(rule.when, str):
        return strict.when == rule.when
    return set(rule.when) <= set(strict.when)


def _costs(comparison: Comparison) -> Iterator[Objection]:
    if comparison.left:
        minutes = f"{PREVIEW_S / 60:.0f} minutes of processor time"
        yield Objection(COSTS_TOO_MUCH, f"{minutes} did not do for {comparison.left} of the posts", True)
    before, after = (comparison.spent_s[name] / max(1, comparison.posts) for name in ("before", "after"))
    if comparison.posts >= ENOUGH_POSTS and after > COST_S:
        in_force = f"{1e6 * before:.0f} µs by the one in force"
        what = f"a post takes {1e6 * after:.0f} µs of processor time, and {in_force}"
        yield Objection(COSTS_TOO_MUCH, what, after > 1.5 * before)


def _failures(comparison: Comparison) -> Iterator[Objection]:
    count = comparison.rules.get(_UNJUDGED)
    if count is not None and count.after:
        what = f"judging failed for {count.after} posts, which would be held for review"
        yield Objection(FAILS, what, count.after > count.before)


def _unfairness(comparison: Comparison) -> Iterator[Objection]:
    for each in worsened(comparison.languages):
        yield Objection(UNFAIR, each.what[:PREVIEW_FINDING_CODE_POINTS], each.blocks)


def _evidence(comparison: Comparison) -> Iterator[Objection]:
    asked = {each.label for each in comparison.after.asked}
    for model in comparison.after.models:
        for label in sorted(asked & model.evidence.keys()):
            if languages := model.unproven(label):
                about = f"the evidence about {label} in {', '.join(languages)}"
                what = f"nothing says what {about} was counted from: it is its author's word"
                yield Objection(UNPROVEN, what[:PREVIEW_FINDING_CODE_POINTS])


CHECKS: Final[tuple[Check, ...]] = (
    *(_no_posts, _everything, _nothing, _contradictions),
    *(_costs, _failures, _unfairness, _evidence),
)
