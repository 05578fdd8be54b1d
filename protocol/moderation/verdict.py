"""Verdicts: what the gate answers about one record, always with the rule and the reason.

An action is one of four, and they are ordered: of several rules that apply, the strictest one decides.
`accept` and `label` let a record through, `hold` puts it aside until a person has looked, `refuse` sends it
back. A verdict that is not a plain acceptance names the rule, the reason, the policy (by its hash) and the
place in the author's own text that set it off, so that it can be understood and disputed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from folkmoot.protocol.errors import REFUSED_BY_POLICY, WireError
from folkmoot.protocol.expressions import Value

Span = tuple[int, int]
"""A place in a text as its author wrote it: first code point, and the one after the last."""


class Action(IntEnum):
    """What happens to a record; a greater one is stricter."""

    ACCEPT = 0
    LABEL = 1
    HOLD = 2
    REFUSE = 3

    @property
    def word(self) -> str:
        """How policies and the wire spell it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that applied.

    Args:
        action: what the rule asks for.
        rule: its id in the policy.
        reason: its sentence, for the author and the readers.
        severity: 1 to 5, the rule's or the worst among the lists and patterns that set it off.
        label: the label it puts on the record, if any.
        field: which of the record's texts it was found in (`text`, `warning`, `tags.3`, `value`).
        span: where in that text; absent when the rule is not about a place in it.
        signals: what else the rule looked at, as far as it was known: names and values.
    """

    action: Action
    rule: str
    reason: str
    severity: int = 1
    label: str | None = None
    field: str | None = None
    span: Span | None = None
    signals: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer about one record.

    Args:
        policy: the SHA-256 of the policy that was applied, in hex.
        decisive: the finding that decided; absent when no rule applied.
        labels: for each label the record gets, the finding that put it there; labels differ.
    """

    policy: str
    decisive: Finding | None = None
    labels: tuple[Finding, ...] = ()

    @property
    def action(self) -> Action:
        """What happens to the record."""
        return Action.ACCEPT if self.decisive is None else self.decisive.action

    @property
    def rule(self) -> str | None:
        """The id of the rule that decided."""
        return None if self.decisive is None else self.decisive.rule

    @property
    def reason(self) -> str | None:
        """The sentence of the rule that decided."""
        return None if self.decisive is None else self.decisive.reason

    @property
    def span(self) -> Span | None:
        """The place that set the deciding rule off, in the original text of its field."""
        return None if self.decisive is None else self.decisive.span

    def to_wire(self) -> dict[str, Any]:
        """The map sent as `verdict` in a result of `record.put`; what does not apply is left out."""
        wire: dict[str, Any] = {"action": self.action.word, "policy": self.policy}
        if self.decisive is not None:
            wire |= _grounds(self.decisive) | _signals(self.decisive)
        if self.labels:
            wire["labels"] = [{"value": found.label} | _grounds(found) for found in self.labels]
        return wire

    def to_error(self, appeal: str) -> WireError:
        """The error a refused record is answered with.

        Args:
            appeal: the policy's sentence about whom to ask for another look.
        """
        assert self.decisive is not None, "a refusal has its reason"
        return WireError(
            REFUSED_BY_POLICY,
            f"rule {self.decisive.rule}: {self.decisive.reason}",
            details=_grounds(self.decisive)
            | _signals(self.decisive)
            | {"policy": self.policy, "appeal": appeal},
        )


def combine(policy: str, findings: list[Finding]) -> Verdict:
    """The verdict that follows from all findings, in the order of the policy's rules.

    The strictest action decides; of equally strict ones the most severe, then the first. Every label
    anyone asked for is kept, each with the first finding that asked for it.
    """
    if not findings:
        return Verdict(policy)
    labels: dict[str, Finding] = {}
    for finding in findings:
        if finding.label is not None:
            labels.setdefault(finding.label, finding)
    # max() keeps the first of equals.
    decisive = max(findings, key=lambda finding: (finding.action, finding.severity))
    return Verdict(policy, decisive, tuple(labels.values()))


def _grounds(finding: Finding) -> dict[str, Any]:
    grounds: dict[str, Any] = {"rule": finding.rule, "reason": finding.reason}
    if finding.field is not None and finding.span is not None:
        grounds |= {"field": finding.field, "span": list(finding.span)}
    return grounds


def _signals(finding: Finding) -> dict[str, Any]:
    return {"signals": dict(finding.signals)} if finding.signals else {}
