"""Taking back what a policy decided: the records by which a node undoes its own statements.

A label is taken back by the same labeller's negated one, a microsecond later. What made a version wait is
taken back by the node's *automatic* decision to release it, which every person's decision outranks, whenever
it was made or comes. Both follow from what they take back alone, so doing it twice makes the same records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import STAMP_MAX
from folkmoot.protocol.moderation import decision as decisions
from folkmoot.protocol.moderation import label as labels
from folkmoot.protocol.moderation.decision import Action, Decision, parse_decision
from folkmoot.protocol.moderation.label import Label, parse_label
from folkmoot.protocol.record import Record

_REASON: Final = "The policy by which this was decided was rolled back."

Statement = Label | Decision
"""What a node's gate said."""


def statement_in(record: Record) -> Statement | None:
    """What a record says, if a gate can have said it: that a post bears a label, or why something waits.

    Returns:
        None for all else, and for what was taken back.
    """
    if record.kind == labels.KIND:
        label = parse_label(record.item, record.body)
        return None if label.negated or label.policy is None else label
    if record.kind == decisions.KIND:
        decision = parse_decision(record.item, record.body)
        if decision.is_automatic and decision.action is Action.HOLD and decision.policy is not None:
            return decision
    return None


def taken_back(record: Record, service: KeyPair) -> Record:
    """The record by which a node takes back what another record of its own says.

    Args:
        record: says it.
        service: the node's key pair.

    Raises:
        WireError: `bad_request`: no gate said that, or another node's did.
    """
    said = statement_in(record)
    if said is None or record.author != service.account:
        raise WireError(BAD_REQUEST, "a node takes back what its own gate said, and nothing else")
    if isinstance(said, Label):
        negated = replace(said, negated=True, reason=_REASON)
        return _sign(service, labels.KIND, record, negated.item, negated.body(), 1)
    released = replace(said, action=Action.RELEASE, reason=_REASON, span=None, field=None)
    return _sign(service, decisions.KIND, record, released.item, released.body(), 0)


def _sign(
    service: KeyPair, kind: str, about: Record, item: bytes, body: Mapping[str, object], later: int
) -> Record:
    stamp = min(about.stamp + later, STAMP_MAX)
    return Record.sign(service, kind=kind, item=item, body=body, stamp=stamp, place=about.place)
