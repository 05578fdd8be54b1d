"""What the gate says of what it did: labels, and why a record waits for review.

Both are records that this node's service account signs, under the stamp of what they are about: what is said
of an edit supersedes what was said of the version before, and judging one version twice says the same twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from folkmoot.node.contracts import Put
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.decision import KIND as DECISION
from folkmoot.protocol.moderation.decision import KINDS_DECIDED, Decision, Subject
from folkmoot.protocol.moderation.label import KIND as LABEL
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.verdict import Action, Verdict
from folkmoot.protocol.record import Record

_NOTHING: Final[list[Put]] = []


def statements_of(record: Record, verdict: Verdict, service: KeyPair) -> list[Put]:
    """What is stored beside a record that the gate let in or put aside.

    That something waits is nobody's business but its author's and the moderators', and so is why: the
    statement waits beside it.

    Args:
        record: what was judged.
        verdict: the gate's.
        service: this node's key pair.
    """
    if verdict.action is Action.HOLD:
        if record.kind not in KINDS_DECIDED or service.account in (record.author, record.place):
            return _NOTHING
        return [Put(_why_it_waits(record, verdict, service), held=True)]
    if not verdict.labels or record.kind != "post":
        return _NOTHING
    labels = (
        Label.from_finding(
            finding,
            policy=verdict.policy,
            post_item=record.item,
            subject_id=record.id,
            labeller=service.account,
        )
        for finding in verdict.labels
    )
    return [Put(_sign(service, LABEL, record, label.item, label.body())) for label in labels]


def _why_it_waits(record: Record, verdict: Verdict, service: KeyPair) -> Record:
    assert verdict.decisive is not None, "what is held is held for a reason"
    why = Decision.from_finding(
        verdict.decisive,
        policy=verdict.policy,
        subject=Subject(record.kind, record.item),
        version=record.id,
        decider=service.account,
    )
    return _sign(service, DECISION, record, why.item, why.body())


def _sign(service: KeyPair, kind: str, about: Record, item: bytes, body: Mapping[str, Any]) -> Record:
    return Record.sign(service, kind=kind, item=item, body=body, stamp=about.stamp, place=about.place)
