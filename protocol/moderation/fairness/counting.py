"""Counting one post: what gates, people and blind reviewers made of it, under which rules, for which groups.

A post is *flagged* by a rule when a gate labelled it or held a version of it back under that rule; by several
nodes, still once. A flag is *decided* when a decision of a person about it is settled, and *overturned* when
that let the version go or restored the post. What was held back *waits* from when its author signed it until
the first person decided anything for good. What is refused leaves no trace, so nothing of it is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from folkmoot.protocol.moderation import verdict
from folkmoot.protocol.moderation.decision import Action, Decision
from folkmoot.protocol.moderation.fairness.tally import ANY_RULE, Numbers, Tally
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.outcome import Outcome, outcome_of
from folkmoot.protocol.moderation.sampling import Sample, samples_of
from folkmoot.protocol.moderation.statistics.durations import Waits, step_of
from folkmoot.protocol.moderation.statistics.weighted import NONE, Weights
from folkmoot.protocol.record import Record

UNSAID: Final = "und"
"""The language of what says none, as BCP 47 spells it."""

_LANGUAGE_LETTERS: Final = (2, 3)
_LETS_GO: Final = frozenset({Action.RELEASE, Action.RESTORE})


class By(StrEnum):
    """By what posts are put into groups."""

    LANGUAGE = "language"
    REGION = "region"
    DIALECT = "dialect"


@dataclass(frozen=True, slots=True)
class Found:
    """A post, and what stands beside it.

    Args:
        record: the version that is shown, or that waits where none is.
        shown: whether it is.
        labels: that nodes of the cluster have put on it and not taken back.
        held: why versions of it waited, as nodes' gates said; with the stamp of each version.
        decisions: what was decided about it.
        votes: draws and answers about it.
    """

    record: Record
    shown: bool
    labels: Sequence[Label] = ()
    held: Sequence[tuple[Decision, int]] = ()
    decisions: Sequence[Decision] = ()
    votes: Sequence[Record] = ()


class Grouping(NamedTuple):
    """How posts are put into groups.

    Args:
        by: by what.
        sets_in: the declared sets that a text belongs to.
        region_of: the region of a node, by its service account (34 bytes); None for a stranger's.
    """

    by: By
    sets_in: Callable[[Record], Collection[str]] = lambda record: ()
    region_of: Callable[[bytes], str | None] = lambda account: ""

    def of_post(self, record: Record) -> Collection[str]:
        """Of a version of a post."""
        match self.by:
            case By.LANGUAGE:
                said = record.body.get("lang")
                return [language_of(said if isinstance(said, str) else "")]
            case By.DIALECT:
                return self.sets_in(record)
        return ()

    def of_nodes(self, nodes: Iterable[bytes]) -> set[str]:
        """Of the nodes that judged something."""
        return {region for node in nodes if (region := self.region_of(node))}


def language_of(tag: str) -> str:
    """The language of a tag, without script, region and the like; `UNSAID` for what is none."""
    language = tag.lower().partition("-")[0]
    fits = len(language) in _LANGUAGE_LETTERS and language.isascii() and language.isalpha()
    return language if fits else UNSAID


def count_post(tally: Tally, found: Found, grouping: Grouping, since_us: int, now_us: int) -> None:
    """Count a post.

    Args:
        tally: is added to.
        since_us: from when on what was drawn counts, in microseconds since 1970.
        now_us: until when what waits has waited.
    """
    groups = grouping.of_post(found.record)
    by_region = grouping.by is By.REGION
    if not by_region:
        # Who judged what passed unnoticed stands nowhere, so how many a region judged only samples tell.
        tally.count(groups, [ANY_RULE], Numbers(posts=1))
    flags = _flags(found, now_us)
    for nodes, numbers, rules in _once_each(flags, by_region=by_region):
        tally.count(grouping.of_nodes(nodes) if by_region else groups, rules, numbers)
    for sample in samples_of(found.votes):
        draw = sample.draw
        if draw.drawn_us < since_us or grouping.region_of(draw.node) is None:
            continue
        if by_region:
            of_sample: Collection[str] = grouping.of_nodes([draw.node])
        elif grouping.by is By.LANGUAGE:
            of_sample = [language_of(draw.language)]
        else:  # of an earlier version the text is not at hand
            of_sample = groups if draw.version == found.record.id else ()
        _count_sample(tally, of_sample, sample)


class _Flag(NamedTuple):
    rule: str
    node: bytes
    lets_go: bool | None
    waits: Waits


def _flags(found: Found, now_us: int) -> list[_Flag]:
    outcome = outcome_of(found.decisions)
    flags = [
        _Flag(label.rule, label.labeller, _lets_go(outcome, label.subject_id, version_first=False), Waits())
        for label in found.labels
        if label.rule is not None
    ]
    for why, stamp in found.held:
        if why.rule is not None:
            lets_go = _lets_go(outcome, why.version, version_first=True)
            flags.append(_Flag(why.rule, why.decider, lets_go, _waits(found, outcome, why, stamp, now_us)))
    return flags


def _once_each(
    flags: Sequence[_Flag], *, by_region: bool
) -> Iterable[tuple[Collection[bytes], Numbers, Sequence[str]]]:
    """What flags come to, each rule once and all together once; of regions, each node by itself."""
    parts = [[flag for flag in flags if flag.node == node] for node in sorted({flag.node for flag in flags})]
    for part in parts if by_region else [flags]:
        for rule in {ANY_RULE, *(flag.rule for flag in part)} if part else ():
            some = [flag for flag in part if rule in (ANY_RULE, flag.rule)]
            waits = next((flag.waits for flag in some if flag.waits.count), Waits())
            decided = [flag.lets_go for flag in some if flag.lets_go is not None]
            numbers = Numbers(
                flagged=1, decided=int(bool(decided)), overturned=int(any(decided)), waits=waits
            )
            yield {flag.node for flag in some}, numbers, [rule]


def _lets_go(outcome: Outcome, version: bytes, *, version_first: bool) -> bool | None:
    """Whether people let go what was flagged; None while that is not settled."""
    settled = {each.mark for each in outcome.settled()}
    found = [outcome.versions.get(version), outcome.post]
    for decision in found if version_first else reversed(found):
        if decision is not None and decision.mark in settled and decision.action is not Action.HOLD:
            return decision.action in _LETS_GO
    return None


def _waits(found: Found, outcome: Outcome, why: Decision, stamp: int, now_us: int) -> Waits:
    ended = [
        each.number
        for each in found.decisions
        if not each.is_automatic
        and each.action is not Action.HOLD
        # Of one version, whatever clocks say; of the post, an earlier one is about what was there before.
        and (each.version == why.version if each.action.is_of_version else each.number >= stamp)
    ]
    if ended:
        return Waits({step_of((min(ended) - stamp) / 1e6): 1})
    if found.shown or not outcome.awaits(why.version):
        return Waits()  # another version took its place
    return Waits({}, {step_of((now_us - stamp) / 1e6): 1})


def _count_sample(tally: Tally, groups: Collection[str], sample: Sample) -> None:
    draw, weight = sample.draw, Weights.of(sample.weight)
    fine = weight if sample.answer.is_fine else NONE
    tally.count(groups, [ANY_RULE], Numbers(sampled=weight, fine=fine))
    if draw.action is not verdict.Action.ACCEPT:
        rules = [ANY_RULE] if draw.rule is None else [ANY_RULE, draw.rule]
        tally.count(groups, rules, Numbers(sampled_flagged=weight, fine_flagged=fine))
