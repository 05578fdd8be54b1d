"""The policy engine: one document, compiled, answering with a verdict for every record it is shown.

Matchers run once over a text; rules only read what was found. What costs more than a look (models, the
comparison of texts) is worked out for those records alone whose verdict may turn on it. An engine that fails
does not know, and what is not known goes to review: the verdict is then to hold, under the rule id
`unjudged`. So does a rule that cannot be worked out for want of a signal, under its own.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Final, NamedTuple

from folkmoot.node.moderation.budget import OverBudget
from folkmoot.node.moderation.figures import Names
from folkmoot.node.moderation.matchers import Matchers
from folkmoot.node.moderation.scorers import Asked, Scorers
from folkmoot.node.moderation.submissions import Submission
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.moderation.bounds import COMPARED_CODE_POINTS, SIGNALS_TOLD
from folkmoot.protocol.moderation.flood import NO_FLOOD
from folkmoot.protocol.moderation.policy import PolicyDocument
from folkmoot.protocol.moderation.rules import Outcome, Rules
from folkmoot.protocol.moderation.signals import FLOOD, LOOKED_UP, POST, SCORES, UNCERTAIN, family
from folkmoot.protocol.moderation.text.languages import TOLD, languages_of, primary
from folkmoot.protocol.moderation.thresholds import Thresholds
from folkmoot.protocol.moderation.verdict import Action, Finding, Span, Verdict, combine

UNJUDGED: Final = "unjudged"
_UNJUDGED_REASON: Final = "The gate could not judge this; a person will."
_TOO_SLOW_REASON: Final = "The gate could not judge this in time; a person will."
_UNKNOWN_REASON: Final = "Whether this rule applies cannot be known here ({}); a person will look at it."

Hits = Mapping[int, tuple[str, Span]]
"""What was found: the number of a list or pattern, with field and place of its first hit."""

_NONE: Final[Mapping[str, str]] = {}


class _Look(NamedTuple):
    """What was found in a record.

    Args:
        hits: see there.
        counts: how often, where rules ask.
        wanted: the signals that rules will look at, hits being what they are.
    """

    hits: Hits
    counts: Counter[int]
    wanted: frozenset[str]


_NOTHING: Final = _Look({}, Counter(), frozenset())

logger = logging.getLogger(__name__)


class PolicyEngine:
    """One policy, ready to judge.

    Args:
        document: a valid policy.
        scorers: its models; without them all scores are unknown.

    Attributes:
        document: the same.
        scorers: its models.
        accepted: the verdict of everything no rule applies to.
        compares: whether a rule asks how often a text came before.
        unknown: counts the signals that rules asked for in vain.
        families: those of the signals that rules may ask for, hits aside.

    Raises:
        PolicyError: its patterns are fine one by one and too much together.
    """

    def __init__(self, document: PolicyDocument, scorers: Scorers | None = None) -> None:
        self.document = document
        self.accepted = Verdict(document.hash)
        self._failures: Counter[type[Exception]] = Counter()
        self.scorers = scorers or Scorers(document)
        self._expires = {number: rule.expires for number, rule in enumerate(document.rules) if rule.expires}
        self._asked = {
            asked: Thresholds(document.evidence[asked.label], asked.thousandths)
            for asked in sorted(document.asked)
        }
        self._rules = Rules(document)
        self.unknown = Names()
        self.families = frozenset(map(family, self._rules.signals))
        self._counts = FLOOD in self.families
        self._uncertain = frozenset(each for each in self._rules.signals if family(each) in UNCERTAIN)
        self._counted = frozenset(self._rules.counted.values())
        self.compares = "flood.same_text" in self._rules.signals
        self._matchers = Matchers(document) if document.finders else None

    @property
    def unjudged_count(self) -> int:
        """How many records were held because judging failed."""
        return self._failures.total()

    @property
    def problems(self) -> list[str]:
        """Why models cannot be asked, a sentence each."""
        return self.scorers.problems

    def warnings(self, now_us: int, unavailable: Mapping[str, str] = _NONE) -> list[str]:
        """What of the policy is not in force here, a sentence each.

        Args:
            now_us: microseconds since 1970.
            unavailable: signals that the node cannot know, and why.
        """
        rules = self.document.rules
        expired = [f"rule {rules[at].id} expired on {self._expires[at].iso}" for at in self._expired(now_us)]
        missing = [
            f"{signal} says nothing here, because {unavailable[signal]}"
            for signal in sorted(self._rules.signals & unavailable.keys())
        ]
        return [*self.scorers.problems, *expired, *self._unreached(), *missing]

    def _unreached(self) -> Iterator[str]:
        """Thresholds that the evidence does not support, in the languages that it is in."""
        for asked, thresholds in self._asked.items():
            for language, found in thresholds.by_language.items():
                where = f"{asked.signal} is not reached in {language}"
                if not found.reached:
                    best = f"the evidence promises {found.bound:.3f} at best"
                    yield f"{where}, where {best}; rules go to review there"
                elif primary(language) not in TOLD:
                    yield f"{where}, since no text is known to be in it; rules go to review there"

    def judge(self, text: str, field: str = "text") -> Verdict:
        """The verdict on one text.

        Args:
            text: any text.
            field: what the text is called in findings.
        """
        return self.judge_record(Submission(((field, text),)))

    def judge_record(self, submission: Submission, now_us: int = 0) -> Verdict:
        """The verdict on one record that came to the gate: what went wrong is counted, and logged.

        Args:
            submission: what the gate looks at of it.
            now_us: microseconds since 1970, by which rules expire.
        """
        try:
            findings, unknown = self._applied(submission, self._look(submission), now_us)
        except Exception as error:  # whatever it was: not knowing must never read as acceptance
            self._note(error)
            findings, unknown = [_unjudged(error)], frozenset()
        if unknown:
            self.unknown.add(unknown)
        return combine(self.document.hash, findings) if findings else self.accepted

    def findings(self, submission: Submission, now_us: int = 0) -> list[Finding]:
        """What each rule that applies to a record says, in the order of the rules; the same arguments.

        Nothing is counted or logged, and so any thread may ask, about what is not at the gate.
        """
        return self.findings_of([submission], now_us)[0]

    def findings_of(self, submissions: Sequence[Submission], now_us: int = 0) -> list[list[Finding]]:
        """The same of each of many records, in less time: models are asked about all of them at once."""
        looked = [self._looked(each) for each in submissions]
        asked = [
            Asked(each.joined(), look.wanted, each.scored)
            for each, look in zip(submissions, looked, strict=True)
            if isinstance(look, _Look)
        ]
        # What goes wrong here does so again below, with the record that it is about.
        with suppress(Exception):
            self.scorers.ask_of(asked)
        return [self._findings(each, look, now_us) for each, look in zip(submissions, looked, strict=True)]

    def _looked(self, submission: Submission) -> _Look | Exception:
        try:
            return self._look(submission)
        except Exception as error:  # as above
            return error

    def _findings(self, submission: Submission, look: _Look | Exception, now_us: int) -> list[Finding]:
        if isinstance(look, Exception):
            return [_unjudged(look)]
        try:
            return self._applied(submission, look, now_us)[0]
        except Exception as error:  # as above
            return [_unjudged(error)]

    def _look(self, submission: Submission) -> _Look:
        """What was found, and the signals that rules will look at because of it."""
        if not self.document.rules:
            return _NOTHING
        hits, counts = self._find(submission)
        return _Look(hits, counts, self._rules.wanted(hits))

    def _applied(
        self, submission: Submission, look: _Look, now_us: int
    ) -> tuple[list[Finding], frozenset[str]]:
        """What the rules say, and the signals that they asked for in vain."""
        if not self.document.rules:
            return [], frozenset()
        hits, counts, wanted = look
        counted = {name: float(counts[finder]) for name, finder in self._rules.counted.items()}
        signals = self._signals(submission, wanted) | counted
        signals |= self._thresholds(submission, wanted, signals)
        unknown = (wanted & self._uncertain) - signals.keys()
        outcomes = self._rules.apply(hits, signals)
        expired = self._expired(now_us) if outcomes else ()
        findings = [
            self._finding(outcome, hits, signals, submission.language)
            for outcome in outcomes
            if outcome.rule not in expired
        ]
        return findings, unknown

    def _note(self, error: Exception) -> None:
        """Count a record that could not be judged, and log it; whoever sends such records must not fill the
        log."""
        self._failures[type(error)] += 1
        count = self._failures[type(error)]
        if count.bit_count() != 1:
            return
        if isinstance(error, OverBudget):
            logger.warning("records that take too long to judge are held: %d so far", count)
        else:
            logger.error(
                "records that cannot be judged are held for review: %d so far", count, exc_info=error
            )

    def _find(self, submission: Submission) -> tuple[dict[int, tuple[str, Span]], Counter[int]]:
        """What was found, and how often where rules ask."""
        hits: dict[int, tuple[str, Span]] = {}
        counts: Counter[int] = Counter()
        if self._matchers is not None:
            for field, text in submission.texts:
                found = self._matchers.find(text, submission.budget, self._counted, counts)
                for finder, span in found.items():
                    hits.setdefault(finder, (field, span))
        return hits, counts

    def _signals(self, submission: Submission, wanted: frozenset[str]) -> dict[str, Value]:
        """What rules will look at, as far as it is known."""
        signals: dict[str, Value] = {}
        families = {family(name) for name in wanted}
        if POST in families:
            signals |= submission.facts()
        if not families.isdisjoint(LOOKED_UP):
            signals |= submission.known()
        if self._counts:
            signals |= self._flood(submission)
        if SCORES in families:
            signals |= self.scorers.scores(submission.joined(), wanted, submission.scored)
        return signals

    def _thresholds(
        self, submission: Submission, wanted: frozenset[str], signals: Mapping[str, Value]
    ) -> dict[str, Value]:
        """The thresholds that rules will look at, but for those that the evidence leaves unknown."""

        @cache
        def seems() -> frozenset[str]:
            return languages_of(submission.joined().text)

        known: dict[str, Value] = {}
        for asked, thresholds in self._asked.items():
            if asked.signal in wanted:
                score = signals.get(asked.score)
                least = score if isinstance(score, float) else None
                value = thresholds.value(least, submission.language, seems)
                known |= {} if value is None else {asked.signal: value}
        return known

    def _flood(self, submission: Submission) -> Mapping[str, Value]:
        if submission.counting is None:
            return NO_FLOOD
        if not self.compares:
            return submission.counting("")
        return submission.counting(submission.joined().tight(COMPARED_CODE_POINTS))

    def _expired(self, now_us: int) -> list[int]:
        return [number for number, day in self._expires.items() if day.ends_us <= now_us]

    def _finding(self, outcome: Outcome, hits: Hits, signals: Mapping[str, Value], language: str) -> Finding:
        rule, finders = self.document.rules[outcome.rule], self.document.finders
        worst = max(outcome.found, key=lambda finder: finders[finder].severity, default=None)
        field, span = (None, None) if worst is None else hits[worst]
        severity = rule.severity or (1 if worst is None else finders[worst].severity)
        action, reason, label = rule.then, rule.said_in(language), rule.label
        if outcome.applies is None:
            # A rule that accepts is one that is tried out, and changes nothing this way either.
            action, label = action if action is Action.ACCEPT else Action.HOLD, None
            reason = _UNKNOWN_REASON.format(", ".join(outcome.missing) or "its expression has no value")
        told = tuple((name, signals[name]) for name in outcome.read if name in signals)[:SIGNALS_TOLD]
        return Finding(action, rule.id, reason, severity, label, field, span, told)


def _unjudged(error: Exception) -> Finding:
    """What is said of a record that could not be judged."""
    reason = _TOO_SLOW_REASON if isinstance(error, OverBudget) else _UNJUDGED_REASON
    return Finding(Action.HOLD, UNJUDGED, reason)
