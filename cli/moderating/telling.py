"""Statements of reasons, decisions and what waits for review, as commands show them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.feeds import when
from folkmoot.cli.moderating.grounds import grounds_of
from folkmoot.cli.moderating.subjects import Named
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.moderation.decision import (
    AUTOMATIC,
    KIND,
    Action,
    Decision,
    Role,
    Subject,
    parse_decision,
)
from folkmoot.protocol.moderation.label import KIND as LABEL
from folkmoot.protocol.moderation.label import parse_label
from folkmoot.protocol.moderation.outcome import Outcome, outcome_of
from folkmoot.protocol.record import Record

WHO_APPEALS = "the author"


def decision_in(frame: Sequence[bytes]) -> tuple[Decision, Record]:
    """A decision that a node tells of, with its record, whose signature holds.

    Raises:
        OperatorError: it is something else.
        WireError: the signature does not hold.
    """
    record = Record.from_wire(frame)
    if record.kind != KIND:
        raise OperatorError(f"the node told of a {record.kind} in the place of a decision")
    record.verify()
    return parse_decision(record.item, record.body), record


def label_in(frame: Sequence[bytes]) -> tuple[Decision, Record]:
    """A label of one of the cluster's nodes, as the decision of its policy that it is.

    Raises:
        OperatorError: it is something else.
        WireError: the signature does not hold.
    """
    record = Record.from_wire(frame)
    if record.kind != LABEL:
        raise OperatorError(f"the node told of a {record.kind} in the place of a label")
    record.verify()
    label = parse_label(record.item, record.body)
    about = Subject("post", label.post_item), label.subject_id
    by = Role.AUTOMATIC, label.labeller, AUTOMATIC
    decision = Decision(
        *(*about, Action.LABEL, *by, label.reason),
        labels=(label.value,),
        rule=label.rule,
        policy=label.policy,
        span=label.span,
        field=label.field,
        signals=label.signals,
    )
    return decision, record


def statement(decision: Decision, record: Record, about: Record | None) -> dict[str, Any]:
    """The statement of reasons of one decision, as JSON tells it.

    Args:
        decision, record: what was decided.
        about: the version that it is about, if it is known.
    """
    told: dict[str, Any] = {
        "action": decision.action.word,
        "reason": decision.reason,
        "automated": decision.is_automatic,
        "role": decision.role.word,
        "by": account_to_text(decision.decider),
        "time": when(record),
        "version": decision.version.hex(),
        "illegal": decision.illegal,
    }
    said = {"rule": decision.rule, "policy": decision.policy, "category": decision.category}
    told |= {name: value for name, value in said.items() if value is not None}
    if decision.labels:
        told["labels"] = list(decision.labels)
    if decision.signals:
        told["signals"] = dict(decision.signals)
    if decision.span is not None:
        told |= {"field": decision.field, "span": list(decision.span)}
        text = about.body.get(decision.field or "text") if about is not None else None
        if about is not None and about.id == decision.version and isinstance(text, str):
            told["matched"] = text[slice(*decision.span)]
    return told


def told_of(
    named: Named, case: Mapping[str, Any], shown: Record | None = None, language: str = ""
) -> dict[str, Any]:
    """What `moderation.show` and `moderation.held` tell of something, as JSON tells it.

    Args:
        named: what it is.
        case: what the node tells.
        shown: the version that is shown, if it was looked up.
        language: the reader's, as a tag in lower case; empty where that is not known.

    Raises:
        OperatorError, WireError: see `decision_in`.
    """
    waiting = Record.from_wire(case["record"]) if case.get("record") else None
    if waiting is not None:
        waiting.verify()
    decided = [decision_in(frame) for frame in case["decisions"]]
    passed_over = frozenset[bytes](case.get("passed_over", ()))
    outcome = outcome_of(decision for decision, record in decided if record.id not in passed_over)
    told: dict[str, Any] = {
        "post": str(named),
        "visibility": case["visibility"],
        "disputed": bool(outcome.disputed),
        "decisions": [
            {
                **statement(decision, record, waiting or shown),
                **_standing(decision, outcome),
                "passed_over": record.id in passed_over,
            }
            for decision, record in decided
        ],
    }
    if "waits" in case:
        told["waits"] = case["waits"]
        told["why"] = [statement(*decision_in(frame), waiting) for frame in case["why"]]
    if waiting is not None:
        told |= {"waiting": {"id": waiting.id.hex(), "time": when(waiting), "body": waiting.body}}
    if "labels" in case:
        told["labelled"] = [statement(*label_in(frame), shown) for frame in case["labels"]]
    for said in (*told["decisions"], *told.get("why", ()), *told.get("labelled", ())):
        if (notice := _in_language(said, case.get("notices", ()), language)) is not None:
            said["notice"] = notice
    if "appeal" in case:
        told["appeal"] = {"who": WHO_APPEALS, "how": case["appeal"] or None}
    return told


def readers_language() -> str:
    """The language that messages are wanted in, as a tag in lower case, by the usual variables."""
    named = next((found for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (found := os.environ.get(name))), "")
    return named.partition(".")[0].partition("@")[0].replace("_", "-").lower()


def _in_language(said: Mapping[str, Any], notices: Sequence[Mapping[str, Any]], language: str) -> str | None:
    """What the rule of a statement says in a language, or its nearest wider one, where that is known."""
    texts: Mapping[str, str] = next(
        (
            each["in"]
            for each in notices
            if (each["policy"], each["rule"]) == (said.get("policy"), said.get("rule"))
        ),
        {},
    )
    while language:
        if language in texts:
            return None if texts[language] == said["reason"] else texts[language]
        language = language.rpartition("-")[0]
    return None


def lines_of(told: Mapping[str, Any]) -> list[str]:
    """What `told_of` gives, as lines of text."""
    lines = [told["post"]]
    if told["visibility"] is not None:
        disputed = ", disputed: those who decided do not agree" if told["disputed"] else ""
        lines.append(f"  it is {told['visibility']}{disputed}")
    if told.get("waits"):
        lines.append("  a version waits for review:")
    if "waiting" in told:
        body = told["waiting"]["body"]
        words = body.get("text", body.get("value", body.get("name", body)))
        lines += [f"  > {line}" for line in str(words).split("\n")]
    lines += [f"  {line}" for each in told.get("why", ()) for line in _statement_lines(each)]
    lines += [f"  {line}" for each in told.get("labelled", ()) for line in _statement_lines(each)]
    lines += [f"  {line}" for each in told["decisions"] for line in _statement_lines(each)]
    if not told["decisions"]:
        lines.append("  nobody has decided about it")
    if "appeal" in told and (told["decisions"] or told.get("why") or told.get("labelled")):
        how = told["appeal"]["how"] or "ask those who run the cluster"
        lines.append(f"  {told['appeal']['who']} may appeal: {how}")
    return [*lines, ""]


def _standing(decision: Decision, outcome: Outcome) -> dict[str, bool]:
    return {"in_force": decision in outcome.in_force, "settled": decision in outcome.settled()}


def _statement_lines(told: Mapping[str, Any]) -> list[str]:
    by = "a policy" if told["automated"] else f"{told['role']} {told['by']}"
    reversed_ = "" if told.get("in_force", True) else ", reversed since"
    if told.get("passed_over"):
        reversed_ = ", passed over: whoever decided had lost that role"
    with_labels = f" with {', '.join(told['labels'])}" if "labels" in told else ""
    lines = [f"{told['time']}  {told['action']}{with_labels}, by {by}{reversed_}: {told['reason']}"]
    lines += [f"  {told['notice']}"] if "notice" in told else []
    grounds = grounds_of(told)
    return [*lines, *(["  " + ", ".join(grounds)] if grounds else [])]
