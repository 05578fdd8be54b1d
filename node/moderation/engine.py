"""The policy engine: one document, compiled, answering with a verdict for every text it is shown.

Matchers run once over a text; rules only read what was found. An engine that fails does not know, and what
is not known goes to review: the verdict is then to hold, under the rule id `unjudged`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

import re2
from folkmoot.node.moderation.matchers import Matchers
from folkmoot.protocol.moderation.policy import PolicyDocument, PolicyError, Rule
from folkmoot.protocol.moderation.verdict import Action, Finding, Span, Verdict, combine

UNJUDGED: Final = "unjudged"
_UNJUDGED_REASON: Final = "The gate could not judge this; a person will."

logger = logging.getLogger(__name__)


class PolicyEngine:
    """One policy, ready to judge.

    Args:
        document: a valid policy.

    Attributes:
        document: the same.
        accepted: the verdict of everything no rule applies to.
        unjudged_count: how many records were held because judging failed.

    Raises:
        PolicyError: its patterns are fine one by one and too much together.
    """

    def __init__(self, document: PolicyDocument) -> None:
        self.document = document
        self.accepted = Verdict(document.hash)
        self.unjudged_count = 0
        self._rules: list[tuple[Rule, tuple[int, ...]]] = []
        if not document.finders:
            return  # a rule names what finds, so there is none
        try:
            self._matchers = Matchers(document)
        except re2.error as error:
            raise PolicyError(
                [f"the patterns together need more memory than RE2 is given ({error})"]
            ) from error
        ids = {finder.id: index for index, finder in enumerate(self._matchers.finders)}
        self._rules = [(rule, tuple(ids[name] for name in rule.when)) for rule in document.rules]

    def judge(self, text: str, field: str = "text") -> Verdict:
        """The verdict on one text.

        Args:
            text: any text.
            field: what the text is called in findings.
        """
        return self.judge_fields(((field, text),))

    def judge_fields(self, fields: Iterable[tuple[str, str]]) -> Verdict:
        """The verdict on the texts of one record.

        Args:
            fields: name and text of each.
        """
        if not self._rules:
            return self.accepted
        try:
            hits: dict[int, tuple[str, Span]] = {}
            for field, text in fields:
                for finder, span in self._matchers.find(text).items():
                    hits.setdefault(finder, (field, span))
            return combine(self.document.hash, self._findings(hits)) if hits else self.accepted
        except Exception:  # whatever it was: not knowing must never read as acceptance
            logger.exception("a record could not be judged and is held for review")
            self.unjudged_count += 1
            return Verdict(self.document.hash, Finding(Action.HOLD, UNJUDGED, _UNJUDGED_REASON))

    def _findings(self, hits: dict[int, tuple[str, Span]]) -> list[Finding]:
        findings = []
        for rule, finders in self._rules:
            found = [finder for finder in finders if finder in hits]
            if found:
                worst = max(found, key=lambda finder: self._matchers.finders[finder].severity)
                field, span = hits[worst]
                severity = self._matchers.finders[worst].severity
                findings.append(Finding(rule.then, rule.id, rule.reason, severity, rule.label, field, span))
        return findings
