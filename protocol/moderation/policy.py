"""Policy documents: what a community asks of a record, as lists, patterns, models and rules.

A document is one TOML file and is named by the SHA-256 of its bytes. Lists and patterns *find*, models
*score*, rules *act*: a rule says when it applies, either by naming lists and patterns of which any is enough,
or by an expression over signals (see `signals`). Which rule then decides is settled in `verdict`.

A document may stand on others, wider ones first: what the cluster asks, what a region adds, what a community
adds to that. Together they are one document, named by the SHA-256 of their hashes. What regions add may
differ, so that one policy is another document in each (`Regional`). How documents are read is in
`policy_reading`, how they are put together in `layers`, and how they travel together in `bundle`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from folkmoot.protocol import limits
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.expressions import Sort
from folkmoot.protocol.moderation.definitions import Definitions
from folkmoot.protocol.moderation.evidence import Source
from folkmoot.protocol.moderation.signals import family, sorts_of
from folkmoot.protocol.moderation.table import Day
from folkmoot.protocol.moderation.thresholds import Asked, Evidence, resolved
from folkmoot.protocol.moderation.verdict import Action


class PolicyError(FolkmootError):
    """A policy document cannot be used.

    Args:
        problems: one sentence each, beginning with the place (`file:line:column`) where it has one.
        more: how many there are besides.

    Attributes:
        told: the first of them.
        more: how many are not among these.
        problems: what people are told: the first, and how many more there are.
    """

    def __init__(self, problems: Sequence[str], more: int = 0) -> None:
        self.told = tuple(problems[: limits.POLICY_PROBLEMS])
        self.more = more + len(problems) - len(self.told)
        self.problems = (*self.told, *([f"… and {self.more} more problems"] if self.more else ()))
        super().__init__("\n".join(self.problems))


class Degrade(StrEnum):
    """What a rule does that cannot be worked out for want of a signal."""

    REVIEW = "review"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the matchers that will run a document make of its words and patterns.

    Args:
        fold: the form in which a word is looked for; empty when nothing of it is left to look for.
        flaw: why a regular expression cannot be used, or None.
    """

    fold: Callable[[str], str]
    flaw: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class WordList:
    """Words to look for.

    Args:
        id: its name among the document's lists and patterns.
        category: what they are signs of, for example `spam`.
        severity: 1 (a nuisance) to 5 (danger to someone).
        words: words and phrases, as written in the document.
        whole_words: whether a hit inside a longer word does not count.
    """

    id: str
    category: str
    severity: int
    words: tuple[str, ...]
    whole_words: bool


@dataclass(frozen=True, slots=True)
class Pattern:
    """One regular expression to look for; `id`, `category` and `severity` as for a list."""

    id: str
    category: str
    severity: int
    regex: str


@dataclass(frozen=True, slots=True)
class Model:
    """A text model that scores, see `protocol.moderation.text.model`.

    Args:
        id: its name among the document's models.
        hash: SHA-256 of its bytes, in hex.
        labels: what it scores: its classes but for the first, in their order.
        blind: whether it was taught with all groups of people read as one.
        evidence: of labels, as signals spell them, what is known of how right it is (see `thresholds`).
        counted: of labels and languages, what that was counted from, where it is said.
    """

    id: str
    hash: str
    labels: tuple[str, ...]
    blind: bool
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    counted: Mapping[str, Mapping[str, Source]] = field(default_factory=dict)

    def unproven(self, label: str) -> list[str]:
        """The languages in which nothing says what the evidence about a label was counted from."""
        counted = self.counted.get(label, {})
        return [language for language in self.evidence.get(label, ()) if language not in counted]


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do when.

    Args:
        id: its name among the document's rules.
        when: ids of lists and patterns, any of which is enough; or an expression over signals.
        then: the action.
        reason: one sentence for the author.
        label: what to label the record with, when `then` is `label` (or, if wished, `hold`).
        category: what it is about, for example `spam`; may be None where lists and patterns say it.
        severity: 1 (a nuisance) to 5 (danger to someone); may be None as well.
        notices: the reason in other languages, by their tags in lower case.
        expires: the last day, in UTC, on which it applies.
        overridable: whether documents that stand on this one may change it as they like.
    """

    id: str
    when: tuple[str, ...] | str
    then: Action
    reason: str
    label: str | None
    category: str | None = None
    severity: int | None = None
    notices: Mapping[str, str] = field(default_factory=dict)
    expires: Day | None = None
    overridable: bool = False

    def has_said(self, reason: str) -> bool:
        """Whether a reason is this rule's, in any language."""
        return reason == self.reason or reason in self.notices.values()

    def said_in(self, language: str) -> str:
        """The reason in a language, or its nearest wider one, where there is such; in lower case."""
        while language:
            if language in self.notices:
                return self.notices[language]
            language = language.rpartition("-")[0]
        return self.reason


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A valid policy.

    Args:
        hash: SHA-256 of the file's bytes, in hex; of several layers, of their hashes; of a policy for all
            nodes, of its bundle, whatever the region. The policy's name in verdicts and labels.
        name: what people call it.
        unicode: the oldest Unicode version that judges as its author meant.
        appeal: one sentence: whom a refused author may ask for another look.
        lists, patterns, models, rules: in the document's order.
        degrade: what happens to rules for want of a signal, by its name or by its family's.
        layers: the hashes of the documents that it is made of, the widest first.
        labels: what labels mean, by their values; see `policy_labels`.
    """

    hash: str
    name: str
    unicode: str
    appeal: str
    lists: tuple[WordList, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    models: tuple[Model, ...] = ()
    rules: tuple[Rule, ...] = ()
    degrade: Mapping[str, Degrade] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    labels: Definitions = field(default_factory=dict)

    @property
    def finders(self) -> tuple[WordList | Pattern, ...]:
        """What rules can name: the lists, then the patterns."""
        return (*self.lists, *self.patterns)

    @property
    def signals(self) -> dict[str, Sort]:
        """What expressions can name."""
        labels = (label for model in self.models for label in model.labels)
        sorts = sorts_of((finder.id for finder in self.finders), labels)
        return sorts | {asked.signal: Sort.NUMBER for asked in self.asked}

    @property
    def evidence(self) -> dict[str, Evidence]:
        """What is known of how right scores are, by label as signals spell it."""
        return {label: evidence for model in self.models for label, evidence in model.evidence.items()}

    @property
    def asked(self) -> set[Asked]:
        """The thresholds that rules ask for and that evidence can tell."""
        said = (resolved(rule.when)[1] for rule in self.rules if isinstance(rule.when, str))
        return {asked for each in said for asked in each if asked.label in self.evidence}

    def degraded(self, signal: str) -> Degrade:
        """What happens to a rule for want of a signal."""
        return self.degrade.get(signal) or self.degrade.get(family(signal), Degrade.REVIEW)


EMPTY: Final = PolicyDocument(hash=hashlib.sha256(b"").hexdigest(), name="none", unicode="", appeal="")
"""The policy of a node that was given none: everything is accepted."""


@dataclass(frozen=True, slots=True)
class Regional:
    """A policy as it is in each region.

    Args:
        everywhere: where a region has no layer of its own.
        regions: by the names of those that have one.
    """

    everywhere: PolicyDocument
    regions: Mapping[str, PolicyDocument] = field(default_factory=dict)

    def within(self, region: str) -> PolicyDocument:
        """What judges in a region."""
        return self.regions.get(region, self.everywhere)

    def different(self) -> dict[str, PolicyDocument]:
        """Each that differs from the others, once, by a region where it judges; `""` is everywhere else."""
        found = {self.everywhere.layers: ("", self.everywhere)}
        for region, each in self.regions.items():
            found.setdefault(each.layers, (region, each))
        return dict(found.values())

    def named(self, hash: str) -> Regional:
        """The same under another name, in hex, that is one in all regions."""
        regions = {region: replace(each, hash=hash) for region, each in self.regions.items()}
        return Regional(replace(self.everywhere, hash=hash), regions)


def policy_hash(data: bytes) -> str:
    """The name of the policy in a file of these bytes."""
    return hashlib.sha256(data).hexdigest()


def layered_hash(hashes: Sequence[str]) -> str:
    """The name of a policy in several documents, by theirs in hex, the widest first; one keeps its own."""
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256(b"".join(map(bytes.fromhex, hashes))).hexdigest()
